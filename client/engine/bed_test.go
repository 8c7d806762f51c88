//go:build unix

package engine

import (
	"bytes"
	"net"
	"testing"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/trust"
)

// bedServers are Dovecot and Postfix.
func bedServers(t *testing.T, bed *testbed.Bed) *mailServers {
	return &mailServers{
		host: bed.Host, pop3: bed.POP3, pop3s: bed.POP3S, submission: bed.Submission, submission2: bed.Submissions,
		roots: bed.Roots, email: "alice@" + bed.Domain, user: "alice", password: bed.Users[0].Password, recipient: "bob@" + bed.Domain,
		deliver: func(message []byte) { bed.Deliver(t, "alice", message) },
		received: func(marker string) []byte {
			return bytes.ReplaceAll(bed.Await(t, "bob", marker), []byte("\n"), []byte("\r\n"))
		},
	}
}

// The same with Dovecot and Postfix.
func TestTheGatewayIsBlindToRealServers(t *testing.T) {
	bed := testbed.Start(t)
	for _, security := range []api.Security{api.TLS, api.STARTTLS, api.Plain} {
		t.Run(string(security), func(t *testing.T) { wantBlind(t, bedServers(t, bed), security) })
	}
}

// Somebody on the way to Dovecot and Postfix gets no more than one on the way to servers in memory.
func TestSomebodyOnTheWayToRealServers(t *testing.T) {
	bed := testbed.Start(t)
	servers := bedServers(t, bed)
	eachInterception(t, func(t *testing.T, protocol api.Protocol, x interception) {
		s := servers.servers(x.security)
		attacked := &s.POP3
		if protocol == api.SMTP {
			attacked = &s.SMTP
		}
		proxy := &mailtest.Proxy{Address: bed.Address(attacked.Port), Implicit: x.security == api.TLS}
		x.begin(t, proxy, protocol)
		address, err := net.ResolveTCPAddr("tcp", mailtest.Listen(t, proxy))
		if err != nil {
			t.Fatal(err)
		}
		attacked.Port = address.Port
		if x.pinned {
			attacked.Pin = trust.Fingerprint(bed.Certificate.Certificate[0])
		}
		engine, err := New(Config{FS: store.NewMemFS(), Gateway: directGateway{}, Roots: servers.roots, Logf: t.Logf})
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		_, err = engine.SignIn(t.Context(), api.SignIn{Email: servers.email, Password: servers.password, Servers: s})
		secrets := append(spoils(servers.email, servers.password), spoils(servers.user, servers.password)[2:]...)
		x.check(t, proxy, protocol, api.AsProblem(err), err == nil, secrets)
	})
}
