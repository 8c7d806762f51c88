package bridge

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// srvTable is an SRVResolver from a table; it notes what it is asked.
type srvTable struct {
	records map[string][]*net.SRV

	mu    sync.Mutex
	asked []string
}

func (s *srvTable) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, absolute := strings.CutSuffix(name, ".")
	full := "_" + service + "._" + proto + "." + name
	if !absolute {
		return "", nil, errors.New("a resolver would search for " + full)
	}
	s.asked = append(s.asked, full)
	if r, ok := s.records[full]; ok {
		return "", r, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: full, IsNotFound: true}
}

// noDialler notes whom it should dial, and dials nobody. It may be used by many.
type noDialler struct {
	mu    sync.Mutex
	asked []string
}

func (d *noDialler) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, address)
	return nil, errors.New("this is a test")
}

func (d *noDialler) sorted() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(slices.Values(d.asked))
}

// ask makes one Discover through a session, as a client does.
func ask(t *testing.T, s *tunnel.Session, domain string) (wire.Discovered, error) {
	t.Helper()
	conn, err := s.Open(t.Context(), wire.Open{Service: wire.Discovery})
	if err != nil {
		return wire.Discovered{}, err
	}
	defer conn.Close()
	if err := wire.WriteDiscover(conn, wire.Discover{Domain: domain}); err != nil {
		t.Fatal(err)
	}
	return wire.ReadDiscovered(conn)
}

func TestDiscovery(t *testing.T) {
	srv := &srvTable{records: map[string][]*net.SRV{
		"_pop3s._tcp.example.com": {{Target: "pop.example.net.", Port: 995}},
	}}
	resolver := names{
		"autoconfig.example.com": {"93.184.216.34", "10.0.0.1"},
		"example.com":            {"127.0.0.1"},
		"autoconfig.lan.example": {"169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"},
	}
	for _, test := range []struct {
		name    string
		rules   []string
		domain  string
		want    wire.Discovered
		refused wire.Reason
		dialled []string
		silent  bool // nothing may have been looked up
	}{
		{name: "a domain under a rule's", rules: []string{"*.example.net:995", "pop.example.com:995"}, domain: "Example.COM",
			want:    wire.Discovered{Services: []wire.Found{{Service: wire.POP3S, Host: "pop.example.net", Port: 995, Source: wire.SourceSRV}}},
			dialled: []string{"93.184.216.34:443"}},
		{name: "any name", rules: []string{"*:995"}, domain: "example.com",
			want:    wire.Discovered{Services: []wire.Found{{Service: wire.POP3S, Host: "pop.example.net", Port: 995, Source: wire.SourceSRV}}},
			dialled: []string{"93.184.216.34:443"}},
		{name: "web servers inside are not asked", rules: []string{"*:*"}, domain: "lan.example"},
		{name: "no rule is about it", rules: []string{"pop.example.org:995", "*.example.net:995", "93.184.216.34:995"}, domain: "example.com",
			refused: wire.Denied, silent: true},
		{name: "nor about all that ends so", rules: []string{"pop.example.com:995"}, domain: "com", refused: wire.Denied, silent: true},
		{name: "nor about a name that only ends so", rules: []string{"pop.badexample.com:995"}, domain: "example.com", refused: wire.Denied, silent: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv.asked = nil
			dialler := new(noDialler)
			g := start(t, Config{Access: members, Policy: Policy{Allow: rules(t, test.rules...)}, Resolver: resolver, SRVResolver: srv, Dialer: dialler})
			s := g.sessionOf(t, member)
			if !slices.Contains(s.Welcome().Capabilities, wire.CapDiscover) {
				t.Error("the welcome does not say so")
			}
			got, err := ask(t, s, test.domain)
			var no *wire.RefusedError
			if errors.As(err, &no); err != nil && no == nil || (no == nil) != (test.refused == "") || no != nil && no.Reason != test.refused {
				t.Fatalf("%v, want refused %q", err, test.refused)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(test.dialled, dialler.sorted()); d != "" {
				t.Error("dialled:", d)
			}
			if test.silent && len(srv.asked) > 0 {
				t.Errorf("looked up %q", srv.asked)
			}
		})
	}
}

// Without a target beyond the embedded server there is nothing to discover, and the gateway says so.
func TestNoDiscovery(t *testing.T) {
	srv := new(srvTable)
	g := start(t, Config{SRVResolver: srv, Resolver: names{}, Dialer: new(noDialler)})
	s := g.session(t)
	if len(s.Welcome().Capabilities) > 0 {
		t.Errorf("%q", s.Welcome().Capabilities)
	}
	var no *wire.RefusedError
	if _, err := ask(t, s, "example.com"); !errors.As(err, &no) || no.Reason != wire.Denied || len(srv.asked) > 0 {
		t.Errorf("%v, after %q", err, srv.asked)
	}
}

// What is no question is refused, and costs the session nothing.
func TestDiscoveryMalformed(t *testing.T) {
	g := start(t, Config{Policy: Policy{Allow: rules(t, "*.example.com:995")}, SRVResolver: new(srvTable), Resolver: names{}, Dialer: new(noDialler)})
	s := g.session(t)
	for _, question := range []string{"", "\x00\x00\x00\x02{}", "\x7f\xff\xff\xff", "\x00\x00\x00\x22{\"discover\":{\"domain\":\"127.1\"}}    "} {
		conn, err := s.Open(t.Context(), wire.Open{Service: wire.Discovery})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(question))
		_ = conn.(*tunnel.Conn).CloseWrite()
		if _, err := wire.ReadDiscovered(conn); err == nil {
			t.Errorf("%q was answered", question)
		}
		conn.Close()
	}
	if _, err := ask(t, s, "example.com"); err != nil {
		t.Error("afterwards:", err)
	}
}

func TestDiscoveryLimit(t *testing.T) {
	g := start(t, Config{Policy: Policy{Allow: rules(t, "*.example.com:995")}, SRVResolver: new(srvTable), Resolver: names{}, Dialer: new(noDialler), Limits: Limits{Lookups: 3}})
	s := g.session(t)
	for i := range 5 {
		want := wire.Reason("")
		if i >= 3 {
			want = wire.TooFast
		}
		if _, err := ask(t, s, "example.com"); reason(err) != want {
			t.Errorf("look-up %d: %v", i+1, err)
		}
	}
}
