package mailserver

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/mailtest/pop3suite"
	"github.com/postern-mail/postern/shared/mailtest/smtpsuite"
	"github.com/postern-mail/postern/shared/pop3"
)

// The suites are those that Dovecot and Postfix pass with the same client.

func TestPOP3Suite(t *testing.T) {
	const user, password = "carol@postern.test", "pässwörd of 会議"
	s := start(t, testConfig(t.TempDir()))
	must(t, s.EnsureUser(t.Context(), Account{user, "Carol", password}))
	pop3suite.Run(t, pop3suite.Target{
		Dial:     func(t testing.TB) net.Conn { return s.dial(t, POP3) },
		DialTLS:  func(t testing.TB) net.Conn { return tls.Client(s.dial(t, POP3S), s.pinned()) },
		TLS:      s.pinned(),
		Ways:     []string{"SCRAM-SHA-256", "PLAIN", "LOGIN", pop3.WayUser},
		Options:  &pop3.Options{AllowPlaintextAuth: true},
		User:     user,
		Password: password,
		// Straight into the store: what SMTP takes is the other suite's matter.
		Deliver: func(t testing.TB, text []byte) {
			in, err := s.store.Create()
			must(t, err)
			in.Write(text)
			must(t, in.Deliver(t.Context(), maildrop.Envelope{Local: []string{user}}))
		},
		Locks: true,
	})
}

func TestSMTPSuite(t *testing.T) {
	for service, starttls := range map[string]bool{Submission: true, Submissions: false} {
		t.Run(service, func(t *testing.T) {
			s := start(t, testConfig(t.TempDir()))
			target := smtpsuite.Target{
				User: alice, Password: password, Mechanisms: []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"},
				Announces: []string{"SMTPUTF8", "DSN", "PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES"},
				From:      alice, To: [2]string{bob, alice}, Unknown: "nobody@postern.test", UTF8: "jörg@elsewhere.test",
				Dial: func(t testing.TB) net.Conn {
					if starttls {
						return s.dial(t, service)
					}
					return tls.Client(s.dial(t, service), s.pinned())
				},
				Await: func(t testing.TB, address, marker string) []byte {
					if strings.HasSuffix(address, "@elsewhere.test") {
						return queued(t, s, marker)
					}
					for _, text := range s.fetch(t, address) {
						if strings.Contains(text, marker) {
							return []byte(text)
						}
					}
					t.Fatalf("%s has no message with %s: what was acknowledged must be there at once", address, marker)
					return nil
				},
			}
			if starttls {
				target.TLS = s.pinned()
			}
			smtpsuite.Run(t, target)
		})
	}
}

// queued finds a message that waits for another server.
func queued(t testing.TB, s *Server, marker string) []byte {
	t.Helper()
	queue, err := s.store.Queue(t.Context(), maildrop.Filter{})
	must(t, err)
	for _, q := range queue {
		if !q.UTF8 || time.Since(q.Created) > time.Minute {
			t.Fatalf("queue %+v", queue)
		}
		r, err := s.store.OpenContent(q)
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, errors.Join(err, r.Close()))
		if strings.Contains(string(text), marker) {
			if strings.Contains(string(text), "Return-Path") {
				t.Error("a queued message has the Return-Path of a final delivery")
			}
			return text
		}
	}
	t.Fatal("the queued message is not there")
	return nil
}
