package tunnel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// highWater is how many bytes of a session may wait for the carrier before its conns stop writing. It covers one
// message on its way and one being gathered; with more, a ping or a small stream's line waits behind more bulk.
const highWater = 2 * wire.MaxMessage

// maxChunk is the largest payload of a data frame: what a large write on one stream may put before a small one on
// another. Two such frames make a message.
const maxChunk = wire.MaxMessage/2 - headerSize

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
		opens:   newBucket(float64(o.OpensPerSecond), time.Now()),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.mu.Lock()
	c.beatTime = time.AfterFunc(o.KeepAlive, c.beat)
	c.mu.Unlock()
	var ends sync.WaitGroup
	ends.Go(c.receive)
	ends.Go(c.send)
	go func() {
		<-c.closed
		_ = mc.Close(closeReason(c.err()))
		c.cancel()
		ends.Wait()
		close(c.gone)
	}()
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

// receive brings messages from the MessageConn to yamux's reader, one at a time. It is apart from that reader so that a
// MessageConn that is slow to close (a browser's, when the network is gone) does not hold the session's end up.
func (c *carrier) receive() {
	for {
		m, err := c.mc.Read(c.ctx)
		if err != nil {
			c.fail(fmt.Errorf("tunnel: reading: %w", err))
			return
		}
		if len(m) > wire.MaxMessage {
			c.fail(fmt.Errorf("%w: a message of %d bytes", ErrProtocol, len(m)))
			return
		}
		c.heard.Store(int64(time.Since(c.began)))
		select {
		case c.messages <- m:
		case <-c.closed:
			return
		}
		select {
		case <-c.taken:
		case <-c.closed:
			return
		}
	}
}

// Read gives yamux's reader the peer's frames, each only when all of it is here: yamux holds locks while it waits for the
// rest of one, and a peer that never sends it would hang the stream's calls, deadlines and all.
func (c *carrier) Read(p []byte) (n int, err error) {
	defer c.survive(&err)
	for {
		switch {
		case len(c.handing) > 0:
			n = copy(p, c.handing)
			c.handing = c.handing[n:]
			return n, nil
		case c.in.between() && c.nextReset():
			// handing holds it
		case len(c.current) == 0:
			if err := c.fetch(); err != nil {
				return 0, err
			}
		case len(c.whole) > 0:
			k := min(len(c.current), c.in.payload)
			c.whole = append(c.whole, c.current[:k]...)
			c.current = c.current[k:]
			if c.in.payload -= k; c.in.payload == 0 {
				c.handing, c.whole, c.spare = c.whole, nil, c.whole[:0]
			}
		case c.in.payload > 0:
			n = copy(p[:min(len(p), c.in.payload)], c.current)
			c.current = c.current[n:]
			c.in.payload -= n
			return n, nil
		default:
			if err := c.header(); err != nil {
				c.fail(err)
				return 0, err
			}
		}
	}
}

// header takes what it can of a header and, when it is whole, lets it pass or not.
func (c *carrier) header() error {
	rest, whole := c.in.gather(c.current)
	c.current = rest
	if !whole {
		return nil
	}
	if err := c.arrived(&c.in.header); err != nil {
		return err
	}
	if c.in.payload > len(c.current) {
		if cap(c.spare) > 2*wire.MaxMessage {
			c.spare = nil
		}
		c.whole = append(c.spare, c.in.header[:]...)
	} else {
		c.handing = c.in.header[:]
	}
	return nil
}

// fetch waits for the next message, or returns for a reset to be handed over.
func (c *carrier) fetch() error {
	if c.inHand {
		select {
		case c.taken <- struct{}{}:
			c.inHand = false
		case <-c.closed:
			return ErrSessionClosed
		}
	}
	select {
	case c.current = <-c.messages:
		c.inHand = true
		return nil
	case <-c.wake:
		return nil
	case <-c.closed:
		return ErrSessionClosed
	}
}

// nextReset hands yamux the next RST of our own making.
func (c *carrier) nextReset() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.resets) == 0 {
		return false
	}
	h := newHeader(typeWindowUpdate, flagRST, c.resets[0], 0)
	c.resets = c.resets[1:]
	c.handing = h[:]
	return true
}

// Write takes frames from yamux's writer, which hands over a header and then its payload. They go into the queue
// together, so that a frame of ours never lands between them.
func (c *carrier) Write(p []byte) (n int, err error) {
	defer c.survive(&err)
	n = len(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(p) > 0 {
		if due := c.out.payload; due > 0 {
			if len(p) < due {
				return 0, errors.New("tunnel: yamux wrote a payload in parts")
			}
			c.pending = append(append(c.pending, c.out.header[:]...), p[:due]...)
			c.out.payload = 0
			p = p[due:]
			continue
		}
		var whole bool
		if p, whole = c.out.gather(p); whole {
			c.departing(&c.out.header)
			if c.out.payload == 0 {
				c.pending = append(c.pending, c.out.header[:]...)
			}
		}
	}
	notify(c.work)
	if len(c.pending) > 2*highWater+(c.o.Streams+1)*2*maxChunk {
		c.failLocked(ErrStalled) // longer than any honest use can make it
	}
	return n, c.alive()
}

func (c *carrier) alive() error {
	select {
	case <-c.closed:
		return ErrSessionClosed
	default:
		return nil
	}
}

// send writes what is queued to the MessageConn, as many frames to a message as there are.
func (c *carrier) send() {
	watchdog := time.AfterFunc(time.Hour, func() { c.fail(ErrStalled) })
	watchdog.Stop()
	defer watchdog.Stop()
	var batch []byte
	for {
		select {
		case <-c.work:
		case <-c.closed:
			return
		}
		batch = c.take(batch)
		for b := batch; len(b) > 0; {
			n := message(b)
			watchdog.Reset(c.o.DeadAfter)
			err := c.mc.Write(c.ctx, b[:n])
			watchdog.Stop()
			if err != nil {
				c.fail(fmt.Errorf("tunnel: writing: %w", err))
				return
			}
			b = b[n:]
			c.written(n)
		}
	}
}

// message is how much of the queued frames goes into the next message. It ends between two frames, for a frame in two
// messages must be put together again.
func message(b []byte) (n int) {
	for n < len(b) {
		var f frames
		f.gather(b[n:])
		size := headerSize + f.payload
		if n+size > wire.MaxMessage {
			break
		}
		n += size
	}
	if n == 0 {
		n = min(len(b), wire.MaxMessage) // a frame that is longer, were there one
	}
	return n
}

// take swaps the queue for the buffer that the sender has emptied.
func (c *carrier) take(empty []byte) (batch []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cap(empty) > 4*highWater {
		empty = nil // a burst's buffer need not stay for the session's life
	}
	batch, c.pending = c.pending, empty[:0]
	c.flying = len(batch)
	return batch
}

func (c *carrier) written(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying -= n
	if c.room != nil && len(c.pending)+c.flying < highWater {
		close(c.room)
		c.room = nil
	}
}

// full returns nil if a conn may write now, else a channel that is closed when it may ask again.
func (c *carrier) full() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending)+c.flying < highWater {
		return nil
	}
	if c.room == nil {
		c.room = make(chan struct{})
	}
	return c.room
}

// inject queues a frame of our own between yamux's. c.mu is held.
func (c *carrier) inject(h header) {
	c.pending = append(c.pending, h[:]...)
	notify(c.work)
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
