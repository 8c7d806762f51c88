package maildrop

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
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
				if _, err := os.Stat(journal); err == nil {
					t.Error("the journal is still there")
				}
				must(t, s.Close())
			}
			if r, err := Check(t.Context(), dir, false); err != nil || len(r.Findings) > 0 {
				t.Errorf("%+v %v", r, err)
			}
		})
	}
}

// Check alone brings back what Open would have.
func TestCheckReplays(t *testing.T) {
	dir, _ := killed(t, "one", "two")
	for _, f := range files(t, dir) {
		must(t, os.Truncate(filepath.Join(dir, f), 1))
	}
	if r, err := Check(t.Context(), dir, false); err != nil || len(r.Findings) > 0 {
		t.Errorf("%+v %v", r, err)
	}
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

// The journal does not grow without end, nor stay when nothing comes; a large content does not go through it.
func TestJournalGoes(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, nil)
	defer s.Close()
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
	for i := range 3 * journalSize / journalMost {
		text[0] = byte(i)
		must(t, deliver(s, fmt.Sprint(i)+string(text[:journalMost-8]), Envelope{Local: []string{alice}}))
		most = max(most, octets())
	}
	if most == 0 || most > 4*journalSize { // one that is written, and three that wait to go
		t.Errorf("the journal had up to %d octets", most)
	}
	for end := time.Now().Add(20 * time.Second); octets() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d octets stay in the journal", octets())
		}
	}
}
