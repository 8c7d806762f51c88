// Package turnstile counts the connections to a server, all of them and those from one place, and lets no more in than there
// is room for. It stands before every listener of the embedded servers.
package turnstile

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/endsite"
)

// Turnstile counts connections over all listeners that it stands before. What comes by loopback, which is the gateway with
// users of all places, has as much room of its own: neither can shut the other out.
type Turnstile struct {
	most, mostFrom int

	mu   sync.Mutex
	far  int
	near int                  // from loopback
	from map[netip.Prefix]int // clients, and their sites
}

// New lets in most connections, and as many from loopback; of them mostFrom from one client that is not loopback, and
// endsite.ClientsOfSite times as many from his site. -1 is no limit.
func New(most, mostFrom int) *Turnstile {
	return &Turnstile{most: most, mostFrom: mostFrom, from: map[netip.Prefix]int{}}
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

func (t *Turnstile) enter(client netip.Prefix) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	all, site := t.side(client), endsite.Site(client)
	if t.most > 0 && *all >= t.most || t.mostFrom > 0 && !client.Addr().IsLoopback() &&
		(t.from[client] >= t.mostFrom || t.from[site] >= endsite.ClientsOfSite*t.mostFrom) {
		return false
	}
	*all++
	t.from[client]++
	if site != client {
		t.from[site]++
	}
	return true
}

func (t *Turnstile) leave(client netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*t.side(client)--
	for _, p := range slices.Compact([]netip.Prefix{client, endsite.Site(client)}) {
		if t.from[p]--; t.from[p] == 0 {
			delete(t.from, p)
		}
	}
}

func (t *Turnstile) side(client netip.Prefix) *int {
	if client.Addr().IsLoopback() {
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

// origin is the client that a connection comes from.
func origin(a net.Addr) netip.Prefix {
	at, _ := netip.ParseAddrPort(a.String()) // no address is a client, too
	return endsite.Client(at.Addr())
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
