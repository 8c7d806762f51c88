// Package smtpsuite holds the tests that every submission server must pass together with our client: the one in memory,
// Postfix, and Postern's own.
package smtpsuite

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
)

// Target is a server under test.
type Target struct {
	// Dial returns a new connection to the server: in plain text if TLS is set, under TLS if not.
	Dial func(testing.TB) net.Conn
	// TLS is the client's configuration for STARTTLS; nil if Dial's connections are under TLS already.
	TLS *tls.Config
	// Plaintext tells that the server takes passwords without TLS, and TLS is not used.
	Plaintext bool
	// User and Password may send.
	User, Password string
	// From is the user's address; To are two that accept mail; Unknown is one that the server refuses at RCPT.
	From    string
	To      [2]string
	Unknown string
	// UTF8 is an address that accepts mail and is not ASCII; empty if the server has no SMTPUTF8.
	UTF8 string
	// Await returns the one message that holds marker and was delivered to that address, with its trace header.
	Await func(t testing.TB, address, marker string) []byte
}

// Run runs the suite.
func Run(t *testing.T, target Target) {
	s := &suite{target}
	for _, c := range []struct {
		name string
		test func(*suite, *testing.T)
	}{
		{"no password in plain text", (*suite).plaintext},
		{"wrong password", (*suite).wrongPassword},
		{"one message", (*suite).one},
		{"several messages", (*suite).several},
		{"content", (*suite).content},
		{"some recipients refused", (*suite).someRefused},
		{"all recipients refused", (*suite).allRefused},
		{"too large", (*suite).tooLarge},
		{"SMTPUTF8", (*suite).utf8},
		{"after QUIT", (*suite).afterQuit},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(s, t) })
	}
}

type suite struct{ Target }

type session struct {
	*smtp.Client
	ctx context.Context
}

func (s *session) logIn(user, password string) error {
	_, err := s.Auth(s.ctx, sasl.Credentials{User: user, Password: password}, "")
	return err
}

func (s *suite) connect(t *testing.T, o *smtp.Options) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	c := smtp.New(s.Dial(t), o)
	t.Cleanup(func() {
		c.Close()
		cancel()
	})
	return &session{c, ctx}
}

// session authenticates, under TLS.
func (s *suite) session(t *testing.T, o *smtp.Options) *session {
	t.Helper()
	if o == nil {
		o = &smtp.Options{}
	}
	o.AllowPlaintextAuth = s.Plaintext
	c := s.connect(t, o)
	if s.TLS != nil {
		must(t, c.StartTLS(c.ctx, s.TLS))
	}
	must(t, c.logIn(s.User, s.Password))
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func marker() string { return fmt.Sprintf("marker-%016x", rand.Uint64()) }

func (s *suite) message(mark, body string) string {
	return "From: <" + s.From + ">\r\nTo: <" + s.To[0] + ">\r\nSubject: " + mark + "\r\nDate: Mon, 1 Jan 2024 08:00:00 +0000\r\n" +
		"Message-ID: <" + mark + "@example.test>\r\n\r\n" + body
}

func (s *suite) plaintext(t *testing.T) {
	if s.TLS == nil {
		return
	}
	c := s.connect(t, nil)
	if err := c.logIn(s.User, s.Password); !errors.Is(err, smtp.ErrPlaintext) {
		t.Errorf("AUTH without TLS: %v", err)
	}
	must(t, c.StartTLS(c.ctx, s.TLS))
	if err := c.StartTLS(c.ctx, s.TLS); !errors.Is(err, smtp.ErrState) {
		t.Errorf("STARTTLS under TLS: %v", err)
	}
	must(t, c.logIn(s.User, s.Password))
	must(t, c.Noop(c.ctx))
	must(t, c.Quit(c.ctx))
}

func (s *suite) wrongPassword(t *testing.T) {
	c := s.connect(t, &smtp.Options{AllowPlaintextAuth: s.Plaintext})
	if s.TLS != nil {
		must(t, c.StartTLS(c.ctx, s.TLS))
	}
	err := c.logIn(s.User, s.Password+"!")
	var refused *smtp.Error
	if !errors.As(err, &refused) || refused.Code != 535 || refused.Command != "AUTH" || refused.Temporary() {
		t.Errorf("%v", err)
	}
	_, err = c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1]}, strings.NewReader("Subject: no\r\n\r\n"))
	var all *smtp.RecipientsError
	if !errors.As(err, &refused) && !errors.As(err, &all) {
		t.Errorf("sending without AUTH: %v", err)
	}
}

func (s *suite) one(t *testing.T) {
	mark := marker()
	var progress []int64
	var transcript strings.Builder
	c := s.session(t, &smtp.Options{
		Progress: func(n int64) { progress = append(progress, n) },
		Trace:    func(e smtp.Exchange) { fmt.Fprintf(&transcript, "%v %s\n", e.Sent, e.Line) },
	})
	text := s.message(mark, strings.Repeat("a line of the message\r\n", 10_000))
	receipt, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1], Size: int64(len(text))}, strings.NewReader(text))
	must(t, err)
	if receipt.Text == "" || len(receipt.Refused) != 0 {
		t.Errorf("receipt %+v", receipt)
	}
	must(t, c.Quit(c.ctx))
	s.same(t, s.Await(t, s.To[0], mark), text)
	if n := len(progress); n < 2 || progress[n-1] != int64(len(text)) {
		t.Errorf("progress %v of %d", progress, len(text))
	}
	for _, secret := range []string{s.Password, "a line of the message"} {
		if strings.Contains(transcript.String(), secret) {
			t.Errorf("the trace holds %q", secret)
		}
	}
	if !strings.Contains(transcript.String(), "true MAIL FROM:<"+s.From+">") || !strings.Contains(transcript.String(), "****") {
		t.Errorf("the trace lacks something:\n%s", transcript.String())
	}
}

// same compares header and body that were sent with what was delivered, behind the server's trace header.
func (s *suite) same(t *testing.T, delivered []byte, want string) {
	t.Helper()
	got := bytes.ReplaceAll(delivered, []byte("\r\n"), []byte("\n")) // files may hold LF
	want = strings.ReplaceAll(want, "\r\n", "\n")
	if i := bytes.Index(got, []byte(want[:20])); i > 0 {
		got = got[i:]
	}
	if string(got) != want {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("delivered %d octets, want %d; they differ at %d: %.60q, want %.60q", len(got), len(want), i, got[i:], want[i:])
	}
}

func (s *suite) several(t *testing.T) {
	c := s.session(t, nil)
	g := mailtest.Generator{Median: 1000}
	marks := make(map[string]string)
	for i := range 5 {
		mark := marker()
		text := s.message(mark, string(g.Message(i)))
		marks[mark] = text
		_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:]}, strings.NewReader(text))
		must(t, err)
	}
	must(t, c.Quit(c.ctx))
	for mark, text := range marks {
		for _, to := range s.To {
			s.same(t, s.Await(t, to, mark), text)
		}
	}
}

// What is sent arrives, and every line end arrives as one, so that nothing can be smuggled.
func (s *suite) content(t *testing.T) {
	c := s.session(t, nil)
	for name, body := range map[string][2]string{
		"dots":             {".\r\n..\r\n.hidden\r\n\r\n.\r\n", ""},
		"bare LF":          {"one\ntwo\n.\nthree\n", "one\r\ntwo\r\n.\r\nthree\r\n"},
		"bare CR":          {"one\rtwo\r.\rthree\r", "one\r\ntwo\r\n.\r\nthree\r\n"},
		"smuggled":         {"end\n.\r\nMAIL FROM:<x@y.test>\r\n", "end\r\n.\r\nMAIL FROM:<x@y.test>\r\n"},
		"smuggled by CR":   {"end\r.\r\nMAIL FROM:<x@y.test>\r\n", "end\r\n.\r\nMAIL FROM:<x@y.test>\r\n"},
		"no last line end": {"end", "end\r\n"},
		"8-bit":            {"Grüße, 会議\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			mark := marker()
			_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1]}, strings.NewReader(s.message(mark, body[0])))
			must(t, err)
			want := body[1]
			if want == "" {
				want = body[0]
			}
			s.same(t, s.Await(t, s.To[0], mark), s.message(mark, want))
		})
	}
	must(t, c.Quit(c.ctx))
}

func (s *suite) someRefused(t *testing.T) {
	c := s.session(t, nil)
	mark := marker()
	text := s.message(mark, "to some\r\n")
	receipt, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: []string{s.To[0], s.Unknown, s.To[1]}}, strings.NewReader(text))
	must(t, err)
	if len(receipt.Refused) != 1 || receipt.Refused[0].Recipient != s.Unknown || receipt.Refused[0].Err.Code/100 != 5 {
		t.Errorf("refused: %v", receipt.Refused)
	}
	must(t, c.Quit(c.ctx))
	for _, to := range s.To {
		s.same(t, s.Await(t, to, mark), text)
	}
}

func (s *suite) allRefused(t *testing.T) {
	c := s.session(t, nil)
	_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: []string{s.Unknown}}, strings.NewReader(s.message(marker(), "no")))
	var all *smtp.RecipientsError
	if !errors.As(err, &all) || len(all.Refused) != 1 || all.Refused[0].Err.Command != "RCPT" || all.Temporary() {
		t.Errorf("%v", err)
	}
	// The session goes on.
	mark := marker()
	text := s.message(mark, "yes\r\n")
	_, err = c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1]}, strings.NewReader(text))
	must(t, err)
	must(t, c.Quit(c.ctx))
	s.same(t, s.Await(t, s.To[0], mark), text)
}

func (s *suite) tooLarge(t *testing.T) {
	c := s.session(t, nil)
	_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1], Size: 1 << 40}, strings.NewReader("never read"))
	var large *smtp.TooLargeError
	if !errors.As(err, &large) || large.Size != 1<<40 || large.Limit <= 0 {
		t.Errorf("%v", err)
	}
	must(t, c.Quit(c.ctx))
}

func (s *suite) utf8(t *testing.T) {
	c := s.session(t, nil)
	mark := marker()
	text := s.message(mark, "Grüße\r\n")
	to := s.UTF8
	if to == "" {
		to = "büro@example.test"
	}
	_, err := c.Send(c.ctx, smtp.Envelope{From: s.From, To: []string{to}}, strings.NewReader(text))
	if s.UTF8 == "" {
		if !errors.Is(err, smtp.ErrUnsupported) {
			t.Errorf("without SMTPUTF8: %v", err)
		}
		return
	}
	must(t, err)
	must(t, c.Quit(c.ctx))
	s.same(t, s.Await(t, s.UTF8, mark), text)
}

func (s *suite) afterQuit(t *testing.T) {
	c := s.session(t, nil)
	must(t, c.Quit(c.ctx))
	if err := c.Noop(c.ctx); !errors.Is(err, smtp.ErrState) {
		t.Errorf("NOOP after QUIT: %v", err)
	}
	must(t, c.Close())
}
