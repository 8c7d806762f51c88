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

// The suite against the server in memory, whole and with each thing missing that servers do miss.
func TestInMemory(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	for _, c := range []struct {
		name   string
		faults *mailtest.Faults
		mend   func(*mailtest.SMTP, *smtpsuite.Target)
	}{
		{"STARTTLS", nil, func(s *mailtest.SMTP, target *smtpsuite.Target) {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server()}}
			target.TLS = &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}
		}},
		{"plain text", nil, func(_ *mailtest.SMTP, target *smtpsuite.Target) { target.Plaintext = true }},
		{"AUTH LOGIN alone", nil, func(s *mailtest.SMTP, target *smtpsuite.Target) { s.NoPlain, target.Plaintext = true, true }},
		{"no SMTPUTF8", nil, func(s *mailtest.SMTP, target *smtpsuite.Target) {
			s.NoUTF8, target.UTF8, target.Plaintext = true, "", true
		}},
		{"octet by octet", &mailtest.Faults{Packet: 1}, func(_ *mailtest.SMTP, target *smtpsuite.Target) { target.Plaintext = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mailtest.NewSMTP()
			target := smtpsuite.Target{
				Dial: func(t testing.TB) net.Conn { return mailtest.Connect(t, server, c.faults) },
				User: "bob", Password: "bob-pw",
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
		})
	}
}
