//go:build !js

// Package bridgetest is what a bridge does as its clients and the mail servers see it, as one table of tests, for wherever
// the bridge runs: natively, and on Workers. Mail servers are played on loopback.
package bridgetest

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/wsconn"
	"github.com/postern-mail/postern/shared/wire"
)

// Setup is how a gateway is to be set up.
type Setup struct {
	Allow   []string // rules, as ParseRule reads them
	Origins []string
}

// Token is what lets into all of them.
const Token = "open sesame, says Ali"

// Place is where a bridge runs.
type Place struct {
	// Start starts a gateway until the end of the test, and answers its URL, like http://127.0.0.1:8080.
	Start func(testing.TB, Setup) string
	// Streams is how many a session may have there.
	Streams int
	// Resets says that a client's cut reaches the mail server as one.
	Resets bool
	// Looks says that names are looked up there by the bridge.
	Looks bool
}

// Run runs the table.
func Run(t *testing.T, p Place) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Place)
	}{
		{"streams are whole, side by side, and half closed", echoes},
		{"a server that has ended is still spoken to", talksOn},
		{"handshakes", handshakes},
		{"tokens", tokens},
		{"targets", targets},
		{"streams are counted", counted},
		{"data connections of FTP", dataConnections},
		{"a server's cut is none of its ends", serverCuts},
		{"a client's cut ends the server's connection", clientCuts},
		{"a server that takes nothing is left when its client goes", deafServer},
		{"broken clients cost themselves alone", brokenClients},
		{"a stream that is not read holds little", stalledStream},
		{"a WebSocket that is not read holds little", stalledSocket},
		{"who is cut off comes back", comesBack},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, p) })
	}
}

// client is one WebSocket of a client's.
type client struct {
	*tunnel.Session
	tcp  net.Conn // beneath it
	took atomic.Int64
	hold hold
}

// connect makes a WebSocket.
func connect(ctx context.Context, url string, header http.Header) (tunnel.MessageConn, net.Conn, *http.Response, error) {
	var tcp net.Conn
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		tcp = c
		return c, err
	}}
	ws, answer, err := websocket.Dial(ctx, url+wire.Path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: header, Subprotocols: []string{wire.Subprotocol},
	})
	if err != nil {
		return nil, tcp, answer, err
	}
	return wsconn.New(ws), tcp, answer, nil
}

// dial makes a session, until the end of the test.
func dial(t testing.TB, url, token string, o *tunnel.Options) (*client, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	mc, tcp, _, err := connect(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	c := &client{tcp: tcp}
	c.hold.until = make(chan struct{})
	c.Session, err = tunnel.Client(ctx, &watched{mc, c}, wire.Hello{Version: wire.Version, Client: "test", Token: token}, o)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		c.hold.release()
		_ = c.Close()
	})
	return c, nil
}

func session(t testing.TB, url string) *client {
	t.Helper()
	c, err := dial(t, url, Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// watched counts what the client's end of a WebSocket takes, and can stop taking.
type watched struct {
	tunnel.MessageConn
	c *client
}

func (w *watched) Read(ctx context.Context) ([]byte, error) {
	w.c.hold.wait()
	m, err := w.MessageConn.Read(ctx)
	w.c.took.Add(int64(len(m)))
	return m, err
}

type hold struct {
	on    atomic.Bool
	until chan struct{}
	once  sync.Once
}

func (h *hold) wait() {
	if h.on.Load() {
		<-h.until
	}
}
func (h *hold) release() { h.once.Do(func() { close(h.until) }) }

// open opens a stream to a server, and reads its greeting.
func open(t testing.TB, s *tunnel.Session, address string) *tunnel.Conn {
	t.Helper()
	c, err := s.Open(t.Context(), target(t, address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.ReadFull(c, make([]byte, len(greeting))); err != nil {
		t.Fatal(err)
	}
	return c.(*tunnel.Conn)
}

func target(t testing.TB, address string) wire.Open {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Open{Service: wire.POP3, Host: a.IP.String(), Port: a.Port}
}

// greeting is what all servers here say first: the bridge may want to hear it.
const greeting = "+OK ready\r\n"

// server listens on loopback, greets, and serves each connection by f.
func server(t testing.TB, f func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				_, _ = io.WriteString(c, greeting)
				f(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

func echo(c *net.TCPConn) {
	_, _ = io.Copy(c, c)
	_ = c.CloseWrite()
}

// eventually waits for what no event tells.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
