package delivery

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRoutes: where mail goes, by what the DNS says. RFC 5321 section 5.1, RFC 7505.
func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		name   string
		world  func(*world)
		config func(*Config)
		domain string
		hosts  string // "host address address; host ..."
		stop   string // "outcome enhanced"
	}{
		{name: "by preference", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "20 b.example.org 192.0.2.2", "10 a.example.org 192.0.2.1", "30 c.example.org 192.0.2.3")
		}, hosts: "a.example.org 192.0.2.1; b.example.org 192.0.2.2; c.example.org 192.0.2.3"},
		{name: "IPv6 and IPv4 by turns", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "0 a.example.org 192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1 2001:db8::2")
		}, config: func(c *Config) { c.Limits.Addresses = 9 }, hosts: "a.example.org 2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 192.0.2.3"},
		{name: "so many addresses", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "0 a.example.org 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6")
		}, hosts: "a.example.org 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4"},
		{name: "so many hosts", domain: "example.org", world: func(w *world) {
			for i := range 9 {
				w.domain("example.org", fmt.Sprintf("%d mx%d.example.org 192.0.2.%d", i, i, i+1))
			}
		}, config: func(c *Config) { c.Limits.Hosts = 2 }, hosts: "mx0.example.org 192.0.2.1; mx1.example.org 192.0.2.2"},
		{name: "no MX: the domain itself", domain: "example.org", world: func(w *world) { w.ip["example.org"] = []string{"192.0.2.7"} }, hosts: "example.org 192.0.2.7"},
		{name: "null MX", domain: "example.org", world: func(w *world) {
			w.mx["example.org"] = []*net.MX{{Host: "."}}
			w.ip["example.org"] = []string{"192.0.2.7"}
		}, stop: "failed 556 5.1.10"},
		{name: "a null MX beside others is none", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 a.example.org 192.0.2.1")
			w.mx["example.org"] = append(w.mx["example.org"], &net.MX{Host: "."})
		}, hosts: "a.example.org 192.0.2.1"},
		{name: "no such domain", domain: "example.org", stop: "failed 5.1.2"},
		{name: "DNS fails", domain: "example.org", world: func(w *world) { w.fail["MX example.org"] = errDNS }, stop: "deferred 4.4.3"},
		{name: "DNS fails for the implicit host", domain: "example.org", world: func(w *world) { w.fail["example.org"] = errDNS }, stop: "deferred 4.4.3"},
		{name: "DNS fails for one host", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 a.example.org", "20 b.example.org 192.0.2.2")
			w.fail["a.example.org"] = errDNS
		}, hosts: "a.example.org; b.example.org 192.0.2.2"},
		{name: "hosts without addresses", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 a.example.org", "20 b.example.org")
			w.ip["example.org"] = []string{"192.0.2.7"} // RFC 5321: where there are MX records, this is no host
		}, stop: "failed 5.4.4"},
		{name: "some without, some fail", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 a.example.org", "20 b.example.org")
			w.fail["b.example.org"] = errDNS
		}, stop: "deferred 4.4.3"},
		{name: "MX that names no host", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 192.0.2.1 192.0.2.1", "10 a_-.example.org 192.0.2.1", "10 a..b")
		}, stop: "failed 5.4.4"},
		{name: "a host named twice", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 a.example.org 192.0.2.1", "20 A.Example.Org")
		}, hosts: "a.example.org 192.0.2.1"},
		{name: "ourselves: the better ones alone", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 a.example.org 192.0.2.1", "20 Mail.Postern.Test 192.0.2.9", "20 b.example.org 192.0.2.2", "30 c.example.org 192.0.2.3")
		}, hosts: "a.example.org 192.0.2.1"},
		{name: "ourselves: a loop", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 mail.postern.test 192.0.2.9", "20 c.example.org 192.0.2.3")
		}, stop: "failed 554 5.4.6"},
		{name: "ourselves by another name", domain: "example.org", world: func(w *world) { w.domain("example.org", "10 alias.postern.test 192.0.2.9") },
			config: func(c *Config) { c.Names = []string{"alias.postern.test."} }, stop: "failed 5.4.6"},
		{name: "ourselves by the address", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 a.example.org 192.0.2.1", "20 b.example.org 192.0.2.9")
		}, config: func(c *Config) { c.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.9")} }, hosts: "a.example.org 192.0.2.1"},
		{name: "ourselves by the address, implicitly", domain: "example.org", world: func(w *world) { w.ip["example.org"] = []string{"192.0.2.9"} },
			config: func(c *Config) { c.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.9")} }, stop: "failed 5.4.6"},
		{name: "refused addresses", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 a.example.org 127.0.0.1 10.0.0.1 ::1 1.1.1.1", "20 b.example.org 169.254.169.254")
		}, config: func(c *Config) { c.Refuse = nil }, hosts: "a.example.org 1.1.1.1; b.example.org"},
		{name: "nothing but refused addresses", domain: "example.org", world: func(w *world) {
			w.domain("example.org", "10 a.example.org 127.0.0.1 ::ffff:127.0.0.1")
		}, config: func(c *Config) { c.Refuse = nil }, stop: "failed 5.4.4"},
		{name: "IPv4 literal", domain: "[192.0.2.1]", hosts: "[192.0.2.1] 192.0.2.1"},
		{name: "IPv6 literal", domain: "[IPv6:2001:db8::1]", hosts: "[ipv6:2001:db8::1] 2001:db8::1"},
		{name: "refused literal", domain: "[127.0.0.1]", config: func(c *Config) { c.Refuse = nil }, stop: "failed 5.4.4"},
		{name: "refused literal in disguise", domain: "[IPv6:::ffff:7f00:1]", config: func(c *Config) { c.Refuse = nil }, stop: "failed 5.4.4"},
		{name: "no literal", domain: "[192.0.2]", stop: "failed 5.1.3"},
		{name: "beyond ASCII", domain: "Bücher.example", world: func(w *world) { w.domain("xn--bcher-kva.example", "10 mx.example.org 192.0.2.1") }, hosts: "mx.example.org 192.0.2.1"},
		{name: "a dot at its end", domain: "EXAMPLE.org.", world: func(w *world) { w.domain("example.org", "10 mx.example.org 192.0.2.1") }, hosts: "mx.example.org 192.0.2.1"},
		{name: "no domain", domain: "exa mple.org", stop: "failed 5.1.2"},
		{name: "an address", domain: "192.0.2.1", stop: "failed 5.1.2"},
		{name: "empty", domain: "", stop: "failed 5.1.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.world != nil {
				c.world(w)
			}
			d := w.deliverer(func(conf *Config) {
				if c.config != nil {
					c.config(conf)
				}
			})
			r := d.routeOf(t.Context(), destinationOf(c.domain))
			if c.stop != "" {
				if r.stop == nil {
					t.Fatalf("hosts %v", r.hosts)
				}
				want(t, *r.stop, c.stop, nil)
				if !r.stop.Local {
					t.Error("it is no peer's reply")
				}
				return
			}
			if r.stop != nil {
				t.Fatal(*r.stop)
			}
			var hosts []string
			for _, h := range r.hosts {
				s := h.name
				for _, a := range h.addresses {
					s += " " + a.String()
				}
				hosts = append(hosts, s)
			}
			if got := strings.Join(hosts, "; "); got != c.hosts {
				t.Errorf("%s\nwant %s", got, c.hosts)
			}
		})
	}
}

// Equal hosts share the mail: each is first at times.
func TestEqualHostsAreShuffled(t *testing.T) {
	w := newWorld(t)
	w.domain("example.org", "10 a.example.org 192.0.2.1", "10 b.example.org 192.0.2.2", "10 c.example.org 192.0.2.3", "20 z.example.org 192.0.2.4")
	d := w.deliverer()
	first := make(map[string]int)
	for range 300 {
		r := d.config.lookUp(t.Context(), "example.org")
		first[r.hosts[0].name]++
		if r.hosts[3].name != "z.example.org" {
			t.Fatal("a worse host before a better one")
		}
	}
	if len(first) != 3 || first["z.example.org"] > 0 {
		t.Errorf("first: %v", first)
	}
}

// A route is remembered for a moment, and forgotten when asked.
func TestRouteIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := one(t)
		d := w.deliverer()
		look := func(want int) {
			t.Helper()
			d.routeOf(t.Context(), "example.org")
			if w.asked["MX example.org"] != want {
				t.Errorf("asked %d times, want %d", w.asked["MX example.org"], want)
			}
		}
		look(1)
		look(1)
		time.Sleep(time.Minute)
		look(2)
		d.Forget("Example.Org")
		look(3)
		d.Forget("example.org")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if r := d.routeOf(ended, "example.org"); r.stop == nil || r.stop.Outcome != Deferred {
			t.Errorf("%+v", r)
		}
		look(5) // what an ended context made of it is not remembered
	})
}

func TestLiterals(t *testing.T) {
	for s, want := range map[string]string{
		"[192.0.2.1]": "192.0.2.1", "[IPv6:2001:db8::1]": "2001:db8::1", "[ipv6:::ffff:192.0.2.1]": "192.0.2.1",
		"[192.0.2.1": "", "192.0.2.1": "", "[2001:db8::1]": "", "[IPv6:192.0.2.1]": "", "[IPv6:fe80::1%eth0]": "", "[IPv6:]": "", "[]": "", "": "",
		"[127.1]": "", "[0x7f.0.0.1]": "", "[tag:x]": "", "[192.0.2.1:25]": "", "[192.0.2.01]": "",
	} {
		a, ok := parseLiteral(s)
		if ok != (want != "") || ok && a.String() != want {
			t.Errorf("%q: %v, %t", s, a, ok)
		}
	}
}

// FuzzRoute: whatever a domain is and its DNS says, nothing that is refused is dialled, no more is than the limits allow, and a
// route has either hosts or a reason.
func FuzzRoute(f *testing.F) {
	f.Add("example.org", "mx.example.org.", "127.0.0.1", uint16(10))
	f.Add("[IPv6:::1]", ".", "::1", uint16(0))
	f.Add("büro.example", "büro.example", "10.0.0.1", uint16(0))
	f.Add("[127.0.0.1]", "", "1.1.1.1", uint16(0))
	f.Fuzz(func(t *testing.T, domain, host, address string, pref uint16) {
		w := newWorld(nil)
		for _, name := range []string{domain, destinationOf(domain)} {
			w.mx[name] = []*net.MX{{Host: host, Pref: pref}, {Host: "b." + host, Pref: 5}, {Host: host + ".", Pref: 5}}
		}
		if net.ParseIP(address) != nil {
			for _, name := range []string{host, "b." + host, strings.TrimSuffix(host, "."), destinationOf(domain)} {
				w.ip[name] = []string{address, address, "127.0.0.2"}
			}
		}
		c := Config{Hostname: "mail.postern.test", Resolver: w, Dialer: w, Limits: Limits{Hosts: 2, Addresses: 1}}.withDefaults()
		r := c.lookUp(context.Background(), destinationOf(domain))
		n := 0
		for _, h := range r.hosts {
			n += len(h.addresses)
			if slices.ContainsFunc(h.addresses, func(a netip.Addr) bool { return RefuseSpecial(a) != "" }) || len(h.addresses) > 1 {
				t.Errorf("%s: %v", h.name, h.addresses)
			}
		}
		if (r.stop == nil) != (n > 0) || len(r.hosts) > 2 {
			t.Errorf("%d addresses of %d hosts, and %v", n, len(r.hosts), r.stop)
		}
	})
}
