package engine

import (
	"context"
	"time"
)

// tellEvery is how often a page hears how far a fetch is. A person sees it grow, and a page that is drawn anew for each of
// twenty batches a second would take a third of the machine from the fetch.
const tellEvery = 500 * time.Millisecond

// progressed counts what was stored, and lets the page know soon.
func (f *fetch) progressed(messages int) {
	a := f.account
	a.mu.Lock()
	a.sync.Done += messages
	a.mu.Unlock()
	ask(f.toTell)
}

// tellProgress tells of what progressed counts until stop is called.
func (f *fetch) tellProgress(ctx context.Context) (stop func()) {
	f.toTell = make(chan struct{}, 1)
	return startTask(ctx, func(ctx context.Context) {
		for {
			select {
			case <-f.toTell:
				f.account.announce()
			case <-ctx.Done():
				return
			}
			select {
			case <-f.account.e.Clock.After(tellEvery):
			case <-ctx.Done():
				return
			}
		}
	}).stop
}
