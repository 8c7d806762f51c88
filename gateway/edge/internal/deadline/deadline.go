// Package deadline is what a net.Conn of one's own needs for its SetDeadline: a time whose passing can be selected on.
package deadline

import (
	"sync"
	"time"
)

// Deadline is a time, or none. It may be set anew at any time, by any goroutine; who waits must have Passed anew for each
// wait. Make one with New.
type Deadline struct {
	mu    sync.Mutex
	ch    chan struct{}
	timer *time.Timer
	turn  int
}

// New is a Deadline that never passes.
func New() *Deadline { return &Deadline{ch: make(chan struct{})} }

// Passed is closed when the deadline that is set has passed. A wait that has begun sees a deadline that is set to a nearer
// time, and one that has passed; it does not see one that is taken back after it has passed.
func (d *Deadline) Passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ch
}

// Set sets the time. The zero time is none.
func (d *Deadline) Set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.turn++
	select {
	case <-d.ch:
		d.ch = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		close(d.ch)
		return
	}
	turn := d.turn
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.turn == turn {
			close(d.ch)
		}
	})
}
