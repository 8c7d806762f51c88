package tunnel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// mux carries the streams of a session over a MessageConn. One goroutine reads, for as long as the session lives; another
// writes, for as long as there is something to write.
type mux struct {
	mc     MessageConn
	server bool
	o      Options

	closed chan struct{} // nothing goes in or out any more
	gone   chan struct{} // mc is closed and the goroutines have ended
	ends   sync.WaitGroup

	began time.Time
	heard atomic.Int64 // when the last message came, in nanoseconds since began
	in    inbound      // of the reader

	mu       sync.Mutex
	cause    error // why the session ends; the first counts
	out      outbound
	pace     pace
	streams  map[uint32]*Conn // that have not ended both ways
	last     uint32           // the highest id that we have opened
	goneAway bool             // the peer takes no more streams
	arrived  []*Conn          // opened by the peer, and not yet accepted
	arrival  chan struct{}    // tells of them; holds one
	accepted func(*Conn)      // takes them instead, once it is set
	bears    int              // how many streams there may be before a peer that opens another is taken for hostile
	stray    int              // bytes that may still come for streams that we have reset
	spare    int              // by how much the windows may still grow
	pings    bucket
	earned   int // bytes that have come since the last ping that they pay for
	opens    bucket
	beatTime *time.Timer
}

func newMux(mc MessageConn, server bool, o Options) *mux {
	now := time.Now()
	m := &mux{
		mc: mc, server: server, o: o, began: now,
		closed: make(chan struct{}), gone: make(chan struct{}), arrival: make(chan struct{}, 1),
		streams: make(map[uint32]*Conn), stray: initialWindow, // a stock yamux may let a frame slip behind its FIN
		bears: earlyStreams, spare: o.Window,
		pings: newBucket(pingsPerSecond, now), opens: newBucket(float64(o.OpensPerSecond), now),
		out: outbound{mark: leastMark}, pace: newPace(mc),
	}
	m.mu.Lock()
	m.beatTime = time.AfterFunc(o.KeepAlive, m.beat)
	m.mu.Unlock()
	m.ends.Go(m.receive)
	return m
}

// open opens a stream to the peer, of whom no more than limit are open then.
func (m *mux) open(remote string, limit int) (*Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.alive() != nil:
		return nil, m.ended()
	case len(m.streams) >= limit:
		return nil, ErrTooMany
	case m.goneAway || m.last > 1<<31:
		m.failLocked(fmt.Errorf("%w: it takes no more streams", ErrProtocol))
		return nil, m.ended()
	}
	m.last += 2
	if m.last == 2 {
		m.last = controlStream // the client's ids are odd
	}
	c := m.admit(m.last, remote)
	m.inject(newHeader(typeWindowUpdate, flagSYN, c.id, 0))
	return c, nil
}

// admit makes a new stream; m.mu is held.
func (m *mux) admit(id uint32, remote string) *Conn {
	c := newConn(m, id, remote)
	m.streams[id] = c
	return c
}

// accept waits for a stream that the peer opens.
func (m *mux) accept(ctx context.Context) (*Conn, error) {
	for {
		m.mu.Lock()
		if len(m.arrived) > 0 {
			c := m.arrived[0]
			m.arrived = m.arrived[1:]
			m.mu.Unlock()
			return c, nil
		}
		m.mu.Unlock()
		select {
		case <-m.arrival:
		case <-m.closed:
			return nil, m.sessionError()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// acceptBy has take called with each stream that the peer has opened and will open. It is called with m.mu held.
func (m *mux) acceptBy(take func(*Conn)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alive() != nil {
		return
	}
	m.accepted = take
	for _, c := range m.arrived {
		take(c)
	}
	m.arrived = nil
}

// fail ends the session for the reason given, or for none if it is nil. The first reason counts.
func (m *mux) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failLocked(err)
}

func (m *mux) failLocked(err error) {
	if m.alive() != nil {
		return
	}
	m.cause = err
	close(m.closed)
	m.beatTime.Stop()
	for id, c := range m.streams {
		c.sessionEnded(m.ended())
		delete(m.streams, id)
	}
	m.arrived = nil
	go func() {
		_ = m.mc.Close(closeReason(err))
		m.ends.Wait()
		m.mu.Lock()
		m.out.free()
		m.mu.Unlock()
		close(m.gone)
	}()
}

// sessionError is what a conn or an Open gets after the session's end.
func (m *mux) sessionError() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended()
}

// ended is sessionError; m.mu is held.
func (m *mux) ended() error {
	if m.cause != nil {
		return fmt.Errorf("%w: %w", ErrSessionClosed, m.cause)
	}
	return ErrSessionClosed
}

func (m *mux) err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cause
}

func (m *mux) alive() error {
	select {
	case <-m.closed:
		return ErrSessionClosed
	default:
		return nil
	}
}

// survive turns a panic in one of the goroutines into the session's end.
func (m *mux) survive() {
	if r := recover(); r != nil {
		go m.fail(fmt.Errorf("tunnel: panic: %v", r)) // who panics may hold the lock
	}
}

func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// closeReason is what the peer may read in the close frame. RFC 6455 section 5.5 leaves 123 bytes for it.
func closeReason(cause error) string {
	switch {
	case cause == nil:
		return "goodbye"
	case errors.Is(cause, ErrProtocol):
		return "protocol error"
	case errors.Is(cause, ErrSilent):
		return "silent for too long"
	case errors.Is(cause, ErrStalled):
		return "stalled for too long"
	}
	return "failed"
}
