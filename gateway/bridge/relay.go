package bridge

import (
	"io"
	"net"
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

	up, down    *atomic.Int64 // counted as they go
	idle        time.Duration // no byte either way for so long ends it
	idleHalf    time.Duration // the same, when one direction has ended
	began       time.Time
	lastByte    atomic.Int64 // since began
	endedHalves atomic.Int32
	idledOut    atomic.Bool

	mu       sync.Mutex
	watch    *time.Timer
	over     bool
	panicked any
}

// bufferSize is what fills one message of the tunnel, its two frames' headers and all.
const bufferSize = wire.MaxMessage - 2*12

// smallSize is what a direction holds that waits: most of them do, most of the time. What fills it is followed by more.
const smallSize = 1 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func (r *relay) run() {
	r.began = time.Now()
	r.mu.Lock()
	r.watch = time.AfterFunc(min(r.idle, r.idleHalf), r.look)
	r.mu.Unlock()

	var up sync.WaitGroup
	up.Go(func() { defer r.caught(); r.toTarget() })
	func() { defer r.caught(); r.toStream() }()
	up.Wait()

	r.mu.Lock()
	r.over = true
	r.watch.Stop()
	r.mu.Unlock()
	_ = r.stream.Close()
	_ = r.target.Close()
}

// look ends a relay that nothing goes through.
func (r *relay) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	limit := r.idle
	if r.endedHalves.Load() > 0 {
		limit = min(r.idle, r.idleHalf)
	}
	silent := time.Since(r.began) - time.Duration(r.lastByte.Load())
	if silent >= limit {
		r.idledOut.Store(true)
		r.cut()
		return
	}
	r.watch.Reset(min(limit-silent, r.idleHalf))
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
	read, err := r.copy(r.target, r.stream, r.up)
	switch {
	case err == nil:
		closeWrite(r.target)
	case read:
		reset(r.target) // the client or its session is gone
	}
	// A target that takes no more may still have a last word to say: the other direction ends by itself.
}

func (r *relay) toStream() {
	defer r.endedHalves.Add(1)
	read, err := r.copy(r.stream, r.target, r.down)
	switch {
	case err == nil:
		_ = r.stream.CloseWrite()
	case read:
		r.stream.Abort() // the target was cut
	default:
		_ = r.target.Close() // the client takes no more
	}
}

// copy copies until the source's end, for which err is nil. read says that the error is the source's.
func (r *relay) copy(to io.Writer, from io.Reader, count *atomic.Int64) (read bool, err error) {
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

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
