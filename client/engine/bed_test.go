//go:build unix

package engine

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
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

// straight is a gateway that dials.
type straight struct{}

func (straight) Open(ctx context.Context, o wire.Open) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
}

func (straight) State() tunnel.State {
	return tunnel.State{Phase: tunnel.Online, Welcome: &wire.Welcome{Version: wire.Version}}
}

func (straight) Subscribe(func(tunnel.State)) (cancel func()) { return func() {} }
func (straight) Kick()                                        {}

// Somebody on the way to Dovecot and Postfix gets no more than one on the way to servers in memory.
func TestSomebodyOnTheWayToRealServers(t *testing.T) {
	bed := testbed.Start(t)
	servers := bedServers(t, bed)
	for _, protocol := range []api.Protocol{api.POP3, api.SMTP} {
		for _, test := range []struct {
			name     string
			security api.Security
			pinned   bool
			attack   func(p *mailtest.Proxy, foreign *mailtest.Authority)
			want     api.Code
			reason   string
		}{
			{name: "nobody", security: api.STARTTLS, attack: func(*mailtest.Proxy, *mailtest.Authority) {}},
			{name: "strips", security: api.STARTTLS, want: api.CodeNoTLS, attack: func(p *mailtest.Proxy, _ *mailtest.Authority) { p.Strip = true }},
			{name: "swaps", security: api.STARTTLS, want: api.CodeCertificate, reason: trust.UnknownAuthority, attack: swap},
			{name: "swaps what is pinned", security: api.STARTTLS, pinned: true, want: api.CodeCertificate, reason: trust.PinChanged, attack: swap},
			{name: "swaps from the first octet", security: api.TLS, want: api.CodeCertificate, reason: trust.UnknownAuthority, attack: swap},
			{name: "injects", security: api.STARTTLS, want: api.CodeServerProtocol, attack: func(p *mailtest.Proxy, _ *mailtest.Authority) {
				p.Inject = map[api.Protocol]string{api.POP3: "+OK injected\r\n", api.SMTP: "250 injected\r\n"}[protocol]
			}},
			{name: "forges what is announced", security: api.STARTTLS, attack: func(p *mailtest.Proxy, _ *mailtest.Authority) { p.Forge = forge }},
		} {
			t.Run(fmt.Sprint(protocol, " ", test.name), func(t *testing.T) {
				s := servers.servers(test.security)
				attacked := &s.POP3
				if protocol == api.SMTP {
					attacked = &s.SMTP
				}
				proxy := &mailtest.Proxy{Address: bed.Address(attacked.Port), Implicit: test.security == api.TLS}
				test.attack(proxy, mailtest.NewAuthority(t))
				address, err := net.ResolveTCPAddr("tcp", mailtest.Listen(t, proxy))
				if err != nil {
					t.Fatal(err)
				}
				attacked.Port = address.Port
				if test.pinned {
					attacked.Pin = trust.Fingerprint(bed.Certificate.Certificate[0])
				}
				engine, err := New(Config{FS: store.NewMemFS(), Gateway: straight{}, Roots: servers.roots, Logf: t.Logf})
				if err != nil {
					t.Fatal(err)
				}
				defer engine.Close()
				_, err = engine.SignIn(t.Context(), api.SignIn{Email: servers.email, Password: servers.password, Servers: s})
				if code(err) != test.want {
					t.Fatalf("signing in: %v", err)
				}
				if test.reason != "" {
					if c := api.AsProblem(err).Certificate; c == nil || c.Reason != test.reason || c.Protocol != protocol {
						t.Errorf("certificate %+v", c)
					}
				}
				if len(proxy.Said()) == 0 && test.security == api.STARTTLS {
					t.Error("he was not on the way")
				}
				secrets := append(spoils(servers.email, servers.password), spoils(servers.user, servers.password)[2:]...)
				if got := found(proxy.Heard(), secrets); len(got) > 0 {
					t.Errorf("he has heard %q", got)
				}
				if got := found(proxy.Said(), append(secrets, asked...)); len(got) > 0 {
					t.Errorf("what was said to him has %q", got)
				}
			})
		}
	}
}
