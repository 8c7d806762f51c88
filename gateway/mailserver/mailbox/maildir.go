package mailbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNotMaildir says that a folder has neither cur nor new in it.
var ErrNotMaildir = errors.New("mailbox: not a Maildir: there is neither cur nor new in it")

// ours ends the unique part of the names that WriteMaildir gives.
const ours = ".postern"

// ReadMaildir reads the messages of a Maildir, oldest first by their names, from
// new and cur; what is in folders of it (.Sent) is not read. Nothing in it is
// changed.
//
// A name that WriteMaildir gave has the message's unique-id, which is believed
// if the file is what it was then.
func ReadMaildir(dir string) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		files, err := maildirFiles(dir)
		if err != nil {
			yield(Message{}, err)
			return
		}
		for _, path := range files {
			m, err := readFile(path)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func maildirFiles(dir string) (files []string, err error) {
	found := false
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = true
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") && e.Type().IsRegular() {
				files = append(files, filepath.Join(dir, sub, e.Name()))
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("%w: %s", ErrNotMaildir, dir)
	}
	slices.SortStableFunc(files, func(a, b string) int {
		return cmp.Or(nameTime(a).Compare(nameTime(b)), cmp.Compare(filepath.Base(a), filepath.Base(b)))
	})
	return files, nil
}

// nameTime is the time that a name begins with; zero if it does not.
func nameTime(path string) time.Time {
	seconds, _, _ := strings.Cut(filepath.Base(path), ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

func readFile(path string) (Message, error) {
	f, err := os.Open(path)
	if err != nil {
		return Message{}, err
	}
	defer f.Close()
	text, err := readAll(f)
	if err != nil {
		return Message{}, fmt.Errorf("%s: %w", path, err)
	}
	m := Message{Received: nameTime(path), Text: toCRLF(text)}
	if m.Received.IsZero() {
		if info, err := f.Stat(); err == nil {
			m.Received = info.ModTime()
		}
	}
	// 1700000000.<unique-id>_<hash>.postern:2,
	unique, _, _ := strings.Cut(filepath.Base(path), infoSeparator())
	unique, found := strings.CutSuffix(unique, ours)
	_, unique, _ = strings.Cut(unique, ".")
	if i := strings.LastIndexByte(unique, '_'); found && i > 0 && unique[i+1:] == mark(m.Text) {
		m.UID = unique[:i]
	}
	return m, nil
}

// mark tells whether a file is what it was when it got its name.
func mark(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// infoSeparator is ":", which Windows does not allow in a name.
func infoSeparator() string {
	if runtime.GOOS == "windows" {
		return ";"
	}
	return ":"
}

// WriteMaildir puts messages into a Maildir, which it makes if it is missing, and
// says how many: those that are there already, under the name that they would
// have, are not put there again. They are unseen.
func WriteMaildir(dir string, messages iter.Seq2[Message, error]) (added, skipped int, err error) {
	var there map[string]bool // nil: the Maildir has not been looked at, nor made
	for m, err := range messages {
		if err == nil && there == nil {
			there, err = makeMaildir(dir)
		}
		if err != nil {
			return added, skipped, err
		}
		unique := fmt.Sprintf("%d.%s_%s%s", max(m.Received.Unix(), 0), m.UID, mark(m.Text), ours)
		if there[unique] {
			skipped++
			continue
		}
		if err := writeFile(dir, unique, toLF(m.Text)); err != nil {
			return added, skipped, err
		}
		there[unique] = true
		added++
	}
	if there == nil {
		_, err = makeMaildir(dir)
	}
	return added, skipped, err
}

// makeMaildir makes a Maildir, or finds it, and lists what is in it.
func makeMaildir(dir string) (there map[string]bool, err error) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	return uniques(dir)
}

// uniques are the names in a Maildir, without the flags that they end with.
func uniques(dir string) (map[string]bool, error) {
	files, err := maildirFiles(dir)
	all := map[string]bool{}
	for _, f := range files {
		unique, _, _ := strings.Cut(filepath.Base(f), infoSeparator())
		all[unique] = true
	}
	return all, err
}

// writeFile delivers as Maildir wants it: into tmp, and when it is whole to new.
func writeFile(dir, unique string, text []byte) error {
	tmp := filepath.Join(dir, "tmp", unique)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "new", unique))
}
