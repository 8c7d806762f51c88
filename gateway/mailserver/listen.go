package mailserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// listen binds a service's address; an error is a *PortError.
func listen(ctx context.Context, service, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	const windowsInUse = syscall.Errno(10048) // WSAEADDRINUSE
	inUse := errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, windowsInUse)
	return nil, &PortError{Service: service, Address: address, InUse: inUse, Err: err}
}

// turnstile counts connections over all services, and those from one place.
// What comes by loopback, which is the gateway with users of all places, has as
// much room of its own: neither can shut the other out.
type turnstile struct {
	most, mostFrom int // -1: no limit

	mu   sync.Mutex
	far  int
	near int // from loopback
	from map[netip.Addr]int
}

// count is how many connections there are.
func (t *turnstile) count() (near, far int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(t.near), int64(t.far)
}

func (t *turnstile) enter(from netip.Addr) bool {
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

func (t *turnstile) leave(from netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*t.side(from)--
	if t.from[from]--; t.from[from] == 0 {
		delete(t.from, from)
	}
}

func (t *turnstile) side(from netip.Addr) *int {
	if from.IsLoopback() {
		return &t.near
	}
	return &t.far
}

// gatedListener lets in what the turnstile does, and tells others to come later.
type gatedListener struct {
	net.Listener
	turnstile *turnstile
	busy      string // said to those who are not let in; "" if they await TLS
}

func (l gatedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := origin(conn.RemoteAddr())
		if l.turnstile.enter(from) {
			return &gatedConn{Conn: conn, leave: func() { l.turnstile.leave(from) }}, nil
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

type gatedConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *gatedConn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
