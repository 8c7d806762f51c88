//go:build !js

package bridge

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"

	"github.com/postern-mail/postern/shared/tunnel"
)

// webSocket is one that does not wait for long for its peer's goodbye: a client may be gone, or stay on purpose.
type webSocket struct {
	tunnel.MessageConn
	conn *hijacked // beneath it
}

// Close implements tunnel.MessageConn. The library waits some seconds for the peer's own close frame, and reads what comes before
// it: of a peer that floods, hundreds of megabytes for nothing.
func (w webSocket) Close(reason string) error {
	w.conn.parting.Store(true)
	return w.MessageConn.Close(reason)
}

// HangUp implements hangUpper. TLS, too, would first say goodbye, which may take as long as the WebSocket's.
func (w webSocket) HangUp() {
	conn := w.conn.Conn
	if sealed, ok := conn.(*tls.Conn); ok {
		conn = sealed.NetConn()
	}
	_ = conn.Close()
}

// readInParting is how much is read of a peer from then on, in octets: what a full message leaves on its way, and its close frame.
const readInParting = 128 << 10

// hijacked is a connection that was HTTP's. It is read to its end, or when we part from the peer to where that is enough.
type hijacked struct {
	net.Conn
	parting atomic.Bool
	read    int // since then; a WebSocket has one reader at a time
}

func (c *hijacked) Read(p []byte) (int, error) {
	if c.parting.Load() && c.read > readInParting {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(p)
	if c.parting.Load() {
		c.read += n
	}
	return n, err
}
