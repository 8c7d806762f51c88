package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// inbound is how far the peer's bytes have been read; of the reader alone.
type inbound struct {
	frames
	into  *Conn   // whose payload comes; nil: nobody's
	run   run     // what this message has brought, and its stream has not been given
	fresh []*Conn // to whom this message has brought something
}

// run is payload of one stream: msg[from:to] of a message.
type run struct {
	c        *Conn // nil: there is none
	from, to int
}

// join adds msg[from:to], which comes after the run, with nothing between them but what has been read. The shorter of the two is
// moved to the other. So a stream that fills messages is given each in one piece, whose frames are split elsewhere: as they are
// when the other end writes what just does not fit a message.
func (r *run) join(msg []byte, from, to int) {
	if r.to-r.from <= to-from {
		r.from = from - copy(msg[from-(r.to-r.from):from], msg[r.from:r.to])
		r.to = to
	} else {
		r.to += copy(msg[r.to:], msg[from:to])
	}
}

// unbounded is the context of a MessageConn's calls: Close ends them, and one that can end by itself costs something at each.
var unbounded = context.Background()

// receive reads messages until the session ends. It never waits for a stream: what comes fits its window.
func (m *mux) receive() {
	defer m.survive()
	for {
		p, err := m.mc.Read(unbounded)
		if err != nil {
			m.fail(broken("reading", err))
			return
		}
		if len(p) > wire.MaxMessage {
			m.fail(fmt.Errorf("%w: a message of %d bytes", ErrProtocol, len(p)))
			return
		}
		m.heard.Store(int64(time.Since(m.began)))
		if err := m.take(p); err != nil {
			m.fail(err)
			return
		}
		if m.alive() != nil {
			return
		}
	}
}

// broken is what a MessageConn's error means for the session. A connection's end is no stream's: so it is no io.EOF to errors.Is.
func broken(doing string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("tunnel: %s: %v", doing, err)
	}
	return fmt.Errorf("tunnel: %s: %w", doing, err)
}

// take takes a message apart. Its readers are told at its end: so each gets all of it at once.
func (m *mux) take(msg []byte) error {
	err := m.unpack(msg)
	in := &m.in
	in.deliver(msg, true)
	for _, c := range in.fresh {
		if c.in.announce() {
			m.grant(c)
		}
		c.listen()
	}
	clear(in.fresh)
	in.fresh = in.fresh[:0]
	if in.payload == 0 {
		in.into = nil
	}
	return err
}

// unpack judges what a message consists of. It leaves in.run to be delivered.
func (m *mux) unpack(msg []byte) error {
	in := &m.in
	for at := 0; at < len(msg); {
		if in.payload > 0 {
			n := min(in.payload, len(msg)-at)
			in.bring(msg, at, at+n)
			in.payload -= n
			at += n
		} else {
			rest, whole := in.gather(msg[at:])
			if !whole {
				break
			}
			at = len(msg) - len(rest)
			var err error
			if in.into, err = m.judge(&in.header); err != nil {
				return err
			}
		}
		if in.payload == 0 && in.into != nil && (in.header.has(flagFIN) || in.header.has(flagRST)) {
			in.deliver(msg, false)
			if err := m.finished(in.into, in.header.has(flagRST)); err != nil {
				return err
			}
		}
	}
	return nil
}

// bring has msg[from:to] delivered to the stream that it is for, together with what comes for the same next.
func (in *inbound) bring(msg []byte, from, to int) {
	switch {
	case in.into == nil:
	case in.run.c == in.into:
		in.run.join(msg, from, to)
	default:
		in.deliver(msg, false)
		in.run = run{in.into, from, to}
	}
}

// deliver gives the run to its stream. last says that the message brings no more.
func (in *inbound) deliver(msg []byte, last bool) {
	c := in.run.c
	if c == nil {
		return
	}
	c.in.deliver(msg[in.run.from:in.run.to], last)
	if len(in.fresh) == 0 || in.fresh[len(in.fresh)-1] != c {
		in.fresh = append(in.fresh, c)
	}
	in.run = run{}
}

// judge judges a header from the peer, does what it says, and answers whose the payload is. What an honest peer never sends
// ends the session: so a hostile one costs no more than its windows, and no other session. It refuses a stream from the
// gateway to the client, which nobody would accept; streams without number or end; more bytes than a window takes, also for
// streams that are gone; a flood of pings, each of which is answered.
func (m *mux) judge(h *header) (*Conn, error) {
	if h.version() != 0 || h.kind() > typeGoAway {
		return nil, fmt.Errorf("%w: not a yamux frame", ErrProtocol)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch h.kind() {
	case typePing:
		return nil, m.pinged(h)
	case typeGoAway:
		if h.length() != 0 {
			return nil, fmt.Errorf("%w: it says that we broke it, %d", ErrProtocol, h.length())
		}
		m.goneAway = true
		return nil, nil
	case typeData:
		if uint64(h.length()) > uint64(initialWindow+m.o.Window) { // than any window; an int bears it
			return nil, fmt.Errorf("%w: a frame of %d bytes is too long", ErrProtocol, h.length())
		}
		m.earned = min(m.earned+int(h.length()), bytesPerPing)
	}
	m.earned = min(m.earned+headerSize, bytesPerPing)
	id := h.stream()
	if h.has(flagSYN) {
		if err := m.opened(id); err != nil {
			return nil, err
		}
	}
	if !m.server && id > m.last {
		return nil, fmt.Errorf("%w: stream %d is not open yet", ErrProtocol, id)
	}
	c := m.streams[id]
	if h.kind() == typeWindowUpdate {
		if c != nil {
			c.credited(h.length())
		}
		return c, nil
	}
	n := int(h.length())
	if c == nil || c.in.fin { // of a stream that is gone here and not yet there, or a frame that slipped behind its end
		if m.stray -= n; m.stray < 0 {
			return nil, fmt.Errorf("%w: more for stream %d than was on its way when it ended", ErrProtocol, id)
		}
		return nil, nil
	}
	if !c.in.admit(n) {
		return nil, fmt.Errorf("%w: %d bytes are more than the window of stream %d takes", ErrProtocol, n, id)
	}
	if n > 0 && c.closed {
		if c.ignored = true; c.finished { // else its FIN is to come first
			m.reset(c)
		}
		return nil, nil
	}
	return c, nil
}

// opened is for a stream that the peer opens; m.mu is held.
func (m *mux) opened(id uint32) error {
	switch {
	case !m.server || id%2 == 0:
		return fmt.Errorf("%w: stream %d is not the peer's to open", ErrProtocol, id)
	case m.streams[id] != nil:
		return fmt.Errorf("%w: stream %d opened twice", ErrProtocol, id)
	case len(m.streams) >= m.bears:
		return fmt.Errorf("%w: %d streams open", ErrProtocol, len(m.streams))
	case !m.opens.take(time.Now()):
		return fmt.Errorf("%w: a flood of streams", ErrProtocol)
	case m.alive() != nil:
		return ErrSessionClosed
	}
	c := m.admit(id, "client")
	m.inject(newHeader(typeWindowUpdate, flagACK, id, 0))
	if m.accepted != nil {
		m.accepted(c)
		return nil
	}
	m.arrived = append(m.arrived, c)
	notify(m.arrival)
	return nil
}

// pinged is for a ping or the answer to one; m.mu is held.
func (m *mux) pinged(h *header) error {
	switch {
	case !h.has(flagSYN):
		m.pace.answered(h.length())
		return nil
	case m.earned >= bytesPerPing:
		m.earned = 0
	case !m.pings.take(time.Now()):
		return fmt.Errorf("%w: a flood of pings", ErrProtocol)
	}
	m.inject(newHeader(typePing, flagACK, 0, h.length()))
	return nil
}

// finished notes the end of what the peer has to say on a stream. A RST is an end like a FIN, and the stream says how it
// ended when all that came before has been read: so nothing is lost that was written before a close.
func (m *mux) finished(c *Conn, reset bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams[c.id] != c {
		return nil // we have ended it meanwhile
	}
	if c.in.fin && !reset {
		return fmt.Errorf("%w: stream %d ended twice", ErrProtocol, c.id)
	}
	if reset {
		c.resetByPeer(!c.in.fin)
	}
	c.in.tell(func() {
		c.in.short = c.in.short || reset && !c.in.fin
		c.in.fin = true
	})
	m.forgetIfOver(c)
	if c.heard != nil {
		c.heard()
	}
	return nil
}
