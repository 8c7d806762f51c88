package maildrop

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// extract puts a tar into a folder.
func extract(t testing.TB, dir string, r io.Reader) {
	t.Helper()
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return
		}
		must(t, err)
		text, err := io.ReadAll(in)
		must(t, err)
		write(t, filepath.Join(dir, h.Name), string(text))
	}
}

func backup(t testing.TB, s *Store) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, s.Backup(t.Context(), w, "mail"))
	must(t, w.Close())
	return &b
}

// A backup is the store at one moment, while mail comes and goes.
func TestBackupOfStoreInUse(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, nil)
	for i := range 20 {
		must(t, deliver(s, fmt.Sprint("old ", i), Envelope{Local: []string{alice}, Remote: []Recipient{{Address: "x@elsewhere.test"}}}))
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := deliver(s, fmt.Sprint("new ", i), Envelope{Local: []string{alice, bob}}); err != nil {
				t.Error(err)
			}
			d, err := s.Lock(t.Context(), bob)
			if err == nil {
				err = d.Remove(t.Context(), d.Messages())
				d.Unlock()
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	for range 5 {
		b := backup(t, s)
		to := t.TempDir()
		extract(t, to, b)
		if r := checked(t, filepath.Join(to, "mail"), false); len(r.Findings) != 0 || r.Missing != 0 || r.Queued != 20 || r.Messages < 20 {
			t.Errorf("a backup has %+v", r)
		}
	}
	close(stop)
	wg.Wait()
	if len(s.unnamed) != 0 || s.pins != 0 {
		t.Errorf("%d files wait to be removed for %d", len(s.unnamed), s.pins)
	}
	if got, named := contentFiles(t, s), namedFiles(t, s); got != named {
		t.Errorf("%d files, %d rows", got, named)
	}
	to := t.TempDir()
	extract(t, to, backup(t, s))
	again := open(t, filepath.Join(to, "mail"), nil)
	if !maps.Equal(contents(t, s, alice), contents(t, again, alice)) {
		t.Error("what was restored is not what was there")
	}
	must(t, deliver(again, "after", Envelope{Local: []string{alice}}))
}

func TestExportAndImport(t *testing.T) {
	s := world(t, t.TempDir(), nil)
	must(t, deliver(s, "Subject: 1\r\n\r\n", Envelope{Local: []string{alice, bob}, Trace: "Return-Path: <>\r\n"}))
	must(t, deliver(s, "Subject: 2\r\n\r\n", Envelope{Local: []string{alice}}))
	must(t, deliver(s, "", Envelope{Local: []string{alice}}))
	export := func(s *Store, email string) []byte {
		t.Helper()
		var b bytes.Buffer
		must(t, s.Export(t.Context(), email, &b))
		return b.Bytes()
	}
	whole := export(s, alice)
	imported := func(s *Store, email string, added, skipped int) {
		t.Helper()
		a, k, err := s.Import(t.Context(), email, bytes.NewReader(whole))
		if a != added || k != skipped || err != nil {
			t.Errorf("into %s: added %d, skipped %d, %v; want %d and %d", email, a, k, err, added, skipped)
		}
	}
	imported(s, alice, 0, 3) // she has them all
	imported(s, bob, 2, 1)   // he has the first
	imported(s, bob, 0, 3)
	other := world(t, t.TempDir(), &Options{MessageSize: 3}) // a limit for strangers
	imported(other, alice, 3, 0)
	if a, b := contents(t, s, alice), contents(t, other, alice); !maps.Equal(a, b) {
		t.Errorf("%q became %q: clients would fetch all again", a, b)
	}
	if !bytes.Equal(export(other, alice), whole) {
		t.Error("an export of what was imported is another: order or times were lost")
	}
	users, err := other.Users(t.Context())
	if err != nil || users[0].Messages != 3 || users[0].Octets != 45 {
		t.Errorf("%+v, %v", users, err)
	}
	if _, _, err := s.Import(t.Context(), "nobody@postern.test", bytes.NewReader(whole)); err == nil {
		t.Error("into no account")
	}
	if err := s.Export(t.Context(), "nobody@postern.test", io.Discard); err == nil {
		t.Error("out of no account")
	}
}

// An import that is cut off has added what it says, and can be done again.
func TestImportCutOff(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, nil)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	const all = importBatch + 10
	for i := range all {
		text := fmt.Sprintf("message %03d", i)
		must(t, w.WriteHeader(&tar.Header{Name: "not a uid", Size: int64(len(text)), Mode: 0o600}))
		io.WriteString(w, text)
	}
	must(t, w.Close())
	added, _, err := s.Import(t.Context(), alice, bytes.NewReader(b.Bytes()[:b.Len()-4000]))
	if added != importBatch || err == nil {
		t.Errorf("cut off: %d, %v", added, err)
	}
	if got := contents(t, s, alice); len(got) != importBatch || contentFiles(t, s) != importBatch {
		t.Errorf("%d messages, files %d", len(got), contentFiles(t, s))
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) != 0 {
		t.Errorf("%d files in tmp", len(left))
	}
	if added, skipped, err := s.Import(t.Context(), alice, &b); added != 10 || skipped != importBatch || err != nil {
		t.Errorf("again: %d, %d, %v", added, skipped, err)
	}
	d := lock(t, s, alice)
	defer d.Unlock()
	for i, m := range d.Messages() {
		if want := fmt.Sprintf("message %03d", i); read(t, d, m) != want || m.UID == "not a uid" {
			t.Errorf("message %d is not %q, or its unique-id is wrong: %s", i, want, m.UID)
		}
	}
}

// Two of the same in one import are one.
func TestImportOfDuplicates(t *testing.T) {
	s := world(t, t.TempDir(), nil)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range [][2]string{{"U1", "a"}, {"U1", "b"}, {"U2", "a"}} {
		must(t, w.WriteHeader(&tar.Header{Name: m[0], Size: 1, Mode: 0o600}))
		io.WriteString(w, m[1])
	}
	must(t, w.Close())
	if added, skipped, err := s.Import(t.Context(), alice, &b); added != 2 || skipped != 1 || err != nil {
		t.Errorf("%d %d %v", added, skipped, err)
	}
	if got := contents(t, s, alice); got["U1"] != "a" || len(got) != 2 || holds(got, "b") != 1 {
		t.Errorf("%q", got)
	}
}
