package controld

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/shared/control"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/sasl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// users is a server with one account, which does nothing else.
type users struct{ control.Operations }

func (users) Users(context.Context) ([]control.User, error) {
	return []control.User{{Email: "alice@postern.test"}}, nil
}

// queue is one that never changes.
type queue struct{ control.Queue }

func (queue) WatchQueue(ctx context.Context, since uint64) (uint64, error) {
	<-ctx.Done()
	return since, ctx.Err()
}

// bed is a server on loopback, with alice, who looks after it, and bob, who does not.
type bed struct {
	t       *testing.T
	gate    *account.Gate
	server  *Server
	address string
	roots   *tls.Config

	mu      sync.Mutex
	records map[string]account.Record
}

func start(t *testing.T, limits control.Limits, delay time.Duration) *bed {
	t.Helper()
	b := &bed{t: t, records: map[string]account.Record{}}
	for name, admin := range map[string]bool{"alice": true, "bob": false} {
		hash, err := account.Hash(name+"'s", account.Params{Memory: 8, Time: 1, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		b.records[name+"@postern.test"] = account.Record{Account: account.Account{Email: name + "@postern.test", Admin: admin}, Hash: hash, SCRAM: sasl.NewKeys(name+"'s", 0).String()}
	}
	var err error
	b.gate, err = account.NewGate(func(_ context.Context, email string) (account.Record, bool, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		r, ok := b.records[email]
		return r, ok, nil
	}, &account.Options{Delay: delay, Params: account.Params{Memory: 8, Time: 1, Threads: 1}, Remember: -1})
	if err != nil {
		t.Fatal(err)
	}
	authority := mailtest.NewAuthority(t)
	b.roots = &tls.Config{RootCAs: authority.Pool(), ServerName: "postern.test"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = l.Addr().String()
	s := New(Config{Operations: users{}, Queue: queue{}, Administrators: b.gate.Administrators(), TLS: &tls.Config{Certificates: []tls.Certificate{authority.Server("postern.test")}}, Logger: slog.New(slog.DiscardHandler), Limits: limits})
	b.server = s
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bed) change(name string, fn func(r *account.Record)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.records[name+"@postern.test"]
	fn(&r)
	b.records[name+"@postern.test"] = r
}

func (b *bed) dial() net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	return conn
}

func (b *bed) login(user, password string) (*control.Client, error) {
	b.t.Helper()
	c := control.NewClient(tls.Client(b.dial(), b.roots), control.Limits{})
	b.t.Cleanup(func() { c.Close() })
	return c, c.Login(b.t.Context(), sasl.Credentials{User: user, Password: password})
}

func kind(err error) control.Kind {
	var told *control.Error
	if errors.As(err, &told) {
		return told.Kind
	}
	return ""
}

// Administrators come in; anybody else hears the same, right password or wrong.
func TestWhoComesIn(t *testing.T) {
	b := start(t, control.Limits{}, -1)
	words := map[string]bool{}
	for _, c := range []struct {
		user, password string
		in             bool
	}{
		{"alice@postern.test", "alice's", true}, {"ALICE@Postern.test", "alice's", true},
		{"alice@postern.test", "bob's", false}, {"bob@postern.test", "bob's", false}, {"bob@postern.test", "wrong", false}, {"carol@postern.test", "x", false},
	} {
		client, err := b.login(c.user, c.password)
		if (err == nil) != c.in {
			t.Errorf("%s with %s: %v", c.user, c.password, err)
		}
		if err != nil {
			words[err.Error()] = true
			if kind(err) != control.Denied {
				t.Errorf("%v", err)
			}
			continue
		}
		if list, err := client.Users(t.Context()); len(list) != 1 || err != nil {
			t.Errorf("%v, %v", list, err)
		}
		if err := client.SetPassword(t.Context(), "alice@postern.test", "x"); kind(err) != control.Unsupported {
			t.Errorf("a password from a page: %v", err)
		}
	}
	if len(words) != 1 {
		t.Errorf("who is refused hears the difference: %v", words)
	}
}

// PLAIN comes in as SCRAM does.
func TestPlain(t *testing.T) {
	b := start(t, control.Limits{}, -1)
	d := func() *doorkeeper {
		return &doorkeeper{gate: b.gate.Administrators(), remote: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}}
	}
	for response, want := range map[string]control.Kind{
		"\x00alice@postern.test\x00alice's": "", "alice@postern.test\x00ALICE@postern.test\x00alice's": "",
		"bob@postern.test\x00alice@postern.test\x00alice's": control.Denied, "\x00bob@postern.test\x00bob's": control.Denied, "\x00alice@postern.test\x00": control.Denied,
	} {
		if _, done, err := d().Begin(t.Context(), sasl.Plain).Next([]byte(response)); done != (want == "") || kind(err) != want {
			t.Errorf("%q: %v %v", response, done, err)
		}
	}
	if _, _, err := d().Begin(t.Context(), sasl.Plain).Next([]byte("alice")); !errors.Is(err, sasl.ErrResponse) {
		t.Errorf("no PLAIN: %v", err)
	}
}

// Failures count for the same place as those of POP3 and SMTP, for who has the right
// password of another account too.
func TestGuessersAreSlowedDown(t *testing.T) {
	const delay = 40 * time.Millisecond
	b := start(t, control.Limits{}, delay)
	for i, password := range []string{"wrong", "bob's", "wrong"} {
		began := time.Now()
		if _, err := b.login("bob@postern.test", password); kind(err) != control.Denied {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took < delay<<i {
			t.Errorf("answer %d came after %v", i, took)
		}
	}
	began := time.Now()
	if _, err := b.gate.Authenticate(t.Context(), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, "bob@postern.test", "wrong"); !errors.Is(err, account.ErrDenied) {
		t.Error(err)
	}
	if took := time.Since(began); took < delay<<3 {
		t.Errorf("at the other gate the answer came after %v", took)
	}
}

// Who is taken the right, the password or the account is asked for nothing more.
func TestRightsThatEnd(t *testing.T) {
	for name, change := range map[string]func(r *account.Record){
		"no administrator": func(r *account.Record) { r.Admin = false },
		"disabled":         func(r *account.Record) { r.Disabled = true },
		"another password": func(r *account.Record) { r.Hash += "x" },
	} {
		b := start(t, control.Limits{}, -1)
		c, err := b.login("alice@postern.test", "alice's")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Users(t.Context()); err != nil {
			t.Error(err)
		}
		b.change("alice", change)
		if _, err := c.Users(t.Context()); kind(err) != control.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRoom(t *testing.T) {
	b := start(t, control.Limits{Connections: 1}, -1)
	c, err := b.login("alice@postern.test", "alice's")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.login("alice@postern.test", "alice's"); err == nil {
		t.Error("there is more room than there should be")
	}
	if _, err := c.Users(t.Context()); err != nil {
		t.Errorf("another's coming costs who is there: %v", err)
	}
}

// Silence, and what is no TLS, ends; and costs nobody else anything.
func TestHostileConnections(t *testing.T) {
	b := start(t, control.Limits{Login: 2 * time.Second, Idle: 2 * time.Second}, -1)
	var all sync.WaitGroup
	for name, say := range map[string]func(net.Conn){
		"silence":                    func(net.Conn) {},
		"no TLS":                     func(c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\n\r\n") },
		"a request in the clear":     func(c net.Conn) { io.WriteString(c, `{"postern":1,"op":"user.list"}`+"\n") },
		"half a handshake":           func(c net.Conn) { c.Write([]byte{0x16, 3, 1, 2, 0, 1}) },
		"TLS and then silence":       func(c net.Conn) { tls.Client(c, b.roots).Handshake() },
		"TLS and then a lot of nuls": func(c net.Conn) { go tls.Client(c, b.roots).Write(make([]byte, 1<<20)) },
	} {
		conn := b.dial()
		all.Go(func() {
			say(conn)
			conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
				t.Errorf("%s: the server holds on", name)
			}
		})
	}
	all.Wait()
	if _, err := b.login("alice@postern.test", "alice's"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// Shutdown ends who waits, and takes nobody more.
func TestShutdown(t *testing.T) {
	b := start(t, control.Limits{}, -1)
	c, err := b.login("alice@postern.test", "alice's")
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { _, err := c.WatchQueue(t.Context(), 7); waited <- err }()
	b.server.Shutdown(t.Context())
	if err := <-waited; err == nil {
		t.Errorf("%v", err)
	}
	if conn, err := net.Dial("tcp", b.address); err == nil {
		defer conn.Close()
		if n, _ := conn.Read(make([]byte, 1)); n > 0 {
			t.Error("the server answers")
		}
	}
}

// The gateway's introductions hold here, too.
func TestIntroduced(t *testing.T) {
	const delay = 30 * time.Millisecond
	b := start(t, control.Limits{}, delay)
	conn := b.dial()
	forget := b.gate.Introduce(conn.LocalAddr(), netip.MustParseAddr("192.0.2.7"))
	defer forget()
	c := control.NewClient(tls.Client(conn, b.roots), control.Limits{})
	if err := c.Login(t.Context(), sasl.Credentials{User: "alice@postern.test", Password: "wrong"}); kind(err) != control.Denied {
		t.Error(err)
	}
	began := time.Now()
	if _, err := b.gate.Authenticate(t.Context(), &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1}, "bob@postern.test", "wrong"); !errors.Is(err, account.ErrDenied) {
		t.Error(err)
	}
	if took := time.Since(began); took < 2*delay {
		t.Errorf("the client's next failure was answered after %v", took)
	}
}
