package tunnel

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/postern-mail/postern/shared/wire"
)

// Unpaced is a MessageConn whose Write never waits, however little the peer takes: it holds all that is written to it. A
// WebSocket is such a one in a Cloudflare Worker. The windows of the streams bound what that can be only for an honest
// peer, for it is the peer that says how large they are. So the tunnel paces it: from time to time it puts a ping into
// what it sends, with a number that nobody can guess, and the answer shows that the peer has read as far as there.
type Unpaced interface {
	MessageConn
	// InFlight is how many bytes may be written that the peer has not shown to have read. It bounds what a session
	// sends in one round trip. No less than 256 KiB.
	InFlight() int
}

// pace is what a mux knows of the bytes on an Unpaced's way; of mux.mu.
type pace struct {
	most     int // 0: the MessageConn waits by itself
	flying   int // written, and not shown to have been read
	unmarked int // of these, written after the last mark
	marks    []mark
	moved    chan struct{} // closed when flying falls; nil when nobody waits
}

// mark is a ping that waits for its answer.
type mark struct {
	number uint32
	bytes  int // written after the mark before
}

// marksInFlight is how many pieces what is on its way is shown in: one must come through in Options.DeadAfter, or a line
// is taken for dead.
const marksInFlight = 8

// bytesPerPing is for how many bytes that have come a peer may send a ping beyond the few that it always may: half of what the smallest pace has between two.
const bytesPerPing = 16 << 10

func newPace(mc MessageConn) (p pace) {
	if u, ok := mc.(Unpaced); ok {
		p.most = max(u.InFlight(), 4*wire.MaxMessage)
	}
	return p
}

// await waits until n more bytes may be written, or answers false when the session has ended. The watchdog is wound up
// with each step that the peer makes.
func (m *mux) await(n int) bool {
	for {
		m.mu.Lock()
		p := &m.pace
		if p.most == 0 || p.flying+n <= p.most {
			m.mu.Unlock()
			return m.alive() == nil
		}
		if p.moved == nil {
			p.moved = make(chan struct{})
		}
		moved := p.moved
		m.mu.Unlock()
		select {
		case <-moved:
			m.out.watchdog.Reset(m.o.DeadAfter)
		case <-m.closed:
			return false
		}
	}
}

// wrote counts bytes that are on their way, and answers the ping that is to follow them, if one is.
func (m *mux) wrote(n int) (ping []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.written(n)
	p := &m.pace
	if p.most == 0 {
		return nil
	}
	p.flying += n
	p.unmarked += n
	if p.unmarked < p.most/marksInFlight {
		return nil
	}
	var random [4]byte
	_, _ = rand.Read(random[:])                          // it does not fail
	number := binary.BigEndian.Uint32(random[:]) | 1<<31 // other pings have the number 0
	p.marks = append(p.marks, mark{number, p.unmarked})
	p.unmarked = 0
	h := newHeader(typePing, flagSYN, 0, number)
	return h[:]
}

// answered takes the answer to a ping. A stock yamux answers each from a goroutine of its own, so one may overtake another:
// what was sent before a mark that was read has been read too. mux.mu is held.
func (p *pace) answered(number uint32) {
	bytes := 0
	for i, m := range p.marks {
		bytes += m.bytes
		if m.number != number {
			continue
		}
		p.marks = append(p.marks[:0], p.marks[i+1:]...)
		p.flying -= bytes
		if p.moved != nil {
			close(p.moved)
			p.moved = nil
		}
		return
	}
}
