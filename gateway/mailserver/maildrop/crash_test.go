package maildrop

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

var errPower = errors.New("power cut")

// crashDisk is a disk that forgets what was not flushed: after the cut every
// call fails, and settle then does to the folder what a power cut may do.
type crashDisk struct {
	osDisk
	mu      sync.Mutex
	step    int
	cutAt   int  // the step at which the power goes
	late    bool // the step has its effect, and only its answer is lost
	dead    bool
	loose   map[string]bool      // content not flushed, by present path
	torn    map[string][]torn    // what was written over, and not flushed
	created map[string]bool      // entry of a new file not flushed
	renamed map[string][2]string // folder of the new entry not flushed: new path → {old, new}
	removed map[string]string    // entry's removal not flushed: path → a copy
}

// torn is a write within a file, and what was there before.
type torn struct {
	at     int64
	before []byte
	length int
}

func newCrashDisk(cutAt int, late bool) *crashDisk {
	return &crashDisk{cutAt: cutAt, late: late, loose: map[string]bool{}, torn: map[string][]torn{}, created: map[string]bool{}, renamed: map[string][2]string{}, removed: map[string]string{}}
}

func (d *crashDisk) do(effect func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errPower
	}
	if d.step++; d.step == d.cutAt {
		d.dead = true
		if d.late {
			effect()
		}
		return errPower
	}
	return effect()
}

type crashFile struct {
	file
	disk *crashDisk
	path string
}

func (d *crashDisk) Create(name string) (f file, err error) {
	err = d.do(func() error {
		f, err = d.osDisk.Create(name)
		d.loose[name], d.created[name] = true, true
		return err
	})
	if err != nil {
		return nil, err
	}
	return &crashFile{f, d, name}, nil
}

func (f *crashFile) Write(p []byte) (n int, err error) {
	err = f.disk.do(func() error { n, err = f.file.Write(p); return err })
	return n, err
}

func (f *crashFile) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.disk.do(func() error {
		before := make([]byte, len(p))
		if there, err := os.Open(f.path); err == nil {
			n, _ := there.ReadAt(before, at)
			before = before[:n]
			there.Close()
		}
		f.disk.torn[f.path] = append(f.disk.torn[f.path], torn{at, before, len(p)})
		n, err = f.file.WriteAt(p, at)
		return err
	})
	return n, err
}

func (f *crashFile) Sync() error {
	return f.disk.do(func() error {
		delete(f.disk.loose, f.path)
		delete(f.disk.torn, f.path)
		return f.file.Sync()
	})
}

func (d *crashDisk) Overwrite(name string) (f file, err error) {
	err = d.do(func() error { f, err = d.osDisk.Overwrite(name); return err })
	if err != nil {
		return nil, err
	}
	return &crashFile{f, d, name}, nil
}

func (d *crashDisk) Rename(from, to string) error {
	return d.do(func() error {
		if d.loose[from] {
			delete(d.loose, from)
			d.loose[to] = true
		}
		delete(d.created, from)
		d.renamed[to] = [2]string{from, to}
		return d.osDisk.Rename(from, to)
	})
}

func (d *crashDisk) Remove(name string) error {
	return d.do(func() error {
		copied := name + ".removed"
		if os.Link(name, copied) == nil {
			d.removed[name] = copied
		}
		return d.osDisk.Remove(name)
	})
}

func (d *crashDisk) SyncDir(dir string) error {
	return d.do(func() error {
		d.flushEntries(dir)
		return d.osDisk.SyncDir(dir)
	})
}

func (d *crashDisk) flushEntries(dir string) {
	for to := range d.renamed {
		if filepath.Dir(to) == dir {
			delete(d.renamed, to)
		}
	}
	for name := range d.created {
		if filepath.Dir(name) == dir {
			delete(d.created, name)
		}
	}
	for name, copied := range d.removed {
		if filepath.Dir(name) == dir {
			delete(d.removed, name)
			os.Remove(copied)
		}
	}
}

func (d *crashDisk) Flush(dir string, files []string) error {
	return d.do(func() error {
		for _, name := range files {
			delete(d.loose, name)
			d.flushEntries(filepath.Dir(name))
		}
		return d.osDisk.Flush(dir, files)
	})
}

func (d *crashDisk) Commit(index func() error) error { return d.do(index) }

// settle loses what the disk had not promised to keep, or some of it.
func (d *crashDisk) settle(r *rand.Rand) {
	for path := range d.loose {
		if info, err := os.Stat(path); err == nil {
			os.Truncate(path, r.Int64N(info.Size()+1))
		}
	}
	for path, writes := range d.torn {
		for _, w := range slices.Backward(writes) {
			w.undo(path, r)
		}
	}
	for path := range d.created {
		if r.IntN(2) == 0 {
			os.Remove(path)
		}
	}
	for _, move := range d.renamed {
		if r.IntN(2) == 0 {
			os.Rename(move[1], move[0])
		}
	}
	for path, copied := range d.removed {
		if r.IntN(2) == 0 {
			os.Rename(copied, path)
		}
		os.Remove(copied)
	}
}

// undo leaves of a write its first octets, or some of its sectors.
func (w torn) undo(path string, r *rand.Rand) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return // lost altogether
	}
	defer f.Close()
	if r.IntN(2) == 0 {
		w.undoSectors(f, r)
		return
	}
	kept := r.IntN(w.length + 1)
	if kept < len(w.before) {
		f.WriteAt(w.before[kept:], w.at+int64(kept))
	}
	if info, err := f.Stat(); err == nil && len(w.before) < w.length { // it made the file longer
		f.Truncate(min(info.Size(), w.at+int64(max(kept, len(w.before)))))
	}
}

func (w torn) undoSectors(f *os.File, r *rand.Rand) {
	const sector = 512
	before := append(slices.Clone(w.before), make([]byte, w.length-len(w.before))...)
	for at, end := w.at, w.at+int64(w.length); at < end; {
		next := min(at/sector*sector+sector, end)
		if r.IntN(2) == 0 {
			f.WriteAt(before[at-w.at:next-w.at], at)
		}
		at = next
	}
}

// TestPowerCutAtEveryStep runs the same little history again and again, cuts
// the power at each step of it in turn, and looks at what is left.
func TestPowerCutAtEveryStep(t *testing.T) {
	steps := 0
	for _, late := range []bool{false, true} {
		for cut := 1; ; cut++ {
			if !powerCut(t, cut, late) {
				steps = cut - 1
				break
			}
			if t.Failed() {
				return
			}
		}
	}
	if steps < 20 {
		t.Errorf("the history has only %d steps: are they all counted?", steps)
	}
	t.Logf("%d steps, cut before and after each", steps)
}

func powerCut(t *testing.T, cut int, late bool) bool {
	dir := t.TempDir()
	s := world(t, dir, nil)
	must(t, deliver(s, "old", Envelope{Local: []string{alice, bob}}))
	old := contents(t, s, alice)
	must(t, s.Close())

	disk := newCrashDisk(cut, late)
	acked := map[string]bool{}
	removed := error(errPower)
	s, err := Open(t.Context(), dir, &Options{Logger: quiet(), disk: disk})
	if err == nil {
		for i := range 3 {
			text := fmt.Sprint("message ", i)
			acked[text] = deliver(s, text, Envelope{From: bob, Local: []string{alice, bob}, Remote: []Recipient{{Address: fmt.Sprintf("%d@elsewhere.test", i)}}}) == nil
		}
		if d, err := s.Lock(t.Context(), alice); err == nil {
			removed = d.Remove(t.Context(), d.Messages()[:1])
			d.Unlock()
		}
		s.Close()
	}
	disk.settle(rand.New(rand.NewPCG(uint64(cut), 1)))

	where := fmt.Sprintf("cut at step %d (late %v)", cut, late)
	s, err = Open(t.Context(), dir, &Options{Logger: quiet()})
	if err != nil {
		t.Fatalf("%s: the store does not open: %v", where, err)
	}
	defer s.Close()
	hers, his := contents(t, s, alice), contents(t, s, bob)
	queue, err := s.Queue(t.Context(), Filter{})
	must(t, err)
	check := func(ok bool, say string) {
		if !ok {
			t.Errorf("%s: %s; acknowledged %v; alice %v, bob %v, queue %v, files %v", where, say, acked, hers, his, queue, keeps(t, s))
		}
	}
	for i := range 3 {
		text := fmt.Sprint("message ", i)
		a, b, q := holds(hers, text), holds(his, text), 0
		for _, row := range queue {
			if row.Recipient == fmt.Sprintf("%d@elsewhere.test", i) {
				q++
			}
		}
		check(a == b && b == q, text+" is there for some and not for others")
		check(a <= 1, text+" is there twice")
		check(a == 1 || !acked[text], text+" was acknowledged and is lost")
	}
	for uid := range old {
		_, there := hers[uid]
		check(there == (removed != nil) || late && !there, "the removal and its answer differ, or a unique-id changed")
	}
	check(holds(his, "old") == 1, "bob lost what alice deleted")
	check(len(hers)+len(his)+len(queue) > 0 && namedFiles(t, s) == contentFiles(t, s), "files and rows differ")
	must(t, deliver(s, "after", Envelope{Local: []string{alice}}))
	return disk.dead
}

func holds(drop map[string]string, text string) (n int) {
	for _, c := range drop {
		if c == text {
			n++
		}
	}
	return n
}

func namedFiles(t *testing.T, s *Store) (n int) {
	must(t, s.reader.QueryRow("SELECT count(*) FROM contents WHERE missing = 0").Scan(&n))
	return n
}

func contentFiles(t *testing.T, s *Store) (n int) {
	for _, f := range keeps(t, s) {
		if filepath.Dir(filepath.Dir(f)) == "content" {
			n++
		}
	}
	return n
}
