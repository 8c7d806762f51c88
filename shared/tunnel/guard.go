package tunnel

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// The frames of yamux, as its spec.md has them: a header of twelve bytes (version, type, flags, stream id, length), and
// after a data frame's header as many bytes as its length says.
const headerSize = 12

const (
	typeData byte = iota
	typeWindowUpdate
	typePing
	typeGoAway
)

const (
	flagSYN uint16 = 1 << iota
	flagACK
	flagFIN
	flagRST
)

// largestFrame bounds a data frame from the peer, which is held until all of it is here. Ours are thirty times smaller.
const largestFrame = 1 << 20

type header [headerSize]byte

func newHeader(kind byte, flags uint16, stream, length uint32) (h header) {
	h[1] = kind
	h.setFlags(flags)
	binary.BigEndian.PutUint32(h[4:], stream)
	binary.BigEndian.PutUint32(h[8:], length)
	return h
}

func (h *header) version() byte     { return h[0] }
func (h *header) kind() byte        { return h[1] }
func (h *header) flags() uint16     { return binary.BigEndian.Uint16(h[2:]) }
func (h *header) setFlags(f uint16) { binary.BigEndian.PutUint16(h[2:], f) }
func (h *header) stream() uint32    { return binary.BigEndian.Uint32(h[4:]) }
func (h *header) length() uint32    { return binary.BigEndian.Uint32(h[8:]) }

// frames finds the headers in a byte stream.
type frames struct {
	header  header
	have    int // of header
	payload int // of the frame begun, still to come
}

// between is true at a frame's edge.
func (f *frames) between() bool { return f.have == 0 && f.payload == 0 }

// gather takes from p what the header still lacks. When it is whole, payload says what follows it.
func (f *frames) gather(p []byte) (rest []byte, whole bool) {
	n := copy(f.header[f.have:], p)
	f.have += n
	if f.have < headerSize {
		return nil, false
	}
	f.have = 0
	if f.header.kind() == typeData {
		f.payload = int(f.header.length())
	}
	return p[n:], true
}

// entry is what the carrier knows of a stream that yamux also has.
type entry struct {
	in, out  bool   // a FIN has come, has gone
	reset    bool   // the peer reads no more, and writes no more
	short    bool   // its RST came before a FIN: what came is not all it meant to send
	closed   bool   // our conn reads no more
	received uint64 // payload bytes
	linger   *time.Timer
	conn     *Conn // nil until yamux has given it to us
}

func (e *entry) stop() {
	if e.linger != nil {
		e.linger.Stop()
	}
}

// arrived judges a header from the peer before yamux sees it, and may change it. What it refuses, yamux 0.1.2 lets pass
// to its cost: a stream from the gateway to the client, which nobody would accept; streams that are closed on one side
// only and held without number, or opened without end; data for streams that are gone, without end; pings, each of which is answered from a goroutine of its own.
//
// A RST becomes a FIN, for at a RST yamux throws away what its reader has not read yet. So nothing is lost that was
// written before a close; the conn knows by its entry that writing is over.
func (c *carrier) arrived(h *header) error {
	if h.version() != 0 || h.kind() > typeGoAway {
		return fmt.Errorf("%w: not a yamux frame", ErrProtocol)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch h.kind() {
	case typePing:
		switch {
		case h.flags()&flagSYN == 0:
			c.pace.answered(h.length())
		case c.earned >= bytesPerPing:
			c.earned = 0
		case !c.pings.take(time.Now()):
			return fmt.Errorf("%w: a flood of pings", ErrProtocol)
		}
		return nil
	case typeGoAway:
		return nil
	case typeData:
		if h.length() > uint32(min(c.o.Window, largestFrame)) {
			return fmt.Errorf("%w: a frame of %d bytes is too long", ErrProtocol, h.length())
		}
		c.earned = min(c.earned+int(h.length()), bytesPerPing)
	}
	id := h.stream()
	if h.flags()&flagSYN != 0 {
		switch {
		case !c.server || id%2 == 0:
			return fmt.Errorf("%w: stream %d is not the peer's to open", ErrProtocol, id)
		case c.streams[id] != nil:
			return fmt.Errorf("%w: stream %d opened twice", ErrProtocol, id)
		case len(c.streams) >= c.o.hardStreams():
			return fmt.Errorf("%w: %d streams open", ErrProtocol, len(c.streams))
		case !c.opens.take(time.Now()):
			return fmt.Errorf("%w: a flood of streams", ErrProtocol)
		}
		c.streams[id] = new(entry)
	}
	if !c.server && id > c.lastOpened {
		return fmt.Errorf("%w: stream %d is not open yet", ErrProtocol, id)
	}
	e := c.streams[id]
	if e == nil { // of a stream that is gone here and not yet there; yamux passes over it
		if h.kind() == typeData {
			if c.stray -= int64(h.length()); c.stray < 0 {
				return fmt.Errorf("%w: more for stream %d than was on its way when it was reset", ErrProtocol, id)
			}
		}
		return nil
	}
	if h.flags()&flagRST != 0 {
		flags := h.flags() &^ (flagRST | flagFIN)
		if !e.in {
			flags |= flagFIN
			e.short = true
		}
		h.setFlags(flags)
		e.in, e.reset = true, true
		if e.conn != nil {
			e.conn.resetByPeer(e.short)
		}
	} else if h.flags()&flagFIN != 0 {
		if e.in {
			return fmt.Errorf("%w: stream %d ended twice", ErrProtocol, id)
		}
		e.in = true
	}
	if h.kind() == typeData && h.length() > 0 {
		e.received += uint64(h.length())
		if e.closed {
			c.resetLocked(id)
		}
	}
	c.forgetIfOver(id, e)
	return nil
}

// departing notes what yamux is about to send. c.mu is held.
func (c *carrier) departing(h *header) {
	if h.kind() > typeWindowUpdate {
		return
	}
	id := h.stream()
	if h.flags()&flagSYN != 0 {
		c.streams[id] = new(entry)
		c.lastOpened = max(c.lastOpened, id)
	}
	e := c.streams[id]
	if e == nil {
		return
	}
	if h.flags()&flagRST != 0 {
		e.in, e.out = true, true
	}
	if h.flags()&flagFIN != 0 {
		e.out = true
	}
	c.forgetIfOver(id, e)
}

func (c *carrier) forgetIfOver(id uint32, e *entry) {
	if e.in && e.out {
		e.stop()
		delete(c.streams, id)
	}
}

// entryOf returns the entry of a stream that yamux has just given us, and from now on tells its conn.
func (c *carrier) entryOf(conn *Conn) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alive() != nil {
		conn.sessionEnded()
		return new(entry)
	}
	e := c.streams[conn.id]
	if e == nil {
		e = &entry{in: true, out: true, reset: true, short: true}
	}
	e.conn = conn
	if e.reset {
		conn.resetByPeer(e.short)
	}
	return e
}

// end says how the peer's direction has ended, if it has: whether short of its FIN, and how many bytes have come.
func (c *carrier) end(e *entry) (in, short bool, received uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return e.in, e.short, e.received
}

// finish is called when a conn is closed, after its FIN. A peer that is sending to it is told at once that nobody reads;
// a silent one is given Linger to close in its turn, which spares a peer on a stock yamux the RST.
func (c *carrier) finish(id uint32, consumed uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.streams[id]
	if e == nil {
		return
	}
	e.closed = true
	if e.received > consumed {
		c.resetLocked(id)
		return
	}
	e.linger = time.AfterFunc(c.o.Linger, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.streams[id] == e {
			c.resetLocked(id)
		}
	})
}

// abort ends a stream without a FIN.
func (c *carrier) abort(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resetLocked(id)
}

// resetLocked ends a stream here and there. yamux has no call for it, so the RST is slipped in on both ways.
func (c *carrier) resetLocked(id uint32) {
	e := c.streams[id]
	if e == nil {
		return
	}
	e.stop()
	delete(c.streams, id)
	c.stray += int64(c.o.Window)
	c.inject(newHeader(typeWindowUpdate, flagRST, id, 0))
	c.resets = append(c.resets, id)
	notify(c.wake)
}

// withdrawn is called when the gateway says that it ends a stream. One that is gone, or that is no stream, does not matter; the
// control stream is not the notice's to end.
func (c *carrier) withdrawn(id uint32, no *wire.RefusedError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.streams[id]; e != nil && e.conn != nil && id > 1 {
		e.conn.refusedByPeer(no)
	}
}

// opened is how many streams there are, in yamux and so in memory.
func (c *carrier) opened() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// hardStreams is where refusing streams ends and the session does: refused streams cost too until they are gone.
func (o *Options) hardStreams() int { return 2*o.Streams + 16 }

// bucket allows so many of something in a second, and burst times as many at once.
type bucket struct {
	perSecond, tokens float64
	at                time.Time
}

// pingsPerSecond is a multiple of what an honest peer sends: one in twenty seconds, beside those of pace.go.
const pingsPerSecond = 4

const burst = 10

func newBucket(perSecond float64, now time.Time) bucket {
	return bucket{perSecond: perSecond, tokens: burst * perSecond, at: now}
}

func (b *bucket) take(now time.Time) bool {
	b.tokens = min(burst*b.perSecond, b.tokens+b.perSecond*now.Sub(b.at).Seconds())
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
