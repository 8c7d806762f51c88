package tunnel

import "time"

// alarm is a deadline, of the lock of whoever has it.
type alarm struct {
	passed bool
	timer  *time.Timer
	turn   int
}

// set sets the time; the zero time is none. When it comes, locked is called with a function that it is to call with the lock
// held, and then has to wake who waits.
func (a *alarm) set(t time.Time, locked func(ring func())) {
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
	a.turn++
	a.passed = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		a.passed = true
		return
	}
	turn := a.turn
	a.timer = time.AfterFunc(left, func() {
		locked(func() {
			if a.turn == turn {
				a.passed = true
			}
		})
	})
}
