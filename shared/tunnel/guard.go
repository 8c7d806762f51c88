package tunnel

import (
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// How streams end, and what the peer may do how often.

// finish is called when a conn is closed, after its FIN. A peer that is sending to it is told at once that nobody reads;
// a silent one is given Linger to close in its turn, which spares a peer on a stock yamux the RST.
func (m *mux) finish(c *Conn, unread bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams[c.id] != c {
		return
	}
	c.closed = true
	if unread || c.ignored {
		m.reset(c)
		return
	}
	c.linger = time.AfterFunc(m.o.Linger, func() { m.abort(c) })
}

// abort ends a stream without a FIN.
func (m *mux) abort(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reset(c)
}

// reset ends a stream here and there; m.mu is held.
func (m *mux) reset(c *Conn) {
	if m.streams[c.id] != c {
		return
	}
	m.forget(c)
	m.stray = min(m.stray+c.in.remaining(), mostStray)
	m.inject(newHeader(typeWindowUpdate, flagRST, c.id, 0))
	c.in.tell(func() { c.in.fin, c.in.short = true, c.in.short || !c.in.fin })
	c.endWriting()
}

func (m *mux) forgetIfOver(c *Conn) {
	if c.in.fin && c.finished && m.streams[c.id] == c {
		m.forget(c)
	}
}

func (m *mux) forget(c *Conn) {
	if c.linger != nil {
		c.linger.Stop()
	}
	delete(m.streams, c.id)
}

// withdrawn is called when the gateway says that it ends a stream. One that is gone, or that is no stream, does not matter; the
// control stream is not the notice's to end.
func (m *mux) withdrawn(id uint32, no *wire.RefusedError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.streams[id]; c != nil && id != controlStream {
		c.refusedByPeer(no)
	}
}

// count is how many streams there are.
func (m *mux) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.streams)
}

// hardStreams is where refusing streams ends and the session does: refused streams cost too until they are gone.
func (o *Options) hardStreams() int { return 2*o.Streams + 16 }

// earlyStreams is the same before the welcome, which most clients wait for: who says nothing of who it is can make us hold the
// windows of so many, and not of all.
const earlyStreams = 1 + 4

// welcome lets the peer have as many streams as the welcome, which comes next, says.
func (m *mux) welcome() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bears = m.o.hardStreams()
}

// mostStray is more than an honest peer has on its way for streams that are gone.
const mostStray = 1 << 30

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
