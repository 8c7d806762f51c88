// Package wsconn makes a tunnel.MessageConn of a coder/websocket connection.
package wsconn

import (
	"context"

	"github.com/coder/websocket"
	"github.com/postern-mail/postern/shared/tunnel"
)

// New takes c over: nobody else may read, write or close it.
func New(c *websocket.Conn) tunnel.MessageConn { return &conn{c} }

type conn struct{ c *websocket.Conn }

func (c *conn) Read(ctx context.Context) ([]byte, error) {
	_, p, err := c.c.Read(ctx)
	return p, err
}
func (c *conn) Write(ctx context.Context, p []byte) error {
	return c.c.Write(ctx, websocket.MessageBinary, p)
}
func (c *conn) Close(reason string) error { return c.c.Close(websocket.StatusNormalClosure, reason) }
