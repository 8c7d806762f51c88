package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// steps plays the story whole and answers where it can be cut.
func (s story) steps(t *testing.T) (at []string) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t), &maildrop{}
		s.begin(t, w, d)
		defer w.halt()
		var mu sync.Mutex
		d.step = func(where string) bool {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, where)
			return false
		}
		s.act(t, w)
		s.check(t, w, d)
	})
	return at
}

// cutAt plays the story with the line cut at one step. With kill the engine dies there too, and what its device had not
// made durable is gone or torn.
func (s story) cutAt(t *testing.T, step int, kill bool) (lost, doubled int) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t), &maildrop{pace: kill}
		s.begin(t, w, d)
		defer func() { w.halt() }()
		var mu sync.Mutex
		left, where := step, ""
		d.step = func(at string) bool {
			mu.Lock()
			defer mu.Unlock()
			if left--; left != -1 {
				return false
			}
			where = at
			if kill {
				w.fs.CutPower(0)
				w.gateway.set(tunnel.Offline)
			}
			return true
		}
		if kill {
			s.act(t, w) // as far as it gets
			w.halt()
			var torn *rand.Rand
			if step%2 == 1 {
				torn = rand.New(rand.NewPCG(2, uint64(step)))
			}
			w.fs = w.fs.Restart(torn)
			w.gateway.set(tunnel.Online)
			w.startEvery(1000 * time.Hour)
		}
		s.act(t, w)
		lost, doubled = s.check(t, w, d)
		if where == "" {
			t.Errorf("step %d was not reached", step)
		}
		if t.Failed() {
			t.Errorf("cut at step %d, %s, kill %v", step, where, kill)
		}
	})
	return lost, doubled
}

// sample chooses at most most of the steps: all of a kind that occurs seldom, and of the others the first, the last, and
// some between.
func sample(at []string, most int) (steps []int) {
	kinds := make(map[string][]int)
	for i, where := range at {
		kinds[where] = append(kinds[where], i)
	}
	each := max(2, most/len(kinds))
	for _, all := range kinds {
		if len(all) <= each {
			steps = append(steps, all...)
			continue
		}
		for i := range each {
			steps = append(steps, all[i*(len(all)-1)/(each-1)])
		}
	}
	slices.Sort(steps)
	return slices.Compact(steps)
}

// TestCutEverywhere cuts the line at every boundary of a command and of an answer, within every answer, and kills the
// engine at each of them, over a maildrop of a few messages.
func TestCutEverywhere(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run("leave "+string(policy), func(t *testing.T) {
			s := story{policy, few()}
			all := s.steps(t)
			t.Logf("%d steps", len(all))
			for step := range all {
				s.cutAt(t, step, false)
				s.cutAt(t, step, true)
			}
		})
	}
}

// TestCutThousand cuts the line over a maildrop of 1,000 messages: at a sample of the steps that has every kind of them,
// and at octets chosen at random. With POSTERN_CUTS=all it is cut at every step there is (task cuts).
func TestCutThousand(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run("leave "+string(policy), func(t *testing.T) {
			s := story{policy, thousand()}
			all := s.steps(t)
			chosen := sample(all, 24)
			if os.Getenv("POSTERN_CUTS") == "all" {
				chosen = sample(all, math.MaxInt)
			}
			t.Logf("%d steps of %d", len(chosen), len(all))
			s.cutAtEach(t, chosen)
			for seed := range uint64(4) {
				s.cutAtRandom(t, rand.New(rand.NewPCG(5, seed)))
			}
		})
	}
}

// cutAtEach plays the story once for each step, as many at a time as there are processors, and tells what came of it.
func (s story) cutAtEach(t *testing.T, steps []int) {
	var next, lost, doubled atomic.Int64
	t.Run("steps", func(t *testing.T) {
		for part := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint("part ", part+1), func(t *testing.T) {
				t.Parallel()
				for i := next.Add(1) - 1; i < int64(len(steps)); i = next.Add(1) - 1 {
					l, d := s.cutAt(t, steps[i], false)
					lost.Add(int64(l))
					doubled.Add(int64(d))
				}
			})
		}
	})
	t.Logf("cut at %d steps: %d messages lost, %d there twice or not removed", len(steps), lost.Load(), doubled.Load())
}

// cutAtRandom plays the story with the first sessions cut after octets chosen at random.
func (s story) cutAtRandom(t *testing.T, r *rand.Rand) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t), &maildrop{}
		s.begin(t, w, d)
		defer w.halt()
		cuts := 1 + r.IntN(4)
		most := int64(100 + r.IntN(300*s.n)) // of what the server says in a session
		w.gateway.mu.Lock()
		w.gateway.faults = func(wire.ServiceName, int) *mailtest.Faults {
			if cuts--; cuts < 0 {
				return nil
			}
			return &mailtest.Faults{CutAfter: 1 + r.Int64N(most)}
		}
		w.gateway.mu.Unlock()
		s.act(t, w)
		s.check(t, w, d)
	})
}
