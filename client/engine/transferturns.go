package engine

import (
	"context"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// mostRunning is how many transfers of one site run at a time: a second one fills the pauses of the first, and servers
// allow few sessions for one user. Deletions, and files for a draft, for which somebody waits, run beside them, one at a time.
const mostRunning = 2

func (x *transfers) wake() { ask(x.toRun) }

// unblock lets transfers of a site go on that waited for something about it.
func (x *transfers) unblock(s *site) {
	for _, t := range x.all() {
		if t.site == s {
			t.mu.Lock()
			t.blocked, t.retryAt = false, time.Time{}
			t.mu.Unlock()
		}
	}
	x.wake()
	x.tidy(s)
}

// gatewayHere lets them go on that waited for the gateway, or for the next attempt.
func (x *transfers) gatewayHere() {
	for _, t := range x.all() {
		t.mu.Lock()
		t.retryAt = time.Time{}
		t.mu.Unlock()
	}
	x.wake()
	x.tidyAll()
}

// keepTransferring runs transfers until ctx ends, and waits for them.
func (x *transfers) keepTransferring(ctx context.Context) {
	x.mu.Lock()
	x.running = ctx
	x.mu.Unlock()
	x.tidyAll()
	defer func() {
		x.mu.Lock()
		x.running = nil
		x.mu.Unlock()
		x.tasks.Wait()
	}()
	for ctx.Err() == nil {
		var wait <-chan time.Time
		if next := x.startDue(ctx); !next.IsZero() {
			wait = x.e.Clock.After(max(next.Sub(x.e.Clock.Now()), 0))
		}
		select {
		case <-x.toRun:
		case <-wait:
		case <-ctx.Done():
		}
	}
}

// lane is where transfers of a site run one after another, or two at a time. direction is that of those which have one of their own.
type lane struct {
	site      *site
	direction api.Direction
}

func (t *transfer) lane() lane {
	l := lane{site: t.site}
	if !t.durable() {
		l.direction = t.rec.Direction
	}
	return l
}

func (l lane) most() int {
	if l.direction != "" {
		return 1
	}
	return mostRunning
}

// startDue starts what may run, and says when there may be more: zero for when somebody says so.
func (x *transfers) startDue(ctx context.Context) (next time.Time) {
	now, online := x.e.Clock.Now(), x.e.online()
	list := x.all()
	busy := map[lane]int{}
	for _, t := range list {
		t.mu.Lock()
		if t.running != nil {
			busy[t.lane()]++
		}
		t.mu.Unlock()
	}
	soonest := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for _, t := range list {
		t.mu.Lock()
		due := t.retryAt
		if t.rec.Direction == api.Deleting {
			due = t.until
		}
		if !t.takenAt.IsZero() {
			soonest(t.takenAt.Add(takenFor))
			if now.Sub(t.takenAt) >= takenFor {
				t.mu.Unlock()
				x.forget(t)
				continue
			}
		}
		waiting := t.rec.State == api.TransferWaiting && t.running == nil && !t.blocked && !t.gone
		switch {
		case !waiting || !online:
		case due.After(now):
			soonest(due)
		case busy[t.lane()] >= t.lane().most():
		default:
			busy[t.lane()]++
			t.rec.State, t.rec.Problem, t.retryAt, t.until = api.TransferRunning, nil, time.Time{}, time.Time{}
			t.rate.begin(now, t.done)
			t.feed.open()
			ctx, cancel := context.WithCancel(ctx)
			t.running = &task{cancel: cancel, done: make(chan struct{})}
			done := t.running.done
			x.tasks.Go(func() {
				defer close(done)
				defer cancel()
				t.run(ctx)
			})
		}
		t.mu.Unlock()
	}
	return next
}
