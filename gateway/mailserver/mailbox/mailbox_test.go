package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func all(messages iter.Seq2[Message, error]) (list []Message, err error) {
	for m, err := range messages {
		if err != nil {
			return list, err
		}
		list = append(list, m)
	}
	return list, nil
}

func each(list []Message) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for _, m := range list {
			if !yield(m, nil) {
				return
			}
		}
	}
}

func TestReadMbox(t *testing.T) {
	const line = "From a@b.test Thu Jan  1 00:00:01 2015\n"
	for name, c := range map[string]struct {
		mbox string
		want []string
	}{
		"one":                         {line + "Subject: 1\n\nbody\n\n", []string{"Subject: 1\r\n\r\nbody\r\n"}},
		"without a last empty line":   {line + "Subject: 1\n\nbody\n", []string{"Subject: 1\r\n\r\nbody\r\n"}},
		"without a last line end":     {line + "Subject: 1\n\nbody", []string{"Subject: 1\r\n\r\nbody"}},
		"two":                         {line + "A: 1\n\nx\n\n" + line + "A: 2\n\ny\n\n", []string{"A: 1\r\n\r\nx\r\n", "A: 2\r\n\r\ny\r\n"}},
		"empty lines at the end":      {line + "A: 1\n\nx\n\n\n\n" + line + "A: 2\n\n\n", []string{"A: 1\r\n\r\nx\r\n\r\n\r\n", "A: 2\r\n\r\n"}},
		"CRLF":                        {strings.ReplaceAll(line+"A: 1\n\nx\n\n"+line+"A: 2\n\ny\n", "\n", "\r\n"), []string{"A: 1\r\n\r\nx\r\n", "A: 2\r\n\r\ny\r\n"}},
		"quoted":                      {line + "A: 1\n\n>From x\n>>From y\n>from z\n>Fromage\n\n", []string{"A: 1\r\n\r\nFrom x\r\n>From y\r\n>from z\r\n>Fromage\r\n"}},
		"not quoted, no date":         {line + "A: 1\n\nFrom here on\n\n", []string{"A: 1\r\n\r\nFrom here on\r\n"}},
		"not quoted, not after empty": {line + "A: 1\n\nx\n" + line + "\n", []string{"A: 1\r\n\r\nx\r\n" + strings.TrimSuffix(line, "\n") + "\r\n"}},
		"empty message":               {line + "\n" + line + "A: 1\n\n\n", []string{"", "A: 1\r\n\r\n"}},
		"empty lines first":           {"\n\n" + line + "A: 1\n\n\n", []string{"A: 1\r\n\r\n"}},
		"nothing":                     {"", nil},
		"long line":                   {line + "A: 1\n\n" + strings.Repeat("x", 300_000) + "\n\n", []string{"A: 1\r\n\r\n" + strings.Repeat("x", 300_000) + "\r\n"}},
	} {
		got, err := all(ReadMbox(strings.NewReader(c.mbox)))
		var texts []string
		for _, m := range got {
			texts = append(texts, string(m.Text))
			if want := time.Date(2015, 1, 1, 0, 0, 1, 0, time.UTC); !m.Received.Equal(want) {
				t.Errorf("%s: received %v", name, m.Received)
			}
		}
		if d := cmp.Diff(c.want, texts); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, d)
		}
	}
	for _, bad := range []string{"Subject: x\n\n", "From here on\n", "x"} {
		if _, err := all(ReadMbox(strings.NewReader(bad))); !errors.Is(err, ErrNotMbox) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := all(ReadMbox(io.MultiReader(strings.NewReader(line+"A: 1\n"), torn{}))); err == nil {
		t.Error("half an mbox is taken for a whole")
	}
}

type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, errors.New("torn") }

func TestFromDate(t *testing.T) {
	for line, want := range map[string]string{
		"From a@b Thu Jan  1 00:00:01 2015":         "2015-01-01 00:00:01",
		"From a@b Thu Jan 01 10:00:01 2015 +0200\r": "2015-01-01 08:00:01",
		"From a@b Thu Jan  1 10:00:01 -0100 2015":   "2015-01-01 11:00:01",
		"From - Thu Jan  1 00:00 2015":              "2015-01-01 00:00:00",
		"From \"a b\"@c Thu Jan 31 00:00:01 2015":   "2015-01-31 00:00:01",
		"From a@b yesterday":                        "",
		"From Thu Jan  1 00:00:01 2015":             "2015-01-01 00:00:01",
	} {
		got := ""
		if d := fromDate(line); !d.IsZero() {
			got = d.Format(time.DateTime)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

// lines are such as make an mbox hard.
var lines = []string{"", "x", "From ", "From a@b.test Thu Jan  1 00:00:01 2015", ">From x", ">>From x", ".", "\r", "a\rb", "Fröm", "From", " From x", "Return-Path: <a@b.test>"}

func text(t *rapid.T) []byte {
	return []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(lines), 1, 8).Draw(t, "lines"), "\r\n") + "\r\n")
}

func drawn(t *rapid.T) (list []Message) {
	for i := range rapid.IntRange(0, 5).Draw(t, "messages") {
		list = append(list, Message{UID: fmt.Sprint("UID_", i), Received: time.Unix(int64(1e9+i), 0), Text: text(t)})
	}
	return list
}

func same(t *rapid.T, what string, want, got []Message, uids bool) {
	if len(want) != len(got) {
		t.Fatalf("%s: %d messages became %d", what, len(want), len(got))
	}
	for i := range want {
		if !bytes.Equal(want[i].Text, got[i].Text) || !want[i].Received.Equal(got[i].Received) || uids && want[i].UID != got[i].UID {
			t.Errorf("%s: %q became %q", what, want[i], got[i])
		}
	}
}

// What is written is what is read.
func TestThereAndBack(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		list := drawn(t)
		var b bytes.Buffer
		if written, err := WriteMbox(&b, each(list)); written != len(list) || err != nil {
			t.Fatal(written, err)
		}
		got, err := all(ReadMbox(bytes.NewReader(b.Bytes())))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "mbox", list, got, false)

		dir := filepath.Join(base, fmt.Sprint(n))
		for i, want := range [][2]int{{len(list), 0}, {0, len(list)}} {
			if added, skipped, err := WriteMaildir(dir, each(list)); added != want[0] || skipped != want[1] || err != nil {
				t.Fatalf("time %d: %d, %d, %v", i+1, added, skipped, err)
			}
		}
		if got, err = all(ReadMaildir(dir)); err != nil {
			t.Fatal(err)
		}
		same(t, "Maildir", list, got, true)

		b.Reset()
		if err := WriteTar(&b, each(list)); err != nil {
			t.Fatal(err)
		}
		if got, err = all(ReadTar(&b)); err != nil {
			t.Fatal(err)
		}
		same(t, "tar", list, got, true)
	})
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A Maildir of another program's.
func TestReadMaildir(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "cur/1000000002.M1P2.host,S=5:2,S"), "A: 2\n\nx\r\n")
	put(t, filepath.Join(dir, "new/1000000001.M1P1.host"), "A: 1\n\n")
	put(t, filepath.Join(dir, "new/strange"), "A: 0\r\n")
	put(t, filepath.Join(dir, "cur/.hidden"), "no")
	put(t, filepath.Join(dir, "tmp/1000000000.M1P1.host"), "no")
	put(t, filepath.Join(dir, ".Sent/cur/1000000000.M1P1.host"), "no")
	got, err := all(ReadMaildir(dir))
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for i, want := range []string{"A: 0\r\n", "A: 1\r\n\r\n", "A: 2\r\n\r\nx\r\n"} {
		if string(got[i].Text) != want || got[i].UID != "" || got[i].Received.IsZero() {
			t.Errorf("%q, want %q", got[i], want)
		}
	}
	if !got[2].Received.Equal(time.Unix(1000000002, 0)) {
		t.Errorf("received %v", got[2].Received)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "new")); len(left) != 2 || err != nil {
		t.Errorf("reading moved what was new: %v", left)
	}
	if _, err := all(ReadMaildir(filepath.Join(dir, "cur"))); !errors.Is(err, ErrNotMaildir) {
		t.Errorf("not a Maildir: %v", err)
	}
}

// A unique-id is believed of the file that it was given to, and of no other.
func TestUniqueIDOfChangedFile(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := WriteMaildir(dir, each([]Message{{UID: "A_1", Text: []byte("x\r\n")}, {UID: "B", Text: []byte("y\r\n")}})); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "new/*"))
	if len(files) != 2 {
		t.Fatal(files)
	}
	// Another program has shown them, and changed the second.
	for _, f := range files {
		if err := os.Rename(f, filepath.Join(dir, "cur", filepath.Base(f)+":2,S")); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(dir, "cur", filepath.Base(files[1])+":2,S"), "z\n")
	got, err := all(ReadMaildir(dir))
	if err != nil || len(got) != 2 || got[0].UID != "A_1" || got[1].UID != "" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReturnPath(t *testing.T) {
	for text, want := range map[string]string{
		"Return-Path: <a@b.test>\r\n": "a@b.test", "return-path: <a@b.test>\r\n": "a@b.test", "Return-Path: <>\r\n": "MAILER-DAEMON", "Subject: x\r\n": "MAILER-DAEMON", "": "MAILER-DAEMON",
		"Return-Path: <a b>\r\n": "MAILER-DAEMON", "Return-Path: <a\n>": "MAILER-DAEMON", "Return-Path: <jörg@b.test>\r\n": "MAILER-DAEMON",
	} {
		if got := returnPath([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzReadMbox(f *testing.F) {
	f.Add([]byte("From a@b Thu Jan  1 00:00:01 2015\nA: 1\n\n>From x\n\nFrom a Thu Jan  1 00:00:01 2015\r\n\r\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		list, err := all(ReadMbox(bytes.NewReader(input)))
		if err != nil {
			return
		}
		for i := range list { // what an mbox cannot keep: a last line without an end
			if n := len(list[i].Text); n > 0 && list[i].Text[n-1] != '\n' {
				list[i].Text = append(list[i].Text, "\r\n"...)
			}
		}
		var b bytes.Buffer
		if _, err := WriteMbox(&b, each(list)); err != nil {
			t.Fatal(err)
		}
		again, err := all(ReadMbox(&b))
		if err != nil || len(again) != len(list) {
			t.Fatalf("%d messages became %d, %v", len(list), len(again), err)
		}
		for i := range list {
			if !bytes.Equal(list[i].Text, again[i].Text) {
				t.Errorf("%q became %q", list[i].Text, again[i].Text)
			}
		}
	})
}
