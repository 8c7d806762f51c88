//go:build !js

package bridge

import (
	"crypto/tls"
	"io"
	"sync/atomic"

	"github.com/postern-mail/postern/shared/tunnel"
)

// webSocket is one that does not wait for long for its peer's goodbye: a client may be gone, or stay on purpose.
type webSocket struct {
	tunnel.MessageConn
	taken *lean // what is beneath it
}

// Close implements tunnel.MessageConn. The library waits some seconds for the peer's own close frame, and reads what comes before
// it: of a peer that floods, hundreds of megabytes for nothing.
func (w webSocket) Close(reason string) error {
	w.taken.in.closing.Store(true)
	return w.MessageConn.Close(reason)
}

// HangUp implements hangUpper. TLS, too, would first say goodbye, which may take as long as the WebSocket's.
func (w webSocket) HangUp() {
	conn := w.taken.conn
	if sealed, ok := conn.(*tls.Conn); ok {
		conn = sealed.NetConn()
	}
	_ = conn.Close()
}

// lastWordsMost is how much is read of a peer from then on, in octets: what a full message leaves on its way, and its close frame.
const lastWordsMost = 128 << 10

// lastWordsOf reads a connection to its end, or to where that is enough.
type lastWordsOf struct {
	io.Reader
	closing atomic.Bool
	read    int // since then; the WebSocket has one reader at a time
}

func (l *lastWordsOf) Read(p []byte) (int, error) {
	if l.closing.Load() && l.read > lastWordsMost {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := l.Reader.Read(p)
	if l.closing.Load() {
		l.read += n
	}
	return n, err
}
