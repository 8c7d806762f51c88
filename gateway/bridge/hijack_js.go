package bridge

import (
	"errors"
	"net/http"

	"github.com/postern-mail/postern/shared/tunnel"
)

// accept is for nobody: in WebAssembly there is no HTTP server of Go's own, and a Config says how a WebSocket is come by.
func accept(w http.ResponseWriter, _ *http.Request) (tunnel.MessageConn, error) {
	http.Error(w, "no WebSocket is accepted here", http.StatusNotImplemented)
	return nil, errors.New("bridge: Config.Accept is not set")
}
