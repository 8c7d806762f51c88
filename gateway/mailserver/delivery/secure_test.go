package delivery

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery/mtasts"
	"github.com/postern-mail/postern/shared/mailtest"
)

// implicit is a server by TLS from the first octet.
func implicit(s *mailtest.SMTP) func(net.Conn) {
	return func(c net.Conn) { s.ServeConn(tls.Server(c, s.TLS)) }
}

// policies are MTA-STS policies by domain.
type policies map[string]mtasts.Policy

func (p policies) Policy(_ context.Context, domain string) mtasts.Policy { return p[domain] }

// TestTLS: what becomes of a message, and what is said of TLS, by what the peer has and the domain's policy wants.
func TestTLS(t *testing.T) {
	enforce := mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"*.example.org"}}
	elsewhere := mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"mx.example.net"}}
	testing_ := mtasts.Policy{Mode: mtasts.Testing, MX: []string{"mx.example.net"}}
	good := func(a *mailtest.Authority) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{a.Server("mx.example.org")}}
	}
	other := func(a *mailtest.Authority) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{a.Server("other.example.net")}}
	}
	expired := func(a *mailtest.Authority) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{a.Expired("mx.example.org")}}
	}
	old := func(a *mailtest.Authority) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{a.Server("mx.example.org")}, MaxVersion: tls.VersionTLS12}
	}
	broken := func(*mailtest.Authority) *tls.Config { return &tls.Config{} } // no certificate: every handshake fails
	none := func(*mailtest.Authority) *tls.Config { return nil }
	for _, c := range []struct {
		name    string
		server  func(*mailtest.Authority) *tls.Config
		policy  mtasts.Policy
		fault   *mailtest.SMTPFault // in place of the answer to STARTTLS
		outcome string
		tls     string
		dials   int
		note    string
	}{
		{name: "verified", server: good, outcome: "delivered", tls: "TLS 1.3, verified", dials: 1},
		{name: "TLS 1.2", server: old, outcome: "delivered", tls: "TLS 1.2, verified", dials: 1},
		{name: "another's certificate", server: other, outcome: "delivered", tls: "TLS 1.3, unverified", dials: 1, note: "does not verify"},
		{name: "expired", server: expired, outcome: "delivered", tls: "TLS 1.3, unverified", dials: 1, note: "expired"},
		{name: "no TLS", server: none, outcome: "delivered", tls: "none", dials: 1},
		{name: "broken TLS", server: broken, outcome: "delivered", tls: "none", dials: 2, note: "once more, without"},
		{name: "STARTTLS refused", server: good, fault: &mailtest.SMTPFault{Reply: "454 4.7.0 not now\r\n"}, outcome: "delivered", tls: "none", dials: 1, note: "going on in plain text"},
		{name: "STARTTLS cut", server: good, fault: &mailtest.SMTPFault{Cut: true}, outcome: "delivered", tls: "none", dials: 2},
		{name: "STARTTLS answered by nonsense", server: good, fault: &mailtest.SMTPFault{Reply: "what?\r\n"}, outcome: "delivered", tls: "none", dials: 2},
		{name: "STARTTLS stalls", server: good, fault: &mailtest.SMTPFault{Stall: true}, outcome: "delivered", tls: "none", dials: 2},
		{name: "plain text injected", server: good, fault: &mailtest.SMTPFault{Reply: "220 go\r\n250 injected\r\n"}, outcome: "delivered", tls: "none", dials: 2},

		{name: "enforce, verified", server: good, policy: enforce, outcome: "delivered", tls: "TLS 1.3, verified", dials: 1},
		{name: "enforce, another's certificate", server: other, policy: enforce, outcome: "deferred 4.7.5", tls: "none", dials: 1},
		{name: "enforce, expired", server: expired, policy: enforce, outcome: "deferred 4.7.5", tls: "none", dials: 1},
		{name: "enforce, no TLS", server: none, policy: enforce, outcome: "deferred 4.7.4", tls: "none", dials: 1},
		{name: "enforce, broken TLS", server: broken, policy: enforce, outcome: "deferred 4.7.5", tls: "none", dials: 1},
		{name: "enforce, STARTTLS refused", server: good, policy: enforce, fault: &mailtest.SMTPFault{Reply: "454 4.7.0 not now\r\n"}, outcome: "deferred 4.7.4", tls: "none", dials: 1},
		{name: "enforce, not that host", server: good, policy: elsewhere, outcome: "deferred 4.7.1", dials: 0},
		{name: "testing, not that host", server: good, policy: testing_, outcome: "delivered", tls: "TLS 1.3, verified", dials: 1, note: "no host of the MTA-STS policy"},
		{name: "testing, another's certificate", server: other, policy: testing_, outcome: "delivered", tls: "TLS 1.3, unverified", dials: 1, note: "were it enforced"},
		{name: "testing, broken TLS", server: broken, policy: testing_, outcome: "delivered", tls: "none", dials: 2, note: "were it enforced"},
		{name: "none", server: other, policy: mtasts.Policy{Mode: mtasts.None}, outcome: "delivered", tls: "TLS 1.3, unverified", dials: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				authority := mailtest.NewAuthority(t)
				w, peer := one(t)
				peer.TLS = c.server(authority)
				peer.Fault = func(stage string) *mailtest.SMTPFault {
					if stage == "STARTTLS" {
						return c.fault
					}
					return nil
				}
				d := w.deliverer(func(conf *Config) {
					conf.Roots, conf.Policies = authority.Pool(), policies{"example.org": c.policy}
				})
				results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
				want(t, results[0], c.outcome, transcript)
				if results[0].TLS != c.tls || len(w.dials()) != c.dials {
					t.Errorf("TLS %q, %d dials, want %q and %d\n%s", results[0].TLS, len(w.dials()), c.tls, c.dials, said(transcript))
				}
				if !strings.Contains(said(transcript), c.note) {
					t.Errorf("no %q in\n%s", c.note, said(transcript))
				}
				if n := len(peer.Received()); (n == 1) != (c.outcome == "delivered") {
					t.Errorf("the peer has %d", n)
				}
				checkPeers(t, peer)
			})
		})
	}
}

// A policy lets hosts out, and the others are tried. An address that is not good enough for one domain is for another.
func TestPolicyOfOneDomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := mailtest.NewAuthority(t)
		w := newWorld(t)
		w.domain("example.org", "10 bad.example.net 192.0.2.1", "20 mx.example.org 192.0.2.2")
		w.domain("example.net", "10 bad.example.net 192.0.2.1")
		bad, good := stranger(), stranger()
		good.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server("mx.example.org")}}
		w.serve("192.0.2.1", bad)
		w.serve("192.0.2.2", good)
		policy := policies{"example.org": {Mode: mtasts.Enforce, MX: []string{"mx.example.org", "bad.example.net"}}}
		d := w.deliverer(func(c *Config) { c.Roots, c.Policies = authority.Pool(), policy })
		for domain, server := range map[string]string{"example.org": "mx.example.org", "example.net": "bad.example.net"} {
			results, transcript := d.Deliver(t.Context(), domain, message(hello, "b@"+domain))
			want(t, results[0], "delivered", transcript)
			if !strings.HasPrefix(results[0].Server, server) {
				t.Errorf("%s: %s", domain, results[0].Server)
			}
		}
		if len(bad.Received()) != 1 || len(good.Received()) != 1 {
			t.Error("the wrong host has it")
		}
	})
}

// A connection that is kept is not used when the policy has become stricter.
func TestPolicyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t)
		policy := policies{}
		d := w.deliverer(func(c *Config) { c.Policies = policy })
		results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
		want(t, results[0], "delivered", transcript)
		policy["example.org"] = mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"mx.example.org"}}
		results, transcript = d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
		want(t, results[0], "deferred 4.7.4", transcript)
		if len(peer.Received()) != 1 {
			t.Errorf("%d messages", len(peer.Received()))
		}
	})
}

// The whole way: a TXT record, a policy by HTTPS from a host that the Resolver knows and Refuse lets through, and a delivery that it
// keeps from the wrong server.
func TestPolicyIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := mailtest.NewAuthority(t)
		w, peer := one(t)
		var fetched atomic.Int32
		w.txt["_mta-sts.example.org"] = []string{"v=spf1 -all", "v=STSv1; id=20260101;"}
		w.ip["mta-sts.example.org"] = []string{"127.0.0.1", "192.0.2.80"}
		config := &tls.Config{Certificates: []tls.Certificate{authority.Server("mta-sts.example.org")}}
		w.peer["192.0.2.80:443"] = mailtest.ServerFunc(func(c net.Conn) {
			fetched.Add(1)
			s := tls.Server(c, config)
			buf := make([]byte, 4096)
			if n, err := s.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.org\r\n") {
				t.Errorf("%q, %v", buf[:n], err)
			}
			policy := "version: STSv1\r\nmode: enforce\r\nmx: *.example.net\r\nmax_age: 86400\r\n"
			s.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" + policy))
			s.Close()
		})
		d := w.deliverer(func(c *Config) {
			c.Roots = authority.Pool()
			c.Refuse = func(a netip.Addr) string {
				if a.IsLoopback() {
					return "loopback"
				}
				return ""
			}
			c.Policies = NewPolicies(*c)
		})
		for range 3 {
			results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
			want(t, results[0], "deferred 4.7.1", transcript)
		}
		if fetched.Load() != 1 || len(peer.Received()) > 0 || !slices.Equal(w.dials(), []string{"192.0.2.80:443"}) {
			t.Errorf("%d fetches, dialled %q", fetched.Load(), w.dials())
		}
		// The DNS is gone: the policy is not.
		time.Sleep(time.Hour)
		w.fail["TXT _mta-sts.example.org"] = errDNS
		results, transcript := d.Deliver(t.Context(), "example.org", message(hello, "b@example.org"))
		want(t, results[0], "deferred 4.7.1", transcript)
	})
}
