package mailtest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Pipe returns the two ends of a connection in memory. Unlike [net.Pipe] it buffers, as a network does: writes do not
// wait for reads until the buffer is full (256 KiB). Faults, nil for none, is what happens to the octets that travel
// from b to a: by habit a is the client's end and b the server's.
func Pipe(f *Faults) (a, b net.Conn) {
	down, up := newHalf(f), newHalf(nil)
	ca := &pipeConn{in: down, out: up, name: "a"}
	cb := &pipeConn{in: up, out: down, name: "b"}
	return ca, cb
}

const pipeBuffer = 256 << 10

// half is one direction of a pipe.
type half struct {
	faults *Faults

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at each change
	buf      []byte
	octets   int64 // read from it so far
	finished bool  // the writer closed: EOF after the buffer
	broken   bool  // the reader closed: writes fail
}

func newHalf(f *Faults) *half { return &half{faults: f, changed: make(chan struct{})} }

func (h *half) notify() {
	close(h.changed)
	h.changed = make(chan struct{})
}

type pipeConn struct {
	in, out     *half
	name        string
	read, write deadline
	closeOnce   sync.Once
	mu          sync.Mutex
	closed      bool
}

// deadline is a point in time that can move while somebody waits for it.
type deadline struct {
	mu    sync.Mutex
	at    time.Time
	moved chan struct{}
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = t
	if d.moved != nil {
		close(d.moved)
	}
	d.moved = make(chan struct{})
}

func (d *deadline) get() (at time.Time, moved chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.moved == nil {
		d.moved = make(chan struct{})
	}
	return d.at, d.moved
}

// wait waits for a change, for the deadline to move, or for its time.
func (d *deadline) wait(changed chan struct{}) {
	at, moved := d.get()
	var over <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-changed:
	case <-moved:
	case <-over:
	}
}

func (d *deadline) over() bool {
	at, _ := d.get()
	return !at.IsZero() && !time.Now().Before(at)
}

func (c *pipeConn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Read implements net.Conn.
func (c *pipeConn) Read(p []byte) (int, error) {
	h := c.in
	for {
		if c.isClosed() {
			return 0, net.ErrClosed
		}
		if c.read.over() {
			return 0, os.ErrDeadlineExceeded
		}
		h.mu.Lock()
		n, verdict := h.faults.allow(h.octets, len(h.buf), len(p))
		switch {
		case verdict == cutHere:
			h.mu.Unlock()
			return 0, io.EOF
		case n > 0:
			copy(p, h.buf[:n])
			h.buf = h.buf[n:]
			h.octets += int64(n)
			h.notify()
			h.mu.Unlock()
			return n, nil
		case h.finished && verdict != stallHere:
			h.mu.Unlock()
			return 0, io.EOF
		}
		changed := h.changed
		h.mu.Unlock()
		c.read.wait(changed)
	}
}

// Write implements net.Conn.
func (c *pipeConn) Write(p []byte) (int, error) {
	h := c.out
	total := 0
	for {
		if c.isClosed() {
			return total, net.ErrClosed
		}
		if c.write.over() {
			return total, os.ErrDeadlineExceeded
		}
		h.mu.Lock()
		if h.broken {
			h.mu.Unlock()
			return total, io.ErrClosedPipe
		}
		if room := pipeBuffer - len(h.buf); room > 0 || len(p) == 0 {
			n := min(room, len(p))
			h.buf = append(h.buf, p[:n]...)
			p = p[n:]
			total += n
			h.notify()
		}
		changed := h.changed
		h.mu.Unlock()
		if len(p) == 0 {
			return total, nil
		}
		c.write.wait(changed)
	}
}

// CloseWrite ends the direction away from this end: the other reads EOF after what was written.
func (c *pipeConn) CloseWrite() error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.finished = true
	c.out.notify()
	return nil
}

// Close implements net.Conn.
func (c *pipeConn) Close() error {
	c.closeOnce.Do(func() {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.CloseWrite()
		c.in.mu.Lock()
		c.in.broken = true
		c.in.notify()
		c.in.mu.Unlock()
		c.SetDeadline(time.Unix(1, 0))
	})
	return nil
}

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

func (c *pipeConn) LocalAddr() net.Addr                { return pipeAddr(c.name) }
func (c *pipeConn) RemoteAddr() net.Addr               { return pipeAddr("peer of " + c.name) }
func (c *pipeConn) SetReadDeadline(t time.Time) error  { c.read.set(t); return nil }
func (c *pipeConn) SetWriteDeadline(t time.Time) error { c.write.set(t); return nil }
func (c *pipeConn) SetDeadline(t time.Time) error {
	c.read.set(t)
	c.write.set(t)
	return nil
}
