package ftpserver

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Inside is a listener for the gateway that a server is in, which connects by Dial and by nothing else: so a session knows from its
// first moment on that its client is wherever the gateway's is, and not on this machine, where its connection is from. See
// Server.ServeInside.
type Inside struct {
	come   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ net.Listener = (*Inside)(nil)

// NewInside makes one.
func NewInside() *Inside {
	return &Inside{come: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial connects.
func (l *Inside) Dial(ctx context.Context) (net.Conn, error) {
	theirs, ours, err := pair(ctx, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	if err != nil {
		return nil, err
	}
	select {
	case l.come <- ours:
		return theirs, nil
	case <-l.closed:
		err = &net.OpError{Op: "dial", Net: "tcp", Err: net.ErrClosed}
	case <-ctx.Done():
		err = ctx.Err()
	}
	theirs.Close()
	ours.Close()
	return nil, err
}

// Accept implements net.Listener.
func (l *Inside) Accept() (net.Conn, error) {
	select {
	case c := <-l.come:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: net.ErrClosed}
	}
}

// Close implements net.Listener. What it has given out goes on.
func (l *Inside) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *Inside) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// pairing is how long two ends on this machine may take to meet.
const pairing = 5 * time.Second

// pair is a connection with both its ends: sockets, which end and are cut as those of a network.
func pair(ctx context.Context, at netip.Addr) (one, other net.Conn, err error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(ctx, pairing)
	defer cancel()
	until, _ := ctx.Deadline()
	l.SetDeadline(until)
	one, err = (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	other, err = otherEnd(l, one)
	if err != nil {
		one.Close()
		return nil, nil, err
	}
	return one, other, nil
}

// otherEnd takes the other end of a connection from the listener that it was made to.
func otherEnd(l net.Listener, one net.Conn) (net.Conn, error) {
	for {
		other, err := l.Accept()
		if err != nil || other.RemoteAddr().String() == one.LocalAddr().String() {
			return other, err
		}
		other.Close() // somebody else of this machine was here first
	}
}
