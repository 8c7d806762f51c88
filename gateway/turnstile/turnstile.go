// Package turnstile counts the connections to a server, all of them and those from one place, and lets no more in than there
// is room for. It stands before every listener of the embedded servers.
package turnstile

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Turnstile counts connections over all listeners that it stands before. What comes by loopback, which is the gateway with
// users of all places, has as much room of its own: neither can shut the other out.
type Turnstile struct {
	most, mostFrom int

	mu   sync.Mutex
	far  int
	near int // from loopback
	from map[netip.Addr]int
}

// New lets in most connections, and as many from loopback; of them mostFrom from one place that is not loopback. -1 is no
// limit.
func New(most, mostFrom int) *Turnstile {
	return &Turnstile{most: most, mostFrom: mostFrom, from: map[netip.Addr]int{}}
}

// Count is how many connections there are, from loopback and from elsewhere.
func (t *Turnstile) Count() (near, far int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(t.near), int64(t.far)
}

// Listener lets in what there is room for, and says busy to others before it closes: a line of the protocol, or "" for those
// who await TLS.
func (t *Turnstile) Listener(l net.Listener, busy string) net.Listener {
	return gated{l, t, busy}
}

func (t *Turnstile) enter(from netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.side(from)
	if t.most > 0 && *all >= t.most || t.mostFrom > 0 && !from.IsLoopback() && t.from[from] >= t.mostFrom {
		return false
	}
	*all++
	t.from[from]++
	return true
}

func (t *Turnstile) leave(from netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*t.side(from)--
	if t.from[from]--; t.from[from] == 0 {
		delete(t.from, from)
	}
}

func (t *Turnstile) side(from netip.Addr) *int {
	if from.IsLoopback() {
		return &t.near
	}
	return &t.far
}

type gated struct {
	net.Listener
	turnstile *Turnstile
	busy      string
}

func (l gated) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := origin(conn.RemoteAddr())
		if l.turnstile.enter(from) {
			return &counted{Conn: conn, leave: func() { l.turnstile.leave(from) }}, nil
		}
		if l.busy != "" {
			conn.SetWriteDeadline(time.Now().Add(time.Second)) // an empty socket takes a line at once
			conn.Write([]byte(l.busy))
		}
		conn.Close()
	}
}

// origin is the place a connection comes from: an address, or an IPv6 network
// of 64 bits, which is one customer's.
func origin(a net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	ip := ap.Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}

type counted struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *counted) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
