package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/account"
)

type fakeAccounts struct{}

func (fakeAccounts) Authenticate(_ context.Context, _ net.Addr, user, password string) (account.Account, error) {
	switch {
	case user == "busy":
		return account.Account{}, account.ErrBusy
	case user == "broken":
		return account.Account{}, errors.New("disk on fire")
	case password != "secret":
		return account.Account{}, account.ErrDenied
	}
	return account.Account{Email: account.Canonical(user)}, nil
}

// fakePost has alice, bob and postmaster at postern.test.
type fakePost struct {
	mu        sync.Mutex
	delivered []delivered
	discarded int
	fail      error // of Deliver
	entered   chan struct{}
	release   chan struct{} // Deliver waits for it, if set
}

type delivered struct {
	Envelope
	text string
}

func (p *fakePost) Lookup(_ context.Context, address string) (string, bool, error) {
	switch a := account.Canonical(address); {
	case a == "alice@postern.test", a == "bob@postern.test", a == "postmaster@postern.test":
		return a, true, nil
	case a == "broken@postern.test":
		return "", true, errors.New("disk on fire")
	case strings.HasSuffix(a, "@postern.test"):
		return "", true, ErrNoMailbox
	}
	return "", false, nil
}

func (p *fakePost) Create() (Incoming, error) { return &fakeIncoming{post: p}, nil }

func (p *fakePost) all() []delivered {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]delivered(nil), p.delivered...)
}

type fakeIncoming struct {
	bytes.Buffer
	post *fakePost
	done bool
}

func (in *fakeIncoming) Deliver(_ context.Context, env Envelope) error {
	if in.post.entered != nil {
		in.post.entered <- struct{}{}
		<-in.post.release
	}
	in.post.mu.Lock()
	defer in.post.mu.Unlock()
	if in.post.fail != nil {
		return in.post.fail
	}
	in.done = true
	in.post.delivered = append(in.post.delivered, delivered{env, in.String()})
	return nil
}

func (in *fakeIncoming) Discard() {
	in.post.mu.Lock()
	defer in.post.mu.Unlock()
	if !in.done {
		in.post.discarded++
	}
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func config(p *fakePost) Config {
	return Config{Hostname: "mail.postern.test", Postmaster: "postmaster@postern.test", Accounts: fakeAccounts{}, Post: p,
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate()}}, Logger: slog.New(slog.DiscardHandler),
		now: func() time.Time { return time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC) }}
}

func start(t testing.TB, p *fakePost, change func(*Config)) (addr string, srv *Server) {
	t.Helper()
	cfg := config(p)
	if change != nil {
		change(&cfg)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv = New(cfg)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String(), srv
}

func submission(c *Config) { c.Submission = true }

type client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := &client{t, conn, bufio.NewReader(conn)}
	c.expect("220 mail.postern.test ESMTP")
	return c
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("sending %.40q: %v", s, err)
	}
}

// expect reads one answer, all lines of it.
func (c *client) expect(prefix string) string {
	c.t.Helper()
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("waiting for %q: %q, %v", prefix, all.String()+line, err)
		}
		all.WriteString(line)
		if len(line) < 4 || !strings.HasSuffix(line, "\r\n") {
			c.t.Fatalf("malformed answer %q", line)
		}
		if line[3] == ' ' {
			if !strings.HasPrefix(line, prefix) {
				c.t.Fatalf("got %q, want %q", all.String(), prefix)
			}
			return all.String()
		}
	}
}

func (c *client) end() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Fatalf("connection went on with %q, %v", rest, err)
	}
}

func (c *client) starttls() {
	c.t.Helper()
	c.send("EHLO client.test\r\nSTARTTLS\r\n")
	c.expect("250")
	c.expect("220 2.0.0")
	secure := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
	c.conn, c.in = secure, bufio.NewReader(secure)
	c.send("EHLO client.test\r\n")
	c.expect("250")
}
