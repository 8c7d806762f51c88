// Package linetest is the other side of a mail server in its tests: it serves a listener of its own on loopback, and
// speaks lines to it, as POP3 (RFC 1939) and SMTP (RFC 5321) do, right and wrong ones.
package linetest

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// patience bounds a whole conversation: what takes longer hangs.
const patience = 20 * time.Second

// Server is what both servers have.
type Server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// Serve runs a server until the test ends and answers its address. The server must end in time and without an error.
func Serve(t testing.TB, s Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

// Peer is a client that knows lines and no protocol.
type Peer struct {
	T    testing.TB
	Conn net.Conn
	In   *bufio.Reader
}

// Dial connects to a server.
func Dial(t testing.TB, address string) *Peer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return New(t, conn)
}

// New speaks over a connection, which it closes when the test ends.
func New(t testing.TB, conn net.Conn) *Peer {
	t.Cleanup(func() { conn.Close() })
	return &Peer{t, conn, bufio.NewReader(conn)}
}

// Secure begins TLS, without asking whose certificate it is.
func (p *Peer) Secure() {
	secure := tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true})
	p.Conn, p.In = secure, bufio.NewReader(secure)
}

// Send sends octets as they are.
func (p *Peer) Send(s string) {
	p.T.Helper()
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.T.Fatalf("sending %.40q: %v", s, err)
	}
}

// Line reads a line, and answers it without its CRLF.
func (p *Peer) Line() string {
	p.T.Helper()
	line, err := p.In.ReadString('\n')
	if err != nil {
		p.T.Fatalf("reading after %q: %v", line, err)
	}
	if !strings.HasSuffix(line, "\r\n") {
		p.T.Fatalf("line %q does not end in CRLF", line)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// End waits for the server to close, without another word.
func (p *Peer) End() {
	p.T.Helper()
	if rest, err := io.ReadAll(p.In); err != nil || len(rest) > 0 {
		p.T.Fatalf("connection went on with %q, %v", rest, err)
	}
}
