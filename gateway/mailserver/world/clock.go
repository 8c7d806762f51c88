package world

import (
	"fmt"
	"sync"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/queue"
	"github.com/postern-mail/postern/shared/control"
)

// Clock is the system's, until it is put forward or made to go faster. The zero Clock is not usable: see NewClock.
type Clock struct {
	mu      sync.Mutex
	rate    float64       // of its seconds in one of the system's
	since   time.Time     // when it began to go at this rate
	ahead   time.Duration // of the system's clock, then
	waiting map[*waiter]bool
}

var _ queue.Clock = (*Clock)(nil)

// waiter is one who waits for a time.
type waiter struct {
	due   time.Time
	c     chan time.Time // holds one
	timer *time.Timer
}

// NewClock makes a clock that goes as the system's does.
func NewClock() *Clock { return &Clock{rate: 1, since: time.Now(), waiting: map[*waiter]bool{}} }

// Now is the time by this clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	now := time.Now()
	return now.Round(0).Add(c.aheadAt(now)) // without the monotonic clock, which knows nothing of this one
}

// mostAhead is how far a clock comes: a duration has no room for 300 years. From there on it goes as the system's does.
const mostAhead = 100 * 365 * 24 * time.Hour

// aheadAt is how far this clock is ahead at a moment of the system's.
func (c *Clock) aheadAt(now time.Time) time.Duration {
	gained := (c.rate - 1) * float64(now.Sub(c.since))
	if float64(c.ahead)+gained >= float64(mostAhead) {
		return mostAhead
	}
	return c.ahead + time.Duration(gained)
}

// After is a channel that gets the time when so much of it has passed by this clock, and what gives that up.
func (c *Clock) After(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &waiter{due: c.now().Add(d), c: make(chan time.Time, 1)}
	c.waiting[w] = true
	c.arm(w)
	return w.c, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(w)
	}
}

// arm has a waiter looked at again when his time has come, if the clock goes on like this.
func (c *Clock) arm(w *waiter) {
	if w.timer != nil {
		w.timer.Stop()
	}
	left := time.Duration(float64(w.due.Sub(c.now())) / c.rate)
	w.timer = time.AfterFunc(max(left, 0)+1, func() { // the division may have lost a nanosecond
		c.mu.Lock()
		defer c.mu.Unlock()
		switch now := c.now(); {
		case !c.waiting[w]:
		case now.Before(w.due):
			c.arm(w)
		default:
			c.drop(w)
			w.c <- now
		}
	})
}

func (c *Clock) drop(w *waiter) {
	w.timer.Stop()
	delete(c.waiting, w)
}

// Change makes it go at another rate, puts it forward, or both. An error is a *control.Error.
func (c *Clock) Change(change control.ClockChange) error {
	switch {
	case change.Rate != 0 && !(change.Rate >= 1 && change.Rate <= control.MaxClockRate):
		return &control.Error{Kind: control.Invalid, Text: fmt.Sprintf("a clock goes 1 to %d times as fast, and not %v times", control.MaxClockRate, change.Rate)}
	case change.Jump < 0:
		return &control.Error{Kind: control.Invalid, Text: "a clock is put forward, and not back: mail would come from the future"}
	case change.Jump > control.MaxClockJump:
		return &control.Error{Kind: control.Invalid, Text: fmt.Sprintf("a clock is put forward by %v at most", control.MaxClockJump)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.ahead, c.since = min(c.aheadAt(now)+change.Jump, mostAhead), now
	if change.Rate != 0 {
		c.rate = change.Rate
	}
	for w := range c.waiting {
		c.arm(w)
	}
	return nil
}

// State is how fast it goes, and how far it is ahead of the system's clock.
func (c *Clock) State() (now time.Time, rate float64, ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now(), c.rate, c.aheadAt(time.Now())
}
