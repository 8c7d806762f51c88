package pop3_test

import (
	"crypto/tls"
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/pop3suite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The suite against the server in memory, whole and with each thing missing that servers do miss, in packets of
// every awkward size.
func TestInMemory(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	for _, c := range []struct {
		name   string
		faults *mailtest.Faults
		mend   func(*mailtest.POP3)
	}{
		{"whole", nil, func(p *mailtest.POP3) {
			p.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server()}}
		}},
		{"no TLS", nil, func(*mailtest.POP3) {}},
		{"no pipelining", nil, func(p *mailtest.POP3) { p.NoPipelining = true }},
		{"no wait", nil, func(p *mailtest.POP3) { p.NoWait = true }},
		{"packets of 7 octets", &mailtest.Faults{Packet: 7}, func(p *mailtest.POP3) { p.NoWait = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mailtest.NewPOP3()
			c.mend(server)
			target := pop3suite.Target{
				Dial:    func(t testing.TB) net.Conn { return mailtest.Connect(t, server, c.faults) },
				User:    "bob",
				Deliver: func(_ testing.TB, m []byte) { server.Maildrop["bob"].Deliver(m) },
				Locks:   true,
			}
			target.Password = server.Password["bob"]
			if server.TLS != nil {
				target.TLS = &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}
			}
			pop3suite.Run(t, target)
		})
	}
}
