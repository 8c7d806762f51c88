package pop3d

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
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

// fakes: accounts and maildrops in memory.

type fakeAccounts struct{}

func (fakeAccounts) Authenticate(_ context.Context, _ net.Addr, user, password string) (account.Account, error) {
	switch {
	case user == "busy":
		return account.Account{}, account.ErrBusy
	case user == "broken":
		return account.Account{}, errors.New("disk on fire")
	case password != "secret word":
		return account.Account{}, account.ErrDenied
	}
	return account.Account{Email: user}, nil
}

type fakeMessage struct{ uid, text string }

type fakeDrops struct {
	mu       sync.Mutex
	messages []fakeMessage
	locked   bool
	arrived  chan struct{} // closed when a message comes
	unread   string        // unique-id of one that cannot be opened
	damaged  bool          // and that for good
	cut      string        // unique-id of one whose file ends early
	stuck    error         // what Remove answers
}

func drops(texts ...string) *fakeDrops {
	d := &fakeDrops{arrived: make(chan struct{})}
	for i, t := range texts {
		d.messages = append(d.messages, fakeMessage{fmt.Sprintf("uid%d", i+1), t})
	}
	return d
}

func (d *fakeDrops) deliver(m fakeMessage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.messages = append(d.messages, m)
	close(d.arrived)
	d.arrived = make(chan struct{})
}

func (d *fakeDrops) Lock(ctx context.Context, email string) (Maildrop, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, ErrInUse
	}
	d.locked = true
	return &fakeDrop{drops: d, snapshot: append([]fakeMessage(nil), d.messages...)}, nil
}

func (d *fakeDrops) isLocked() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.locked }
func (d *fakeDrops) count() int     { d.mu.Lock(); defer d.mu.Unlock(); return len(d.messages) }

type fakeDrop struct {
	drops    *fakeDrops
	snapshot []fakeMessage
	unlocked bool
}

func (f *fakeDrop) Messages() (list []Message) {
	for _, m := range f.snapshot {
		list = append(list, Message{m.uid, int64(len(m.text))})
	}
	return list
}

func (f *fakeDrop) Open(i int) (io.ReadCloser, error) {
	m := f.snapshot[i]
	switch m.uid {
	case f.drops.unread:
		if f.drops.damaged {
			return nil, ErrDamaged
		}
		return nil, errors.New("too many open files")
	case f.drops.cut:
		m.text = m.text[:len(m.text)/2]
	}
	return io.NopCloser(strings.NewReader(m.text)), nil
}

func (f *fakeDrop) Remove(_ context.Context, indexes []int) error {
	f.drops.mu.Lock()
	defer f.drops.mu.Unlock()
	if f.drops.stuck != nil {
		return f.drops.stuck
	}
	gone := map[string]bool{}
	for _, i := range indexes {
		gone[f.snapshot[i].uid] = true
	}
	var left []fakeMessage
	for _, m := range f.drops.messages {
		if !gone[m.uid] {
			left = append(left, m)
		}
	}
	f.drops.messages = left
	return nil
}

func (f *fakeDrop) Unlock() {
	f.drops.mu.Lock()
	defer f.drops.mu.Unlock()
	if !f.unlocked {
		f.unlocked, f.drops.locked = true, false
	}
}

func (f *fakeDrop) Await(ctx context.Context) error {
	for {
		f.drops.mu.Lock()
		arrived, n := f.drops.arrived, len(f.drops.messages)
		f.drops.mu.Unlock()
		if n > len(f.snapshot) {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// certificate is self-signed, made once for the whole run.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func start(t testing.TB, d *fakeDrops, change func(*Config)) (addr string, srv *Server) {
	t.Helper()
	cfg := Config{Hostname: "mail.postern.test", Accounts: fakeAccounts{}, Maildrops: d,
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate()}}, Logger: slog.New(slog.DiscardHandler)}
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

// client is a line-by-line peer.
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
	c.expect("+OK mail.postern.test Postern POP3 ready")
	return c
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("sending %.40q: %v", s, err)
	}
}

func (c *client) line() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("reading after %q: %v", line, err)
	}
	if !strings.HasSuffix(line, "\r\n") {
		c.t.Fatalf("line %q does not end in CRLF", line)
	}
	return strings.TrimSuffix(line, "\r\n")
}

func (c *client) expect(prefix string) {
	c.t.Helper()
	if got := c.line(); !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("got %q, want %q...", got, prefix)
	}
}

// body reads a multi-line response, stuffed as it came, without its end.
func (c *client) body() string {
	c.t.Helper()
	var b strings.Builder
	for {
		line := c.line()
		if line == "." {
			return b.String()
		}
		b.WriteString(line + "\r\n")
	}
}

func (c *client) end() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Fatalf("connection went on with %q, %v", rest, err)
	}
}

func (c *client) login() {
	c.t.Helper()
	c.send("USER alice@postern.test\r\nPASS secret word\r\n")
	c.expect("+OK")
	c.expect("+OK")
}
