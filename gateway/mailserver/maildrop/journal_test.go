package maildrop

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// killed is a folder as a power cut leaves it: the index is durable, and of the files of small contents nothing but the
// journal.
func killed(t *testing.T, texts ...string) (dir, journal string) {
	t.Helper()
	dir = t.TempDir()
	s := world(t, dir, nil)
	for _, text := range texts {
		must(t, deliver(s, text, Envelope{Local: []string{alice}}))
	}
	names, err := filepath.Glob(filepath.Join(dir, "journal", "*"))
	must(t, err)
	if len(names) != 1 {
		t.Fatalf("the journals are %q", names)
	}
	b, err := os.ReadFile(names[0])
	must(t, err)
	length := 0
	for _, text := range texts {
		length += recordHeader + len(text)
	}
	if len(b) != journalStep || len(bytes.Trim(b[length:], "\x00")) > 0 {
		t.Errorf("behind %d octets of records there are not zeros up to %d, but %d in all", length, journalStep, len(b))
	}
	b = b[:length]
	must(t, s.Close())
	if left, _ := filepath.Glob(filepath.Join(dir, "journal", "*")); len(left) > 0 {
		t.Errorf("a store that was closed leaves %q", left)
	}
	must(t, os.WriteFile(names[0], b, 0o600))
	return dir, names[0]
}

// What the file system lost of the files, the journal has.
func TestReplay(t *testing.T) {
	texts := []string{"one", "two", "three", "four"}
	for name, spoil := range map[string]func(path string) error{
		"gone": os.Remove, "empty": func(path string) error { return os.Truncate(path, 0) },
		"of zeros": func(path string) error { return os.WriteFile(path, make([]byte, 4), 0o600) },
		"whole":    func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir, journal := killed(t, texts...)
			for _, f := range files(t, dir) {
				must(t, spoil(filepath.Join(dir, f)))
			}
			for range 2 { // the second time there is nothing to do
				s := world(t, dir, nil)
				got := contents(t, s, alice)
				for _, text := range texts {
					if holds(got, text) != 1 {
						t.Errorf("%q is there %d times", text, holds(got, text))
					}
				}
				must(t, s.Close())
				if _, err := os.Stat(journal); err == nil {
					t.Error("the journal is still there")
				}
			}
			sound(t, dir)
		})
	}
}

// A disk that is full when the server comes back is no reason not to: all can be read and deleted, and gets its files when there
// is room.
func TestReplayOnADiskThatIsFull(t *testing.T) {
	dir, journal := killed(t, "one", "two", "three", "four")
	list := files(t, dir)
	must(t, os.Remove(filepath.Join(dir, list[0])))
	must(t, os.Truncate(filepath.Join(dir, list[1]), 1))
	var full atomic.Bool
	full.Store(true)
	disk := &paper{make: func() error {
		if full.Load() {
			return syscall.ENOSPC
		}
		return nil
	}}
	s := world(t, dir, &Options{disk: disk, Logger: quiet()})
	if got := contents(t, s, alice); len(got) != 4 || holds(got, "one") != 1 || holds(got, "two") != 1 {
		t.Errorf("alice has %q", got)
	}
	d := lock(t, s, alice)
	must(t, d.Remove(t.Context(), d.Messages()[:1]))
	d.Unlock()
	must(t, s.Close())
	if _, err := os.Stat(journal); err != nil {
		t.Fatal(err)
	}
	full.Store(false)
	s = world(t, dir, &Options{disk: disk})
	if got := contents(t, s, alice); len(got) != 3 || holds(got, "two") != 1 {
		t.Errorf("alice has %q", got)
	}
	must(t, s.Close())
	if got := files(t, dir); len(got) != 3 {
		t.Errorf("files %q", got)
	}
	sound(t, dir)
}

// What the index has never named (it is an older copy, or the delivery was cut off) is put aside for somebody to look at, and its
// id is not given to another.
func TestReplayOfWhatNobodyNames(t *testing.T) {
	dir, journal := killed(t, "one")
	for _, f := range files(t, dir) {
		must(t, os.Remove(filepath.Join(dir, f)))
	}
	b, err := os.ReadFile(journal)
	must(t, err)
	k := kept{id: 40, octets: []byte("lost?")}
	sum := sha256.Sum256(k.octets)
	k.sum = sum[:]
	must(t, os.WriteFile(journal, k.record(b, binary.BigEndian.Uint64(b)), 0o600))
	s := world(t, dir, &Options{Logger: quiet()})
	must(t, deliver(s, "new", Envelope{Local: []string{alice}}))
	if got := contents(t, s, alice); len(got) != 2 || holds(got, "one") != 1 || holds(got, "new") != 1 {
		t.Errorf("alice has %q", got)
	}
	must(t, s.Close())
	text, err := os.ReadFile(filepath.Join(dir, "unclaimed/000000000028.eml"))
	if err != nil || string(text) != "lost?" || !exists(filepath.Join(dir, "content/0000/000000000029.eml")) {
		t.Errorf("%q %v, files %q", text, err, files(t, dir))
	}
}

// Check alone brings back what Open would have.
func TestCheckReplays(t *testing.T) {
	dir, _ := killed(t, "one", "two")
	for _, f := range files(t, dir) {
		must(t, os.Truncate(filepath.Join(dir, f), 1))
	}
	sound(t, dir)
}

// Of a journal that ends within a record, or has been changed, what is before that is good; and what was deleted since does
// not come back.
func TestReplayOfATornJournal(t *testing.T) {
	dir, journal := killed(t, "one", "two", "three")
	whole, err := os.ReadFile(journal)
	must(t, err)
	first := recordHeader + len("one")
	for cut := range len(whole) + 1 {
		must(t, os.WriteFile(journal, whole[:cut], 0o600))
		records, err := readJournal(journal)
		must(t, err)
		want := 0
		for at := first; at <= cut && want < 3; want++ {
			at += recordHeader + len([]string{"two", "three", ""}[want])
		}
		if len(records) != want {
			t.Fatalf("cut at %d: %d records, want %d", cut, len(records), want)
		}
	}
	for at := range whole {
		changed := bytes.Clone(whole)
		changed[at] ^= 0x40
		must(t, os.WriteFile(journal, changed, 0o600))
		records, err := readJournal(journal)
		must(t, err)
		for _, r := range records {
			if text := string(r.octets); text != "one" && text != "two" && text != "three" {
				t.Fatalf("octet %d: %q", at, text)
			}
		}
	}

	s := world(t, dir, nil)
	d, err := s.Lock(t.Context(), alice)
	must(t, err)
	must(t, d.Remove(t.Context(), d.Messages()))
	d.Unlock()
	must(t, s.Close())
	must(t, os.WriteFile(journal, whole, 0o600))
	s = world(t, dir, nil)
	defer s.Close()
	if got := contents(t, s, alice); len(got) != 0 || len(files(t, dir)) != 0 {
		t.Errorf("after a deletion there are %q and %q", got, files(t, dir))
	}
}

// What an earlier use of the file left behind the records of the last is no more of it, wherever it begins.
func TestReplayOfAJournalUsedAgain(t *testing.T) {
	_, journal := killed(t, "one", "two", "six")
	before, err := os.ReadFile(journal)
	must(t, err)
	dir, again := killed(t, "ten", "odd")
	after, err := os.ReadFile(again)
	must(t, err)
	for uses := range len(after) + 1 { // octets of the last use that are on the disk
		must(t, os.WriteFile(again, append(bytes.Clone(after[:uses]), before[uses:]...), 0o600))
		records, err := readJournal(again)
		must(t, err)
		got := ""
		for _, r := range records {
			got += string(r.octets)
		}
		// Of a use whose first record is not whole, nothing was acknowledged.
		switch record := recordHeader + len("ten"); {
		case uses == 0 && got == "onetwosix", uses > 0 && uses < record && got == "", uses >= record && uses < 2*record && got == "ten", uses == 2*record && got == "tenodd":
		default:
			t.Fatalf("of %d octets it reads %q", uses, got)
		}
	}
	s := world(t, dir, nil)
	defer s.Close()
	if got := contents(t, s, alice); len(got) != 2 {
		t.Errorf("alice has %q", got)
	}
}

// paper is a disk that counts what it is asked for, and of which the writing of message files can be held up or refused.
type paper struct {
	osDisk
	flushes, made atomic.Int64
	make          func() error // before a message's file is made; nil: nothing
}

func (d *paper) Flush(dir string, files []string) error {
	d.flushes.Add(1)
	return d.osDisk.Flush(dir, files)
}

func (d *paper) Create(name string) (file, error) {
	if isContent(name) {
		if d.make != nil {
			if err := d.make(); err != nil {
				return nil, err
			}
		}
		d.made.Add(1)
	}
	return d.osDisk.Create(name)
}

// The journal does not grow without end; when nothing comes, what it has gets its files, and one that is closed leaves nothing.
// A large content does not go through it.
func TestJournalGoes(t *testing.T) {
	const size = 8 << 20
	dir, disk := t.TempDir(), &paper{}
	s := world(t, dir, &Options{disk: disk, journal: size})
	text := make([]byte, journalMost)
	rand.Read(text)
	octets := func() (n int64) {
		names, _ := filepath.Glob(filepath.Join(dir, "journal", "*"))
		for _, name := range names {
			if info, err := os.Stat(name); err == nil {
				n += info.Size()
			}
		}
		return n
	}
	must(t, deliver(s, string(text)+"!", Envelope{Local: []string{alice}}))
	if n := octets(); n != 0 {
		t.Errorf("a large content left %d octets in the journal", n)
	}
	most := int64(0)
	for i := range 6 * size / journalMost {
		text[0] = byte(i)
		must(t, deliver(s, fmt.Sprint(i)+string(text[:journalMost-8]), Envelope{Local: []string{alice}}))
		most = max(most, octets())
	}
	if most == 0 || most > 6*(size+journalStep) { // one that is written, those that wait to go, and the spares
		t.Errorf("the journal had up to %d octets", most)
	}
	for end := time.Now().Add(20 * time.Second); disk.flushes.Load() < 6; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %d flushes nothing more of the journal goes", disk.flushes.Load())
		}
	}
	must(t, s.Close())
	if n := octets(); n != 0 {
		t.Errorf("a store that was closed leaves %d octets of its journal", n)
	}
}
