package smtpd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/internal/linetest"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/sasl"
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

func (fakeAccounts) Mechanisms(context.Context) []string {
	return []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"}
}

// SCRAM is a real gate's, which knows everybody but nobody.
func (fakeAccounts) SCRAM(ctx context.Context, remote net.Addr) *account.Exchange {
	keys := sasl.DeriveKeys("secret", []byte("salt"), sasl.MinIterations).String()
	g, err := account.NewGate(func(_ context.Context, email string) (account.Record, bool, error) {
		switch email {
		case "broken":
			return account.Record{}, false, errors.New("disk on fire")
		case "nobody":
			return account.Record{}, false, nil
		}
		return account.Record{Account: account.Account{Email: email}, SCRAM: keys}, true, nil
	}, &account.Options{Delay: -1, Params: account.Params{Memory: 64, Time: 1, Threads: 1}, Iterations: sasl.MinIterations})
	if err != nil {
		panic(err)
	}
	return g.SCRAM(ctx, remote)
}

// fakePost has alice, bob and postmaster at postern.test.
type fakePost struct {
	mu        sync.Mutex
	delivered []delivered
	discarded int
	fail      error // of Deliver
	entered   chan struct{}
	release   chan struct{} // Deliver waits for it, if set
	asked     chan struct{} // about slow@postern.test
}

type delivered struct {
	Envelope
	text string
}

func (p *fakePost) Lookup(_ context.Context, address string) ([]string, bool, error) {
	switch a := account.Canonical(address); {
	case a == "alice@postern.test", a == "bob@postern.test", a == "postmaster@postern.test", a == "full@postern.test", a == "slow@postern.test":
		return []string{a}, true, nil
	case a == "all@postern.test":
		return []string{"alice@postern.test", "bob@postern.test"}, true, nil
	case a == "broken@postern.test":
		return nil, true, errors.New("disk on fire")
	case strings.HasSuffix(a, "@postern.test"):
		return nil, true, ErrNoMailbox
	}
	return nil, false, nil
}

func (p *fakePost) Owns(_ context.Context, user, address string) (bool, error) {
	a := account.Canonical(address)
	return a == user || a == "alias-of-"+user, nil
}

// Full is full@postern.test, and alice's has room for 1,000 octets. About slow@postern.test nothing is known until the server ends.
func (p *fakePost) Full(ctx context.Context, mailbox string, size int64) (bool, error) {
	if mailbox == "slow@postern.test" {
		p.asked <- struct{}{}
		<-ctx.Done()
		return false, errors.New("interrupted") // as SQLite says it
	}
	return mailbox == "full@postern.test" || mailbox == "alice@postern.test" && size > 1000, nil
}

// Room there is for whatever is smaller than the largest that is taken at all.
func (p *fakePost) Room(size int64) error {
	if size >= 49_000_000 {
		return ErrFull
	}
	return nil
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

func config(p *fakePost, shown tls.Certificate) Config {
	return Config{Hostname: "mail.postern.test", Postmaster: "postmaster@postern.test", Accounts: fakeAccounts{}, Post: p,
		TLS: &tls.Config{Certificates: []tls.Certificate{shown}}, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC) }}
}

func start(t testing.TB, p *fakePost, change func(*Config)) (addr string, srv *Server) {
	t.Helper()
	cfg := config(p, mailtest.SelfSigned(t))
	if change != nil {
		change(&cfg)
	}
	srv = New(cfg)
	return linetest.Serve(t, srv), srv
}

func submission(c *Config) { c.Submission = true }

// client is a peer that knows the protocol's answers.
type client struct{ *linetest.Peer }

func dial(t testing.TB, addr string) *client {
	t.Helper()
	c := &client{linetest.Dial(t, addr)}
	c.expect("220 mail.postern.test ESMTP")
	return c
}

// expect reads one answer, all lines of it.
func (c *client) expect(prefix string) string {
	c.T.Helper()
	var all strings.Builder
	for {
		line, err := c.In.ReadString('\n')
		if err != nil {
			c.T.Fatalf("waiting for %q: %q, %v", prefix, all.String()+line, err)
		}
		all.WriteString(line)
		if len(line) < 4 || !strings.HasSuffix(line, "\r\n") {
			c.T.Fatalf("malformed answer %q", line)
		}
		if line[3] == ' ' {
			if !strings.HasPrefix(line, prefix) {
				c.T.Fatalf("got %q, want %q", all.String(), prefix)
			}
			return all.String()
		}
	}
}

func (c *client) starttls() {
	c.T.Helper()
	c.Send("EHLO client.test\r\nSTARTTLS\r\n")
	c.expect("250")
	c.expect("220 2.0.0")
	c.Secure()
	c.Send("EHLO client.test\r\n")
	c.expect("250")
}
