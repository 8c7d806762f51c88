package smtp_test

import (
	"bytes"
	"crypto/tls"
	"net"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/smtpsuite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The suite against the server in memory, whole and with each thing missing that servers do miss. It is strict: what the
// client may not do fails the test.
func TestInMemory(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	certificate := authority.Server()
	everything := []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"}
	for _, c := range []struct {
		name   string
		faults *mailtest.Faults
		mend   func(*mailtest.SMTP, *smtpsuite.Target)
	}{
		{"everything, STARTTLS", nil, func(s *mailtest.SMTP, target *smtpsuite.Target) {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			target.TLS, target.Plaintext = &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}, false
			s.Mechanisms, target.Mechanisms = everything, everything
			s.DSN, s.Pipelining, s.Chunking = true, true, true
			target.Announces = append(target.Announces, "DSN", "PIPELINING", "CHUNKING")
		}},
		{"everything, implicit TLS", nil, func(s *mailtest.SMTP, target *smtpsuite.Target) {
			target.Dial = func(t testing.TB) net.Conn {
				under := mailtest.ServerFunc(func(c net.Conn) {
					s.ServeConn(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}}))
				})
				return tls.Client(mailtest.Connect(t, under, nil), &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()})
			}
			target.Plaintext = false
			s.Mechanisms, target.Mechanisms = everything, everything
			s.DSN, s.Pipelining, s.Chunking = true, true, true
			target.Announces = append(target.Announces, "DSN", "PIPELINING", "CHUNKING")
		}},
		{"plain text", nil, func(*mailtest.SMTP, *smtpsuite.Target) {}},
		{"AUTH LOGIN alone", nil, func(s *mailtest.SMTP, target *smtpsuite.Target) {
			s.NoPlain, target.Mechanisms = true, []string{"LOGIN"}
		}},
		{"no SMTPUTF8", nil, func(s *mailtest.SMTP, target *smtpsuite.Target) {
			s.NoUTF8, target.UTF8, target.Announces = true, "", []string{"ENHANCEDSTATUSCODES"}
		}},
		{"CHUNKING alone", nil, func(s *mailtest.SMTP, target *smtpsuite.Target) {
			s.Chunking, target.Announces = true, append(target.Announces, "CHUNKING")
		}},
		{"octet by octet", &mailtest.Faults{Packet: 1}, func(s *mailtest.SMTP, target *smtpsuite.Target) {
			s.Pipelining, target.Announces = true, append(target.Announces, "PIPELINING")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mailtest.NewSMTP()
			server.Tokens = map[string]string{"bob": token}
			target := smtpsuite.Target{
				Dial: func(t testing.TB) net.Conn { return mailtest.Connect(t, server, c.faults) },
				User: "bob", Password: "bob-pw", Token: token, Plaintext: true,
				Mechanisms: []string{"PLAIN", "LOGIN"}, Announces: []string{"SMTPUTF8", "ENHANCEDSTATUSCODES"},
				From: "bob@example.test", To: [2]string{"alice@example.test", "bob@example.test"}, Unknown: "nobody@example.test",
				UTF8: "büro@example.test",
				Await: func(t testing.TB, address, marker string) []byte {
					for _, r := range server.Received() {
						if slices.Contains(r.To, address) && bytes.Contains(r.Content, []byte(marker)) {
							return r.Content
						}
					}
					t.Fatalf("no message with %s to %s", marker, address)
					return nil
				},
			}
			c.mend(server, &target)
			smtpsuite.Run(t, target)
			if v := server.Violations(); v != nil {
				t.Errorf("violations: %q", v)
			}
		})
	}
}
