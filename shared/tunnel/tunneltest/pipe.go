// Package tunneltest has what tests of the tunnel and of what stands on it need: a MessageConn in memory that can be
// cut and stalled at any byte, and a gateway in memory.
package tunneltest

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/postern-mail/postern/shared/tunnel"
)

// Faults say what happens to one direction of a pipe. The zero Faults: nothing.
type Faults struct {
	CutAfterBytes    int64 // both directions end when so many bytes have been written; the message is cut there
	CutAfterMessages int   // both directions end when so many messages have been written
	StallAfterBytes  int64 // from the message that reaches this on, nothing is read any more
	Buffer           int   // bytes that may be on their way; Write waits for room. Default 256 KiB, negative: no bound
}

// ErrCut is what both ends of a pipe get once it is cut.
var ErrCut = errors.New("tunneltest: cut")

// Pipe returns the two ends of a message pipe. It never splits or merges messages.
func Pipe(toServer, toClient Faults) (client, server *Conn) {
	p := &pipe{}
	up, down := newHalf(p, toServer), newHalf(p, toClient)
	p.halves = [2]*half{up, down}
	return &Conn{in: down, out: up, p: p}, &Conn{in: up, out: down, p: p}
}

// Conn is one end of a pipe.
type Conn struct {
	in, out *half
	p       *pipe
}

var _ tunnel.MessageConn = (*Conn)(nil)

// Read implements tunnel.MessageConn. It returns io.EOF when the other end is closed and all is read.
func (c *Conn) Read(ctx context.Context) ([]byte, error) { return c.in.read(ctx) }

// Write implements tunnel.MessageConn.
func (c *Conn) Write(ctx context.Context, p []byte) error { return c.out.write(ctx, p) }

// Close implements tunnel.MessageConn. The other end still reads what was written.
func (c *Conn) Close(reason string) error {
	c.in.abandon()
	c.out.finish(io.EOF)
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.p.reason == "" {
		c.p.reason = reason
	}
	return nil
}

// Reason is what the end that closed first gave.
func (c *Conn) Reason() string {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.p.reason
}

// Cut ends both directions at once; what is on its way is lost.
func (c *Conn) Cut() { c.p.cut() }

// Stall keeps this end's Read waiting from now on, whatever comes.
func (c *Conn) Stall() { c.in.setStalled(true) }

// Resume ends Stall.
func (c *Conn) Resume() { c.in.setStalled(false) }

// Sent is how many bytes this end has written.
func (c *Conn) Sent() int64 {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.bytes
}

type pipe struct {
	halves [2]*half
	mu     sync.Mutex
	reason string
}

func (p *pipe) cut() {
	for _, h := range p.halves {
		h.cut()
	}
}

// half is one direction.
type half struct {
	p      *pipe
	faults Faults

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced at each change
	queue     [][]byte
	queued    int
	bytes     int64
	messages  int
	stalled   bool
	writerEnd error // what the reader gets when the queue is empty
	readerEnd bool  // nobody reads
}

// cost is what a message takes of a Buffer: even an empty one takes something.
func cost(m []byte) int { return len(m) + 64 }

func newHalf(p *pipe, f Faults) *half {
	if f.Buffer == 0 {
		f.Buffer = 256 << 10
	}
	return &half{p: p, faults: f, changed: make(chan struct{})}
}

func (h *half) signal() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *half) read(ctx context.Context) ([]byte, error) {
	h.mu.Lock()
	for {
		switch {
		case h.readerEnd:
			h.mu.Unlock()
			return nil, ErrCut
		case len(h.queue) > 0 && !h.stalled:
			m := h.queue[0]
			h.queue = h.queue[1:]
			h.queued -= cost(m)
			h.signal()
			h.mu.Unlock()
			return m, nil
		case h.writerEnd != nil && len(h.queue) == 0:
			defer h.mu.Unlock()
			return nil, h.writerEnd
		}
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		h.mu.Lock()
	}
}

func (h *half) write(ctx context.Context, p []byte) error {
	h.mu.Lock()
	for h.faults.Buffer > 0 && h.queued > 0 && h.queued+cost(p) > h.faults.Buffer && h.writerEnd == nil && !h.readerEnd {
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		h.mu.Lock()
	}
	defer h.mu.Unlock()
	if h.writerEnd != nil || h.readerEnd {
		return ErrCut
	}
	h.messages++
	cut := h.faults.CutAfterMessages > 0 && h.messages >= h.faults.CutAfterMessages
	if limit := h.faults.CutAfterBytes; limit > 0 && h.bytes+int64(len(p)) >= limit {
		p = p[:limit-h.bytes]
		cut = true
	}
	h.bytes += int64(len(p))
	h.stalled = h.stalled || h.faults.StallAfterBytes > 0 && h.bytes >= h.faults.StallAfterBytes
	h.queue = append(h.queue, append([]byte(nil), p...))
	h.queued += cost(p)
	if cut {
		for _, other := range h.p.halves {
			if other != h {
				go other.finish(ErrCut)
			}
		}
		h.writerEnd = ErrCut
	}
	h.signal()
	return nil
}

func (h *half) finish(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.writerEnd == nil {
		h.writerEnd = why
		h.signal()
	}
}

func (h *half) abandon() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readerEnd = true
	h.signal()
}

func (h *half) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue, h.queued = nil, 0
	h.writerEnd, h.readerEnd = ErrCut, true
	h.signal()
}

func (h *half) setStalled(stalled bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stalled = stalled
	h.signal()
}
