package maildrop

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// ledger is what a world did through several power cuts, and what it was told.
type ledger struct {
	mu    sync.Mutex
	count int
	fates map[string]fate // by text
}

// fate is what is known of a message.
type fate struct {
	both         bool // it is bob's and the queue's, too
	acknowledged bool
	removed      bool // and that was acknowledged
	perhaps      bool // it was to be removed, and that failed
}

// TestPowerCutsWhileLaying cuts the power again and again at random steps of a store that is in use: files are written, and the
// journal's used again, while mail comes, is read and goes.
func TestPowerCutsWhileLaying(t *testing.T) {
	worlds := 15
	if testing.Short() {
		worlds = 5
	}
	for seed := range worlds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		dir := t.TempDir()
		must(t, world(t, dir, nil).Close())
		l := &ledger{fates: map[string]fate{}}
		for range 1 + r.IntN(4) {
			disk := newCrashDisk(1+r.IntN(120), r.IntN(2) == 0)
			// From a file of the journal for each batch to one for all.
			s, err := Open(t.Context(), dir, &Options{Logger: quiet(), disk: disk, journal: []int64{1, 300, 5000, 1 << 20}[r.IntN(4)]})
			if err == nil {
				l.live(t, s)
				s.Close()
			}
			disk.settle(r)
		}
		l.check(t, dir, fmt.Sprint("world ", seed))
		if t.Failed() {
			return
		}
	}
}

// live is a store's life until the power goes, or a while longer.
func (l *ledger) live(t *testing.T, s *Store) {
	var wg sync.WaitGroup
	for who := range 3 {
		wg.Go(func() {
			for i := range 6 {
				l.mu.Lock()
				l.count++
				text := fmt.Sprintf("message %d%s.", l.count, strings.Repeat(" and more", l.count*37%90))
				l.mu.Unlock()
				f := fate{both: (who+i)%2 == 0}
				env := Envelope{From: bob, Local: []string{alice}}
				if f.both {
					env.Local, env.Remote = []string{alice, bob}, remote(fmt.Sprintf("%d@elsewhere.test", len(text)))
				}
				f.acknowledged = deliver(s, text, env) == nil
				l.mu.Lock()
				l.fates[text] = f
				l.mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for range 6 {
			l.visit(t, s)
		}
	})
	wg.Wait()
	l.visit(t, s)
}

// visit is alice's: she reads all, and deletes what she alone has, for the most part.
func (l *ledger) visit(t *testing.T, s *Store) {
	d, err := s.Lock(t.Context(), alice)
	if err != nil {
		t.Error(err)
		return
	}
	defer d.Unlock()
	for i, m := range d.Messages() {
		text := read(t, d, m)
		l.mu.Lock()
		f, known := l.fates[text]
		l.mu.Unlock()
		if f.removed {
			t.Errorf("%.20q is back", text)
		}
		if !known || f.both || i%4 == 0 {
			continue
		}
		f.removed = d.Remove(t.Context(), []Message{m}) == nil
		f.perhaps = !f.removed
		l.mu.Lock()
		l.fates[text] = f
		l.mu.Unlock()
	}
}

// check looks at what came of it all.
func (l *ledger) check(t *testing.T, dir, where string) {
	s, err := Open(t.Context(), dir, &Options{Logger: quiet()})
	if err != nil {
		t.Fatalf("%s: the store does not open: %v", where, err)
	}
	hers, his := contents(t, s, alice), contents(t, s, bob)
	queue, err := s.Queue(t.Context(), Filter{})
	must(t, err)
	queued := map[string]int{}
	for _, q := range queue {
		r, err := s.OpenContent(q)
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, errors.Join(err, r.Close()))
		queued[string(text)]++
	}
	for text, f := range l.fates {
		a, b, q := holds(hers, text), holds(his, text), queued[text]
		say := func(what string) {
			t.Errorf("%s: %.20q %s: alice has it %d times, bob %d, the queue %d; %+v", where, text, what, a, b, q, f)
		}
		switch {
		case a > 1 || b > 1 || q > 1:
			say("is there twice")
		case f.both && (a != b || b != q) || !f.both && b+q > 0:
			say("is there for some and not for others")
		case a == 0 && f.acknowledged && !f.removed && !f.perhaps:
			say("was acknowledged and is lost")
		case a == 1 && f.removed:
			say("is back")
		}
		for uid := range hers {
			if hers[uid] == text {
				delete(hers, uid)
			}
		}
	}
	if len(hers) > 0 {
		t.Errorf("%s: alice has %q that nobody sent", where, hers)
	}
	must(t, s.Close())
	if left, _ := filepath.Glob(filepath.Join(dir, "journal", "*")); len(left) > 0 {
		t.Errorf("%s: the journal has %q", where, left)
	}
	if report, err := Check(t.Context(), dir, false); err != nil || len(report.Findings) > 0 || report.Missing > 0 {
		t.Errorf("%s: %+v %v", where, report, err)
	}
}
