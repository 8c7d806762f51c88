package maildrop

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// forgetfulDisk is one whose flush of files fails once: what the system could not write it holds for written from then on, and
// forgets when it needs the memory. A second flush that succeeds means nothing.
type forgetfulDisk struct {
	osDisk
	fail atomic.Bool
	mu   sync.Mutex
	lost map[string]bool // files that are in the memory alone
}

func (d *forgetfulDisk) Flush(dir string, files []string) error {
	if !d.fail.Swap(false) {
		return d.osDisk.Flush(dir, files)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range files {
		d.lost[name] = true
	}
	return syscall.EIO
}

func (d *forgetfulDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lost, name)
	return d.osDisk.Remove(name)
}

func (d *forgetfulDisk) forget(t *testing.T) {
	for name := range d.lost {
		must(t, os.Truncate(name, 1))
	}
}

// A message's file whose flush failed is written anew, whether the server goes on or is started again: the journal has it until
// then.
func TestFlushThatFails(t *testing.T) {
	for name, restart := range map[string]bool{"goes on": false, "restart": true} {
		t.Run(name, func(t *testing.T) {
			dir, disk := t.TempDir(), &forgetfulDisk{lost: map[string]bool{}}
			disk.fail.Store(true)
			synctest.Test(t, func(t *testing.T) {
				s := world(t, dir, &Options{disk: disk})
				for _, text := range []string{"one", "two"} {
					must(t, deliver(s, text, Envelope{Local: []string{alice}}))
				}
				if !restart {
					time.Sleep(journalIdle + time.Second)
					synctest.Wait()
					d := lock(t, s, alice) // who deletes in between leaves nothing behind
					must(t, d.Remove(t.Context(), d.Messages()[:1]))
					d.Unlock()
					time.Sleep(layAgain)
					synctest.Wait()
				}
				must(t, s.Close())
			})
			if restart {
				s := world(t, dir, &Options{disk: disk})
				d := lock(t, s, alice)
				must(t, d.Remove(t.Context(), d.Messages()[:1]))
				d.Unlock()
				must(t, s.Close())
			}
			if disk.fail.Load() {
				t.Fatal("nothing was flushed")
			}
			disk.forget(t)
			s := world(t, dir, nil)
			if got := contents(t, s, alice); len(got) != 1 || holds(got, "two") != 1 {
				t.Errorf("alice has %q", got)
			}
			must(t, s.Close())
			if got := files(t, dir); len(got) != 1 {
				t.Errorf("files %q", got)
			}
			sound(t, dir)
		})
	}
}

// Files of what the journal has do not take the room that is for deleting: a small message takes a block of the disk.
func TestReserveIsNotForFiles(t *testing.T) {
	dir, disk := t.TempDir(), &tellingDisk{}
	disk.free.Store(2 << 20)
	synctest.Test(t, func(t *testing.T) {
		s := world(t, dir, &Options{disk: disk, Reserve: 1 << 20})
		for _, text := range []string{"one", "two"} {
			must(t, deliver(s, text, Envelope{Local: []string{alice}}))
		}
		disk.free.Store(1 << 20)
		time.Sleep(journalIdle + time.Second)
		synctest.Wait()
		if got := files(t, dir); len(got) > 0 {
			t.Errorf("on the reserve there are the files %q", got)
		}
		if got := contents(t, s, alice); len(got) != 2 {
			t.Errorf("alice has %q", got)
		}
		must(t, s.Close())
		s = world(t, dir, &Options{disk: disk, Reserve: 1 << 20})
		d := lock(t, s, alice)
		must(t, d.Remove(t.Context(), d.Messages()[:1]))
		d.Unlock()
		disk.free.Store(2 << 20)
		time.Sleep(layAgain + time.Second)
		synctest.Wait()
		if got := files(t, dir); len(got) != 1 {
			t.Errorf("with room there are the files %q", got)
		}
		must(t, s.Close())
	})
}

// clingingDisk takes no octet of a message's file, and does not let one be removed: so are some when they are full.
type clingingDisk struct {
	osDisk
	full atomic.Bool
}

type clingingFile struct{ file }

func (clingingFile) Write(p []byte) (int, error) { return 0, syscall.ENOSPC }

func isContent(name string) bool { return strings.Contains(filepath.ToSlash(name), "/content/") }

func (d *clingingDisk) Create(name string) (file, error) {
	f, err := d.osDisk.Create(name)
	if err == nil && d.full.Load() && isContent(name) {
		return clingingFile{f}, nil
	}
	return f, err
}

func (d *clingingDisk) Remove(name string) error {
	if d.full.Load() && isContent(name) {
		return syscall.ENOSPC
	}
	return d.osDisk.Remove(name)
}

// What is left of an attempt to write a file is no hindrance to the next; nor is it to a start.
func TestFileThatCouldNotBeRemoved(t *testing.T) {
	for name, restart := range map[string]bool{"goes on": false, "restart": true} {
		t.Run(name, func(t *testing.T) {
			dir, disk := t.TempDir(), &clingingDisk{}
			disk.full.Store(true)
			synctest.Test(t, func(t *testing.T) {
				s := world(t, dir, &Options{disk: disk})
				must(t, deliver(s, "one", Envelope{Local: []string{alice}}))
				time.Sleep(journalIdle + time.Second)
				synctest.Wait()
				if restart {
					must(t, s.Close())
					s = world(t, dir, &Options{disk: disk})
				}
				if got := contents(t, s, alice); len(got) != 1 || holds(got, "one") != 1 {
					t.Errorf("alice has %q", got)
				}
				disk.full.Store(false)
				time.Sleep(layAgain + time.Second)
				synctest.Wait()
				must(t, s.Close())
			})
			if left, _ := filepath.Glob(filepath.Join(dir, "journal", "*")); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			sound(t, dir)
		})
	}
}

// What is not this package's in journal/ is left alone, and keeps no server from starting.
func TestJournalFolderHasStrangers(t *testing.T) {
	dir, journal := killed(t, "one")
	for _, f := range files(t, dir) {
		must(t, os.Remove(filepath.Join(dir, f)))
	}
	mine := join(filepath.Dir(journal), []string{"lost+found/x", "notes.txt", "00000001.old"})
	for _, name := range mine {
		write(t, name, "x")
	}
	s := world(t, dir, nil)
	if got := contents(t, s, alice); len(got) != 1 {
		t.Errorf("alice has %q", got)
	}
	must(t, s.Close())
	for _, name := range mine {
		if !exists(name) {
			t.Errorf("%s is not ours and was removed", name)
		}
	}
	if exists(journal) {
		t.Error("ours is still there")
	}
}

// A store all of whose messages are in the journal has messages, too.
func TestIndexMissingBesideAJournal(t *testing.T) {
	dir, _ := killed(t, "one")
	must(t, os.RemoveAll(filepath.Join(dir, "content")))
	must(t, os.Remove(filepath.Join(dir, "index.db")))
	if _, err := Open(t.Context(), dir, &Options{Logger: quiet()}); !errors.Is(err, ErrIndexMissing) {
		t.Errorf("opened messages without their index: %v", err)
	}
}

// Check needs no folder but the index's.
func TestCheckReplaysWithoutFolders(t *testing.T) {
	dir, _ := killed(t, "one", "two")
	for _, name := range []string{"content", "tmp"} {
		must(t, os.RemoveAll(filepath.Join(dir, name)))
	}
	sound(t, dir)
}

// shortDisk has no file descriptor to spare for some time.
type shortDisk struct {
	osDisk
	short atomic.Bool
}

func (d *shortDisk) Open(name string) (*os.File, error) {
	if d.short.Load() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
	}
	return d.osDisk.Open(name)
}

// A file of the journal that cannot be opened is not forgotten: the next that is needed is the same.
func TestJournalThatCannotBeOpened(t *testing.T) {
	dir, disk := t.TempDir(), &shortDisk{}
	s := world(t, dir, &Options{disk: disk, journal: 1}) // a file for each
	left := func() int {
		names, err := filepath.Glob(filepath.Join(dir, "journal", "*"))
		must(t, err)
		return len(names)
	}
	for range 2 {
		must(t, deliver(s, "before", Envelope{Local: []string{alice}}))
		disk.short.Store(true)
		for range 10 {
			if err := deliver(s, "refused", Envelope{Local: []string{alice}}); err == nil {
				t.Error("it was acknowledged")
			}
		}
		disk.short.Store(false)
		if n := left(); n > 2*(1+journalSpares) {
			t.Errorf("the journal has %d files", n)
		}
	}
	must(t, s.Close())
	if n := left(); n > 0 {
		t.Errorf("a store that was closed leaves %d", n)
	}
}

// Whoever reads while the store ends is not told that a message is damaged.
func TestReadFromAVolumeThatIsClosed(t *testing.T) {
	f := newFresh(1)
	opened, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	v := &volume{file: opened}
	f.add(1, freshContent{volume: v, size: 1})
	if _, _, err := f.read(1); !errors.Is(err, ErrDamaged) {
		t.Errorf("a journal that is too short: %v", err)
	}
	v.close()
	if _, _, err := f.read(1); !errors.Is(err, os.ErrClosed) || errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
}

// What the journal has and nobody names is put aside once, whatever there is of its file.
func TestCheckPutsAsideOnce(t *testing.T) {
	for _, begun := range []string{"", "lo", "lost?"} {
		dir, journal := killed(t, "one")
		b, err := os.ReadFile(journal)
		must(t, err)
		k := kept{id: 40, octets: []byte("lost?")}
		sum := sha256.Sum256(k.octets)
		k.sum = sum[:]
		must(t, os.WriteFile(journal, k.record(b, binary.BigEndian.Uint64(b)), 0o600))
		if begun != "" {
			write(t, filepath.Join(dir, "content/0000/000000000028.eml"), begun)
		}
		r, err := Check(t.Context(), dir, true)
		if err != nil || len(r.Findings) > 0 || r.Unclaimed != 1 {
			t.Errorf("with %q: %+v %v", begun, r, err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, "unclaimed/000000000028.eml")); string(text) != "lost?" {
			t.Errorf("with %q: put aside is %q, %v", begun, text, err)
		}
	}
}

// stuffedDisk has room for nothing in the journal and for no message's file.
type stuffedDisk struct {
	osDisk
	full atomic.Bool
}

type stuffedFile struct {
	file
	disk *stuffedDisk
}

func (d *stuffedDisk) Create(name string) (file, error) {
	if d.full.Load() && isContent(name) {
		return nil, syscall.ENOSPC
	}
	f, err := d.osDisk.Create(name)
	if err != nil {
		return nil, err
	}
	return stuffedFile{f, d}, nil
}

func (f stuffedFile) WriteAt(p []byte, at int64) (int, error) {
	if !f.disk.full.Load() {
		return f.file.WriteAt(p, at)
	}
	n, err := f.file.WriteAt(p[:len(p)/2], at)
	return n, errors.Join(err, syscall.ENOSPC)
}

// What could not be written to the journal leaves no file of it behind: all that becomes free would be eaten by those.
func TestJournalThatIsRefusedRoom(t *testing.T) {
	dir, disk := t.TempDir(), &stuffedDisk{}
	s := world(t, dir, &Options{disk: disk, Reserve: -1})
	must(t, deliver(s, "one", Envelope{Local: []string{alice}}))
	disk.full.Store(true)
	for range 20 {
		if err := deliver(s, "refused", Envelope{Local: []string{alice}}); !errors.Is(err, ErrFull) {
			t.Errorf("on a full disk: %v", err)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "journal", "*")); len(names) > 1 {
		t.Errorf("the journal has the files %q", names)
	}
	disk.full.Store(false)
	must(t, deliver(s, "two", Envelope{Local: []string{alice}}))
	if got := contents(t, s, alice); len(got) != 2 || holds(got, "one") != 1 || holds(got, "two") != 1 {
		t.Errorf("alice has %q", got)
	}
	must(t, s.Close())
}
