package bridge

import (
	"context"
	"net/http"
	"time"
)

// A refusal costs, too: to tell a page why, the gateway makes a session of it. So a client that comes too fast is told so some times
// in a minute, and from then on gets a status alone, which it has to wait for: one that asks for the next when it has its answer
// is slow by that. Those who wait are few, for each has a connection.

const (
	// toldPerMinute is how often in a minute a client is told in words that it comes too fast: a page that comes back tries
	// about once a second at first, and later less often.
	toldPerMinute = 60
	// mostWaiting is how many may wait at a time. Others have their answer at once.
	mostWaiting = 256
)

// turnAway answers a handshake that comes to nothing.
func (b *Bridge) turnAway(w http.ResponseWriter, r *http.Request, status int) {
	if status == http.StatusTooManyRequests {
		b.letWait(r.Context())
	}
	w.Header().Set("Retry-After", "5")
	http.Error(w, http.StatusText(status), status)
}

// letWait is delay for no more than mostWaiting at a time.
func (b *Bridge) letWait(ctx context.Context) {
	if b.waiting.Add(1) > mostWaiting {
		b.waiting.Add(-1)
		return
	}
	defer b.waiting.Add(-1)
	b.delay(ctx)
}

// delay returns after Limits.TokenDelay, or when ctx ends.
func (b *Bridge) delay(ctx context.Context) {
	delay := time.NewTimer(b.c.Limits.TokenDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-ctx.Done():
	}
}
