package bridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// Broken peers cost their own session and no other.
func TestBrokenPeers(t *testing.T) {
	g := start(t, Config{Embedded: pop3(serveTCP(t, echo)), Limits: Limits{Handshake: time.Second}})
	good := openStream(t, g.session(t))
	garbage := make([]byte, 32<<10)
	_, _ = rand.Read(garbage)
	for name, attack := range map[string]func(*websocket.Conn) error{
		"garbage": func(ws *websocket.Conn) error { return ws.Write(t.Context(), websocket.MessageBinary, garbage) },
		"text":    func(ws *websocket.Conn) error { return ws.Write(t.Context(), websocket.MessageText, []byte("hello")) },
		"a long message": func(ws *websocket.Conn) error {
			return ws.Write(t.Context(), websocket.MessageBinary, make([]byte, 1<<20))
		},
		"silence":         func(*websocket.Conn) error { return nil },
		"an abrupt close": func(ws *websocket.Conn) error { return ws.CloseNow() },
	} {
		t.Run(name, func(t *testing.T) {
			ws, _, err := g.webSocket(t, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer ws.CloseNow()
			_ = attack(ws) // may fail: the gateway may have closed already
			for err = nil; err == nil; {
				_, _, err = ws.Read(t.Context()) // until it has closed
			}
			eventually(t, "the broken session stays", func() bool { return g.Stats().Sessions == 1 })
			if _, err := good.Write([]byte("still here")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(good, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// panicky is a Dialer, and a connection, with a fault.
type panicky struct {
	net.Conn
	inDial bool
}

func (p panicky) DialContext(context.Context, string, string) (net.Conn, error) {
	if p.inDial {
		panic("in dial")
	}
	return p, nil
}
func (panicky) Read([]byte) (int, error) { panic("in read") }
func (panicky) Close() error             { return nil }

func TestPanicCostsItsStream(t *testing.T) {
	for _, inDial := range []bool{true, false} {
		var log safeBuffer
		g := start(t, Config{Embedded: pop3("127.0.0.1:1"), Dialer: panicky{inDial: inDial}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		s := g.session(t)
		c, err := s.Open(t.Context(), embedded)
		if inDial && reason(err) != wire.Internal {
			t.Errorf("open: %v", err)
		}
		if !inDial {
			if _, err := io.ReadAll(c); !errors.Is(err, tunnel.ErrReset) {
				t.Errorf("read: %v", err)
			}
			_ = c.Close()
		}
		eventually(t, "the panic is not logged", func() bool { return strings.Contains(log.String(), "panic") })
		if s.Err() != nil {
			t.Errorf("it cost the session: %v", s.Err())
		}
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *safeBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func TestLogHoldsNoPayloadAndNoToken(t *testing.T) {
	var log safeBuffer
	g := start(t, Config{
		Access: Access{Tokens: []Token{{Name: "all", Secret: "the-token-of-all"}}}, Embedded: pop3(serveTCP(t, echo)), Limits: Limits{TokenDelay: time.Millisecond},
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	_, _ = g.dial(t, wire.Hello{Token: "a-guess"})
	s, err := g.dial(t, wire.Hello{Token: "the-token-of-all", Client: "agent/1"})
	if err != nil {
		t.Fatal(err)
	}
	c := openStream(t, s)
	_, _ = c.Write([]byte("PASS secret-payload\r\n"))
	_, _ = io.ReadFull(c, make([]byte, 10))
	_ = c.Close()
	_, _ = s.Open(t.Context(), open("denied.example", 995))
	_ = s.Close()
	eventually(t, "the session's end is not logged", func() bool { return strings.Contains(log.String(), "session closed") })
	for _, secret := range []string{"the-token-of-all", "a-guess", "secret-payload"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log.String())
		}
	}
	for _, wanted := range []string{"denied.example", "agent/1", "reason=denied", "reason"} {
		if !strings.Contains(log.String(), wanted) {
			t.Errorf("the log does not hold %q:\n%s", wanted, log.String())
		}
	}
}
