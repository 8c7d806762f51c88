//go:build !js

package bridge

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// accept is Config.Accept where an HTTP server is Go's own.
func accept(w http.ResponseWriter, r *http.Request) (tunnel.MessageConn, error) {
	taken := &lean{ResponseWriter: w}
	ws, err := websocket.Accept(taken, r, &websocket.AcceptOptions{
		Subprotocols:       []string{wire.Subprotocol},
		InsecureSkipVerify: true, // checkOrigin has
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, err
	}
	return webSocket{wsconn.New(ws), taken.conn}, nil
}

// The connection of a WebSocket buffers that much in either direction, in place of the HTTP server's 4 KiB each, which would be a
// good part of what a session costs that does nothing, as most do. Frames are read into buffers of their own and written from
// them. What is read with a frame's head saves a call of the system when the frame is short; of what is written, no buffer
// holds more than the head.
const (
	readBuffer  = 512
	writeBuffer = 16
)

// lean is a ResponseWriter whose connection, once it is no longer HTTP's, has such buffers.
type lean struct {
	http.ResponseWriter
	conn *hijacked // when it is no longer HTTP's
}

// Unwrap is for http.ResponseController.
func (w *lean) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements http.Hijacker.
func (w *lean) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn = &hijacked{Conn: conn}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered()) // that came with the handshake
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(early)), w.conn), max(readBuffer, len(early)))
	if _, err := r.Peek(len(early)); err != nil { // buffered here, too: the WebSocket looks for it there
		return nil, nil, err
	}
	return w.conn, bufio.NewReadWriter(r, bufio.NewWriterSize(&wholeFrames{to: conn}, writeBuffer)), nil
}
