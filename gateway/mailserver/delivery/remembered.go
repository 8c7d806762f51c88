package delivery

import (
	"sync"
	"time"
)

// remembered keeps values for a while, so many at most.
type remembered[V any] struct {
	now  func() time.Time
	keep time.Duration
	most int

	mu      sync.Mutex
	entries map[string]entry[V]
}

type entry[V any] struct {
	value V
	until time.Time
}

func newRemembered[V any](now func() time.Time, keep time.Duration, most int) *remembered[V] {
	return &remembered[V]{now: now, keep: keep, most: most, entries: make(map[string]entry[V])}
}

func (r *remembered[V]) get(key string) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.entries[key]
	if ok && !r.now().Before(e.until) {
		delete(r.entries, key)
		ok = false
	}
	if !ok {
		return value, false
	}
	return e.value, true
}

func (r *remembered[V]) put(key string, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if _, again := r.entries[key]; !again && len(r.entries) >= r.most {
		r.makeRoom(now)
	}
	r.entries[key] = entry[V]{value, now.Add(r.keep)}
}

// makeRoom drops what is over, and of what is not a tenth, any: it is only remembered for speed.
func (r *remembered[V]) makeRoom(now time.Time) {
	for k, e := range r.entries {
		if !now.Before(e.until) {
			delete(r.entries, k)
		}
	}
	for k := range r.entries {
		if len(r.entries) <= r.most*9/10 {
			break
		}
		delete(r.entries, k)
	}
}

func (r *remembered[V]) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.entries, key)
}
