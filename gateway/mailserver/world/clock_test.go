package world

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/shared/control"
)

// Who waits wakes up when his time has come by the clock, however it has gone meanwhile: not before, and not later.
func TestClock(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		type step struct {
			pass time.Duration // of the system's clock, before
			to   control.ClockChange
		}
		var steps []step
		for range rapid.IntRange(0, 6).Draw(r, "changes") {
			steps = append(steps, step{
				time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(r, "pass")),
				control.ClockChange{Rate: rapid.SampledFrom([]float64{0, 1, 2.5, 60, 3600}).Draw(r, "rate"), Jump: time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(r, "jump"))},
			})
		}
		wait := time.Duration(rapid.Int64Range(0, int64(120*time.Hour)).Draw(r, "wait"))
		synctest.Test(t, func(t *testing.T) {
			c := NewClock()
			if !c.Now().Equal(time.Now()) {
				t.Error("it is not the system's time")
			}
			due := c.Now().Add(wait)
			woken, stop := c.After(wait)
			defer stop()
			never, giveUp := c.After(wait)
			giveUp()
			// What the clock says is reckoned once more.
			at, rate := c.Now(), 1.0
			pass := func(d time.Duration) {
				began, was := time.Now(), at
				time.Sleep(d)
				synctest.Wait()
				at = was.Add(time.Duration(rate * float64(time.Since(began))))
				if off := c.Now().Sub(at); off.Abs() > 100*time.Microsecond {
					t.Fatalf("the clock is off by %v", off)
				}
				select {
				case when := <-woken:
					if when.Before(due) || when.Sub(due) > 2*time.Duration(rate)+100*time.Microsecond && due.After(was) {
						t.Fatalf("woken %v after it was due", when.Sub(due))
					}
					woken = nil
				default:
					if woken != nil && c.Now().After(due.Add(time.Millisecond)) {
						t.Fatalf("not woken %v after it was due", c.Now().Sub(due))
					}
				}
			}
			for _, s := range steps {
				pass(s.pass)
				if err := c.Change(s.to); err != nil {
					t.Fatal(err)
				}
				if at = at.Add(s.to.Jump); s.to.Rate != 0 {
					rate = s.to.Rate
				}
				pass(time.Microsecond)
			}
			pass(130 * time.Hour)
			if woken != nil {
				t.Error("never woken")
			}
			select {
			case <-never:
				t.Error("who gave up was woken")
			default:
			}
			if _, is, ahead := c.State(); is != rate || ahead < 0 {
				t.Errorf("rate %v, ahead %v", is, ahead)
			}
		})
	})
}

// A clock that has come too far goes on as the system's.
func TestClockIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock()
		if err := c.Change(control.ClockChange{Rate: control.MaxClockRate}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * 365 * 24 * time.Hour)
		if _, _, ahead := c.State(); ahead != mostAhead {
			t.Errorf("%v ahead", ahead)
		}
		if err := c.Change(control.ClockChange{Jump: time.Hour}); err != nil {
			t.Fatal(err)
		}
		at := c.Now()
		c2, stop := c.After(time.Hour)
		defer stop()
		<-c2
		if c.Now().Sub(at) != time.Hour {
			t.Errorf("an hour took %v", c.Now().Sub(at))
		}
	})
}

// A clock goes neither back nor too fast.
func TestClockRefuses(t *testing.T) {
	c := NewClock()
	for _, change := range []control.ClockChange{{Rate: -1}, {Rate: 0.5}, {Rate: control.MaxClockRate + 1}, {Rate: math.NaN()}, {Rate: math.Inf(1)}, {Jump: -1}, {Jump: control.MaxClockJump + 1}} {
		if err := c.Change(change); err == nil {
			t.Errorf("%+v passes", change)
		}
	}
	if _, rate, ahead := c.State(); rate != 1 || ahead != 0 {
		t.Errorf("rate %v, ahead %v", rate, ahead)
	}
}
