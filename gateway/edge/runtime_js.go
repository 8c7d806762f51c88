package edge

import (
	"net"
	"net/http"
	"strings"
	"syscall/js"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// Runtime is what worker.mjs gives the instance of one session.
type Runtime struct {
	env, connect, binding js.Value
	socket                chan *Socket
}

// Here is the Runtime of this instance. It must be asked for before main first waits for anything: after that another's may
// be there.
func Here() *Runtime {
	c := js.Global().Get("context")
	return &Runtime{env: c.Get("env"), connect: c.Get("connect"), binding: c.Get("binding"), socket: make(chan *Socket, 1)}
}

// Variables are the Worker's variables and secrets whose names begin with prefix.
func (r *Runtime) Variables(prefix string) map[string]string {
	all := make(map[string]string)
	names := js.Global().Get("Object").Call("keys", r.env)
	for i := range names.Length() {
		name := names.Index(i).String()
		if v := r.env.Get(name); strings.HasPrefix(name, prefix) && v.Type() == js.TypeString {
			all[name] = v.String()
		}
	}
	return all
}

// Dialer connects to mail servers.
func (r *Runtime) Dialer() Dialer { return Dialer{connect: r.connect} }

// Accept is bridge.Config's. It is for one session: the instance has no second. The answer is 204, since no Go library
// makes a Response with a WebSocket; worker.mjs finds the client's end in the binding and answers 101 with the same headers.
func (r *Runtime) Accept(w http.ResponseWriter, _ *http.Request) (tunnel.MessageConn, error) {
	s, remote := newSocket()
	r.binding.Set("socket", remote)
	r.binding.Set("near", s.ws)
	w.Header().Set("Sec-WebSocket-Protocol", wire.Subprotocol)
	w.WriteHeader(http.StatusNoContent)
	r.socket <- s
	return s, nil
}

// Accepted gets the session's Socket.
func (r *Runtime) Accepted() <-chan *Socket { return r.socket }

// Handler serves requests that the platform says come from a client's address.
func Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Cloudflare sets it, whatever the client says.
		r.RemoteAddr = net.JoinHostPort(r.Header.Get("CF-Connecting-IP"), "0")
		h.ServeHTTP(w, r)
	})
}
