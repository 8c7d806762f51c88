package delivery

import (
	"container/list"
	"context"
	"sync"
)

// slots are places for so many at a time. Who comes when all are taken waits, and is served in the order of coming.
type slots struct {
	mu      sync.Mutex
	most    int
	taken   int
	waiting list.List // of chan struct{}, closed when a place is theirs
}

func newSlots(most int) *slots { return &slots{most: most} }

// tryTake takes a place if there is one and nobody waits.
func (s *slots) tryTake() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.waiting.Len() > 0 {
		return false
	}
	s.taken++
	return true
}

// take takes a place, and waits for it until ctx ends.
func (s *slots) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.taken < s.most && s.waiting.Len() == 0 {
		s.taken++
		s.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	e := s.waiting.PushBack(mine)
	s.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-mine: // it came at the same time, and goes to the next
		s.taken--
		s.serve()
	default:
		s.waiting.Remove(e)
	}
	return ctx.Err()
}

// leave gives a place back.
func (s *slots) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.serve()
}

// serve gives free places to those who wait.
func (s *slots) serve() {
	for s.taken < s.most && s.waiting.Len() > 0 {
		s.taken++
		close(s.waiting.Remove(s.waiting.Front()).(chan struct{}))
	}
}
