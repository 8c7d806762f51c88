package wsconn

import "github.com/coder/websocket"

// closeWith does not wait. A browser's WebSocket says that it is closed when the peer's close frame has come, or after
// a time of the browser's own choosing when the network is gone.
func (c *conn) closeWith(code websocket.StatusCode, reason string) error {
	if code != websocket.StatusNormalClosure {
		code = 3000 + code // a page may give 1000 or one of 3000 to 4999
	}
	go func() { _ = c.c.Close(code, reason) }()
	return nil
}
