//go:build !js

package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOnTheOperatingSystem runs the script and a big update on real files.
func TestOnTheOperatingSystem(t *testing.T) {
	root := OSFS(t.TempDir() + "/new")
	fs, err := root.Sub("account")
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := play(fs, script())
	if err != nil {
		t.Fatal(err)
	}
	checkRestart(t, fs, m, m)
	mb := open(t, fs)
	big := strings.Repeat("0123456789abcdef", 1<<16)
	update(t, mb, func(tx *Tx) error {
		for i := range 20 {
			if _, err := tx.Add(letter("big", fmt.Sprint(i), "", day(i)), []byte(big[i:])); err != nil {
				return err
			}
			if _, err := tx.Add(letter("small", fmt.Sprint("s", i), "", day(i)), []byte(big[:i])); err != nil {
				return err
			}
		}
		return nil
	})
	mb.Close()
	mb = open(t, fs)
	for _, f := range []Folder{"big", "small"} {
		for _, e := range mb.List(f, nil, 0, 99).Entries {
			if _, err := mb.Content(e.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if names, err := fs.List(); err != nil || fmt.Sprint(names) != "[content.log journal.log]" {
		t.Fatal(names, err)
	}
	if err := root.RemoveAll("account"); err != nil {
		t.Fatal(err)
	}
	if names, err := root.List(); err != nil || len(names) != 0 {
		t.Fatal(names, err)
	}
	for _, bad := range []string{"", ".", "..", "a/b", "../x", "a\\b", "a\x00"} {
		for _, fs := range []FS{root, NewMemFS()} {
			if _, err := fs.Open(bad); err == nil {
				t.Errorf("Open(%q) works", bad)
			}
			if _, err := fs.Sub(bad); err == nil {
				t.Errorf("Sub(%q) works", bad)
			}
		}
	}
}

func TestOSFSMakesFilesForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	open(t, OSFS(dir))
	for _, p := range []string{dir, filepath.Join(dir, journalName)} {
		s, err := os.Stat(p)
		if err != nil || s.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", p, s.Mode(), err)
		}
	}
}
