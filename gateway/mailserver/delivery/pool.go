package delivery

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// pool has the sessions that are kept for the next message, and the turns of those who want to send.
type pool struct {
	limits Limits
	dials  *slots // of attempts that connect
	open   *slots // of sessions

	mu           sync.Mutex
	destinations map[string]*destination
	idle         list.List // of *kept, the longest idle first
	closed       bool
	running      sync.WaitGroup // attempts, idle sessions and farewells
}

// destination is where mail goes that may share connections.
type destination struct {
	name  string
	users int // attempts that have it, or wait for their turn
	turns *slots
	idle  []*kept // the latest last
	open  int     // sessions, those that are idle included
	begun int     // attempts at a session that are under way
}

// kept is an idle session.
type kept struct {
	*session
	to *destination
	in *list.Element // of pool.idle
}

// farewell bounds the waiting for the answer to QUIT.
const farewell = 5 * time.Second

func newPool(l Limits) *pool {
	return &pool{limits: l, dials: newSlots(l.Dials), open: newSlots(l.Connections), destinations: make(map[string]*destination)}
}

// enter answers the destination of that name, for leave to be called; nil when the pool is closed.
func (p *pool) enter(name string) *destination {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.running.Add(1)
	to := p.destinations[name]
	if to == nil {
		to = &destination{name: name, turns: newSlots(p.limits.PerDestination)}
		p.destinations[name] = to
	}
	to.users++
	return to
}

func (p *pool) leave(to *destination) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to.users--
	p.tidy(to)
	p.running.Done()
}

// tidy forgets a destination that nobody needs.
func (p *pool) tidy(to *destination) {
	if to.users == 0 && to.open == 0 {
		delete(p.destinations, to.name)
	}
}

// take answers the session that became idle last: it is the likeliest to live.
func (p *pool) take(to *destination) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(to.idle) == 0 {
		return nil
	}
	k := to.idle[len(to.idle)-1]
	p.pull(k)
	p.running.Done()
	return k.session
}

// pull takes an idle session out. It answers false for one that is out already.
func (p *pool) pull(k *kept) bool {
	for i, other := range k.to.idle {
		if other == k {
			k.to.idle = append(k.to.idle[:i], k.to.idle[i+1:]...)
			p.idle.Remove(k.in)
			k.session.idle.Stop()
			return true
		}
	}
	return false
}

// begin counts an attempt at a session, until admit or fail.
func (p *pool) begin(to *destination) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to.begun++
}

// admit waits for a place for the session that was made. The longest idle one gives way.
func (p *pool) admit(ctx context.Context, to *destination) error {
	err := p.open.take(ctx, p.giveWay)
	p.mu.Lock()
	defer p.mu.Unlock()
	to.begun--
	if err == nil {
		to.open++
	}
	return err
}

// fail ends an attempt at a session that came to nothing. A server that was busy may want no more sessions than there are: the
// destination's turns are lowered to those and the other attempts at one, and crowded is true. If there are none, it is not for us
// that it is busy.
func (p *pool) fail(to *destination, busy bool) (crowded bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to.begun--
	others := to.open + to.begun
	if !busy || others == 0 {
		return false
	}
	to.turns.limit(others) // counted and set in one step, or the count of one refused earlier would be set last
	return true
}

// giveWay ends the session that is idle for longest, if there is one.
func (p *pool) giveWay() {
	p.mu.Lock()
	first := p.idle.Front()
	if first == nil {
		p.mu.Unlock()
		return
	}
	k := first.Value.(*kept)
	p.pull(k)
	p.mu.Unlock()
	p.end(k.session, k.to)
	p.running.Done()
}

// keep takes a session back, for the next message or to end it.
func (p *pool) keep(s *session, to *destination) {
	s.recorder = nil
	if !s.client.Open() || s.messages >= p.limits.Messages {
		p.end(s, to)
		return
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.end(s, to)
		return
	}
	p.running.Add(1)
	k := &kept{session: s, to: to}
	k.in = p.idle.PushBack(k)
	to.idle = append(to.idle, k)
	s.idle = time.AfterFunc(p.limits.Idle, func() {
		p.mu.Lock()
		mine := p.pull(k)
		p.mu.Unlock()
		if mine {
			p.end(s, to)
			p.running.Done()
		}
	})
	p.mu.Unlock()
	if _, waiting := p.open.inUse(); waiting > 0 {
		p.giveWay()
	}
}

// end ends a session, and gives its place to the next. The farewell is said beside.
func (p *pool) end(s *session, to *destination) {
	s.recorder = nil
	if s.client.Open() {
		p.running.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), farewell)
			defer cancel()
			s.client.Quit(ctx)
			s.client.Close()
		})
	} else {
		s.client.Close()
	}
	p.mu.Lock()
	to.open--
	p.tidy(to)
	p.mu.Unlock()
	p.open.leave()
}

// close ends the idle sessions, and waits until all have ended, and all attempts.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for {
		p.mu.Lock()
		none := p.idle.Len() == 0
		p.mu.Unlock()
		if none {
			break
		}
		p.giveWay()
	}
	p.running.Wait()
}
