package pop3d

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/internal/linetest"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/sasl"
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

func (fakeAccounts) Mechanisms(context.Context) []string {
	return []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"}
}

// SCRAM is a real gate's, which knows everybody but nobody.
func (fakeAccounts) SCRAM(ctx context.Context, remote net.Addr) *account.Exchange {
	keys := sasl.DeriveKeys("secret word", []byte("salt"), sasl.MinIterations).String()
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

func start(t testing.TB, d *fakeDrops, change func(*Config)) (addr string, srv *Server) {
	t.Helper()
	cfg := Config{Hostname: "mail.postern.test", Accounts: fakeAccounts{}, Maildrops: d,
		TLS: &tls.Config{Certificates: []tls.Certificate{mailtest.SelfSigned(t)}}, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	srv = New(cfg)
	return linetest.Serve(t, srv), srv
}

// client is a peer that knows the protocol's answers.
type client struct{ *linetest.Peer }

func dial(t testing.TB, addr string) *client {
	t.Helper()
	c := &client{linetest.Dial(t, addr)}
	c.expect("+OK mail.postern.test Postern POP3 ready")
	return c
}

func (c *client) expect(prefix string) {
	c.T.Helper()
	if got := c.Line(); !strings.HasPrefix(got, prefix) {
		c.T.Fatalf("got %q, want %q...", got, prefix)
	}
}

// body reads a multi-line response, stuffed as it came, without its end.
func (c *client) body() string {
	c.T.Helper()
	var b strings.Builder
	for {
		line := c.Line()
		if line == "." {
			return b.String()
		}
		b.WriteString(line + "\r\n")
	}
}

func (c *client) login() {
	c.T.Helper()
	c.Send("USER alice@postern.test\r\nPASS secret word\r\n")
	c.expect("+OK")
	c.expect("+OK")
}
