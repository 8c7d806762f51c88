package maildrop

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// reads gives a content as each of those gets it who read: the queue, a user, an export, a backup.
func reads(t *testing.T, s *Store) map[string]string {
	t.Helper()
	ctx := t.Context()
	got := map[string]string{}
	queue, err := s.Queue(ctx, Filter{})
	must(t, err)
	r, err := s.OpenContent(queue[0])
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	got["queue"] = string(b)
	for _, text := range contents(t, s, alice) {
		got["user"] = text
	}
	var out bytes.Buffer
	must(t, s.Export(ctx, alice, &out))
	got["export"] = tarred(t, &out, "")
	out.Reset()
	w := tar.NewWriter(&out)
	must(t, s.Backup(ctx, w, "mail"))
	must(t, w.Close())
	got["backup"] = tarred(t, &out, ".eml")
	return got
}

func tarred(t *testing.T, r io.Reader, suffix string) string {
	t.Helper()
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		must(t, err)
		if strings.HasSuffix(h.Name, suffix) {
			b, err := io.ReadAll(in)
			must(t, err)
			return string(b)
		}
	}
}

// A message is the same to all, before and after it has its file; and it gets that when nothing comes for a while.
func TestFreshIsRead(t *testing.T) {
	dir, disk := t.TempDir(), &paper{}
	synctest.Test(t, func(t *testing.T) {
		s := world(t, dir, &Options{disk: disk})
		must(t, deliver(s, "hello", Envelope{From: bob, Trace: "Return-Path: <b>\r\n", Local: []string{alice}, Remote: remote("a@x.test")}))
		for _, want := range []int64{0, 1} {
			if n := disk.made.Load(); n != want {
				t.Errorf("%d files, want %d", n, want)
			}
			for who, text := range reads(t, s) {
				whole := map[string]string{"user": "Return-Path: <b>\r\nhello", "export": "Return-Path: <b>\r\nhello"}[who]
				if whole == "" {
					whole = "hello"
				}
				if text != whole {
					t.Errorf("with %d files, %s: %q", want, who, text)
				}
			}
			time.Sleep(journalIdle + time.Second)
			synctest.Wait()
		}
		must(t, s.Close())
	})
}

// What is gone before its time for a file has come never gets one.
func TestFreshThatGoes(t *testing.T) {
	dir, disk := t.TempDir(), &paper{}
	s := world(t, dir, &Options{disk: disk})
	for range 20 {
		must(t, deliver(s, "hello", Envelope{From: bob, Remote: remote("a@x.test")}))
		claimed, err := s.Claim(t.Context(), "x.test", time.Now(), 1, 1)
		must(t, err)
		must(t, s.Settle(t.Context(), []Settlement{{Row: claimed[0], Gone: true}}))
	}
	must(t, s.Close())
	if n := disk.made.Load(); n != 0 || disk.flushes.Load() != 0 {
		t.Errorf("%d files were made, and flushed %d times", n, disk.flushes.Load())
	}
}

// A content that is removed while its file is written leaves none.
func TestFreshThatGoesMeanwhile(t *testing.T) {
	dir, disk := t.TempDir(), &paper{}
	s := world(t, dir, &Options{disk: disk})
	must(t, deliver(s, "hello", Envelope{Local: []string{alice}}))
	disk.make = func() error {
		d := lock(t, s, alice)
		defer d.Unlock()
		if err := s.removeContent(d.Messages()[0].content); err != nil {
			t.Error(err)
		}
		return nil
	}
	for id := range s.fresh.contents {
		must(t, s.fresh.lay(id, func(b []byte) error { return s.lay(id, b) }, func() { s.disk.Remove(s.contentPath(id)) }))
		if laid := s.fresh.laid([]int64{id}); len(laid) > 0 {
			t.Errorf("laid %v", laid)
		}
	}
	if got := keeps(t, s); len(got) != 0 {
		t.Errorf("the store keeps %q", got)
	}
}

// When files cannot be made, what was taken is kept and can be read and deleted; the rest of the world hears that the disk is
// full, before the journal fills it, too. When they can be again, all goes on.
func TestFreshOnADiskThatIsFull(t *testing.T) {
	const size = 1 << 20
	dir, disk := t.TempDir(), &paper{}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		full := true
		disk.make = func() error {
			mu.Lock()
			defer mu.Unlock()
			if full {
				return syscall.ENOSPC
			}
			return nil
		}
		s := world(t, dir, &Options{disk: disk, journal: size})
		text := strings.Repeat("x", journalMost-20)
		taken := 0
		for ; ; taken++ {
			err := deliver(s, fmt.Sprintf("%08d%s", taken, text), Envelope{Local: []string{alice}})
			if errors.Is(err, ErrFull) {
				break
			}
			must(t, err)
			if taken > 4*size/journalMost {
				t.Fatal("it is taken without end")
			}
			time.Sleep(journalIdle + time.Second) // the journal tries, too
		}
		if taken < size/journalMost {
			t.Errorf("only %d were taken", taken)
		}
		if names, _ := filepath.Glob(filepath.Join(dir, "journal", "*")); len(names) > 4 {
			t.Errorf("the journal has %d files", len(names))
		}
		if got := contents(t, s, alice); len(got) != taken {
			t.Errorf("of %d she has %d", taken, len(got))
		}
		d := lock(t, s, alice)
		must(t, d.Remove(t.Context(), d.Messages()[:taken/2]))
		d.Unlock()
		must(t, deliver(s, "one that has room now", Envelope{Local: []string{alice}}))
		mu.Lock()
		full = false
		mu.Unlock()
		time.Sleep(journalIdle + 2*layAgain)
		synctest.Wait()
		if got := files(t, dir); len(got) != taken-taken/2+1 {
			t.Errorf("%d files, want %d", len(got), taken-taken/2+1)
		}
		must(t, s.Close())
	})
}

// A file of the journal is not used again while somebody reads from it.
func TestVolumeWaitsForReaders(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	v := &volume{file: f}
	v.reading.RLock()
	closed := make(chan struct{})
	go func() { defer close(closed); v.close() }()
	for v.reading.TryRLock() { // until it waits
		v.reading.RUnlock()
		select {
		case <-closed:
			t.Fatal("it did not wait")
		default:
			runtime.Gosched()
		}
	}
	if _, err := f.Stat(); err != nil {
		t.Error(err)
	}
	v.reading.RUnlock()
	<-closed
}

// tornDisk fails writes into the journal, and nothing else.
type tornDisk struct {
	osDisk
	fail atomic.Bool
}

type tornFile struct {
	file
	disk *tornDisk
}

func (d *tornDisk) Create(name string) (file, error) {
	f, err := d.osDisk.Create(name)
	if err != nil {
		return nil, err
	}
	return tornFile{f, d}, nil
}

func (f tornFile) WriteAt(p []byte, at int64) (int, error) {
	if f.disk.fail.Load() {
		n, err := f.file.WriteAt(p[:len(p)/2], at)
		return n, errors.Join(err, syscall.EIO)
	}
	return f.file.WriteAt(p, at)
}

// What the journal could not keep is not acknowledged, and what it had before is kept.
func TestJournalThatFails(t *testing.T) {
	dir, disk := t.TempDir(), &tornDisk{}
	s := world(t, dir, &Options{disk: disk, Logger: quiet()})
	must(t, deliver(s, "before", Envelope{Local: []string{alice}}))
	disk.fail.Store(true)
	if err := deliver(s, "lost", Envelope{Local: []string{alice}}); err == nil {
		t.Error("it was acknowledged")
	}
	disk.fail.Store(false)
	must(t, deliver(s, "after", Envelope{Local: []string{alice}}))
	for range 2 {
		got := contents(t, s, alice)
		if holds(got, "before") != 1 || holds(got, "after") != 1 || len(got) != 2 {
			t.Errorf("alice has %q", got)
		}
		must(t, s.Close())
		s = open(t, dir, nil)
	}
}

// Whoever reads, removes and delivers while the journal's files fill and are used again gets what was delivered.
func TestFreshUnderLoad(t *testing.T) {
	dir := t.TempDir()
	s := world(t, dir, &Options{journal: 64 << 10})
	var wg sync.WaitGroup
	for who, email := range []string{alice, bob} {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(who), 2))
			for i := range 150 {
				text := strings.Repeat(fmt.Sprintf("%s %d ", email, i), 1+r.IntN(2000))
				if err := deliver(s, text, Envelope{Local: []string{email}}); err != nil {
					t.Error(err)
				}
				d, err := s.Lock(t.Context(), email)
				if err != nil {
					t.Error(err)
					return
				}
				list := d.Messages()
				for _, m := range []Message{list[r.IntN(len(list))], list[len(list)-1]} {
					f, err := d.Open(m)
					if err != nil {
						t.Error(err)
						continue
					}
					b, err := io.ReadAll(f)
					if f.Close(); err != nil || int64(len(b)) != m.Size || !strings.HasPrefix(string(b), email) || m.row == list[len(list)-1].row && string(b) != text {
						t.Errorf("message of %d octets: %d octets, %v, %.40q", m.Size, len(b), err, b)
					}
				}
				if r.IntN(3) == 0 {
					if err := d.Remove(t.Context(), list[:1]); err != nil {
						t.Error(err)
					}
				}
				d.Unlock()
			}
		})
	}
	wg.Wait()
	left := len(contents(t, s, alice)) + len(contents(t, s, bob))
	must(t, s.Close())
	if got := files(t, dir); len(got) != left {
		t.Errorf("%d files for %d messages", len(got), left)
	}
	sound(t, dir)
}
