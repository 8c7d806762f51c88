package edge

import (
	"context"
	"net"
	"strconv"
	"syscall/js"

	"github.com/postern-mail/postern/gateway/bridge"
)

// Dialer connects by the platform's connect: bridge.Config's Dialer.
type Dialer struct{ connect js.Value }

var _ bridge.NameDialer = Dialer{}

// DialContext connects to a TCP address, which may have a name for its host. It returns when the connection is there.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addr(address), Err: err}
	}
	if network != "tcp" {
		return fail(net.UnknownNetworkError(network))
	}
	// TLS is the client's own; an end of the target's is not to end our direction.
	socket, err := try(func() js.Value {
		return d.connect.Invoke(address, map[string]any{"secureTransport": "off", "allowHalfOpen": true})
	})
	if err != nil {
		return fail(err)
	}
	c := newConn(socket, address)
	select {
	case opened := <-settled(socket.Get("opened")):
		if opened.err != nil {
			_ = c.Close()
			return fail(opened.err)
		}
		return c, nil
	case <-ctx.Done():
		_ = c.Close()
		return fail(ctx.Err())
	}
}

// DialName implements bridge.NameDialer.
func (d Dialer) DialName(ctx context.Context, host string, port int) (net.Conn, error) {
	return d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}
