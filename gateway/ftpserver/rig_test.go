package ftpserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/gateway/ftpserver/files"
	"github.com/postern-mail/postern/shared/mailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alice    = "alice@home.example"
	password = "alice's password"
	aliceID  = "1-a"
)

// people are the users of a test.
type people struct {
	quota files.Quota
	still func(context.Context) (files.Quota, bool)
}

func (p *people) Authenticate(_ context.Context, _ net.Addr, user, pass string) (User, error) {
	switch {
	case pass != password:
		return User{}, ErrDenied
	case user == alice:
		return User{ID: aliceID, Quota: p.quota, Still: p.still}, nil
	case user == "bob@home.example":
		return User{ID: "2-b", Quota: p.quota}, nil
	}
	return User{}, ErrDenied
}

// rig is a server on loopback.
type rig struct {
	t       testing.TB
	server  *Server
	people  *people
	dir     string // of alice's files
	store   string
	address string
	inside  *Inside
	tls     *tls.Config // of a client
	log     *strings.Builder
}

func start(t testing.TB, change func(*Config, *files.Options)) *rig {
	t.Helper()
	return startAt(t, t.TempDir(), change)
}

func startAt(t testing.TB, store string, change func(*Config, *files.Options)) *rig {
	t.Helper()
	authority := mailtest.NewAuthority(t)
	r := &rig{t: t, people: &people{}, store: store, dir: filepath.Join(store, aliceID), log: &strings.Builder{},
		tls: &tls.Config{RootCAs: authority.Pool(), ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(10)}}
	options := &files.Options{}
	cfg := Config{Hostname: "home.example", Users: r.people, Logger: slog.New(slog.NewTextHandler(&locked{w: r.log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		TLS: &tls.Config{Certificates: []tls.Certificate{authority.Server()}, MinVersion: tls.VersionTLS12}}
	if change != nil {
		change(&cfg, options)
	}
	cfg.Files = files.New(store, options)
	r.server = New(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r.address = l.Addr().String()
	r.inside = NewInside()
	served := make(chan error, 2)
	go func() { served <- r.server.Serve(l) }()
	go func() { served <- r.server.ServeInside(r.inside, false) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := r.server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		must(t, <-served)
		must(t, <-served)
		r.noNames()
	})
	return r
}

// noNames sees that the log has no person's name, and no path.
func (r *rig) noNames() {
	for _, word := range []string{"alice", "secret", "@", r.store} {
		if strings.Contains(r.log.String(), word) {
			r.t.Errorf("the log has %q:\n%s", word, r.log)
		}
	}
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	must(r.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(r.t, os.WriteFile(path, []byte(content), 0o600))
}

func (r *rig) read(name string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(name)))
	must(r.t, err)
	return string(b)
}

// entries is what is in alice's folder on the disk, all of it.
func (r *rig) entries() (list []string) {
	all, err := os.ReadDir(r.dir)
	must(r.t, err)
	for _, e := range all {
		list = append(list, e.Name())
	}
	return list
}

// talk is a client that says what it likes.
type talk struct {
	r    *rig
	t    testing.TB
	raw  net.Conn
	conn net.Conn
	in   *bufio.Reader
	tls  bool
}

// patience bounds each answer: what takes longer hangs.
const patience = 15 * time.Second

func (r *rig) dial() *talk {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.address)
	must(r.t, err)
	return r.on(conn)
}

// enter is dial by way of the gateway.
func (r *rig) enter() *talk {
	r.t.Helper()
	conn, err := r.inside.Dial(r.t.Context())
	must(r.t, err)
	return r.on(conn)
}

func (r *rig) on(conn net.Conn) *talk {
	r.t.Helper()
	r.t.Cleanup(func() { conn.Close() })
	c := &talk{r: r, t: r.t, raw: conn, conn: conn, in: bufio.NewReader(conn)}
	c.want("220", c.hear())
	return c
}

// login is a client that is signed in.
func (r *rig) login() *talk {
	r.t.Helper()
	c := r.dial()
	c.login(alice)
	return c
}

func (c *talk) login(user string) {
	c.t.Helper()
	c.ask("331", "USER "+user)
	c.ask("230", "PASS "+password)
}

func (c *talk) want(code, answer string) string {
	c.t.Helper()
	if !strings.HasPrefix(answer, code) {
		c.t.Fatalf("%q; want %s", answer, code)
	}
	return answer
}

// hear reads one answer, all its lines.
func (c *talk) hear() string {
	c.t.Helper()
	answer, err := c.heard()
	must(c.t, err)
	return answer
}

func (c *talk) heard() (string, error) {
	c.conn.SetReadDeadline(time.Now().Add(patience))
	var b strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return b.String(), err
		}
		b.WriteString(line)
		if first := b.String(); len(line) > 3 && line[3] == ' ' && line[:3] == first[:3] {
			return strings.TrimSuffix(first, "\r\n"), nil
		}
	}
}

// gone waits for the end of the connection.
func (c *talk) gone() {
	c.t.Helper()
	if got, err := c.heard(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("it goes on: %q %v", got, err)
	}
}

func (c *talk) say(line string) {
	c.t.Helper()
	_, err := io.WriteString(c.conn, line+"\r\n")
	must(c.t, err)
}

func (c *talk) ask(code, line string) string {
	c.t.Helper()
	c.say(line)
	answer := c.hear()
	if !strings.HasPrefix(answer, code) {
		c.t.Fatalf("%s: %q; want %s", line, answer, code)
	}
	return answer
}

// secure turns TLS on, for data too.
func (c *talk) secure() {
	c.t.Helper()
	c.ask("234", "AUTH TLS")
	c.upgrade()
	c.ask("200", "PBSZ 0")
	c.ask("200", "PROT P")
}

// epsv asks for a port, and answers its address.
func (c *talk) epsv() string {
	c.t.Helper()
	host, _, _ := net.SplitHostPort(c.r.address)
	return net.JoinHostPort(host, fmt.Sprint(c.port()))
}

// port asks for one.
func (c *talk) port() int {
	c.t.Helper()
	answer := c.ask("229", "EPSV")
	fields := strings.Split(answer, "|")
	if len(fields) != 5 {
		c.t.Fatal(answer)
	}
	n, err := strconv.Atoi(fields[3])
	must(c.t, err)
	return n
}

// pasv is the same with PASV.
func (c *talk) pasv() string {
	c.t.Helper()
	answer := c.ask("227", "PASV")
	_, rest, _ := strings.Cut(answer, "(")
	rest, _, _ = strings.Cut(rest, ")")
	n := strings.Split(rest, ",")
	if len(n) != 6 {
		c.t.Fatal(answer)
	}
	high, _ := strconv.Atoi(n[4])
	low, _ := strconv.Atoi(n[5])
	return net.JoinHostPort(strings.Join(n[:4], "."), fmt.Sprint(high<<8|low))
}

// open opens a data connection.
func (c *talk) open(address string) net.Conn {
	c.t.Helper()
	conn, err := net.Dial("tcp", address)
	must(c.t, err)
	c.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// over is the data connection as the transfer has it.
func (c *talk) over(conn net.Conn) net.Conn {
	if !c.tls {
		return conn
	}
	return tls.Client(conn, c.r.tls)
}

// put uploads, and answers the last reply.
func (c *talk) put(command, content string) string {
	c.t.Helper()
	conn := c.open(c.epsv())
	c.say(command)
	first := c.hear()
	if !strings.HasPrefix(first, "150") {
		return first
	}
	data := c.over(conn)
	if _, err := io.WriteString(data, content); err == nil { // one that is refused breaks off
		if t, ok := data.(*tls.Conn); ok && content == "" {
			must(c.t, t.Handshake())
		}
		data.Close()
	}
	return c.hear()
}

// get downloads, or lists.
func (c *talk) get(command string) (content, last string) {
	c.t.Helper()
	conn := c.open(c.epsv())
	c.say(command)
	first := c.hear()
	if !strings.HasPrefix(first, "150") {
		return "", first
	}
	data := c.over(conn)
	all, err := io.ReadAll(data)
	must(c.t, err)
	data.Close()
	return string(all), c.hear()
}

func addrPort(t testing.TB, s string) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddrPort(s)
	must(t, err)
	return a
}

// upgrade begins TLS after 234.
func (c *talk) upgrade() {
	c.t.Helper()
	conn := tls.Client(c.raw, c.r.tls)
	must(c.t, conn.Handshake())
	c.conn, c.in, c.tls = conn, bufio.NewReader(conn), true
}
