//go:build !js

package wsconn

import "github.com/coder/websocket"

// closeWith waits for the peer's close frame, 5 s at most.
func (c *conn) closeWith(code websocket.StatusCode, reason string) error {
	return c.c.Close(code, reason)
}
