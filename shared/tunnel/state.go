package tunnel

import (
	"fmt"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// Phase is where a Dialer is.
type Phase int

const (
	Offline    Phase = iota // no session; the next attempt is at RetryAt
	Connecting              // an attempt is under way
	Online                  // there is a session; Welcome is set
)

func (p Phase) String() string {
	switch p {
	case Offline:
		return "offline"
	case Connecting:
		return "connecting"
	case Online:
		return "online"
	}
	return fmt.Sprintf("Phase(%d)", int(p))
}

// State is what a Dialer tells of itself.
type State struct {
	Phase   Phase
	Welcome *wire.Welcome // of the session, when Online
	RetryAt time.Time     // when Offline; zero when Run is not running
	Err     error         // why the last session or attempt ended; a *wire.RefusedError if the gateway said no
}

// subscribers passes states on. Each subscriber gets them in the order in which they came about, one call at a time,
// from a goroutine that holds no lock. One that is slow misses states in between, never the last.
type subscribers struct {
	mu    sync.Mutex
	state State
	list  []*subscriber
}

type subscriber struct {
	fn        func(State)
	waiting   []State
	running   bool
	cancelled bool
}

// backlog is how many states wait for a slow subscriber before the last gives way to the next.
const backlog = 8

func (s *subscribers) current() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *subscribers) publish(st State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = st
	for _, sub := range s.list {
		s.pass(sub, st)
	}
}

// subscribe calls fn with the state as it is, and then with each that follows.
func (s *subscribers) subscribe(fn func(State)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := &subscriber{fn: fn}
	s.list = append(s.list, sub)
	s.pass(sub, s.state)
	return func() { s.cancel(sub) }
}

func (s *subscribers) cancel(sub *subscriber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.cancelled = true
	sub.waiting = nil
	for i := range s.list {
		if s.list[i] == sub {
			s.list = append(s.list[:i:i], s.list[i+1:]...)
			return
		}
	}
}

// pass queues st; s.mu is held.
func (s *subscribers) pass(sub *subscriber, st State) {
	if len(sub.waiting) == backlog {
		sub.waiting = sub.waiting[:backlog-1]
	}
	sub.waiting = append(sub.waiting, st)
	if !sub.running {
		sub.running = true
		go s.run(sub)
	}
}

func (s *subscribers) run(sub *subscriber) {
	for {
		s.mu.Lock()
		if len(sub.waiting) == 0 || sub.cancelled {
			sub.running = false
			s.mu.Unlock()
			return
		}
		st := sub.waiting[0]
		sub.waiting = sub.waiting[1:]
		s.mu.Unlock()
		sub.fn(st)
	}
}
