package tunnel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// carrier is what yamux takes for its connection. Toward yamux it is a byte stream whose Write never waits, so that no
// window update, ping or FIN is ever held up by a slow peer; the waiting is done before yamux, by conns asking for room.
// It reads each frame's header on its way in and out, and so guards yamux (see guard.go).
type carrier struct {
	mc     MessageConn
	server bool
	o      Options

	ctx    context.Context // of mc's calls; ended when mc is closed
	cancel context.CancelFunc
	closed chan struct{} // nothing goes in or out any more
	gone   chan struct{} // mc is closed and its goroutines have ended
	ends   sync.WaitGroup

	began time.Time
	heard atomic.Int64 // when the last message came, in nanoseconds since began

	// Inbound, touched by yamux's reader alone but for the channels.
	messages chan []byte
	taken    chan struct{}
	current  []byte // what is left of the message in hand
	inHand   bool   // taken is due for it
	in       frames
	handing  []byte // what yamux is being given before anything else
	whole    []byte // a frame that comes in parts, as far as it has come
	spare    []byte // whole's memory, between such frames

	// Outbound, touched by yamux's writer alone.
	out frames

	mu         sync.Mutex
	cause      error             // why the session ends; the first counts
	pending    []byte            // waits for the sender
	flying     int               // of what the sender has taken, not yet written
	room       chan struct{}     // closed when queued falls below highWater; nil when nobody waits
	work       chan struct{}     // tells the sender; holds one
	wake       chan struct{}     // tells the reader of resets; holds one
	streams    map[uint32]*entry // by yamux stream id
	resets     []uint32          // streams that the reader is to reset in our yamux
	stray      int64             // bytes that may still come for streams that we have reset
	pings      bucket
	earned     int // bytes that have come since the last ping that they pay for
	pace       pace
	opens      bucket
	lastOpened uint32 // the highest stream id of our own
	beatTime   *time.Timer
}

func newCarrier(mc MessageConn, server bool, o Options) *carrier {
	c := &carrier{
		mc: mc, server: server, o: o, began: time.Now(),
		closed: make(chan struct{}), gone: make(chan struct{}),
		messages: make(chan []byte), taken: make(chan struct{}),
		work: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		streams: make(map[uint32]*entry),
		stray:   int64(o.Window), // a stock yamux may let a frame slip behind its FIN
		pings:   newBucket(pingsPerSecond, time.Now()),
		pace:    newPace(mc),
		opens:   newBucket(float64(o.OpensPerSecond), time.Now()),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.mu.Lock()
	c.beatTime = time.AfterFunc(o.KeepAlive, c.beat)
	c.mu.Unlock()
	c.ends.Go(c.receive)
	c.ends.Go(c.send)
	return c
}

// fail ends the session for the reason given, or for none if it is nil. The first reason counts.
func (c *carrier) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
}

func (c *carrier) failLocked(err error) {
	if c.alive() != nil {
		return
	}
	c.cause = err
	close(c.closed)
	c.beatTime.Stop()
	for id, e := range c.streams {
		e.stop()
		if e.conn != nil {
			e.conn.sessionEnded()
		}
		delete(c.streams, id)
	}
	go func() {
		_ = c.mc.Close(closeReason(err))
		c.cancel()
		c.ends.Wait()
		close(c.gone)
	}()
}

// Close is called by yamux when it ends: after our fail, which counts, or for a fault of the peer's that it found
// itself.
func (c *carrier) Close() error {
	c.fail(fmt.Errorf("%w: yamux", ErrProtocol))
	return nil
}

// sessionError is what a conn or an Open gets after the session's end.
func (c *carrier) sessionError() error {
	if cause := c.err(); cause != nil {
		return fmt.Errorf("%w: %w", ErrSessionClosed, cause)
	}
	return ErrSessionClosed
}

func (c *carrier) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func (c *carrier) alive() error {
	select {
	case <-c.closed:
		return ErrSessionClosed
	default:
		return nil
	}
}

// survive turns a panic beneath yamux, whose goroutines we cannot wrap, into the session's end.
func (c *carrier) survive(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("tunnel: panic: %v", r)
		go c.fail(*err)
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
