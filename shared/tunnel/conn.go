package tunnel

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

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
	mux     *mux
	id      uint32
	remote  addr
	session *Session // that opened it; nil at the gateway
	in      inbox

	writing sync.Mutex // held through a Write, and for our FIN to come after it

	// Of mux.mu.
	writable sync.Cond   // on mux.mu: for a Write that waits
	credit   int         // what the peer still takes
	waiting  int         // who waits to write, for room or credit
	ended    bool        // no more writing, by CloseWrite, Close or the peer's reset
	finished bool        // our FIN is sent
	closed   bool        // nobody reads any more
	ignored  bool        // something came nevertheless
	isReset  bool        // by the peer
	isCut    bool        // short of the peer's end
	afterCut func()      // see AfterCut
	until    alarm       // of writing
	linger   *time.Timer // until we reset it
	refusal  *wire.RefusedError
	heard    func() // called when something has come or ended; nil but for the control stream
}

var _ interface {
	net.Conn
	CloseWrite() error
} = (*Conn)(nil)

func newConn(m *mux, id uint32, remote string) *Conn {
	c := &Conn{mux: m, id: id, remote: addr(remote), credit: initialWindow}
	c.writable.L = &m.mu
	c.in.init()
	return c
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, due, err := c.in.read(p)
	if due {
		c.mux.grant(c)
	}
	if err != nil && err != io.EOF {
		err = c.op("read", err)
	}
	return n, err
}

// Taker is a writer that can also take what it can take without waiting. Take answers how much that is, and leaves errors for
// Write. It is not called while Write is. It calls no method of the conn's: it is called with a lock of it held, by the goroutine
// that reads the session.
type Taker interface {
	io.Writer
	Take(p []byte) int
}

// WriteTo implements io.WriterTo. It holds no memory while it waits for the peer. A Taker is given what has come by the goroutine
// that reads the session, as long as it takes all of it: so nobody has to be woken for it. A deadline of reading ends it as one
// ends a Read.
func (c *Conn) WriteTo(w io.Writer) (n int64, err error) {
	taker, _ := w.(Taker)
	for {
		b, err := c.in.next(taker)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, c.op("read", err)
		}
		k, err := w.Write(b.b)
		n += int64(k)
		if c.in.settle(b) {
			c.mux.grant(c)
		}
		if err != nil {
			return n, err
		}
	}
}

// Write implements net.Conn. It returns when all of p is with the session, whose order is that of the wire. Much on a fast line it
// also writes to the MessageConn, by which it may outlast its deadline: when the line breaks down in that moment, by
// Options.DeadAfter at most.
func (c *Conn) Write(p []byte) (n int, err error) {
	n, mine, err := c.queue(p)
	if mine {
		c.mux.sendSome()
	}
	if err != nil {
		err = c.op("write", err)
	}
	return n, err
}

// queue writes p into the queue; mine is as of mux.claim.
func (c *Conn) queue(p []byte) (n int, mine bool, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err = c.write(p)
	if len(p) >= bulk {
		return n, m.claim(), err
	}
	m.start()
	return n, false, err
}

// bulk is what a writer may be held up for: who says a line has other things to do, refusing others for one.
const bulk = 16 << 10

// write writes; c.writing and mux.mu are held. The caller sees to it that there is a sender.
func (c *Conn) write(p []byte) (n int, err error) {
	m := c.mux
	for {
		if err := c.wait(len(p) - n); err != nil || n == len(p) {
			return n, err
		}
		k := min(len(p)-n, c.credit, m.out.fit())
		m.out.push(newHeader(typeData, 0, c.id, uint32(k)), p[n:n+k])
		c.credit -= k
		if n += k; n == len(p) {
			return n, nil
		}
	}
}

// wait waits until some of n bytes may be sent, or none are to be; mux.mu is held.
func (c *Conn) wait(n int) error {
	out := &c.mux.out
	for {
		if err := c.unwritable(); err != nil || n == 0 {
			return err
		}
		if c.credit >= min(n, leastPiece) && out.queued < out.mark {
			return nil
		}
		c.mux.start()
		c.waiting++
		out.waiting++
		c.writable.Wait()
		out.waiting--
		c.waiting--
	}
}

// Giver is a reader that can also give what it has without waiting, and wait without memory to read into. Give answers how much that
// is, Wait returns when a Read would not wait, and both leave ends and errors for Read.
type Giver interface {
	io.Reader
	Give(p []byte) int
	Wait()
}

// ReadFrom implements io.ReaderFrom. It reads when the peer takes more and no more than that, into what is sent: nothing is copied.
// A Giver is waited for with next to nothing held.
func (c *Conn) ReadFrom(r io.Reader) (n int64, err error) {
	giver, _ := r.(Giver)
	size := smallBlock
	for {
		room, err := c.room(size - headerSize)
		if err != nil {
			return n, c.op("write", err)
		}
		b, k := lend(headerSize+room), 0
		if giver != nil && size > smallBlock {
			if k = giver.Give(b.room[headerSize : headerSize+room]); k == 0 {
				b.free()
				giver.Wait()
				b = lend(headerSize + room)
			}
		}
		if k == 0 {
			k, err = r.Read(b.room[headerSize : headerSize+room])
		}
		if k > 0 {
			sent, err := c.send(b, k)
			n += int64(sent)
			if err != nil {
				return n, c.op("write", err)
			}
		} else {
			b.free()
		}
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		case k == size-headerSize:
			size = largeBlock // what fills a small one is followed by more
		case k < smallBlock-headerSize:
			size = smallBlock
		}
	}
}

// room waits until something may be sent, and answers how much: most, or less.
func (c *Conn) room(most int) (int, error) {
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := c.wait(most); err != nil {
		return 0, err
	}
	return min(most, c.credit), nil
}

// send sends n bytes that lie in a block, after the room for their header. There may be none for them in the queue any more:
// that of many streams was asked for before their readers had anything, and may be needed all at once.
func (c *Conn) send(b *block, n int) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.wait(n) != nil || n > c.credit { // another has written meanwhile
		p := bytes.Clone(b.room[headerSize : headerSize+n])
		b.free()
		n, err := c.write(p)
		m.start()
		return n, err
	}
	h := newHeader(typeData, 0, c.id, uint32(n))
	copy(b.room, h[:])
	b.b = b.room[:headerSize+n]
	m.pushBlock(b)
	c.credit -= n
	return n, nil
}

// leastPiece is what a writer waits for when the peer takes less: else the end of each window would go in crumbs. (The silly
// window of RFC 813.)
const leastPiece = 4 << 10

// unwritable says why writing is over; mux.mu is held.
func (c *Conn) unwritable() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.refusal != nil:
		return c.refusal
	case c.isReset:
		return ErrReset
	case c.mux.alive() != nil:
		return c.mux.ended()
	case c.ended:
		return net.ErrClosed
	case c.until.passed:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// mostCredit is more than any peer can mean.
const mostCredit = 1 << 30

// credited is called when the peer takes n bytes more; mux.mu is held.
func (c *Conn) credited(n uint32) {
	c.credit = int(min(uint64(c.credit)+uint64(n), mostCredit))
	if c.waiting > 0 {
		c.writable.Broadcast()
	}
}

// resetByPeer is called when the peer reads no more; mux.mu is held. short says that it has not ended its writing before.
func (c *Conn) resetByPeer(short bool) {
	c.isReset = true
	c.endWriting()
	if short {
		c.cut()
	}
}

// refusedByPeer is called when the gateway takes its yes back; mux.mu is held. What has come can still be read.
func (c *Conn) refusedByPeer(no *wire.RefusedError) {
	if c.closed || c.refusal != nil {
		return
	}
	c.refusal = no
	c.endWriting()
	c.in.tell(func() { c.in.refusal = no })
}

// sessionEnded is called when the session has; mux.mu is held.
func (c *Conn) sessionEnded(why error) {
	if c.linger != nil {
		c.linger.Stop()
	}
	c.endWriting()
	c.in.tell(func() { c.in.cut = why })
	c.cut()
}

// AfterCut has f run, in a goroutine of its own, when the conn is cut: by the peer's Abort or the session's end, of which who
// neither reads nor writes at the time would not know. What has come can still be read. There is one f at a time; stop takes it back.
func (c *Conn) AfterCut(f func()) (stop func()) {
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	c.afterCut = f
	if c.isCut {
		c.cut()
	}
	return func() {
		c.mux.mu.Lock()
		defer c.mux.mu.Unlock()
		c.afterCut = nil
	}
}

// cut runs what AfterCut was given; mux.mu is held.
func (c *Conn) cut() {
	c.isCut = true
	if c.afterCut != nil {
		go c.afterCut()
		c.afterCut = nil
	}
}

// listen tells whom heard is for.
func (c *Conn) listen() {
	if c.id != controlStream {
		return
	}
	c.mux.mu.Lock()
	defer c.mux.mu.Unlock()
	if c.heard != nil && c.mux.alive() == nil {
		c.heard()
	}
}

// endWriting wakes a Write that waits; mux.mu is held.
func (c *Conn) endWriting() {
	c.ended = true
	c.until.set(time.Time{}, nil)
	c.writable.Broadcast()
}

// CloseWrite ends our direction: the peer reads what was written and then io.EOF. Reading goes on, for as long as the
// peer likes. A Write that is under way returns with net.ErrClosed.
func (c *Conn) CloseWrite() error {
	c.mux.mu.Lock()
	closed := c.closed
	c.endWriting()
	c.mux.mu.Unlock()
	if closed {
		return c.op("close", net.ErrClosed)
	}
	c.finish()
	return nil
}

// finish sends our FIN, once.
func (c *Conn) finish() {
	c.writing.Lock()
	defer c.writing.Unlock()
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.finished {
		return
	}
	c.finished = true
	if m.streams[c.id] == c {
		m.inject(newHeader(typeWindowUpdate, flagFIN, c.id, 0))
		m.forgetIfOver(c)
	}
}

// Close implements net.Conn. A second Close does nothing.
func (c *Conn) Close() error {
	if first, unread := c.shut(); first {
		c.finish()
		c.mux.finish(c, unread)
	}
	return nil
}

// Abort ends both directions at once, and the peer knows that it was no proper end: it reads what came before and then
// ErrReset instead of io.EOF. It is for a relay whose other side was cut.
func (c *Conn) Abort() {
	if first, _ := c.shut(); first {
		c.mux.abort(c)
	}
}

// shut ends reading and writing here. It reports whether it is the first to do so, and whether there was more to read.
func (c *Conn) shut() (first, unread bool) {
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.closed {
		return false, false
	}
	c.closed = true
	c.endWriting()
	unread, grown := c.in.close()
	m.spare += grown
	return true, unread
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
	if !c.in.setDeadline(t) {
		return c.op("set", net.ErrClosed)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.closed {
		return c.op("set", net.ErrClosed)
	}
	if c.ended {
		return nil // there is nothing that it could end
	}
	c.until.set(t, func(ring func()) {
		m.mu.Lock()
		defer m.mu.Unlock()
		ring()
		c.writable.Broadcast()
	})
	c.writable.Broadcast()
	return nil
}

func (c *Conn) op(op string, err error) error {
	return &net.OpError{Op: op, Net: c.remote.Network(), Addr: c.remote, Err: err}
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

type addr string

func (addr) Network() string  { return "postern" }
func (a addr) String() string { return string(a) }
