package ftp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/ftpsuite"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/tunnel/tunneltest"
	"github.com/postern-mail/postern/shared/wire"
)

// gateway is a gateway in memory with one server behind it.
func gateway(server *mailtest.FTP) *tunneltest.Gateway {
	return &tunneltest.Gateway{
		Welcome: wire.Welcome{Version: wire.Version, Server: "test", Capabilities: []string{wire.CapFTPData}},
		Handle: func(o wire.Open) (func(net.Conn), *wire.RefusedError) {
			if o.Service != wire.FTPData {
				return func(c net.Conn) { defer c.Close(); server.ServeConn(c) }, nil
			}
			data, err := server.Dial(context.Background(), o.Port)
			if err != nil {
				return nil, &wire.RefusedError{Reason: wire.Unreachable, Detail: err.Error()}
			}
			return func(c net.Conn) { relay(c, data) }, nil
		},
	}
}

// relay carries octets both ways. An end is passed on as one, and a cut as a cut.
func relay(a, b net.Conn) {
	var directions sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		directions.Go(func() {
			from, to := way[0], way[1]
			if _, err := io.Copy(to, from); err != nil {
				abort(a)
				abort(b)
				return
			}
			to.(interface{ CloseWrite() error }).CloseWrite()
		})
	}
	directions.Wait()
	a.Close()
	b.Close()
}

func abort(c net.Conn) {
	switch c := c.(type) {
	case *tunnel.Conn:
		c.Abort()
	case *net.TCPConn:
		c.SetLinger(0)
		c.Close()
	}
}

// through opens a control connection in a session of its own.
func through(t testing.TB, g *tunneltest.Gateway) (net.Conn, func(context.Context, int) (net.Conn, error)) {
	t.Helper()
	ctx := context.Background() // the suite dials while it cleans up, too
	mc, err := g.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	session, err := tunnel.Client(ctx, mc, wire.Hello{Version: wire.Version, Client: "test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	control, err := session.Open(ctx, wire.Open{Service: wire.FTP, Host: "ftp.example.test", Port: 21})
	if err != nil {
		t.Fatal(err)
	}
	return control, control.(*tunnel.Conn).OpenData
}

// The suite through a tunnel: control and data are streams of one session.
func TestTunnel(t *testing.T) {
	t.Parallel()
	authority := mailtest.NewAuthority(t)
	for name, secure := range map[string]bool{"plain": false, "explicit TLS": true} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.NewFTP()
			server.TCP = true // connections of which one direction ends before the other
			target := ftpsuite.Target{User: "bob", Password: "bob-pw", Resumes: secure}
			if secure {
				server.TLS, server.Reuse = &tls.Config{Certificates: []tls.Certificate{authority.Server()}}, true
				target.TLS = &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}
			}
			g := gateway(server)
			t.Cleanup(g.Close)
			target.Dial = func(t testing.TB) (net.Conn, func(context.Context, int) (net.Conn, error)) { return through(t, g) }
			ftpsuite.Run(t, target)
		})
	}
}

// What the gateway refuses is in the error, and the session goes on; a tunnel that is cut in the middle of a transfer ends it.
func TestTunnelRefusesAndIsCut(t *testing.T) {
	server := mailtest.NewFTP()
	server.TCP = true
	server.Files.Put("/a", make([]byte, 8<<20))
	g := gateway(server)
	defer g.Close()
	handle, denied := g.Handle, false
	g.Handle = func(o wire.Open) (func(net.Conn), *wire.RefusedError) {
		if o.Service == wire.FTPData && denied {
			return nil, &wire.RefusedError{Reason: wire.Denied, Detail: "not there"}
		}
		return handle(o)
	}
	control, data := through(t, g)
	c := ftp.New(control, &ftp.Options{Dial: data, AllowPlaintextAuth: true})
	defer c.Close()
	if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
		t.Fatal(err)
	}
	denied = true
	var refused *wire.RefusedError
	if _, err := c.Retr(t.Context(), "a", 0, -1, io.Discard); !errors.Is(err, ftp.ErrNoData) || !errors.As(err, &refused) || refused.Reason != wire.Denied {
		t.Errorf("%v", err)
	}
	alive(t, c)
	denied = false
	once := sync.OnceFunc(g.Cut)
	n, err := c.Retr(t.Context(), "a", 0, 8<<20, writerFunc(func(p []byte) (int, error) { once(); return len(p), nil }))
	if err == nil || n == 8<<20 || c.State().Phase != ftp.Closed {
		t.Errorf("%d octets, %v, state %v", n, err, c.State().Phase)
	}
	t.Log(err)
}
