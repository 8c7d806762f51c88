package tunnel

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// inbox is what has come for a stream and has not been read, and the window that bounds it.
//
// The window begins small and grows with use: when a reader has taken a whole window's worth and does not lag behind, it is
// doubled, as far as what the session's windows may grow by together allows (Options.Window), of which no stream has more than
// three quarters. A reader that lags loses half of what its window had grown by. So memory is held ready for those streams alone
// that use it.
type inbox struct {
	mu      sync.Mutex
	changed sync.Cond // on mu: there is something to read, or never will be

	first, last *block
	held        int    // bytes in them
	want        []byte // of a reader that waits while nothing is held: it is served first
	got         int    // bytes in want
	taker       Taker  // of a WriteTo that waits while nothing is held: it is served first

	// window = credit + what has come in part + held + owed
	window int
	credit int // what the peer may still send
	owed   int // what was read and the peer has not been told of
	used   int // what was read since the window grew

	fin     bool               // nothing more comes
	short   bool               // though the peer had more to say
	cut     error              // the session has ended
	refusal *wire.RefusedError // the gateway has taken its yes back
	done    bool               // nobody reads any more
	until   alarm
}

func (b *inbox) init() {
	b.changed.L = &b.mu
	b.window, b.credit = initialWindow, initialWindow
}

// admit takes n bytes, which are about to come, off the credit, or answers that they are too many.
func (b *inbox) admit(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.credit {
		return false
	}
	b.credit -= n
	return true
}

// deliver takes bytes that were admitted. last says that the message brings no more. The reader learns of them by announce.
func (b *inbox) deliver(p []byte, last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return
	}
	if b.held == 0 {
		switch {
		case b.want != nil:
			n := copy(b.want[b.got:], p)
			b.got += n
			p = p[n:]
		case b.taker != nil && last:
			n := b.taker.Take(p)
			b.owed += n
			p = p[n:]
		}
	}
	b.held += len(p)
	for len(p) > 0 {
		if b.last == nil {
			b.last = lend(min(len(p), largeBlock))
			b.first = b.last
		} else if len(b.last.b) == cap(b.last.b) {
			b.last.next = lend(largeBlock) // what fills one is followed by more
			b.last = b.last.next
		}
		p = b.last.put(p)
	}
}

// announce wakes the reader if there is anything for it. due is as of read.
func (b *inbox) announce() (due bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.taker != nil && b.held > 0 {
		n := b.taker.Take(b.first.b)
		b.owed += n
		b.held -= n
		if b.first.b = b.first.b[n:]; len(b.first.b) > 0 {
			break
		}
		b.drop()
	}
	if b.held > 0 || b.want != nil {
		b.changed.Broadcast()
	}
	return b.due()
}

// tell wakes who waits, after a change.
func (b *inbox) tell(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if change != nil {
		change()
	}
	b.changed.Broadcast()
}

// ready says that a read would not wait.
func (b *inbox) ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held > 0 || b.ended() != nil
}

// ended is why there is nothing more to read, when nothing is held.
func (b *inbox) ended() error {
	switch {
	case b.done:
		return net.ErrClosed
	case b.refusal != nil:
		return b.refusal
	case b.fin && !b.short:
		return io.EOF
	case b.fin:
		return ErrReset
	}
	return b.cut
}

// read reads. due says that the peer is to be told of a larger window.
func (b *inbox) read(p []byte) (n int, due bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.done:
			return 0, false, net.ErrClosed
		case b.until.passed:
			return 0, false, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, false, nil
		case b.held > 0:
			return b.take(p), b.due(), nil
		}
		if err := b.ended(); err != nil {
			return 0, false, err
		}
		mine := b.want == nil
		if mine {
			b.want, b.got = p, 0
		}
		b.changed.Wait()
		if mine {
			n, b.want = b.got, nil
			if n > 0 {
				k := b.take(p[n:])
				b.owed += n
				return n + k, b.due(), nil
			}
		}
	}
}

// next waits for what has come, and answers the first block of it, which is the caller's until settle.
// Meanwhile a taker is served.
func (b *inbox) next(taker Taker) (*block, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.done:
			return nil, net.ErrClosed
		case b.until.passed:
			return nil, os.ErrDeadlineExceeded
		case b.held > 0:
			first := b.first
			if b.first = first.next; b.first == nil {
				b.last = nil
			}
			b.held -= len(first.b)
			return first, nil
		}
		if err := b.ended(); err != nil {
			return nil, err
		}
		b.taker = taker
		b.changed.Wait()
		b.taker = nil
	}
}

// settle takes a block back which has been read. due is as of read.
func (b *inbox) settle(first *block) (due bool) {
	n := len(first.b)
	first.free()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owed += n
	return b.due()
}

// take moves to p what is held.
func (b *inbox) take(p []byte) (n int) {
	for n < len(p) && b.held > 0 {
		k := copy(p[n:], b.first.b)
		n += k
		b.held -= k
		if b.first.b = b.first.b[k:]; len(b.first.b) == 0 {
			b.drop()
		}
	}
	b.owed += n
	return n
}

// drop gives the first block back.
func (b *inbox) drop() {
	first := b.first
	if b.first = first.next; b.first == nil {
		b.last = nil
	}
	first.free()
}

// due says that so much has been read that the peer is to be told of it.
func (b *inbox) due() bool { return b.owed >= b.window/4 && !b.fin && !b.done }

// grant answers by how much the peer's credit rises. spare is by how much the windows of a session may still grow.
func (b *inbox) grant(spare *int) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.due() {
		return 0
	}
	b.used += b.owed
	n, b.owed = b.owed, 0
	switch {
	case b.held > b.window/2 && b.window > initialWindow:
		back := min(n, (b.window-initialWindow+1)/2)
		b.window -= back
		*spare += back
		n -= back
		b.used = 0
	case b.used >= b.window && b.held <= b.window/4:
		more := max(0, min(b.window, (3**spare-(b.window-initialWindow))/4)) // which leaves a third of what it then has grown by
		b.window += more
		*spare -= more
		n += more
		b.used = 0
	}
	b.credit += n
	return n
}

// grant tells the peer how much more of a stream it may send.
func (m *mux) grant(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams[c.id] != c || c.closed {
		return
	}
	if n := c.in.grant(&m.spare); n > 0 {
		m.inject(newHeader(typeWindowUpdate, 0, c.id, uint32(n)))
	}
}

// close ends reading, and answers whether something had come that nobody has read, and by how much the window had grown.
func (b *inbox) close() (unread bool, grown int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	unread = b.held > 0
	b.done, b.held = true, 0
	for b.first != nil {
		b.drop()
	}
	b.until.set(time.Time{}, nil)
	b.changed.Broadcast()
	return unread, b.window - initialWindow
}

// remaining is what the peer may still send.
func (b *inbox) remaining() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.credit
}

// setDeadline is of reading.
func (b *inbox) setDeadline(t time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return false
	}
	b.until.set(t, func(ring func()) { b.tell(ring) })
	b.changed.Broadcast()
	return true
}
