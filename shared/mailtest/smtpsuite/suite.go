// Package smtpsuite holds the tests that every submission server must pass together with our client: the one in memory,
// Postfix, and Postern's own.
package smtpsuite

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

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
	// User and Password may send. Token may too, by the mechanisms that take one.
	User, Password, Token string
	// Mechanisms are those of SASL that the server must announce, under TLS if there is TLS, and no other.
	Mechanisms []string
	// Announces are the extensions that the server must announce besides SIZE and 8BITMIME.
	Announces []string
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
		{"extensions", (*suite).extensions},
		{"no password in plain text", (*suite).plaintext},
		{"mechanisms", (*suite).mechanisms},
		{"wrong password", (*suite).wrongPassword},
		{"one message", (*suite).one},
		{"several messages", (*suite).several},
		{"content", (*suite).content},
		{"some recipients refused", (*suite).someRefused},
		{"all recipients refused", (*suite).allRefused},
		{"many recipients", (*suite).many},
		{"too large", (*suite).tooLarge},
		{"large", (*suite).large},
		{"long line", (*suite).longLine},
		{"reports", (*suite).reports},
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

// credentials are those of the target that a mechanism takes.
func (s *suite) credentials(mechanism string) sasl.Credentials {
	cr := sasl.Credentials{User: s.User, Host: "localhost", Port: 587}
	if mechanism == sasl.OAuthBearer || mechanism == sasl.XOAuth2 {
		cr.Token = s.Token
	} else {
		cr.Password = s.Password
	}
	return cr
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
	c := s.secured(t, o)
	_, err := c.Auth(c.ctx, s.credentials(""), "")
	must(t, err)
	return c
}

// secured is under TLS, if there is TLS.
func (s *suite) secured(t *testing.T, o *smtp.Options) *session {
	t.Helper()
	c := s.connect(t, o)
	if s.TLS != nil {
		must(t, c.StartTLS(c.ctx, s.TLS))
	}
	return c
}

// extensions are what the server must announce, and TLS only before TLS.
func (s *suite) extensions(t *testing.T) {
	c := s.secured(t, nil)
	e, err := c.Extensions(c.ctx)
	must(t, err)
	slices.Sort(e.Auth)
	want := slices.Sorted(slices.Values(s.Mechanisms))
	if !slices.Equal(e.Auth, want) {
		t.Errorf("mechanisms %q, want %q", e.Auth, want)
	}
	has := map[string]bool{"SMTPUTF8": e.SMTPUTF8, "DSN": e.DSN, "PIPELINING": e.Pipelining, "CHUNKING": e.Chunking, "ENHANCEDSTATUSCODES": e.EnhancedStatusCodes}
	for keyword, got := range has {
		if want := slices.Contains(s.Announces, keyword); got != want {
			t.Errorf("%s: %v, want %v", keyword, got, want)
		}
	}
	if e.Size <= 0 || !e.EightBitMIME || len(e.Lines) < 3 || e.StartTLS {
		t.Errorf("%+v", e)
	}
	must(t, c.Quit(c.ctx))
}

// mechanisms logs in by each, to send, and by none that is not announced.
func (s *suite) mechanisms(t *testing.T) {
	for _, m := range []string{sasl.Plain, sasl.Login, sasl.CRAMMD5, sasl.SCRAMSHA256, sasl.OAuthBearer, sasl.XOAuth2} {
		t.Run(m, func(t *testing.T) {
			var transcript strings.Builder
			c := s.secured(t, &smtp.Options{AllowPlaintextAuth: s.Plaintext, Trace: func(e smtp.Exchange) { fmt.Fprintln(&transcript, e.Sent, e.Line) }})
			cr := s.credentials(m)
			if !slices.Contains(s.Mechanisms, m) {
				if _, err := c.Auth(c.ctx, cr, m); !errors.Is(err, smtp.ErrUnsupported) {
					t.Errorf("not announced: %v", err)
				}
				return
			}
			wrong := cr
			wrong.Password += "!"
			if wrong.Token != "" {
				wrong.Password, wrong.Token = "", wrong.Token+"x"
			}
			var refused *smtp.Error
			if _, err := c.Auth(c.ctx, wrong, m); !errors.As(err, &refused) || refused.Code != 535 || refused.Command != "AUTH" {
				t.Errorf("with a wrong secret: %v", err)
			}
			used, err := c.Auth(c.ctx, cr, strings.ToLower(m))
			must(t, err)
			if used != m {
				t.Errorf("used %s", used)
			}
			mark := marker()
			text := s.message(mark, "by "+m+"\r\n")
			_, err = c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1]}, strings.NewReader(text))
			must(t, err)
			must(t, c.Quit(c.ctx))
			s.same(t, s.Await(t, s.To[0], mark), text)
			for _, secret := range []string{cr.Password, cr.Token} {
				for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
					if secret != "" && strings.Contains(transcript.String(), form) {
						t.Errorf("the trace holds %q", form)
					}
				}
			}
		})
	}
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
	for _, m := range []string{sasl.Plain, sasl.Login} {
		if _, err := c.Auth(c.ctx, s.credentials(m), m); !errors.Is(err, smtp.ErrPlaintext) {
			t.Errorf("AUTH %s without TLS: %v", m, err)
		}
	}
	must(t, c.StartTLS(c.ctx, s.TLS))
	if err := c.StartTLS(c.ctx, s.TLS); !errors.Is(err, smtp.ErrState) {
		t.Errorf("STARTTLS under TLS: %v", err)
	}
	_, err := c.Auth(c.ctx, s.credentials(""), "")
	must(t, err)
	must(t, c.Noop(c.ctx))
	must(t, c.Quit(c.ctx))
}

func (s *suite) wrongPassword(t *testing.T) {
	c := s.secured(t, &smtp.Options{AllowPlaintextAuth: s.Plaintext})
	wrong := s.credentials("")
	wrong.Password += "!"
	_, err := c.Auth(c.ctx, wrong, "")
	var refused *smtp.Error
	if !errors.As(err, &refused) || refused.Code != 535 || refused.Command != "AUTH" || refused.Temporary() || refused.Explain() == "" {
		t.Errorf("%v", err)
	}
	_, err = c.Send(c.ctx, smtp.Envelope{From: s.From, To: s.To[:1]}, strings.NewReader("Subject: no\r\n\r\n"))
	var all *smtp.RecipientsError
	if !errors.As(err, &refused) && !errors.As(err, &all) {
		t.Errorf("sending without AUTH: %v", err)
	}
	// In groups as in lock-step, refused commands leave the session usable.
	_, err = c.Auth(c.ctx, s.credentials(""), "")
	must(t, err)
	must(t, c.Quit(c.ctx))
}
