//go:build !js

package bridge

import (
	"io"
	"sync/atomic"

	"github.com/postern-mail/postern/shared/tunnel"
)

// parting is a WebSocket that does not listen for long once it is being closed. The library waits some seconds for the peer's own
// close frame, and reads what comes before it: of a peer that floods, hundreds of megabytes for nothing.
type parting struct {
	tunnel.MessageConn
	from *lastWordsOf
}

// Close implements tunnel.MessageConn.
func (p parting) Close(reason string) error {
	p.from.closing.Store(true)
	return p.MessageConn.Close(reason)
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
