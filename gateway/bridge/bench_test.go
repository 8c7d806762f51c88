package bridge

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/wire"
)

// block is what the benchmarks write at a time.
const block = 64 << 10

// BenchmarkBridge is TCP to TCP through client, tunnel and gateway, all on loopback; BenchmarkBareRelay is a WebSocket to
// TCP relay without tunnel, policy or limits; BenchmarkTCP is the target without either.
func BenchmarkBridge(b *testing.B) {
	g := start(b, Config{Embedded: own(map[wire.ServiceName]string{
		wire.POP3: serveTCP(b, source), wire.SMTP: serveTCP(b, sink),
	})})
	s := g.session(b)
	dial := func(name wire.ServiceName) net.Conn {
		c, err := s.Open(b.Context(), wire.Open{Service: name})
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	b.Run("down", func(b *testing.B) { down(b, dial(wire.POP3)) })
	b.Run("up", func(b *testing.B) { up(b, dial(wire.SMTP)) })
}

func BenchmarkBareRelay(b *testing.B) {
	for name, target := range map[string]string{"down": serveTCP(b, source), "up": serveTCP(b, sink)} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			ws.SetReadLimit(wire.MaxMessage)
			tcp, err := net.Dial("tcp", target)
			if err != nil {
				return
			}
			c := websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
			go func() {
				_, _ = io.CopyBuffer(struct{ io.Writer }{tcp}, c, make([]byte, block))
				_ = tcp.(*net.TCPConn).CloseWrite()
			}()
			_, _ = io.CopyBuffer(c, struct{ io.Reader }{tcp}, make([]byte, block))
			_ = c.Close()
		}))
		b.Cleanup(srv.Close)
		b.Run(name, func(b *testing.B) {
			ws, _, err := websocket.Dial(b.Context(), srv.URL, nil)
			if err != nil {
				b.Fatal(err)
			}
			ws.SetReadLimit(wire.MaxMessage)
			c := websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
			if name == "down" {
				down(b, c)
			} else {
				up(b, c)
			}
		})
	}
}

func BenchmarkTCP(b *testing.B) {
	for name, target := range map[string]string{"down": serveTCP(b, source), "up": serveTCP(b, sink)} {
		b.Run(name, func(b *testing.B) {
			c, err := net.Dial("tcp", target)
			if err != nil {
				b.Fatal(err)
			}
			if name == "down" {
				down(b, c)
			} else {
				up(b, c)
			}
		})
	}
}

// source sends for as long as somebody takes it.
func source(c *net.TCPConn) {
	p := make([]byte, block)
	for {
		if _, err := c.Write(p); err != nil {
			return
		}
	}
}

// sink acknowledges each block by one byte.
func sink(c *net.TCPConn) {
	p := make([]byte, block)
	for {
		if _, err := io.ReadFull(c, p); err != nil {
			return
		}
		if _, err := c.Write(p[:1]); err != nil {
			return
		}
	}
}

func down(b *testing.B, c net.Conn) {
	defer c.Close()
	b.SetBytes(block)
	p := make([]byte, block)
	for b.Loop() {
		if _, err := io.ReadFull(c, p); err != nil {
			b.Fatal(err)
		}
	}
}

func up(b *testing.B, c net.Conn) {
	defer c.Close()
	b.SetBytes(block)
	n := b.N
	acknowledged := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.Discard, c, int64(n))
		acknowledged <- err
	}()
	p := make([]byte, block)
	for range n {
		if _, err := c.Write(p); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-acknowledged; err != nil {
		b.Fatal(err)
	}
}
