package bridge

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestOrigin(t *testing.T) {
	const public, local = "203.0.113.1:443", "127.0.0.1:8080"
	for _, test := range []struct {
		name    string
		origins []string // the Origin headers
		host    string
		local   string // the socket's own address
		header  [2]string
		refused bool
	}{
		{name: "no browser", host: "mail.example"},
		{name: "own host", origins: []string{"https://mail.example"}, host: "mail.example"},
		{name: "own host in another case", origins: []string{"https://MAIL.example"}, host: "mail.Example"},
		{name: "own host with the port said", origins: []string{"https://mail.example"}, host: "mail.example:443"},
		{name: "own host, another port", origins: []string{"https://mail.example:8443"}, host: "mail.example", refused: true},
		{name: "own IPv6 host", origins: []string{"http://[2001:db8::1]:8080"}, host: "[2001:db8::1]:8080"},
		{name: "another host", origins: []string{"https://evil.example"}, host: "mail.example", refused: true},
		{name: "a host below", origins: []string{"https://x.mail.example"}, host: "mail.example", refused: true},
		{name: "own host in front of another", origins: []string{"https://mail.example.evil.example"}, host: "mail.example", refused: true},
		{name: "own host as a user", origins: []string{"https://mail.example@evil.example"}, host: "mail.example", refused: true},
		{name: "own host behind a user", origins: []string{"https://evil@mail.example"}, host: "mail.example", refused: true},
		{name: "own host in a path", origins: []string{"https://evil.example/mail.example"}, host: "mail.example", refused: true},
		{name: "opaque", origins: []string{"null"}, host: "mail.example", refused: true},
		{name: "a file", origins: []string{"file://"}, host: "mail.example", refused: true},
		{name: "empty", origins: []string{""}, host: "", refused: true},
		{name: "nonsense", origins: []string{"https://%zz"}, host: "mail.example", refused: true},
		{name: "two", origins: []string{"https://mail.example", "https://evil.example"}, host: "mail.example", refused: true},
		{name: "configured", origins: []string{"https://app.example"}, host: "mail.example"},
		{name: "configured, with its port", origins: []string{"https://app.example:443"}, host: "mail.example"},
		{name: "configured, another scheme", origins: []string{"http://app.example"}, host: "mail.example", refused: true},

		{name: "localhost", origins: []string{"http://localhost:8080"}, host: "localhost:8080", local: local},
		{name: "below localhost", origins: []string{"http://a.localhost:8080"}, host: "a.localhost:8080", local: local},
		{name: "loopback", origins: []string{"http://127.0.0.1:8080"}, host: "127.0.0.1:8080", local: local},
		{name: "another port of localhost", origins: []string{"http://localhost:3000"}, host: "localhost:8080", local: local, refused: true},
		{name: "a name rebound to loopback", origins: []string{"http://evil.example:8080"}, host: "evil.example:8080", local: local, refused: true},
		{name: "a name rebound to a private address", origins: []string{"http://evil.example:8080"}, host: "evil.example:8080", local: "192.168.1.5:8080", refused: true},
		{name: "a name rebound through a proxy", origins: []string{"http://evil.example"}, host: "evil.example", local: local, header: [2]string{"Via", "1.1 cache"}, refused: true},
		{name: "a private address", origins: []string{"http://192.168.1.5:8080"}, host: "192.168.1.5:8080", local: "192.168.1.5:8080"},
		{name: "a name that is localhost in part", origins: []string{"http://localhost.evil.example:8080"}, host: "localhost.evil.example:8080", local: local, refused: true},
		{name: "a proxy on this machine", origins: []string{"https://mail.example"}, host: "mail.example", local: local, header: [2]string{"X-Forwarded-For", "198.51.100.7"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, err := New(Config{Origins: []string{"https://app.example"}})
			if err != nil {
				t.Fatal(err)
			}
			if test.local == "" {
				test.local = public
			}
			r := httptest.NewRequest(http.MethodGet, "/tunnel", nil)
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(test.local))))
			r.Host = test.host
			r.Header["Origin"] = test.origins
			if test.header[0] != "" {
				r.Header.Set(test.header[0], test.header[1])
			}
			if err := b.checkOrigin(r); (err != nil) != test.refused {
				t.Errorf("%v", err)
			}
			// and before the upgrade, with a status
			w := httptest.NewRecorder()
			b.ServeHTTP(w, r)
			if (w.Code == http.StatusForbidden) != test.refused {
				t.Errorf("status %d", w.Code)
			}
		})
	}
}

func TestConfiguredOriginsAreChecked(t *testing.T) {
	for _, o := range []string{"mail.example", "https://mail.example/", "ftp://mail.example", "https://", "*", "https://u@mail.example"} {
		if _, err := New(Config{Origins: []string{o}}); err == nil {
			t.Errorf("%q passes", o)
		}
	}
}

func TestClientAddr(t *testing.T) {
	b, err := New(Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"198.51.100.7:1234", nil, "198.51.100.7/32"},
		{"198.51.100.7:1234", []string{"192.0.2.1"}, "198.51.100.7/32"}, // not our proxy: it may say what it likes
		{"[2001:db8:1:2:3:4:5:6]:1234", nil, "2001:db8:1:2::/64"},
		{"[::ffff:198.51.100.7]:1234", nil, "198.51.100.7/32"},
		{"[fe80::1%eth0]:1234", nil, "fe80::/64"},
		{"127.0.0.1:1234", []string{"192.0.2.1"}, "192.0.2.1/32"},
		{"127.0.0.1:1234", []string{"203.0.113.66, 192.0.2.1"}, "192.0.2.1/32"}, // the client made the first one up
		{"127.0.0.1:1234", []string{"203.0.113.66", "192.0.2.1, 10.1.1.1"}, "192.0.2.1/32"},
		{"127.0.0.1:1234", []string{"10.2.2.2, 10.1.1.1"}, "10.2.2.2/32"},
		{"127.0.0.1:1234", []string{"rubbish"}, "127.0.0.1/32"},
		{"127.0.0.1:1234", []string{"unknown, 10.1.1.1"}, "10.1.1.1/32"},
		{"127.0.0.1:1234", []string{"192.0.2.1:50123"}, "192.0.2.1/32"}, // as Azure's and IIS's gateways write it
		{"127.0.0.1:1234", []string{"[2001:db8:1:2::9]:50123"}, "2001:db8:1:2::/64"},
		{"127.0.0.1:1234", []string{"[2001:db8:1:2::9]"}, "2001:db8:1:2::/64"},
		{"127.0.0.1:1234", []string{"::ffff:192.0.2.1"}, "192.0.2.1/32"},
		{"127.0.0.1:1234", []string{"[192.0.2.1"}, "192.0.2.1/32"}, // nobody else could be meant
		{"[::1]:1234", nil, "::1/128"},
		{"127.0.0.1:1234", nil, "127.0.0.1/32"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/tunnel", nil)
		r.RemoteAddr = test.remote
		r.Header["X-Forwarded-For"] = test.forwarded
		if got := b.clientAddr(r).String(); got != test.want {
			t.Errorf("%s %q: %s, want %s", test.remote, test.forwarded, got, test.want)
		}
	}
}
