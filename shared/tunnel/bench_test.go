package tunnel_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// block is what the benchmarks write at a time: what a relay reads from a socket at a time.
const block = 64 << 10

// webSockets is a WebSocket on loopback, both ends.
func webSockets(t testing.TB) (client, server *websocket.Conn) {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}))
	t.Cleanup(srv.Close)
	client, _, err := websocket.Dial(t.Context(), srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() { _ = client.CloseNow(); _ = server.CloseNow() })
	return client, server
}

func BenchmarkTunnel(b *testing.B) {
	carriers := map[string]func() (a, b tunnel.MessageConn){
		"memory": func() (tunnel.MessageConn, tunnel.MessageConn) {
			return tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
		},
		"websocket": func() (tunnel.MessageConn, tunnel.MessageConn) {
			c, s := webSockets(b)
			return wsconn.New(c), wsconn.New(s)
		},
	}
	for name, carrier := range carriers {
		b.Run(name, func(b *testing.B) {
			x, y := carrier()
			c, s := sessions(b, x, y, nil)
			client, server := conns(b, c, s)
			b.Run("down", func(b *testing.B) { transfer(b, server, client) })
			b.Run("up", func(b *testing.B) { transfer(b, client, server) })
		})
	}
}

// BenchmarkBareWebSocket is the same WebSocket without a tunnel in it: what could be had.
func BenchmarkBareWebSocket(b *testing.B) {
	c, s := webSockets(b)
	client := websocket.NetConn(context.Background(), c, websocket.MessageBinary)
	server := websocket.NetConn(context.Background(), s, websocket.MessageBinary)
	c.SetReadLimit(wire.MaxMessage)
	s.SetReadLimit(wire.MaxMessage)
	b.Run("down", func(b *testing.B) { transfer(b, server, client) })
	b.Run("up", func(b *testing.B) { transfer(b, client, server) })
}

func transfer(b *testing.B, from, to net.Conn) {
	b.SetBytes(block)
	b.ReportAllocs()
	p := make([]byte, block)
	n := int64(b.N) * block
	wrote := make(chan error, 1)
	go func() {
		var err error
		for range b.N {
			if _, err = from.Write(p); err != nil {
				break
			}
		}
		wrote <- err
	}()
	buf := make([]byte, block)
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(to, n), buf); err != nil {
		b.Fatal(err)
	}
	if err := <-wrote; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOpen is what a stream costs: Open, Opened, and both closes.
func BenchmarkOpen(b *testing.B) {
	x, y := tunneltest.Pipe(tunneltest.Faults{}, tunneltest.Faults{})
	c, s := sessions(b, x, y, &tunnel.Options{OpensPerSecond: 1 << 30})
	b.ReportAllocs()
	for range b.N {
		client, server := conns(b, c, s)
		_ = server.Close()
		_ = client.Close()
	}
}
