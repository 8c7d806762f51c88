package engine

import (
	"slices"
	"sync"

	"github.com/postern-mail/postern/client/api"
)

// subscribers gets every event in one order. What an event tells is read while it is being sent, so that a later event
// never tells an earlier state.
type subscribers struct {
	mu   sync.Mutex // taken before the lock of an account, never after
	last int
	subs []subscriber
}

type subscriber struct {
	id int
	fn func(api.Event)
}

// Subscribe calls fn for every event, in order, one at a time. fn must neither block nor call the engine.
func (e *Engine) Subscribe(fn func(api.Event)) (cancel func()) { return e.events.add(fn) }

func (s *subscribers) add(fn func(api.Event)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := s.last
	s.subs = append(s.subs, subscriber{id, fn})
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.subs = slices.DeleteFunc(s.subs, func(sub subscriber) bool { return sub.id == id })
	}
}

// emit sends what read answers to every subscriber.
func (s *subscribers) emit(read func() api.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.subs) == 0 {
		return
	}
	e := read()
	for _, sub := range s.subs {
		sub.fn(e)
	}
}
