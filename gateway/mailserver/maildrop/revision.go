package maildrop

import (
	"sync"
	"time"
)

// revision counts the changes of the queue, for who looks at it.
type revision struct {
	mu      sync.Mutex
	number  uint64
	changed chan struct{} // closed at the next change
}

// newRevision begins above every number of an earlier process, if the clock was
// not set back.
func newRevision() *revision {
	return &revision{number: uint64(time.Now().UnixMicro()), changed: make(chan struct{})}
}

func (r *revision) change() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	close(r.changed)
	r.changed = make(chan struct{})
}

// QueueRevision is a number that grows with every change of the queue's rows, and
// changed is closed when it does so next. What is read of the queue afterwards is
// of this revision or a later one.
func (s *Store) QueueRevision() (number uint64, changed <-chan struct{}) {
	r := s.revision
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.number, r.changed
}
