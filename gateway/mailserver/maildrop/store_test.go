package maildrop

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// database/sql ends its opener when the DB is closed, a moment after Close returns.
		goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

const (
	alice = "alice@postern.test"
	bob   = "bob@postern.test"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t testing.TB, dir string, o *Options) *Store {
	t.Helper()
	if o == nil {
		o = &Options{}
	}
	o.Logger = quiet()
	s, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// world is a store with two accounts.
func world(t testing.TB, dir string, o *Options) *Store {
	t.Helper()
	s := open(t, dir, o)
	for _, email := range []string{alice, bob} {
		if err := s.SetAccount(account.Record{Account: account.Account{Email: email}, Hash: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func deliver(s *Store, content string, env Envelope) error {
	in, err := s.Create()
	if err != nil {
		return err
	}
	defer in.Discard()
	if _, err := io.WriteString(in, content); err != nil {
		return err
	}
	return in.Deliver(context.Background(), env)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func lock(t testing.TB, s *Store, email string) *Drop {
	t.Helper()
	d, err := s.Lock(t.Context(), email)
	must(t, err)
	return d
}

// contents reads a whole maildrop: unique-id → octets.
func contents(t testing.TB, s *Store, email string) map[string]string {
	t.Helper()
	d := lock(t, s, email)
	defer d.Unlock()
	got := map[string]string{}
	for _, m := range d.Messages() {
		got[m.UID] = read(t, d, m)
	}
	if len(got) != len(d.Messages()) {
		t.Errorf("%d messages share %d unique-ids", len(d.Messages()), len(got))
	}
	return got
}

func read(t testing.TB, d *Drop, m Message) string {
	t.Helper()
	r, err := d.Open(m)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	if int64(len(b)) != m.Size {
		t.Errorf("message of %d octets is listed with %d", len(b), m.Size)
	}
	return string(b)
}

// keeps lists the contents that an open store has, by the files that they have or will get, and what else is in its folders.
func keeps(t testing.TB, s *Store) []string {
	t.Helper()
	s.fresh.mu.Lock()
	defer s.fresh.mu.Unlock()
	list := files(t, s.dir)
	for id := range s.fresh.contents {
		name, err := filepath.Rel(s.dir, s.contentPath(id))
		must(t, err)
		list = append(list, filepath.ToSlash(name))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// files lists what is under the content folder, tmp and unclaimed.
func files(t testing.TB, dir string) (list []string) {
	t.Helper()
	for _, sub := range []string{"content", "tmp", "unclaimed"} {
		filepath.WalkDir(filepath.Join(dir, sub), func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				rel, _ := filepath.Rel(dir, path)
				list = append(list, filepath.ToSlash(rel))
			}
			return nil
		})
	}
	return list
}

func TestDelivery(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, nil)
	must(t, deliver(s, "Subject: one\r\n\r\nhello\r\n", Envelope{
		From: alice, Local: []string{alice, bob}, Remote: []Recipient{{Address: "carol@elsewhere.test"}, {Address: "dan@elsewhere.test"}}, Trace: "Return-Path: <alice@postern.test>\r\n",
	}))
	for _, email := range []string{alice, bob} {
		for _, got := range contents(t, s, email) {
			if got != "Return-Path: <alice@postern.test>\r\nSubject: one\r\n\r\nhello\r\n" {
				t.Errorf("%s got %q", email, got)
			}
		}
	}
	q, err := s.Queue(t.Context(), Filter{})
	must(t, err)
	if len(q) != 2 || q[0].Recipient != "carol@elsewhere.test" || q[0].Sender != alice || q[0].State != Waiting || q[0].Size != 23 || time.Since(q[0].NextTry) > time.Minute {
		t.Errorf("queue %+v", q)
	}
	if got := keeps(t, s); len(got) != 1 || got[0] != "content/0000/000000000001.eml" {
		t.Errorf("files %q: one content serves all recipients", got)
	}
	var sum []byte
	must(t, s.reader.QueryRow("SELECT sha256 FROM contents").Scan(&sum))
	if want := sha256.Sum256([]byte("Subject: one\r\n\r\nhello\r\n")); string(sum) != string(want[:]) {
		t.Error("the hash in the index is not the content's")
	}
}

func TestDeliveryToNobodyLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, nil)
	for name, c := range map[string]struct {
		env  Envelope
		want error
	}{
		"unknown":            {Envelope{Local: []string{"carol@postern.test"}}, ErrNoAccount},
		"one of two unknown": {Envelope{Local: []string{alice, "carol@postern.test"}, Remote: []Recipient{{Address: "x@y.test"}}}, ErrNoAccount},
		"none":               {Envelope{}, nil},
	} {
		if err := deliver(s, "x", c.env); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if got := keeps(t, s); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
	if got := contents(t, s, alice); len(got) != 0 {
		t.Errorf("alice got part of a delivery that failed: %q", got)
	}
	if q, _ := s.Queue(t.Context(), Filter{}); len(q) != 0 {
		t.Errorf("the queue got part of a delivery that failed: %v", q)
	}
}

func TestMessageSizeLimit(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, &Options{MessageSize: 1000})
	must(t, deliver(s, strings.Repeat("x", 1000), Envelope{Local: []string{alice}}))
	if err := deliver(s, strings.Repeat("x", 1001), Envelope{Local: []string{alice}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("1,001 octets: %v, want ErrTooLarge", err)
	}
	if got := keeps(t, s); len(got) != 1 {
		t.Errorf("files %q", got)
	}
	if s := open(t, t.TempDir(), nil); s.opts.MessageSize != 50_000_000 {
		t.Errorf("default limit %d", s.opts.MessageSize)
	}
}

func TestLock(t *testing.T) {
	s := world(t, t.TempDir(), &Options{LockWait: 50 * time.Millisecond})
	d := lock(t, s, alice)
	if _, err := s.Lock(t.Context(), alice); !errors.Is(err, ErrInUse) {
		t.Errorf("second lock: %v", err)
	}
	lock(t, s, bob).Unlock()
	d.Unlock()
	again := lock(t, s, alice)
	d.Unlock() // once more, by the first holder: must not free the second's
	if _, err := s.Lock(t.Context(), alice); !errors.Is(err, ErrInUse) {
		t.Errorf("the first holder freed the second's lock: %v", err)
	}
	s.opts.LockWait = time.Minute
	waited := make(chan *Drop)
	go func() { d, _ := s.Lock(t.Context(), alice); waited <- d }()
	again.Unlock()
	(<-waited).Unlock()
	if _, err := s.Lock(t.Context(), "carol@postern.test"); !errors.Is(err, ErrNoAccount) {
		t.Errorf("unknown account: %v", err)
	}
}

func TestSnapshotAndRemoval(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, nil)
	must(t, deliver(s, "1", Envelope{Local: []string{alice, bob}}))
	must(t, deliver(s, "2", Envelope{Local: []string{alice}}))
	d := lock(t, s, alice)
	must(t, deliver(s, "3", Envelope{Local: []string{alice}}))
	if n := len(d.Messages()); n != 2 {
		t.Fatalf("snapshot has %d messages after a delivery, want 2", n)
	}
	must(t, d.Remove(t.Context(), d.Messages()))
	must(t, d.Remove(t.Context(), d.Messages())) // what is gone is gone
	d.Unlock()
	if got := contents(t, s, alice); len(got) != 1 {
		t.Errorf("alice has %q, want the third alone", got)
	}
	if got := contents(t, s, bob); len(got) != 1 {
		t.Errorf("bob has %q, want the first, which alice deleted from hers", got)
	}
	if got := keeps(t, s); len(got) != 2 {
		t.Errorf("files %q: the second's must be gone, the first's must not", got)
	}
}

func TestUniqueIDsForEver(t *testing.T) {
	dir := t.TempDir()
	seen := map[string]bool{}
	var kept string
	for restart := range 4 {
		s := world(t, dir, nil)
		for i := range 5 {
			must(t, deliver(s, fmt.Sprint(restart, i), Envelope{Local: []string{alice}}))
		}
		d := lock(t, s, alice)
		if restart > 0 && d.Messages()[0].UID != kept {
			t.Fatalf("unique-id changed over a restart: %s, was %s", d.Messages()[0].UID, kept)
		}
		kept = d.Messages()[0].UID
		for _, m := range d.Messages()[1:] {
			if seen[m.UID] {
				t.Fatalf("unique-id %s came twice", m.UID)
			}
			seen[m.UID] = true
			if len(m.UID) < 1 || len(m.UID) > 70 || strings.ContainsFunc(m.UID, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
				t.Fatalf("unique-id %q is not of RFC 1939 §7", m.UID)
			}
		}
		must(t, d.Remove(t.Context(), d.Messages()[1:]))
		d.Unlock()
		must(t, s.Close())
	}
}

func TestConcurrentDeliveriesAndOnesThatFail(t *testing.T) {
	s := world(t, t.TempDir(), nil)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 20 {
				env := Envelope{Local: []string{alice}}
				if g%4 == 0 {
					env.Local = append(env.Local, "nobody@postern.test")
				}
				if err := deliver(s, fmt.Sprint(g, " ", i), env); (g%4 == 0) != errors.Is(err, ErrNoAccount) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := map[string]bool{}
	for _, c := range contents(t, s, alice) {
		got[c] = true
	}
	if len(got) != 12*20 {
		t.Errorf("%d of 240 messages arrived", len(got))
	}
}

func TestFoldersAreMadeDurably(t *testing.T) {
	root := t.TempDir()
	var synced []string
	note := func(dir string) error { synced = append(synced, dir); return nil }
	for range 2 { // the second time there is nothing to do
		must(t, makeFolder(note, filepath.Join(root, "a/b/c")))
	}
	if want := []string{filepath.Join(root, "a/b"), filepath.Join(root, "a"), root}; !slices.Equal(synced, want) {
		t.Errorf("flushed %q, want %q", synced, want)
	}
	must(t, MakeFolder(filepath.Join(root, "d/e")))
	if err := MakeFolder(filepath.Join(root, "d/e")); err != nil {
		t.Error(err)
	}
}

func TestAwait(t *testing.T) {
	s := world(t, t.TempDir(), nil)
	must(t, deliver(s, "1", Envelope{Local: []string{alice}}))
	d := lock(t, s, alice)
	d.Unlock()
	if d.messages != nil {
		t.Error("who waits for mail keeps the scan listing")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Await(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("nothing new: %v", err)
	}
	answer := make(chan error)
	go func() { answer <- d.Await(t.Context()) }()
	must(t, deliver(s, "for bob", Envelope{Local: []string{bob}}))
	must(t, deliver(s, "2", Envelope{Local: []string{alice}}))
	must(t, <-answer)
	must(t, d.Await(t.Context())) // it has come already
	fresh := lock(t, s, alice)
	fresh.Unlock()
	go func() { answer <- fresh.Await(t.Context()) }()
	must(t, s.Close())
	if err := <-answer; err == nil {
		t.Error("a closed store said that there was new mail")
	}
}

func TestClosedStore(t *testing.T) {
	s := world(t, t.TempDir(), nil)
	in, err := s.Create()
	must(t, err)
	must(t, s.Close())
	must(t, s.Close())
	if err := in.Deliver(t.Context(), Envelope{Local: []string{alice}}); !errors.Is(err, ErrClosed) {
		t.Errorf("Deliver after Close: %v", err)
	}
	if _, err := s.Create(); !errors.Is(err, ErrClosed) {
		t.Errorf("Create after Close: %v", err)
	}
}

// fullDisk has no room for content, or none for the index.
type fullDisk struct {
	osDisk
	content, index bool
}

func (d *fullDisk) Create(name string) (file, error) {
	f, err := d.osDisk.Create(name)
	if err == nil && d.content {
		return fullFile{f}, nil
	}
	return f, err
}

type fullFile struct{ file }

func (fullFile) Write([]byte) (int, error) { return 0, &os.PathError{Op: "write", Err: syscall.ENOSPC} }

func (fullFile) WriteAt([]byte, int64) (int, error) {
	return 0, &os.PathError{Op: "write", Err: syscall.ENOSPC}
}

func (d *fullDisk) Commit(index func() error) error {
	if d.index {
		return &os.PathError{Op: "write", Err: syscall.ENOSPC}
	}
	return index()
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	disk := &fullDisk{}
	s := world(t, dir, &Options{disk: disk})
	for _, full := range []fullDisk{{content: true}, {index: true}} {
		disk.content, disk.index = full.content, full.index
		if err := deliver(s, "x", Envelope{Local: []string{alice}}); !errors.Is(err, ErrFull) {
			t.Errorf("%+v: %v, want ErrFull", full, err)
		}
		if got := keeps(t, s); len(got) != 0 {
			t.Errorf("left on the full disk: %q", got)
		}
	}
	disk.content, disk.index = false, false
	must(t, deliver(s, "y", Envelope{Local: []string{alice}}))
	if got := contents(t, s, alice); len(got) != 1 {
		t.Errorf("alice has %q", got)
	}
}
