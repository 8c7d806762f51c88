package edge

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall/js"
	"time"

	"github.com/postern-mail/postern/gateway/edge/internal/deadline"
)

// Conn is a TCP connection of the platform's: a net.Conn with CloseWrite, with the deadlines of any other. What it has not
// been asked for stays with the platform, which takes no more from the peer than a little.
//
// A write whose deadline passes may go out all the same, so that it is the last one.
type Conn struct {
	socket, reader, writer js.Value
	remote                 addr
	readUntil, writeUntil  *deadline.Deadline

	reading sync.Mutex
	pending <-chan outcome // a read that nobody waits for any more: what it brings is the next read's
	rest    js.Value       // of what came, what has not been taken: a Uint8Array
	buffer  js.Value       // an ArrayBuffer, lent to the platform for each read
	readErr error

	writing  sync.Mutex
	writeErr error
	out      lent

	closing sync.Once
	closed  chan struct{}
}

var _ interface {
	net.Conn
	CloseWrite() error
} = (*Conn)(nil)

const (
	readSize  = 32 << 10 // what comes at once at most
	writeSize = 64 << 10 // what is handed to the platform at once at most
)

func newConn(socket js.Value, address string) *Conn {
	c := &Conn{
		socket: socket, remote: addr(address),
		// The platform fills the buffer it is given (a "bring your own buffer" reader), and copies nothing.
		reader:    socket.Get("readable").Call("getReader", map[string]any{"mode": "byob"}),
		writer:    socket.Get("writable").Call("getWriter"),
		readUntil: deadline.New(), writeUntil: deadline.New(),
		buffer: arrayBuffer.New(readSize),
		closed: make(chan struct{}),
	}
	// A promise that breaks while nobody looks is an error of the whole Worker's.
	for _, end := range []js.Value{socket, c.reader, c.writer} {
		settled(end.Get("closed"))
	}
	return c
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		passed := c.readUntil.Passed()
		if err := over(passed, c.closed); err != nil {
			return 0, c.op("read", err)
		}
		switch {
		case len(p) == 0:
			return 0, nil
		case !c.rest.IsUndefined():
			return c.take(p), nil
		case c.readErr == io.EOF:
			return 0, io.EOF
		case c.readErr != nil:
			return 0, c.op("read", c.readErr)
		case c.pending == nil:
			c.pending = call(c.reader, "read", uint8Array.New(c.buffer))
		}
		select {
		case came := <-c.pending:
			c.pending = nil
			c.came(came)
		case <-passed:
		case <-c.closed:
		}
	}
}

// came notes what a read has brought.
func (c *Conn) came(o outcome) {
	if o.err != nil {
		c.readErr = o.err
		return
	}
	view := o.value.Get("value")
	if o.value.Get("done").Bool() || view.IsUndefined() {
		c.readErr = io.EOF
		return
	}
	c.buffer = view.Get("buffer")
	c.rest = view
}

// take copies as much of rest as there is room for.
func (c *Conn) take(p []byte) int {
	n := js.CopyBytesToGo(p, c.rest)
	if n == c.rest.Get("byteLength").Int() {
		c.rest = js.Undefined()
	} else {
		c.rest = c.rest.Call("subarray", n)
	}
	return n
}

// Write implements net.Conn. It returns when the platform has handed p to the network.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for n < len(p) {
		passed := c.writeUntil.Passed()
		if err := over(passed, c.closed); err != nil {
			return n, c.op("write", err)
		}
		if c.writeErr != nil {
			return n, c.op("write", c.writeErr)
		}
		size := min(len(p)-n, writeSize)
		select {
		case written := <-call(c.writer, "write", c.out.of(p[n:n+size])): // which it has until then
			if c.writeErr = written.err; c.writeErr == nil {
				n += size
			}
		case <-passed:
			c.writeErr = os.ErrDeadlineExceeded
		case <-c.closed:
		}
	}
	return n, nil
}

// over says why nothing is to be waited for.
func over(passed, closed <-chan struct{}) error {
	select {
	case <-closed:
		return net.ErrClosed
	default:
	}
	select {
	case <-passed:
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

// CloseWrite ends our direction, after what was written.
func (c *Conn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	passed := c.writeUntil.Passed()
	err := over(passed, c.closed)
	if err == nil {
		select {
		case ended := <-call(c.writer, "close"):
			err = ended.err
		case <-passed:
			err = os.ErrDeadlineExceeded
		case <-c.closed:
			err = net.ErrClosed
		}
	}
	if err != nil {
		return c.op("close", err)
	}
	return nil
}

// Close implements net.Conn. It does not wait. The platform does, for a write that is under way: the connection to a peer that takes
// nothing ends with its object. (To abort the writer makes it worse: then it ends so in any case.)
func (c *Conn) Close() error {
	c.closing.Do(func() {
		close(c.closed)
		call(c.socket, "close")
		c.readUntil.Set(time.Time{})
		c.writeUntil.Set(time.Time{})
	})
	return nil
}

// LocalAddr implements net.Conn. The platform does not tell it.
func (c *Conn) LocalAddr() net.Addr { return addr("") }

// RemoteAddr implements net.Conn. It is what was dialled, be it a name.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.readUntil.Set(t)
	c.writeUntil.Set(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { c.readUntil.Set(t); return nil }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { c.writeUntil.Set(t); return nil }

func (c *Conn) op(op string, err error) error {
	return &net.OpError{Op: op, Net: c.remote.Network(), Addr: c.remote, Err: err}
}

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }
