package api

import (
	"context"
	"sync"
	"testing"
)

// fakeEngine answers what its function fields say and emits what a test tells it to.
type fakeEngine struct {
	Service // nil: a method that a test did not expect panics, which Serve survives

	status  func(context.Context) (Status, error)
	signIn  func(context.Context, SignIn) (Account, error)
	source  func(context.Context, MessageRef) ([]byte, error)
	upload  func(context.Context, Upload, []byte) (DraftAttachment, error)
	list    func(context.Context, ListQuery) (ListPage, error)
	syncNow func(context.Context, AccountID) error

	mu   sync.Mutex
	subs map[int]func(Event)
	n    int
}

func (f *fakeEngine) Status(ctx context.Context) (Status, error)            { return f.status(ctx) }
func (f *fakeEngine) SignIn(ctx context.Context, r SignIn) (Account, error) { return f.signIn(ctx, r) }
func (f *fakeEngine) Source(ctx context.Context, r MessageRef) ([]byte, error) {
	return f.source(ctx, r)
}
func (f *fakeEngine) List(ctx context.Context, r ListQuery) (ListPage, error) { return f.list(ctx, r) }
func (f *fakeEngine) SyncNow(ctx context.Context, a AccountID) error          { return f.syncNow(ctx, a) }
func (f *fakeEngine) Upload(ctx context.Context, r Upload, data []byte) (DraftAttachment, error) {
	return f.upload(ctx, r, data)
}

func (f *fakeEngine) Subscribe(fn func(Event)) func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subs == nil {
		f.subs = make(map[int]func(Event))
	}
	f.n++
	id := f.n
	f.subs[id] = fn
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subs, id)
	}
}

func (f *fakeEngine) emit(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fn := range f.subs {
		fn(e)
	}
}

// join serves engine to a client over a Pipe until the test ends. ended is closed when Serve has returned.
func join(t testing.TB, engine *fakeEngine, onEvent func(Event)) (c *Client, ended <-chan struct{}) {
	t.Helper()
	page, worker := Pipe()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		_ = Serve(context.Background(), worker, engine, engine)
	})
	c = NewClient(page, onEvent)
	wg.Go(func() { _ = c.Run(context.Background()) })
	t.Cleanup(func() {
		c.Close()
		wg.Wait()
	})
	return c, done
}
