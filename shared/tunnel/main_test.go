package tunnel_test

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, leakOptions()...) }

var (
	hello   = wire.Hello{Version: wire.Version, Client: "test"}
	welcome = wire.Welcome{Version: wire.Version, Server: "test"}
	target  = wire.Open{Service: wire.POP3}
)

func greet(context.Context, wire.Hello) (wire.Welcome, error) { return welcome, nil }

// sessions makes a client and a server session over a pipe.
func sessions(t testing.TB, client, server tunnel.MessageConn, o *tunnel.Options) (*tunnel.Session, *tunnel.ServerSession) {
	t.Helper()
	type result struct {
		s   *tunnel.ServerSession
		err error
	}
	served := make(chan result, 1)
	go func() {
		s, err := tunnel.Serve(t.Context(), server, greet, o)
		served <- result{s, err}
	}()
	c, err := tunnel.Client(t.Context(), client, hello, o)
	if err != nil {
		t.Fatal(err)
	}
	r := <-served
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { c.Close(); r.s.Close() })
	return c, r.s
}

// conns opens one stream.
func conns(t testing.TB, c *tunnel.Session, s *tunnel.ServerSession) (client, server net.Conn) {
	t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		r, err := s.Accept(t.Context())
		if err != nil {
			t.Error(err)
			close(accepted)
			return
		}
		conn, err := r.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- conn
	}()
	client, err := c.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	return client, <-accepted
}

// connPair is one stream in a session of its own.
func connPair(t testing.TB, o *tunnel.Options) (client, server net.Conn) {
	t.Helper()
	a, b := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(t, a, b, o)
	return conns(t, c, s)
}

// within fails the test if f takes longer.
func within(t testing.TB, limit time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("%s: not within %v", what, limit)
	}
}
