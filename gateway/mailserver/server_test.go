package mailserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/control"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/trust"
	"go.uber.org/goleak"
)

const (
	alice    = "alice@postern.test"
	bob      = "bob@postern.test"
	password = "correct horse battery"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDir) != "" {
		go endWithParent()
		child() // see crash_test.go
		return
	}
	goleak.VerifyTestMain(m,
		// database/sql ends its opener when the DB is closed, a moment after Close returns.
		goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

func testConfig(dir string) Config {
	const anywhere = "127.0.0.1:0"
	return Config{Dir: dir, Hostname: "mail.postern.test", Domains: []string{"postern.test"},
		SMTP: anywhere, Submission: anywhere, Submissions: anywhere, POP3: anywhere, POP3S: anywhere,
		Logger: slog.New(slog.DiscardHandler), Limits: Limits{AuthFailureDelay: -1},
		Receiving: Receiving{Unsigned: true}} // making a key takes a while
}

// start opens and serves a server with two accounts.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	for _, a := range []Account{{alice, "Alice", password}, {bob, "Bob", password}} {
		if err := s.EnsureUser(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *Server) dial(t testing.TB, service string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr(service).String())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// pinned trusts the server's certificate by its fingerprint, as clients do.
func (s *Server) pinned() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error {
		if got := trust.Fingerprint(c.PeerCertificates[0].Raw); got != s.Fingerprint() {
			return fmt.Errorf("the server shows %s and not %s", got, s.Fingerprint())
		}
		return nil
	}}
}

// submit sends as a user by the submission port.
func (s *Server) submit(t testing.TB, from string, text string, to ...string) {
	t.Helper()
	c := smtp.New(s.dial(t, Submission), nil)
	defer c.Close()
	must(t, c.StartTLS(t.Context(), s.pinned()))
	_, err := c.Auth(t.Context(), sasl.Credentials{User: from, Password: password}, "")
	must(t, err)
	r, err := c.Send(t.Context(), smtp.Envelope{From: from, To: to}, strings.NewReader(text))
	must(t, err)
	if len(r.Refused) > 0 {
		t.Fatalf("refused: %v", r.Refused)
	}
	must(t, c.Quit(t.Context()))
}

// fetch reads a whole maildrop: unique-id → message.
func (s *Server) fetch(t testing.TB, email string) map[string]string {
	t.Helper()
	c := pop3.New(s.dial(t, POP3), nil)
	defer c.Close()
	must(t, c.STLS(t.Context(), s.pinned()))
	must(t, c.Login(t.Context(), email, password))
	uids, err := c.UIDL(t.Context())
	must(t, err)
	got := map[string]string{}
	for _, u := range uids {
		var b bytes.Buffer
		_, err := c.Retr(t.Context(), u.Number, &b)
		must(t, err)
		got[u.UID] = b.String()
	}
	must(t, c.Quit(t.Context()))
	return got
}

func bodies(drop map[string]string) (list []string) {
	for _, text := range drop {
		_, body, _ := strings.Cut(text, "\r\n\r\n")
		list = append(list, body)
	}
	slices.Sort(list)
	return list
}

func TestJourney(t *testing.T) {
	dir := t.TempDir()
	s := start(t, testConfig(dir))
	s.submit(t, alice, "From: "+alice+"\r\nTo: "+bob+"\r\nSubject: hello\r\n\r\nfirst mail\r\n", bob, alice, "carol@elsewhere.test")
	for _, email := range []string{alice, bob} {
		for _, text := range s.fetch(t, email) {
			if !strings.HasPrefix(text, "Return-Path: <alice@postern.test>\r\nAuthentication-Results: mail.postern.test;\r\n\tauth=pass smtp.auth=alice@postern.test\r\nReceived: from ") || !strings.Contains(text, "with ESMTPSA") || !strings.HasSuffix(text, "\r\n\r\nfirst mail\r\n") {
				t.Errorf("%s got %q", email, text)
			}
		}
	}
	queue, err := s.store.Queue(t.Context(), maildrop.Filter{})
	must(t, err)
	if len(queue) != 1 || queue[0].Sender != alice || queue[0].Recipient != "carol@elsewhere.test" {
		t.Errorf("queue %+v", queue)
	}

	before, fp := s.fetch(t, bob), s.Fingerprint()
	must(t, s.Close())
	s = start(t, testConfig(dir))
	after := s.fetch(t, bob)
	if len(before) != 1 || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("over a restart %q became %q", before, after)
	}
	if s.Fingerprint() != fp {
		t.Error("over a restart the fingerprint changed")
	}
	if queue, _ := s.store.Queue(t.Context(), maildrop.Filter{}); len(queue) != 1 {
		t.Errorf("over a restart the queue became %v", queue)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	cfg := testConfig(t.TempDir())
	cfg.Submissions = l.Addr().String()
	_, err = Open(t.Context(), cfg)
	var port *PortError
	if !errors.As(err, &port) || !port.InUse || port.Service != "submissions" || port.Address != l.Addr().String() || !strings.Contains(err.Error(), "in use by another program") {
		t.Fatalf("Open with a port that is taken: %v", err)
	}
	// Nothing is kept of the failed attempt.
	cfg.Submissions = "127.0.0.1:0"
	start(t, cfg)

	cfg = testConfig(t.TempDir())
	cfg.POP3 = "192.0.2.1:1" // an address that is not this machine's
	if _, err := Open(t.Context(), cfg); !errors.As(err, &port) || port.InUse || port.Service != "pop3" {
		t.Errorf("Open with another's address: %v", err)
	}
}

func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	s := start(t, testConfig(dir))
	_, err := Open(t.Context(), testConfig(dir))
	if !errors.Is(err, ErrDataInUse) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("second server on one folder: %v", err)
	}
	must(t, s.Close())
	start(t, testConfig(dir))
}

func TestConfigErrors(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no domains": func(c *Config) { c.Domains = nil },
		"no folder":  func(c *Config) { c.Dir = "" },
	} {
		cfg := testConfig(t.TempDir())
		change(&cfg)
		if s, err := Open(t.Context(), cfg); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

func TestServicesCanBeOff(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.SMTP, cfg.Submission, cfg.POP3S = "", "", ""
	s := start(t, cfg)
	if s.Addr(SMTP) != nil || s.Addr("nonsense") != nil || s.Addr(POP3) == nil {
		t.Error("Addr of a service that is off")
	}
}

func TestUnservedServerCloses(t *testing.T) {
	s, err := Open(t.Context(), testConfig(t.TempDir()))
	must(t, err)
	must(t, s.Close())
	must(t, s.Close())
	must(t, s.Serve(t.Context()))
}

func TestServeEndsWithItsContext(t *testing.T) {
	s, err := Open(t.Context(), testConfig(t.TempDir()))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- s.Serve(ctx) }()
	greeting, err := bufio.NewReader(s.dial(t, SMTP)).ReadString('\n')
	if err != nil || !strings.HasPrefix(greeting, "220 mail.postern.test") {
		t.Errorf("greeting %q %v", greeting, err)
	}
	cancel()
	must(t, <-served)
}

func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	s := start(t, testConfig(dir))
	conn := tls.Client(s.dial(t, POP3S), s.pinned())
	must(t, conn.Handshake())
	leaf := conn.ConnectionState().PeerCertificates[0]
	for _, name := range []string{"mail.postern.test", "localhost", "127.0.0.1", "::1"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if years := time.Until(leaf.NotAfter).Hours() / 24 / 365; years < 9.9 || leaf.PublicKeyAlgorithm != x509.ECDSA || leaf.IsCA {
		t.Errorf("certificate for %.1f years, %v, CA %v", years, leaf.PublicKeyAlgorithm, leaf.IsCA)
	}
	if b, err := hex.DecodeString(s.Fingerprint()); err != nil || len(b) != 32 {
		t.Errorf("fingerprint %q", s.Fingerprint())
	}
	path := filepath.Join(dir, "certificate.pem")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v", info.Mode(), err)
	}
	must(t, s.Close())
	must(t, os.WriteFile(path, []byte("damaged"), 0o600))
	if _, err := Open(t.Context(), testConfig(dir)); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged certificate: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "damaged" {
		t.Error("a certificate that clients know was overwritten")
	}
}

func TestUsers(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	if err := s.Admin().AddUser(t.Context(), control.NewUser{Email: "Alice@Postern.Test", Password: "x"}); !errors.Is(err, maildrop.ErrAccountExists) {
		t.Errorf("adding alice again: %v", err)
	}
	for _, bad := range []Account{
		{Email: "x@elsewhere.test", Password: "x"}, {Email: "postern.test", Password: "x"}, {Email: "@postern.test", Password: "x"}, {Email: "a b@postern.test", Password: "x"},
		{Email: "a..b@postern.test", Password: "x"}, {Email: ".a@postern.test", Password: "x"}, {Email: "é@postern.test", Password: "x"}, {Email: "a@b@postern.test", Password: "x"},
		{Email: "c@postern.test", Password: ""}, {Email: "c@postern.test", Name: "a\r\nb", Password: "x"}, {Email: "c@postern.test", Password: "a\x00b"},
	} {
		var refused *UserError
		if err := s.Admin().AddUser(t.Context(), control.NewUser(bad)); !errors.As(err, &refused) {
			t.Errorf("AddUser(%q, %q) = %v", bad.Email, bad.Name, err)
		}
		if err := s.EnsureUser(t.Context(), bad); !errors.As(err, &refused) {
			t.Errorf("EnsureUser(%q, %q) = %v", bad.Email, bad.Name, err)
		}
	}
	hash := func() string { r, _, _ := s.store.Account(t.Context(), alice); return r.Hash }
	old := hash()
	must(t, s.EnsureUser(t.Context(), Account{alice, "Alice", password}))
	if hash() != old {
		t.Error("EnsureUser rewrote an account that was as it should be")
	}
	must(t, s.EnsureUser(t.Context(), Account{alice, "Alice", "another"}))
	if ok, err := account.Verify(hash(), "another"); !ok || err != nil {
		t.Error("EnsureUser did not set the password")
	}
	must(t, s.EnsureUser(t.Context(), Account{Email: alice, Password: "a third"}))
	if r, _, err := s.store.Account(t.Context(), alice); err != nil || r.Name != "Alice" {
		t.Errorf("a new password alone left the name %q (%v)", r.Name, err)
	}
}

func TestPostmaster(t *testing.T) {
	s := start(t, testConfig(t.TempDir()))
	conn := s.dial(t, SMTP)
	io.WriteString(conn, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nRCPT TO:<postmaster@postern.test>\r\nDATA\r\n")
	io.WriteString(conn, "Subject: x\r\n\r\nfor the postmaster\r\n.\r\nQUIT\r\n")
	answers, err := io.ReadAll(conn)
	must(t, err)
	if !strings.Contains(string(answers), "\r\n250 2.0.0 OK ") {
		t.Fatalf("%s", answers)
	}
	if got := bodies(s.fetch(t, alice)); len(got) != 1 {
		t.Errorf("the first account has %q", got)
	}
}

func TestTooManyConnections(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Limits.Connections = 2
	s := start(t, cfg)
	read := func(c net.Conn) string { line, _ := bufio.NewReader(c).ReadString('\n'); return line }
	first := s.dial(t, SMTP)
	read(first)
	read(s.dial(t, POP3))
	for service, want := range map[string]string{SMTP: "421 4.3.2", Submission: "421 4.3.2", POP3: "-ERR [SYS/TEMP]", POP3S: ""} {
		if got := read(s.dial(t, service)); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q", service, got)
		}
	}
	io.WriteString(first, "QUIT\r\n")
	io.Copy(io.Discard, first)
	if got := read(s.dial(t, SMTP)); !strings.HasPrefix(got, "220") {
		t.Errorf("a place that was given up is not free: %q", got)
	}
}
