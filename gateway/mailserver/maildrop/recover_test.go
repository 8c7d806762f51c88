package maildrop

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func TestStartupRemovesWhatNobodyNames(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, nil)
	must(t, deliver(s, "kept", Envelope{Local: []string{alice}}))
	must(t, deliver(s, "deleted", Envelope{Local: []string{alice}}))
	d := lock(t, s, alice)
	must(t, d.Remove(t.Context(), d.Messages()[1:]))
	d.Unlock()
	must(t, s.Close())

	deleted := filepath.Join(dir, "content/0000/000000000002.eml") // its row is gone; the crash came before its unlink
	never := filepath.Join(dir, "content/0000/000000000007.eml")   // the index never gave this id
	half := filepath.Join(dir, "tmp/000000000008.eml")
	mine := []string{"content/0000/notes.txt", "content/README", "content/0000/00000000000A.eml", "content/0001/000000000003.eml", "tmp/keep.me"}
	for _, p := range append([]string{deleted, never, half}, join(dir, mine)...) {
		write(t, p, "x")
	}
	s = open(t, dir, nil)
	if exists(deleted) || exists(half) || exists(never) {
		t.Error("what no row names is still there")
	}
	if !exists(filepath.Join(dir, "unclaimed/000000000007.eml")) {
		t.Error("a file that may be mail of a newer index was deleted")
	}
	for _, p := range join(dir, mine) {
		if !exists(p) {
			t.Errorf("%s is not ours and was removed", p)
		}
	}
	must(t, deliver(s, "new", Envelope{Local: []string{alice}}))
	if !slices.Contains(keeps(t, s), "content/0000/000000000008.eml") {
		t.Errorf("ids do not go on after the highest ever seen: %q", keeps(t, s))
	}
	if got := contents(t, s, alice); len(got) != 2 {
		t.Errorf("alice has %q", got)
	}
}

func join(dir string, names []string) (paths []string) {
	for _, n := range names {
		paths = append(paths, filepath.Join(dir, n))
	}
	return paths
}

func TestMissingFileIsMarkedAndComesBack(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, nil)
	for _, c := range []string{"1", "2"} {
		must(t, deliver(s, c, Envelope{Local: []string{alice}}))
	}
	must(t, s.Close()) // they get their files
	s = open(t, dir, nil)
	d := lock(t, s, alice)
	path := filepath.Join(dir, "content/0000/000000000001.eml")
	must(t, os.Rename(path, path+".away"))
	if _, err := d.Open(d.Messages()[0]); !errors.Is(err, ErrDamaged) {
		t.Errorf("opening a missing file: %v", err)
	}
	d.Unlock()
	must(t, s.Close())
	s = open(t, dir, nil)
	if got := contents(t, s, alice); len(got) != 1 {
		t.Errorf("listed %q: a message that cannot be read must not be", got)
	}
	must(t, s.Close())
	must(t, os.Rename(path+".away", path))
	s = open(t, dir, nil)
	if got := contents(t, s, alice); len(got) != 2 {
		t.Errorf("listed %q: the file is back", got)
	}
	write(t, path, "longer than it was")
	d = lock(t, s, alice)
	defer d.Unlock()
	if _, err := d.Open(d.Messages()[0]); !errors.Is(err, ErrDamaged) {
		t.Errorf("opening a file of another size: %v", err)
	}
}

func TestIndexMissing(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, nil)
	must(t, deliver(s, "1", Envelope{Local: []string{alice}}))
	must(t, s.Close())
	for _, name := range []string{"index.db", "index.db-wal", "index.db-shm"} {
		os.Remove(filepath.Join(dir, name))
	}
	if _, err := Open(t.Context(), dir, &Options{Logger: quiet()}); !errors.Is(err, ErrIndexMissing) {
		t.Errorf("opened messages without their index: %v", err)
	}
	if len(files(t, dir)) != 1 {
		t.Error("a message was removed because its index was missing")
	}
}

func TestNewerIndexIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	_, err := s.writer.Exec("PRAGMA user_version = 99")
	must(t, err)
	must(t, s.Close())
	if _, err := Open(t.Context(), dir, &Options{Logger: quiet()}); !errors.Is(err, ErrNewer) {
		t.Errorf("opened an index of a later version: %v", err)
	}
}

func TestIndexPragmas(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "with space & 100%?#"), nil)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		must(t, s.writer.QueryRow("PRAGMA "+pragma).Scan(&got))
		if got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
	if _, err := s.reader.Exec("DELETE FROM accounts"); err == nil {
		t.Error("a reader can write")
	}
	if !exists(filepath.Join(s.dir, "index.db")) {
		t.Error("the index is somewhere else")
	}
}
