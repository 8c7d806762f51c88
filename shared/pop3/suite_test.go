package pop3_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/pop3suite"
	"github.com/postern-mail/postern/shared/pop3"
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
			p.Mechanisms = []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"}
			p.Tokens = map[string]string{"bob": strings.Repeat("token", 60)} // too long for the command line
			p.APOP = "<1896.697170952@dbc.mtview.ca.us>"
			p.UTF8, p.Langs = true, []string{"en English", "fr français"}
			p.Expire, p.LoginDelay = "30 USER", time.Nanosecond
		}},
		{"names and passwords beyond ASCII", nil, func(p *mailtest.POP3) {
			p.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server()}}
			p.Mechanisms = []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"}
			p.APOP = "<1896.697170952@dbc.mtview.ca.us>"
			p.Password["jörg@bücher.test"], p.Maildrop["jörg@bücher.test"] = "pässwörd, = 会議", new(mailtest.Maildrop)
		}},
		{"APOP alone", nil, func(p *mailtest.POP3) { p.APOP, p.Mechanisms = "<1@x>", []string{} }},
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
				Locks:   true,
				Ways:    append(server.Mechanisms[:len(server.Mechanisms):len(server.Mechanisms)], pop3.WayUser),
				Options: &pop3.Options{AllowPlaintextAuth: true},
			}
			if len(server.Password) > 1 {
				target.User = "jörg@bücher.test"
			}
			target.Password, target.Token = server.Password[target.User], server.Tokens[target.User]
			target.Deliver = func(_ testing.TB, m []byte) { server.Maildrop[target.User].Deliver(m) }
			if server.Mechanisms == nil {
				target.Ways = append(target.Ways, "PLAIN", "LOGIN")
			}
			if server.APOP != "" {
				target.Ways = append(target.Ways, pop3.WayAPOP)
			}
			if server.TLS != nil {
				target.TLS = &tls.Config{ServerName: "localhost", RootCAs: authority.Pool()}
				target.DialTLS = func(t testing.TB) net.Conn {
					return tls.Client(mailtest.Connect(t, mailtest.ServerFunc(func(c net.Conn) { server.ServeConn(tls.Server(c, server.TLS)) }), c.faults), target.TLS)
				}
			}
			pop3suite.Run(t, target)
		})
	}
}
