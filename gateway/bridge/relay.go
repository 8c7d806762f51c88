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

// relay carries bytes between a stream and its target until both directions have ended. It has no buffers of its own, and reads
// from the target no more than the stream takes: what the client does not read stays in the target's socket.
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
	judged      atomic.Int32 // directions that have begun with TLS

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
	to := &toTarget{direction: direction{relay: r, count: r.up, now: writesAtOnce(r.target)}}
	_, err := to.Write(first)
	if err == nil {
		_, err = r.stream.WriteTo(to)
	}
	switch {
	case r.isOver(): // whoever ended it has dealt with both sides
	case err == nil:
		closeWrite(r.target)
	case !to.failed:
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
	from := &fromTarget{direction: direction{relay: r, count: r.down, now: readsAtOnce(r.target)}}
	_, err := r.stream.Write(first)
	if err == nil {
		from.passed(len(first))
		_, err = r.stream.ReadFrom(from)
	}
	switch {
	case r.isOver():
	case err == nil:
		_ = r.stream.CloseWrite()
	case from.failed:
		r.stream.Abort() // the target was cut
	default:
		_ = r.target.Close() // the client takes no more
	}
}

// carries says that both directions are open, and past the guard.
func (r *relay) carries() bool {
	return !r.isOver() && r.endedHalves.Load() == 0 && (!r.sealed || r.judged.Load() == 2)
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
		r.judged.Add(1)
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

// direction is one of a relay's, whose bytes are counted and held to the paces.
type direction struct {
	*relay
	count *atomic.Int64
	now   *atOnce   // of the target, for this direction; nil if it is no socket
	due   time.Time // when more may pass; zero: now
}

// passed counts n bytes.
func (d *direction) passed(n int) {
	d.count.Add(int64(n))
	now := time.Now()
	d.lastByte.Store(int64(now.Sub(d.began)))
	var wait time.Duration
	for _, p := range d.paces {
		wait = max(wait, p.owe(n, d.perSecond, now))
	}
	if wait < time.Millisecond { // it is owed, and comes with the next
		d.due = time.Time{}
		return
	}
	d.paced.Add(int64(wait))
	d.due = now.Add(wait)
}

// atOnce moves what may pass and passes without waiting, and answers how much that is.
func (d *direction) atOnce(p []byte) int {
	if d.now == nil || !d.due.IsZero() && time.Now().Before(d.due) {
		return 0
	}
	n := d.now.move(p)
	if n > 0 {
		d.passed(n)
	}
	return n
}

// wait waits until more may pass.
func (d *direction) wait() {
	if d.due.IsZero() {
		return
	}
	due := time.NewTimer(time.Until(d.due))
	defer due.Stop()
	select {
	case <-due.C:
	case <-d.ended:
	}
	d.lastByte.Store(int64(time.Since(d.began)))
}

// toTarget is where a stream is written to.
type toTarget struct {
	direction
	failed bool // it takes no more
}

var (
	_ tunnel.Taker = (*toTarget)(nil)
	_ tunnel.Giver = (*fromTarget)(nil)
)

// Write implements io.Writer.
func (w *toTarget) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	w.wait()
	w.lastByte.Store(int64(time.Since(w.began)))
	n, err := w.target.Write(p)
	if err != nil {
		w.failed = true
		return n, err
	}
	w.passed(n)
	return n, nil
}

// Take implements tunnel.Taker.
func (w *toTarget) Take(p []byte) int { return w.atOnce(p) }

// fromTarget is where a stream is read from.
type fromTarget struct {
	direction
	failed bool // it ended, and not properly
}

// Read implements io.Reader.
func (r *fromTarget) Read(p []byte) (int, error) {
	r.wait()
	n, err := r.target.Read(p)
	if n > 0 {
		r.passed(n)
	}
	r.failed = err != nil && err != io.EOF
	return n, err
}

// Give implements tunnel.Giver.
func (r *fromTarget) Give(p []byte) int { return r.atOnce(p) }

// Wait implements tunnel.Giver.
func (r *fromTarget) Wait() {
	r.wait()
	if r.now != nil {
		r.now.wait()
	}
}

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
