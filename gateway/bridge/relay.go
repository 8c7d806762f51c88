package bridge

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// relay carries bytes between a stream and its target until both directions have ended. It holds one buffer for each
// direction: what the stream's reader does not take stays in the target's socket.
//
// An end stays an end and a cut a cut: when a side's connection breaks, the other gets a reset and not an EOF, so that
// half a file never looks like a whole one.
type relay struct {
	stream *tunnel.Conn
	target net.Conn

	greeting  []byte        // of the target, read already
	sealed    bool          // TLS comes first, from either side
	awaitTLS  time.Duration // and no later than this
	paces     []*pace
	perSecond int // bytes of each of them

	up, down    *atomic.Int64 // counted as they go
	paced       *atomic.Int64 // nanoseconds
	idle        time.Duration // no byte either way for so long ends it
	idleHalf    time.Duration // the same, when one direction has ended
	whole       time.Duration // ends it in any case
	began       time.Time
	lastByte    atomic.Int64 // since began
	endedHalves atomic.Int32

	mu       sync.Mutex
	watch    *time.Timer
	ended    chan struct{} // closed when both directions are, or are to be
	over     bool          // ended is closed
	left     bool          // the client was cut off
	no       *wire.RefusedError
	panicked any
}

// lastWords is how long a target has to take what came of a client that was cut off. Then it is cut off, too: one that takes
// nothing would hold its connection, and the client's session with it, until the idle time has passed.
const lastWords = 5 * time.Second

// bufferSize is what fills one message of the tunnel, its two frames' headers and all.
const bufferSize = wire.MaxMessage - 2*12

// smallSize is what a direction holds that waits: most of them do, most of the time. What fills it is followed by more.
const smallSize = 1 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// run carries until the end. What it answers is why the gateway itself has made an end of it, of which the client is still to
// be told; nil if it was one side or the other.
func (r *relay) run() *wire.RefusedError {
	r.began, r.ended = time.Now(), make(chan struct{})
	r.mu.Lock()
	r.watch = time.AfterFunc(min(r.idle, r.idleHalf, r.whole), r.look)
	r.mu.Unlock()
	defer r.stream.AfterCut(r.abandoned)()

	var up sync.WaitGroup
	up.Go(func() { defer r.caught(); r.toTarget() })
	func() { defer r.caught(); r.toStream() }()
	up.Wait()

	r.mu.Lock()
	r.end()
	r.watch.Stop()
	no := r.no
	r.mu.Unlock()
	_ = r.target.Close()
	if no == nil {
		_ = r.stream.Close()
	}
	return no
}

// abandoned is told that the client was cut off.
func (r *relay) abandoned() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.left = true
		r.watch.Reset(lastWords)
	}
}

// end says that it is over; r.mu is held.
func (r *relay) end() {
	if !r.over {
		r.over = true
		close(r.ended)
	}
}

// look ends a relay that nothing goes through, or that has lasted long enough.
func (r *relay) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	if r.left {
		r.cutLocked()
		return
	}
	limit := r.idle
	if r.endedHalves.Load() > 0 {
		limit = min(r.idle, r.idleHalf)
	}
	lived := time.Since(r.began)
	silent := lived - time.Duration(r.lastByte.Load())
	switch {
	case silent >= limit:
		r.refuse(refuse(wire.Idle, "nothing went through it for "+limit.String()))
	case lived >= r.whole:
		r.refuse(refuse(wire.Expired, "it was open for "+r.whole.String()))
	default:
		r.watch.Reset(min(limit-silent, r.idleHalf, r.whole-lived))
	}
}

// refuse ends both directions for a reason of the gateway's own; r.mu is held. The target gets a reset. The stream is left for
// the session to tell the client.
func (r *relay) refuse(no *wire.RefusedError) {
	if r.over {
		return
	}
	r.no = no
	r.end()
	past := time.Unix(1, 0)
	_ = r.stream.SetDeadline(past)
	reset(r.target)
}

// refused is refuse for either direction.
func (r *relay) refused(no *wire.RefusedError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse(no)
}

// caught turns a panic in one direction into the end of both.
func (r *relay) caught() {
	if p := recover(); p != nil {
		r.mu.Lock()
		r.panicked = p
		r.mu.Unlock()
		r.cut()
	}
}

// cut ends both directions, and neither end takes it for a proper end.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cutLocked()
}

// cutLocked is cut; r.mu is held.
func (r *relay) cutLocked() {
	r.end()
	r.stream.Abort()
	reset(r.target)
}

// reset closes a connection so that its peer gets a reset, where the connection can.
func reset(c net.Conn) {
	if tcp, ok := c.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func (r *relay) toTarget() {
	defer r.endedHalves.Add(1)
	var first []byte
	if r.sealed {
		var ok bool
		if first, ok = r.tls(r.stream, clientTLS, "what this client says first is no TLS"); !ok {
			return
		}
	}
	read, err := r.copy(r.target, r.stream, first, r.up)
	switch {
	case r.isOver(): // whoever ended it has dealt with both sides
	case err == nil:
		closeWrite(r.target)
	case read:
		reset(r.target) // the client or its session is gone
	}
	// A target that takes no more may still have a last word to say: the other direction ends by itself.
}

func (r *relay) toStream() {
	defer r.endedHalves.Add(1)
	first := r.greeting
	if r.sealed {
		var ok bool
		if first, ok = r.tls(r.target, serverTLS, "what answers there is no TLS"); !ok {
			return
		}
	}
	read, err := r.copy(r.stream, r.target, first, r.down)
	switch {
	case r.isOver():
	case err == nil:
		_ = r.stream.CloseWrite()
	case read:
		r.stream.Abort() // the target was cut
	default:
		_ = r.target.Close() // the client takes no more
	}
}

func (r *relay) isOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// tls reads the head of a side's first TLS record, and lets nothing pass but that. A side that ends before it has said enough
// is one that ends: copy sees that again.
func (r *relay) tls(from net.Conn, say judge, wrongly string) (first []byte, ok bool) {
	first, v, err := firstWords(from, say, r.awaitTLS)
	switch {
	case r.isOver(): // and firstWords may have taken back the deadline that says so
		return nil, false
	case v == right:
		return first, true
	case v == wrong:
		r.refused(refuse(wire.NotMail, wrongly))
		return nil, false
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.refused(refuse(wire.Timeout, "it is connected, and no TLS came in time"))
		return nil, false
	}
	return nil, true // not one octet of it
}

// copy copies what has been read already, and then until the source's end, for which err is nil. read says that the error is
// the source's.
func (r *relay) copy(to io.Writer, from io.Reader, first []byte, count *atomic.Int64) (read bool, err error) {
	if len(first) > 0 {
		if _, err := to.Write(first); err != nil {
			return false, err
		}
		r.lastByte.Store(int64(time.Since(r.began)))
		count.Add(int64(len(first)))
	}
	var small [smallSize]byte
	var large *[bufferSize]byte
	defer func() {
		if large != nil {
			buffers.Put(large)
		}
	}()
	for {
		buf := small[:]
		if large != nil {
			buf = large[:]
		}
		n, err := from.Read(buf)
		if n > 0 {
			r.lastByte.Store(int64(time.Since(r.began)))
			if _, err := to.Write(buf[:n]); err != nil {
				return false, err
			}
			r.lastByte.Store(int64(time.Since(r.began)))
			count.Add(int64(n))
			if r.paces != nil {
				r.slow(n)
			}
		}
		switch {
		case n == smallSize && large == nil:
			large = buffers.Get().(*[bufferSize]byte)
		case n < smallSize && large != nil:
			buffers.Put(large)
			large = nil
		}
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return true, err
		}
	}
}

// slow waits until the next bytes are due, after n of them.
func (r *relay) slow(n int) {
	var wait time.Duration
	now := time.Now()
	for _, p := range r.paces {
		wait = max(wait, p.owe(n, r.perSecond, now))
	}
	if wait < time.Millisecond {
		return // it is owed, and comes with the next
	}
	r.paced.Add(int64(wait))
	due := time.NewTimer(wait)
	defer due.Stop()
	select {
	case <-due.C:
	case <-r.ended:
	}
	r.lastByte.Store(int64(time.Since(r.began)))
}

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
