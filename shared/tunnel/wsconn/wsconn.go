// Package wsconn makes a tunnel.MessageConn of a WebSocket (RFC 6455) by github.com/coder/websocket, in a native program:
// in a browser there is one already. It does no dialing and no accepting.
package wsconn

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// New takes c over: from now on nobody else may read, write or close it.
//
// Messages are binary, and at most wire.MaxMessage in either direction: a longer or a text message from the peer closes
// the connection (1009 and 1003 of RFC 6455 section 7.4.1). The tunnel splits its writes below that.
func New(c *websocket.Conn) tunnel.MessageConn {
	c.SetReadLimit(wire.MaxMessage)
	return &conn{c: c}
}

type conn struct {
	c   *websocket.Conn
	buf *buffer // of the last message; nil while the next is waited for
}

type buffer [wire.MaxMessage + 1]byte // the library lets one byte more than its limit pass

// buffers are for those connections on which something comes: most do nothing most of the time.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

// Read implements tunnel.MessageConn.
func (c *conn) Read(ctx context.Context) ([]byte, error) {
	if c.buf != nil {
		buffers.Put(c.buf)
		c.buf = nil
	}
	kind, r, err := c.c.Reader(ctx)
	if err != nil {
		return nil, err
	}
	if kind != websocket.MessageBinary {
		_ = c.c.Close(websocket.StatusUnsupportedData, "binary messages only")
		return nil, fmt.Errorf("%w: a text message", tunnel.ErrProtocol)
	}
	c.buf = buffers.Get().(*buffer)
	n := 0
	for err == nil && n < len(c.buf) {
		var k int
		k, err = r.Read(c.buf[n:])
		n += k
	}
	switch {
	case n > wire.MaxMessage:
		_ = c.c.Close(websocket.StatusMessageTooBig, "message too long")
		return nil, fmt.Errorf("%w: a message over %d bytes", tunnel.ErrProtocol, wire.MaxMessage)
	case err != io.EOF:
		return nil, err
	}
	return c.buf[:n], nil
}

// Write implements tunnel.MessageConn.
func (c *conn) Write(ctx context.Context, p []byte) error {
	return c.c.Write(ctx, websocket.MessageBinary, p)
}

// Close implements tunnel.MessageConn. It waits for the peer's close frame, 5 s at most.
func (c *conn) Close(reason string) error {
	return c.c.Close(websocket.StatusNormalClosure, reason)
}
