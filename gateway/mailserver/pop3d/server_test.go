package pop3d

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
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

const hello = "Subject: hello\r\n\r\nline 1\r\n.dot\r\n..two\r\n.\r\nlast\r\n"

// TestCommands is the protocol, each command in each state: what is sent after
// login (or before it), and what every answer begins with. A "|" begins a
// multi-line body.
func TestCommands(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name   string
		login  bool
		send   string
		expect []string
	}{
		{"transaction commands before login", false,
			"STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 1 1\r\nDELE 1\r\nRSET\r\nNOOP\r\nXWAIT 5\r\n",
			[]string{"-ERR STAT is not valid in the AUTHORIZATION state", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"authorization commands after login", true,
			"USER x\r\nPASS x\r\nAUTH PLAIN\r\nSTLS\r\n",
			[]string{"-ERR USER is not valid in the TRANSACTION state", "-ERR", "-ERR", "-ERR"}},
		{"unknown", false, "APOP a b\r\nFOO\r\n\r\n \r\nGET / HTTP/1.1\r\n", []string{"-ERR unknown command", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"case and bare LF", true, "noop\r\nNoOp\nNOOP\r\n", []string{"+OK", "+OK", "+OK"}},
		{"arguments missing", true, "RETR\r\nRETR \r\nDELE\r\nTOP\r\nTOP 1\r\nTOP 1 \r\nXWAIT\r\n", []string{"-ERR RETR needs", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"arguments too many", true, "NOOP 1\r\nSTAT x\r\nRSET x\r\nRETR 1 2\r\nLIST 1 2\r\nQUIT now\r\nCAPA x\r\n", []string{"-ERR NOOP takes no argument", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"message numbers", true, "RETR 0\r\nRETR 3\r\nRETR -1\r\nRETR +1\r\nRETR 1x\r\nRETR 99999999999999999999\r\nLIST 3\r\nUIDL 3\r\nDELE 3\r\nTOP 3 0\r\nTOP 1 -1\r\nTOP 1 x\r\n",
			[]string{"-ERR no such message, there are 2", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"password without name", false, "PASS secret word\r\nUSER a\r\nPASS wrong\r\nPASS secret word\r\n", []string{"-ERR USER", "+OK", "-ERR [AUTH] name or password", "-ERR USER"}},
		{"temporary failures of login", false, "USER busy\r\nPASS x\r\nUSER broken\r\nPASS x\r\n", []string{"+OK", "-ERR [SYS/TEMP]", "+OK", "-ERR [SYS/TEMP]"}},
		{"stat list uidl", true, "STAT\r\nLIST\r\nLIST 2\r\nUIDL\r\nUIDL 1\r\n",
			[]string{"+OK 2 55", "+OK", "|1 48\r\n2 7\r\n", "+OK 2 7", "+OK", "|1 uid1\r\n2 uid2\r\n", "+OK 1 uid1"}},
		{"retr stuffs dots", true, "RETR 1\r\nRETR 2\r\n",
			[]string{"+OK 48 octets", "|Subject: hello\r\n\r\nline 1\r\n..dot\r\n...two\r\n..\r\nlast\r\n", "+OK", "|no end.\r\n"}},
		{"top", true, "TOP 1 0\r\nTOP 1 2\r\nTOP 1 99\r\nTOP 2 1\r\n",
			[]string{"+OK", "|Subject: hello\r\n\r\n", "+OK", "|Subject: hello\r\n\r\nline 1\r\n..dot\r\n", "+OK", "|Subject: hello\r\n\r\nline 1\r\n..dot\r\n...two\r\n..\r\nlast\r\n", "+OK", "|no end.\r\n"}},
		{"dele hides, rset shows", true, "DELE 1\r\nDELE 1\r\nRETR 1\r\nLIST 1\r\nTOP 1 0\r\nSTAT\r\nLIST\r\nUIDL\r\nRSET\r\nSTAT\r\n",
			[]string{"+OK", "-ERR message 1 is marked", "-ERR", "-ERR", "-ERR", "+OK 1 7", "+OK", "|2 7\r\n", "+OK", "|2 uid2\r\n", "+OK 2 messages (55 octets)", "+OK 2 55"}},
		{"long line", true, "NOOP " + long + "\r\nNOOP\r\n", []string{"-ERR a command line has at most 255", "+OK"}},
		{"the longest line", true, "NOOP " + long[:248] + "\r\nNOOP " + long[:249] + "\r\n", []string{"-ERR NOOP takes no", "-ERR a command line"}},
		{"wait out of range", true, "XWAIT 0\r\nXWAIT 1741\r\nXWAIT -1\r\nXWAIT x\r\nXWAIT 99999999999\r\n", []string{"-ERR XWAIT takes 1 to 1740", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"auth plain", false, "AUTH PLAIN AGFsaWNlQHBvc3Rlcm4udGVzdABzZWNyZXQgd29yZA==\r\nSTAT\r\n", []string{"+OK 2 messages", "+OK 2 55"}},
		{"auth plain in two steps", false, "auth plain\r\nAGFsaWNlQHBvc3Rlcm4udGVzdABzZWNyZXQgd29yZA==\r\nSTAT\r\n", []string{"+ ", "+OK 2 messages", "+OK 2 55"}},
		{"auth plain cancelled", false, "AUTH PLAIN\r\n*\r\nCAPA x\r\n", []string{"+ ", "-ERR cancelled", "-ERR"}},
		{"auth plain malformed", false, "AUTH PLAIN !!\r\nAUTH PLAIN =\r\nAUTH PLAIN YQ==\r\nAUTH CRAM-MD5\r\nAUTH\r\nAUTH PLAIN\r\n" + strings.Repeat("A", 13000) + "\r\n",
			[]string{"-ERR that is not base64", "-ERR that is not a PLAIN", "-ERR that is not a PLAIN", "-ERR the only mechanism", "-ERR AUTH needs", "+ ", "-ERR a SASL response"}},
		{"auth plain for another", false, "AUTH PLAIN Ym9iAGFsaWNlAHNlY3JldCB3b3Jk\r\n", []string{"-ERR [AUTH] nobody acts"}},
		{"capa before", false, "CAPA\r\n", []string{"+OK", "|TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUSER\r\nSASL PLAIN\r\nSTLS\r\nX-POSTERN-WAIT\r\nIMPLEMENTATION Postern\r\n"}},
		{"capa after", true, "CAPA\r\n", []string{"+OK", "|TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUSER\r\nSASL PLAIN\r\nX-POSTERN-WAIT\r\nIMPLEMENTATION Postern\r\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := drops(hello, "no end.")
			addr, _ := start(t, d, nil)
			for _, pipelined := range []bool{true, false} {
				conn := dial(t, addr)
				if c.login {
					conn.login()
				}
				lines := []string{c.send}
				if !pipelined {
					lines = strings.SplitAfter(c.send, "\n")
				}
				want := c.expect
				for _, l := range lines {
					conn.send(l)
					for n := 0; len(want) > 0 && (pipelined || n == 0 || strings.HasPrefix(want[0], "|")); n++ {
						if body, ok := strings.CutPrefix(want[0], "|"); ok {
							if got := conn.body(); got != body {
								t.Fatalf("body %q, want %q", got, body)
							}
						} else {
							conn.expect(want[0])
						}
						want = want[1:]
					}
				}
				conn.send("QUIT\r\n")
				conn.expect("+OK bye")
				conn.end()
			}
			if d.isLocked() {
				t.Error("the maildrop is still locked")
			}
		})
	}
}

func TestDeletionOnlyInUpdate(t *testing.T) {
	for _, c := range []struct {
		name, send string
		left       int
	}{
		{"quit", "DELE 1\r\nQUIT\r\n", 1},
		{"connection drops", "DELE 1\r\n", 2},
		{"reset", "DELE 1\r\nRSET\r\nQUIT\r\n", 2},
		{"xwait", "DELE 1\r\nXWAIT 1\r\n", 2},
		{"half a quit", "DELE 1\r\nQUI", 2},
		{"quit without end of line", "DELE 1\r\nQUIT", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := drops("1\r\n", "2\r\n")
			addr, srv := start(t, d, nil)
			conn := dial(t, addr)
			conn.login()
			conn.send(c.send)
			conn.expect("+OK message 1 will be")
			conn.conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn.in) // until the server has closed, too
			srv.Shutdown(context.Background())
			if n := d.count(); n != c.left || d.isLocked() {
				t.Errorf("%d messages left, want %d; locked %v", n, c.left, d.isLocked())
			}
		})
	}
}

func TestUpdateThatFailsSaysSo(t *testing.T) {
	d := drops("1\r\n")
	d.stuck = errors.New("disk full")
	addr, _ := start(t, d, nil)
	c := dial(t, addr)
	c.login()
	c.send("DELE 1\r\nQUIT\r\n")
	c.expect("+OK")
	c.expect("-ERR [SYS/TEMP]")
	c.end()
	if d.isLocked() {
		t.Error("the maildrop is still locked")
	}
}

func TestInUse(t *testing.T) {
	addr, _ := start(t, drops("1\r\n"), nil)
	first, second := dial(t, addr), dial(t, addr)
	first.login()
	second.send("USER alice@postern.test\r\nPASS secret word\r\n")
	second.expect("+OK")
	second.expect("-ERR [IN-USE]")
	first.send("QUIT\r\n")
	first.expect("+OK")
	second.login() // the same connection: the lock is free once the answer to QUIT is out
}

func TestGuessingEndsTheConnection(t *testing.T) {
	addr, _ := start(t, drops(), nil)
	c := dial(t, addr)
	for range 3 {
		c.send("USER a\r\nPASS wrong\r\n")
		c.expect("+OK")
		c.expect("-ERR [AUTH]")
	}
	c.end()
}

func TestNonsenseEndsTheConnection(t *testing.T) {
	for name, nonsense := range map[string]string{
		"lines":        strings.Repeat("x\r\n", maxErrors),
		"numbers":      "USER a\r\nPASS secret word\r\n" + strings.Repeat("RETR 9\r\n", maxErrors),
		"endless line": strings.Repeat("x", maxDiscard+4096),
		"nul":          strings.Repeat("\x00\n", maxErrors),
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := start(t, drops(), nil)
			c := dial(t, addr)
			c.conn.Write([]byte(nonsense))
			if _, err := io.Copy(io.Discard, c.in); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the server did not close: %v", err)
			}
		})
	}
}

func TestDamagedMessage(t *testing.T) {
	d := drops("1\r\n", "22222222\r\n", "3\r\n")
	d.unread, d.cut = "uid1", "uid2"
	addr, _ := start(t, d, nil)
	c := dial(t, addr)
	c.login()
	c.send("RETR 1\r\n")
	c.expect("-ERR [SYS/TEMP]")
	d.damaged = true
	c.send("TOP 1 0\r\nRETR 3\r\n")
	c.expect("-ERR [SYS/PERM]")
	c.expect("+OK")
	c.body()
	c.send("RETR 2\r\n")
	c.expect("+OK")
	if rest, _ := io.ReadAll(c.in); bytes.HasSuffix(rest, []byte(".\r\n")) {
		t.Errorf("half a message was sent as whole: %q", rest)
	}
}

func TestPlainPolicy(t *testing.T) {
	for _, c := range []struct {
		policy  Policy
		allowed bool
	}{{Loopback, true}, {Never, false}, {Anywhere, true}} {
		addr, _ := start(t, drops(), func(cfg *Config) { cfg.Plain = c.policy })
		conn := dial(t, addr)
		conn.send("CAPA\r\n")
		conn.expect("+OK")
		if got := conn.body(); strings.Contains(got, "USER") != c.allowed || strings.Contains(got, "SASL") != c.allowed {
			t.Errorf("policy %v offers %q", c.policy, got)
		}
		if !c.allowed {
			conn.send("USER a\r\nPASS b\r\nAUTH PLAIN AGEAYg==\r\n")
			for range 3 {
				conn.expect("-ERR a password is taken only over TLS")
			}
		}
	}
	if isLoopback(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}) || !isLoopback(&net.TCPAddr{IP: net.ParseIP("::ffff:127.0.0.1")}) || isLoopback(nil) {
		t.Error("isLoopback is wrong")
	}
}

func TestAutoLogout(t *testing.T) {
	d := drops("1\r\n")
	addr, _ := start(t, d, func(c *Config) { c.Idle = 50 * time.Millisecond })
	c := dial(t, addr)
	c.send("USER a\r\nPASS secret word\r\nDELE 1\r\nNO")
	c.expect("+OK")
	c.expect("+OK")
	c.expect("+OK")
	c.expect("-ERR auto-logout")
	c.end()
	if d.count() != 1 || d.isLocked() {
		t.Error("auto-logout deleted, or kept the lock")
	}
	if New(Config{}).cfg.Idle != 10*time.Minute {
		t.Error("RFC 1939 §3 wants 10 minutes")
	}
}

// A client that asks for much and reads nothing must not keep the lock for ever.
func TestStalledReader(t *testing.T) {
	d := drops(strings.Repeat("x", 64<<20))
	_, srv := start(t, d, func(c *Config) { c.Stall = 50 * time.Millisecond })
	here, there := net.Pipe()
	defer here.Close()
	ended := make(chan struct{})
	go func() { srv.ServeConn(there); close(ended) }()
	go io.WriteString(here, "CAPA\r\n")
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the session waits for a reader that does not read")
	}
}

func TestTLS(t *testing.T) {
	config := &tls.Config{InsecureSkipVerify: true}
	t.Run("STLS", func(t *testing.T) {
		addr, _ := start(t, drops("1\r\n"), func(c *Config) { c.Plain = Never })
		c := dial(t, addr)
		// What comes with STLS in the clear must be forgotten (command injection).
		c.send("STLS\r\nCAPA\r\nUSER mallory\r\n")
		c.expect("+OK begin TLS")
		secure := tls.Client(c.conn, config)
		c.conn, c.in = secure, bufio.NewReader(secure)
		c.send("PASS secret word\r\nSTLS\r\nCAPA\r\n")
		c.expect("-ERR USER comes before PASS")
		c.expect("-ERR TLS is on already")
		c.expect("+OK")
		if caps := c.body(); strings.Contains(caps, "STLS") || !strings.Contains(caps, "USER") {
			t.Errorf("capabilities after STLS: %q", caps)
		}
		c.login()
		c.send("RETR 1\r\nQUIT\r\n")
		c.expect("+OK")
		c.body()
		c.expect("+OK bye")
	})
	t.Run("implicit", func(t *testing.T) {
		d := drops("1\r\n")
		addr, _ := start(t, d, func(c *Config) { c.Implicit = true })
		conn, err := tls.Dial("tcp", addr, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := &client{t, conn, bufio.NewReader(conn)}
		c.expect("+OK mail")
		c.login()
		c.send("XWAIT 60\r\n")
		c.expect("+OK waiting")
		d.deliver(fakeMessage{"new", "x"})
		c.expect("+OK new")
		c.end()
	})
	t.Run("plain text to the TLS port", func(t *testing.T) {
		addr, _ := start(t, drops(), func(c *Config) { c.Implicit = true })
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "USER a\r\nPASS b\r\n")
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		io.Copy(io.Discard, conn)
	})
	t.Run("none", func(t *testing.T) {
		addr, _ := start(t, drops(), func(c *Config) { c.TLS = nil })
		c := dial(t, addr)
		c.send("STLS\r\nCAPA\r\n")
		c.expect("-ERR this server has no TLS")
		c.expect("+OK")
		if caps := c.body(); strings.Contains(caps, "STLS") {
			t.Errorf("STLS offered without a certificate: %q", caps)
		}
	})
}

func TestWait(t *testing.T) {
	d := drops("1\r\n")
	addr, srv := start(t, d, nil)
	wait := func(seconds int) *client {
		c := dial(t, addr)
		c.login()
		c.send(fmt.Sprintf("XWAIT %d\r\n", seconds))
		c.expect("+OK waiting")
		return c
	}
	c := wait(60)
	if d.isLocked() {
		t.Error("a waiting session keeps the lock")
	}
	other := dial(t, addr)
	other.login()
	other.send("QUIT\r\n")
	other.expect("+OK")
	d.deliver(fakeMessage{"uid2", "2\r\n"})
	c.expect("+OK new")
	c.end()

	c = dial(t, addr)
	c.login()
	d.deliver(fakeMessage{"uid3", "3\r\n"}) // after the login, before the wait
	c.send("XWAIT 60\r\n")
	c.expect("+OK waiting")
	c.expect("+OK new")

	c = wait(1)
	c.expect("+OK none")
	c.end()

	c = wait(60)
	c.send("NOOP\r\n")
	c.expect("+OK none")

	wait(60).conn.Close()
	c = wait(60)
	if err := srv.Shutdown(t.Context()); err != nil { // returns: the session whose client has gone has ended
		t.Error(err)
	}
	c.expect("-ERR [SYS/TEMP]")
	c.end()
}

func TestShutdown(t *testing.T) {
	d := drops(strings.Repeat("x\r\n", 1<<20))
	addr, srv := start(t, d, nil)
	idle, busy := dial(t, addr), dial(t, addr)
	busy.login()
	busy.send("DELE 1\r\nRSET\r\nRETR 1\r\nNOOP\r\n")
	busy.expect("+OK")
	busy.expect("+OK")
	busy.expect("+OK")
	down := make(chan error)
	go func() { down <- srv.Shutdown(context.Background()) }()
	idle.expect("-ERR [SYS/TEMP] the server is shutting down")
	idle.end()
	if got := busy.body(); len(got) != 3<<20 {
		t.Errorf("the download in progress was cut at %d octets", len(got))
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still listening")
	}
}

func TestShutdownInTime(t *testing.T) {
	d := drops(strings.Repeat("x\r\n", 16<<20))
	addr, srv := start(t, d, nil)
	c := dial(t, addr)
	c.login()
	c.send("RETR 1\r\n")
	c.expect("+OK")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown with a reader that does not read: %v", err)
	}
	if d.isLocked() {
		t.Error("the maildrop is still locked")
	}
}

func TestStuffer(t *testing.T) {
	for in, want := range map[string]string{
		"":                     ".\r\n",
		".":                    "..\r\n.\r\n",
		"a":                    "a\r\n.\r\n",
		"a\r\n":                "a\r\n.\r\n",
		".a\r\n.\r\n..b\r\n":   "..a\r\n..\r\n...b\r\n.\r\n",
		"a.\r\n.":              "a.\r\n..\r\n.\r\n",
		"\r\n\r\n.\r\n":        "\r\n\r\n..\r\n.\r\n",
		"bare\n.lf\r\n\r.\r\n": "bare\n..lf\r\n\r.\r\n.\r\n",
	} {
		for size := 1; size <= len(in)+1; size++ { // however the message is cut into pieces
			var b bytes.Buffer
			w := stuffer{w: &b, bol: true}
			for rest := in; rest != ""; {
				n := min(size, len(rest))
				w.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			w.end()
			if b.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", in, size, b.String(), want)
			}
		}
	}
}
