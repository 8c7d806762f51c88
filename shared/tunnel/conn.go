package tunnel

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/postern-mail/postern/shared/tunnel/deadline"
	"github.com/postern-mail/postern/shared/wire"
)

// Conn is one stream: a net.Conn with CloseWrite.
//
// Close ends both directions and does not wait. Nothing written before it is lost: a peer that reads what it has been
// sent gets all of it and then io.EOF. A peer that goes on writing is told, as TCP tells it, by an error (ErrReset).
//
// A read returns io.EOF only when the peer ended its writing. When the session dies, reads return what had arrived and
// then ErrSessionClosed, so that a cut never looks like an end. When the gateway ends the stream, for silence say, they return
// its *wire.RefusedError.
type Conn struct {
	stream *yamux.Stream
	car    *carrier
	id     uint32
	entry  *entry
	remote addr

	consumed atomic.Uint64

	writing  sync.Mutex    // held through a Write, and for our FIN to come after it
	finished bool          // our FIN is sent; of writing
	ended    chan struct{} // no more writing, by CloseWrite, Close or the peer's reset

	mu          sync.Mutex
	isDone      bool
	isEnded     bool // ended is closed
	wasReset    bool
	isCut       bool               // the session has ended
	wasShort    bool               // it was cut, and so is short of its end
	afterCut    func()             // see AfterCut
	refusal     *wire.RefusedError // the gateway has taken its yes back
	readUntil   time.Time
	writePassed *deadline.Deadline
}

var _ interface {
	net.Conn
	CloseWrite() error
} = (*Conn)(nil)

func newConn(stream *yamux.Stream, car *carrier, remote string) *Conn {
	c := &Conn{
		stream: stream, car: car, id: stream.StreamID(), remote: addr(remote),
		ended: make(chan struct{}), writePassed: deadline.New(),
	}
	c.entry = car.entryOf(c)
	return c
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.readable(); err != nil {
		return 0, c.op("read", err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.stream.Read(p)
	c.consumed.Add(uint64(n))
	if err == nil || n > 0 {
		return n, nil // what came with an error comes again
	}
	if err = c.readError(err); err == io.EOF {
		return n, err
	}
	return n, c.op("read", err)
}

func (c *Conn) readable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isDone {
		return net.ErrClosed
	}
	if !c.readUntil.IsZero() && !time.Now().Before(c.readUntil) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// readError says what an error of yamux's means. yamux ends a dead session's streams with io.EOF too, so the guard's
// account of the stream decides whether it is one.
func (c *Conn) readError(err error) error {
	c.mu.Lock()
	isDone, refusal := c.isDone, c.refusal
	c.mu.Unlock()
	alive := c.car.alive() == nil
	in, short, received := c.car.end(c.entry)
	switch {
	case isDone:
		return net.ErrClosed
	case refusal != nil:
		return refusal
	case errors.Is(err, yamux.ErrTimeout) && alive:
		return os.ErrDeadlineExceeded
	case in && !short && (alive || received == c.consumed.Load()):
		return io.EOF
	case in || alive:
		return ErrReset
	}
	return c.car.sessionError()
}

// Write implements net.Conn. It returns when all of p is with the session, whose order is that of the wire.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for {
		if err := c.awaitRoom(); err != nil {
			return n, c.op("write", c.writeError(err))
		}
		if n == len(p) {
			return n, nil
		}
		k, err := c.stream.Write(p[n:min(n+maxChunk, len(p))])
		n += k
		if err != nil {
			return n, c.op("write", c.writeError(err))
		}
		if n == len(p) {
			return n, nil
		}
	}
}

// awaitRoom waits until the session's queue has room.
func (c *Conn) awaitRoom() error {
	for {
		passed, err := c.writable()
		if err != nil {
			return err
		}
		full := c.car.full()
		if full == nil {
			return nil
		}
		select {
		case <-full:
		case <-passed:
		case <-c.ended:
		case <-c.car.closed:
		}
	}
}

// writable says why writing is over, or gives the channel of the write deadline.
func (c *Conn) writable() (passed <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.isDone:
		return nil, net.ErrClosed
	case c.refusal != nil:
		return nil, c.refusal
	case c.wasReset:
		return nil, ErrReset
	case c.car.alive() != nil:
		return nil, ErrSessionClosed
	case c.isEnded:
		return nil, net.ErrClosed
	}
	passed = c.writePassed.Passed()
	select {
	case <-passed:
		return nil, os.ErrDeadlineExceeded
	default:
		return passed, nil
	}
}

// writeError says what an error of yamux's means.
func (c *Conn) writeError(err error) error {
	if _, why := c.writable(); why != nil {
		err = why
	}
	switch {
	case errors.Is(err, yamux.ErrTimeout):
		return os.ErrDeadlineExceeded
	case errors.Is(err, net.ErrClosed), errors.Is(err, ErrReset), errors.Is(err, os.ErrDeadlineExceeded), refused(err):
		return err
	}
	return c.car.sessionError()
}

// resetByPeer is called by the guard, with its lock held: it must not call back. short says that the peer has not ended its writing
// before.
func (c *Conn) resetByPeer(short bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wasReset = true
	c.endWriting()
	if short {
		c.wasCut()
	}
}

// refusedByPeer is called by the carrier, with its lock held: it must not call back. What has come can still be read.
func (c *Conn) refusedByPeer(no *wire.RefusedError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isDone || c.refusal != nil {
		return
	}
	c.refusal = no
	c.endWriting()
	_ = c.stream.SetReadDeadline(longAgo)
}

// sessionEnded is called by the carrier, with its lock held: it must not call back. From now on yamux's Read and Write
// must not wait. When a session ends they go round in a loop until their stream is closed, and where there is but one
// thread, as in WebAssembly, nobody would come to close it.
func (c *Conn) sessionEnded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	c.endWriting()
	c.wasCut()
	_ = c.stream.SetReadDeadline(longAgo)
}

// AfterCut has f run, in a goroutine of its own, when the conn is cut: by the peer's Abort or the session's end, for which who
// neither reads nor writes at the time would not know. What has come can still be read. There is one f at a time; stop takes it back.
func (c *Conn) AfterCut(f func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.afterCut = f
	if c.wasShort {
		c.wasCut()
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.afterCut = nil
	}
}

// wasCut runs what AfterCut was given. c.mu is held.
func (c *Conn) wasCut() {
	c.wasShort = true
	if c.afterCut != nil {
		go c.afterCut()
		c.afterCut = nil
	}
}

// endWriting wakes a Write that waits. c.mu is held.
func (c *Conn) endWriting() {
	if !c.isEnded {
		c.isEnded = true
		close(c.ended)
		_ = c.stream.SetWriteDeadline(longAgo)
	}
}

// CloseWrite ends our direction: the peer reads what was written and then io.EOF. Reading goes on, for as long as the
// peer likes. A Write that is under way returns with net.ErrClosed.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	if c.isDone {
		c.mu.Unlock()
		return c.op("close", net.ErrClosed)
	}
	c.endWriting()
	c.mu.Unlock()
	return c.finish()
}

// finish sends our FIN, once.
func (c *Conn) finish() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.finished {
		return nil
	}
	c.finished = true
	if err := c.stream.Close(); err != nil {
		return c.op("close", c.car.sessionError())
	}
	return nil
}

// Close implements net.Conn. A second Close does nothing.
func (c *Conn) Close() error {
	if !c.shut() {
		return nil
	}
	err := c.finish()
	c.car.finish(c.id, c.consumed.Load())
	return err
}

// Abort ends both directions at once, and the peer knows that it was no proper end: it reads what came before and then
// ErrReset instead of io.EOF. It is for a relay whose other side was cut.
func (c *Conn) Abort() {
	if c.shut() {
		c.car.abort(c.id)
	}
}

// shut ends reading and writing here. It reports whether it is the first to do so.
func (c *Conn) shut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isDone {
		return false
	}
	c.isDone = true
	c.endWriting()
	_ = c.stream.SetReadDeadline(longAgo)
	c.writePassed.Set(time.Time{})
	return true
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return addr("tunnel") }

// RemoteAddr implements net.Conn. It is the target of the Open.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isDone {
		return c.op("set", net.ErrClosed)
	}
	c.readUntil = t
	if c.isCut || c.refusal != nil {
		return nil // yamux's deadline stays where it was put
	}
	return c.stream.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isDone {
		return c.op("set", net.ErrClosed)
	}
	c.writePassed.Set(t)
	if c.isEnded {
		return nil // yamux's deadline stays where endWriting put it
	}
	return c.stream.SetWriteDeadline(t)
}

func (c *Conn) op(op string, err error) error {
	return &net.OpError{Op: op, Net: c.remote.Network(), Addr: c.remote, Err: err}
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

type addr string

func (addr) Network() string  { return "postern" }
func (a addr) String() string { return string(a) }
