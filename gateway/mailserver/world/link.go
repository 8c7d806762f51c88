package world

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/postern-mail/postern/shared/control"
)

// smtpPort is the port of a world's servers. No other can be reached.
const smtpPort = 25

var errNobody = errors.New("nobody is there: the demo world has no other machines")

// network is what one host sees of the world's: it connects to the others, as itself.
type network struct {
	world *World
	from  *host
}

// DialContext connects to the server that has an address in the world.
func (n network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(at), Err: err}
	}
	to := n.world.at(at.Addr())
	if to == nil || at.Port() != smtpPort {
		return fail(errNobody)
	}
	target, ok := to.smtp()
	if !ok || n.world.way(to) == control.FaultDown {
		return fail(syscall.ECONNREFUSED)
	}
	conn, err := n.world.dialer.DialContext(ctx, "tcp", target.String())
	if err != nil {
		return nil, err
	}
	l := &link{Conn: conn, world: n.world, to: to, forget: to.server.Introduce(conn.LocalAddr(), n.from.address), closed: make(chan struct{})}
	to.mu.Lock()
	to.links[l] = true
	to.mu.Unlock()
	if n.world.way(to) == control.FaultDown { // meanwhile
		l.Close()
		return fail(syscall.ECONNREFUSED)
	}
	return l, nil
}

// link is a connection from one server to another.
type link struct {
	net.Conn
	world  *World
	to     *host
	forget func() // whose connection it is
	once   sync.Once
	closed chan struct{}
}

func (l *link) Read(p []byte) (int, error) {
	part := l.part(len(p))
	n, err := l.Conn.Read(p[:part])
	l.crawl(n)
	return n, err
}

func (l *link) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		var some int
		some, err = l.Conn.Write(p[:l.part(len(p))])
		l.crawl(some)
		n, p = n+some, p[some:]
	}
	return n, err
}

// part is how much goes over the link at a time: on a slow one a tenth of a second's.
func (l *link) part(n int) int {
	if l.slow() {
		return min(n, max(l.world.slow/10, 1))
	}
	return n
}

func (l *link) slow() bool { return l.world.way(l.to) == control.FaultSlow }

// crawl takes the time that so many octets take.
func (l *link) crawl(n int) {
	if n == 0 || !l.slow() {
		return
	}
	timer := time.NewTimer(time.Duration(n) * time.Second / time.Duration(l.world.slow))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.closed:
	}
}

func (l *link) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.to.mu.Lock()
		delete(l.to.links, l)
		l.to.mu.Unlock()
		l.forget()
	})
	return l.Conn.Close()
}
