package reach

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/special"
	"github.com/postern-mail/postern/shared/wire"
)

// names is a Resolver from a table.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	if network != "ip" {
		return nil, errors.New("unexpected network " + network)
	}
	found, ok := n[strings.TrimSuffix(host, ".")]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var addrs []netip.Addr
	for _, a := range found {
		switch a {
		case "timeout":
			return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
		case "servfail":
			return nil, &net.DNSError{Err: "server misbehaving", Name: host, Server: "10.0.0.53:53", IsTemporary: true}
		}
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, nil
}

// dialled notes what would have been dialled, and answers from a table; an address that is not in it is connected to.
type dialled struct {
	asked   []string
	answers map[string]error
}

func (d *dialled) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d.asked = append(d.asked, network+" "+address)
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, errors.New("not an address: " + address)
	}
	if err, ok := d.answers[address]; ok {
		if err == context.DeadlineExceeded {
			<-ctx.Done()
			err = ctx.Err()
		}
		return nil, &net.OpError{Op: "dial", Err: err}
	}
	a, b := net.Pipe()
	_ = b.Close()
	return a, nil
}

func rules(t *testing.T, rules ...string) (parsed []Rule) {
	t.Helper()
	for _, s := range rules {
		r, err := ParseRule(s)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, r)
	}
	return parsed
}

func networks(all ...string) (parsed []netip.Prefix) {
	for _, s := range all {
		parsed = append(parsed, netip.MustParsePrefix(s))
	}
	return parsed
}

func open(host string, port int) wire.Open {
	return wire.Open{Service: wire.POP3S, Host: host, Port: port}
}

// inBubble runs f with a clock of its own, on which nobody waits for what takes its time.
func inBubble(t *testing.T, name string, f func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// reaching goes all the way from an Open to a connection.
func reaching(t *testing.T, p Policy, r Resolver, d ContextDialer, o wire.Open) (net.Conn, *wire.RefusedError) {
	t.Helper()
	g := &Gate{Policy: p, Resolver: r, Dialer: d}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	targets, no := g.Targets(ctx, o)
	if no != nil {
		return nil, no
	}
	conn, _, no := g.Dial(ctx, targets, func(Target) (func(), *wire.RefusedError) { return func() {}, nil })
	return conn, no
}

// TestConnect: what is dialled for an Open, and what is refused how.
func TestConnect(t *testing.T) {
	resolver := names{
		"pop.example.com":  {"93.184.216.34", "2606:2800:220:1::1"},
		"imap.example.com": {"93.184.216.35"},
		"inside.lan":       {"192.168.1.7"},
		"mixed.example":    {"127.0.0.1", "10.0.0.1", "93.184.216.36", "::1"},
		"mapped.example":   {"::ffff:127.0.0.1"},
		"mapped4.example":  {"::ffff:93.184.216.34"},
		"nat64.example":    {"64:ff9b::7f00:1"},
		"6to4.example":     {"2002:7f00:1::1"},
		"meta.example":     {"169.254.169.254"},
		"zoned.example":    {"fe80::1%eth0"},
		"empty.example":    {},
		"slow.example":     {"timeout"},
		"broken.example":   {"servfail"},
		"localhost":        {"127.0.0.1"},
		"many.example": {"1.0.0.1", "1.0.0.2", "1.0.0.3", "1.0.0.4", "1.0.0.5", "1.0.0.6", "1.0.0.7", "1.0.0.8",
			"1.0.0.9"},
	}
	refusedByHost := map[string]error{
		"93.184.216.34:110": syscall.ECONNREFUSED, "[2606:2800:220:1::1]:110": syscall.ECONNREFUSED,
		"93.184.216.34:111": syscall.EHOSTUNREACH, "93.184.216.34:112": context.DeadlineExceeded,
		"93.184.216.34:113": errors.New("weird"), "[2606:2800:220:1::1]:111": syscall.ENETUNREACH,
		"[2606:2800:220:1::1]:112": context.DeadlineExceeded, "[2606:2800:220:1::1]:113": errors.New("weird"),
	}
	for _, a := range resolver["many.example"] {
		refusedByHost[a+":995"] = syscall.ECONNREFUSED
	}
	lan := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}
	for _, test := range []struct {
		name     string
		rules    []string
		networks []netip.Prefix
		never    []netip.Prefix
		open     wire.Open
		dialled  []string // in order; the last one connects unless refused is set
		refused  wire.Reason
	}{
		{name: "nothing is allowed by default", open: open("pop.example.com", 995), refused: wire.Denied},
		{name: "nor an address", open: open("93.184.216.34", 995), refused: wire.Denied},
		{name: "nor one of this machine", open: open("127.0.0.1", 2110), refused: wire.Denied},

		{name: "a name", rules: []string{"pop.example.com:995"}, open: open("pop.example.com", 995), dialled: []string{"93.184.216.34:995"}},
		{name: "in any case", rules: []string{"POP.example.com:995"}, open: open("pop.EXAMPLE.com", 995), refused: wire.NoSuchHost}, // the table's resolver minds case
		{name: "another port", rules: []string{"pop.example.com:995"}, open: open("pop.example.com", 25), refused: wire.Denied},
		{name: "another name", rules: []string{"pop.example.com:995"}, open: open("imap.example.com", 995), refused: wire.Denied},
		{name: "its address is not the name", rules: []string{"pop.example.com:995"}, open: open("93.184.216.34", 995), refused: wire.Denied},
		{name: "names below", rules: []string{"*.example.com:995"}, open: open("pop.example.com", 995), dialled: []string{"93.184.216.34:995"}},
		{name: "not the name itself", rules: []string{"*.pop.example.com:995"}, open: open("pop.example.com", 995), refused: wire.Denied},
		{name: "not a name with the same tail", rules: []string{"*.ple.com:995"}, open: open("pop.example.com", 995), refused: wire.Denied},
		{name: "any port", rules: []string{"pop.example.com:*"}, open: open("pop.example.com", 1), dialled: []string{"93.184.216.34:1"}},
		{name: "anything public", rules: []string{"*:*"}, open: open("93.184.216.99", 1), dialled: []string{"93.184.216.99:1"}},

		{name: "a private address behind a name", rules: []string{"*:*"}, open: open("inside.lan", 110), refused: wire.Denied},
		{name: "allowed by the operator", rules: []string{"inside.lan:110"}, networks: lan, open: open("inside.lan", 110), dialled: []string{"192.168.1.7:110"}},
		{name: "a network does not allow its port", networks: lan, open: open("inside.lan", 110), refused: wire.Denied},
		{name: "a network rule", rules: []string{"192.168.1.0/24:110"}, open: open("192.168.1.9", 110), dialled: []string{"192.168.1.9:110"}},
		{name: "and beyond it", rules: []string{"192.168.1.0/24:110"}, open: open("192.168.2.9", 110), refused: wire.Denied},
		{name: "a network rule is for addresses, not names", rules: []string{"192.168.1.0/24:110"}, open: open("inside.lan", 110), refused: wire.Denied},
		{name: "an address rule", rules: []string{"[::1]:110"}, open: open("::1", 110), dialled: []string{"[::1]:110"}},

		{name: "only the public ones of a name's addresses", rules: []string{"*:995"}, open: open("mixed.example", 995), dialled: []string{"93.184.216.36:995"}},
		{name: "IPv4 in IPv6", rules: []string{"*:995"}, open: open("mapped.example", 995), refused: wire.Denied},
		{name: "is dialled as IPv4", rules: []string{"*:995"}, open: open("mapped4.example", 995), dialled: []string{"93.184.216.34:995"}},
		{name: "NAT64", rules: []string{"*:995"}, open: open("nat64.example", 995), refused: wire.Denied},
		{name: "6to4", rules: []string{"*:995"}, open: open("6to4.example", 995), refused: wire.Denied},
		{name: "cloud metadata", rules: []string{"*:80"}, open: open("meta.example", 80), refused: wire.Denied},
		{name: "a zone", rules: []string{"*:80"}, open: open("zoned.example", 80), refused: wire.Denied},
		{name: "localhost by name", rules: []string{"*:*"}, open: open("localhost", 110), refused: wire.Denied},
		{name: "port 25 where nobody is named", rules: []string{"*:*"}, open: open("pop.example.com", 25), refused: wire.Denied},
		{name: "and by address", rules: []string{"*:*"}, open: open("93.184.216.34", 25), refused: wire.Denied},
		{name: "port 25 of a named host", rules: []string{"pop.example.com:25"}, open: open("pop.example.com", 25), dialled: []string{"93.184.216.34:25"}},
		{name: "a service that nobody can check", rules: []string{"*:*"}, open: wire.Open{Service: "ssh", Host: "pop.example.com", Port: 22}, refused: wire.Denied},
		{name: "the administrators' service", rules: []string{"*:*"}, open: wire.Open{Service: wire.Control, Host: "pop.example.com", Port: 22}, refused: wire.Denied},
		{name: "a network that is never reached", rules: []string{"*:*"}, never: []netip.Prefix{netip.MustParsePrefix("93.184.0.0/16")}, open: open("93.184.216.34", 995), refused: wire.Denied},
		{name: "nor by name, but for the rest of its addresses", rules: []string{"*:*"}, never: []netip.Prefix{netip.MustParsePrefix("93.184.0.0/16")}, open: open("pop.example.com", 995), dialled: []string{"[2606:2800:220:1::1]:995"}},
		{name: "nor where a rule names it", rules: []string{"93.184.216.34:995"}, never: []netip.Prefix{netip.MustParsePrefix("93.184.0.0/16")}, open: open("93.184.216.34", 995), refused: wire.Denied},

		{name: "no such name", rules: []string{"*:*"}, open: open("nowhere.example", 1), refused: wire.NoSuchHost},
		{name: "a name without addresses", rules: []string{"*:*"}, open: open("empty.example", 1), refused: wire.NoSuchHost},
		{name: "a slow name server", rules: []string{"*:*"}, open: open("slow.example", 1), refused: wire.Timeout},
		{name: "a broken name server", rules: []string{"*:*"}, open: open("broken.example", 1), refused: wire.Unreachable},
		{name: "connection refused", rules: []string{"*:*"}, open: open("pop.example.com", 110), dialled: []string{"93.184.216.34:110", "[2606:2800:220:1::1]:110"}, refused: wire.Unreachable},
		{name: "no route", rules: []string{"*:*"}, open: open("pop.example.com", 111), dialled: []string{"93.184.216.34:111", "[2606:2800:220:1::1]:111"}, refused: wire.Unreachable},
		{name: "no answer", rules: []string{"*:*"}, open: open("pop.example.com", 112), dialled: []string{"93.184.216.34:112", "[2606:2800:220:1::1]:112"}, refused: wire.Timeout},
		{name: "anything else", rules: []string{"*:*"}, open: open("pop.example.com", 113), dialled: []string{"93.184.216.34:113", "[2606:2800:220:1::1]:113"}, refused: wire.Unreachable},
		{name: "six addresses are enough", rules: []string{"*:*"}, open: open("many.example", 995), refused: wire.Unreachable,
			dialled: []string{"1.0.0.1:995", "1.0.0.2:995", "1.0.0.3:995", "1.0.0.4:995", "1.0.0.5:995", "1.0.0.6:995"}},
	} {
		inBubble(t, test.name, func(t *testing.T) {
			d := &dialled{answers: refusedByHost}
			conn, no := reaching(t, Policy{Allow: rules(t, test.rules...), Networks: test.networks, Never: test.never}, resolver, d, test.open)
			if conn != nil {
				_ = conn.Close()
			}
			var reason wire.Reason
			if no != nil {
				reason = no.Reason
			}
			if reason != test.refused {
				t.Errorf("refused %q, want %q", reason, test.refused)
			}
			var want []string
			for _, a := range test.dialled {
				want = append(want, "tcp "+a)
			}
			if !slices.Equal(d.asked, want) {
				t.Errorf("dialled %q, want %q", d.asked, want)
			}
		})
	}
}

// TestSpecialAddresses: "*:*" reaches none of these, neither when the client gives them nor when a name leads there.
func TestSpecialAddresses(t *testing.T) {
	policy := Policy{Allow: rules(t, "*:*")}
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
		"169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
		"255.255.255.255",
		"::", "::1", "::7f00:1", "::10.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::a00:1", "64:ff9b::5db8:d822",
		"64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
		"2002:a00:1::1", "2002:5db8:d822::1", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "febf::1",
		"fec0::1", "ff02::1", "4000::1", "e000::1",
	} {
		a := netip.MustParseAddr(s)
		if policy.allowsAddr(wire.POP3, a.Unmap(), 110) {
			t.Errorf("%s may be asked for", s)
		}
		if policy.leadsTo(a) {
			t.Errorf("a name may lead to %s", s)
		}
		own := Policy{Networks: []netip.Prefix{netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())}}
		if !own.leadsTo(a) {
			t.Errorf("the operator cannot allow %s", s)
		}
	}
	for _, s := range []string{
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "198.17.255.255", "198.20.0.0",
		"223.255.255.255", "2000::1", "2001:200::1", "2001:4860:4860::8888", "2606:2800:220:1::1", "2a00:1450::1", "2003::1",
	} {
		if a := netip.MustParseAddr(s); !policy.allowsAddr(wire.POP3, a, 110) || !policy.leadsTo(a) {
			t.Errorf("%s is public", s)
		}
	}
}

func TestParseRule(t *testing.T) {
	for s, want := range map[string]string{
		"pop.example.com:995": "pop.example.com:995", "POP.Example.com:*": "pop.example.com:*", "*:110": "*:110",
		"*.example.com:587": "*.example.com:587", "192.168.1.7:110": "192.168.1.7:110", "[::1]:25": "[::1]:25",
		"192.168.1.7/24:110": "192.168.1.0/24:110", "[fd00::1/8]:143": "[fd00::/8]:143", "[::ffff:10.0.0.1]:1": "10.0.0.1:1",
	} {
		r, err := ParseRule(s)
		if err != nil || r.String() != want {
			t.Errorf("%q: %q, %v", s, r, err)
		}
		if again, err := ParseRule(r.String()); err != nil || again != r {
			t.Errorf("%q again: %v, %v", s, again, err)
		}
	}
	for _, s := range []string{
		"", "pop.example.com", "pop.example.com:", ":25", "pop.example.com:0", "pop.example.com:65536", "pop.example.com:pop3",
		"*.*:25", "a*.example.com:25", "-a.example:25", "exa mple:25", "127.1:25", "0x7f.0.0.1:25", "[fe80::1%eth0]:25", "::1:25",
		"10.0.0.0/33:25", "*.34:995", "*:25", "[::ffff:10.0.0.0/104]:25",
	} {
		if r, err := ParseRule(s); err == nil {
			t.Errorf("%q passes as %q", s, r)
		}
	}
}

// FuzzPolicy: whatever the client asks for, no policy lets a special address be dialled.
func FuzzPolicy(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "::ffff:127.0.0.1", "2130706433", "0x7f.1", "127.1", "localhost", "[::1]", "::1", "10.0.0.1."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		o := open(host, 995)
		if o.Validate() != nil {
			return // it never gets to the bridge
		}
		d := &dialled{}
		for _, p := range []Policy{{Allow: rules(t, "*:*")}, {Mode: Mail}} {
			if conn, _ := reaching(t, p, resolveAll(netip.MustParseAddr("127.0.0.1")), d, o); conn != nil {
				_ = conn.Close()
			}
		}
		for _, asked := range d.asked {
			if !special.Public(netip.MustParseAddrPort(asked[len("tcp "):]).Addr()) {
				t.Errorf("%q dialled %q", host, asked)
			}
		}
	})
}

// resolveAll is a Resolver that has one answer for all.
type resolveAll netip.Addr

func (r resolveAll) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.Addr(r)}, nil
}

// TestMail: any public host, the mail ports with their service each, never 25.
func TestMail(t *testing.T) {
	resolver := names{"mail.example.com": {"93.184.216.34"}, "inside.example": {"10.0.0.1"}}
	services := map[wire.ServiceName]int{
		wire.POP3: 110, wire.POP3S: 995, wire.Submissions: 465, wire.Submission: 587, wire.IMAP: 143, wire.IMAPS: 993, wire.FTP: 21, wire.FTPS: 990,
	}
	reach := func(p Policy, service wire.ServiceName, host string, port int) bool {
		conn, no := reaching(t, p, resolver, new(dialled), wire.Open{Service: service, Host: host, Port: port})
		if conn != nil {
			_ = conn.Close()
		}
		if no != nil && no.Reason != wire.Denied {
			t.Errorf("%s %s:%d: %v", service, host, port, no)
		}
		return no == nil
	}
	mail := Policy{Mode: Mail}
	for _, port := range []int{20, 21, 22, 25, 80, 110, 143, 443, 465, 587, 990, 993, 995, 3306, 6379, 8080} {
		for service, own := range services {
			for _, host := range []string{"mail.example.com", "93.184.216.34"} {
				if got := reach(mail, service, host, port); got != (port == own) {
					t.Errorf("%s at port %d of %s: %t", service, port, host, got)
				}
			}
			for _, host := range []string{"inside.example", "10.0.0.1", "127.0.0.1", "::1"} {
				if reach(mail, service, host, port) {
					t.Errorf("%s at port %d of %s", service, port, host)
				}
			}
		}
		if reach(mail, wire.SMTP, "mail.example.com", port) {
			t.Errorf("smtp at port %d", port)
		}
	}
	besides := Policy{Mode: Mail, Allow: rules(t, "mail.example.com:2525")}
	if !reach(besides, wire.Submission, "mail.example.com", 2525) || !reach(besides, wire.POP3S, "93.184.216.34", 995) {
		t.Error("a list besides does not add to it")
	}
	if embedded := (Policy{Mode: Embedded}); reach(embedded, wire.POP3S, "mail.example.com", 995) {
		t.Error("embedded reaches others")
	}
}

func TestPolicyValidate(t *testing.T) {
	some := rules(t, "pop.example.com:995")
	for _, test := range []struct {
		policy Policy
		ok     bool
	}{
		{Policy{}, true}, {Policy{Allow: some}, true}, {Policy{Mode: Mail}, true}, {Policy{Mode: Mail, Allow: some}, true},
		{Policy{Mode: List, Allow: some}, true}, {Policy{Mode: List}, false}, {Policy{Mode: Embedded, Allow: some}, false},
		{Policy{Mode: "all"}, false},
		{Policy{Never: networks("10.0.0.0/8", "fd00::/8"), Networks: networks("::1/128")}, true},
		{Policy{Never: networks("::ffff:10.0.0.0/104")}, false}, {Policy{Networks: networks("::ffff:10.0.0.1/128")}, false},
		{Policy{Never: make([]netip.Prefix, 1)}, false},
	} {
		if err := test.policy.Validate(); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test.policy, err)
		}
	}
	for _, test := range []struct {
		policy            Policy
		anything, nothing bool
	}{
		{Policy{}, false, true}, {Policy{Allow: some}, false, false}, {Policy{Mode: Mail}, true, false},
		{Policy{Allow: rules(t, "*:995")}, true, false}, {Policy{Allow: rules(t, "*.example.com:*")}, false, false},
	} {
		if test.policy.Anything() != test.anything || test.policy.Nothing() != test.nothing {
			t.Errorf("%+v", test.policy)
		}
	}
}

// A name that the operator has not written is looked up as it is: no domain of his network is appended to it.
func TestNamesAreAbsolute(t *testing.T) {
	for rule, want := range map[string]string{"mailbox:110": "mailbox", "*:110": "mailbox.", "*.example.com:110": "pop.example.com."} {
		asked := ""
		host := strings.TrimSuffix(want, ".")
		_, _ = reaching(t, Policy{Allow: rules(t, rule)}, resolverFunc(func(name string) { asked = name }), new(dialled), open(host, 110))
		if asked != want {
			t.Errorf("%s: %q is looked up, want %q", rule, asked, want)
		}
	}
}

type resolverFunc func(name string)

func (f resolverFunc) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	f(name)
	return nil, errors.New("this is a test")
}

// Web servers that are to have a domain's settings: by name, at their port, with a public address. Those of the operator's own
// networks are asked where he has named the domains; where a client may name any, it may not lead a request there.
func TestWebServer(t *testing.T) {
	resolver := names{"autoconfig.example.com": {"93.184.216.34", "10.0.0.1"}, "router.example": {"10.0.0.1"}, "never.example": {"93.184.216.99"}}
	own, never := networks("10.0.0.0/8"), networks("93.184.216.99/32")
	for _, test := range []struct {
		policy Policy
		host   string
		port   int
		want   string
	}{
		{Policy{Mode: Mail}, "autoconfig.example.com", 443, "93.184.216.34:443"},
		{Policy{Mode: Mail}, "autoconfig.example.com", 8443, ""},
		{Policy{Mode: Mail}, "93.184.216.34", 443, ""},
		{Policy{Mode: Mail}, "exa mple", 443, ""},
		{Policy{Mode: Mail}, "router.example", 443, ""},
		{Policy{Mode: Mail, Never: never}, "never.example", 443, ""},
		{Policy{Mode: Mail, Networks: own}, "router.example", 443, ""},
		{Policy{Mode: Mail, Networks: own}, "autoconfig.example.com", 443, "93.184.216.34:443"},
		{Policy{Allow: rules(t, "*:995"), Networks: own}, "router.example", 443, ""},
		{Policy{Allow: rules(t, "*.example:995"), Networks: own}, "router.example", 443, "10.0.0.1:443"},
		{Policy{Allow: rules(t, "*.example:995")}, "router.example", 443, ""},
	} {
		var got []string
		targets, _ := (&Gate{Policy: test.policy, Resolver: resolver}).WebServer(t.Context(), test.host, test.port)
		for _, one := range targets {
			got = append(got, one.String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v %s: %q, want %q", test.policy, test.host, got, test.want)
		}
	}
}

// What is held for an address is given back when it does not answer, and is asked for before each.
func TestHold(t *testing.T) {
	targets, _ := (&Gate{Policy: Policy{Mode: Mail}, Resolver: names{"mail.example.com": {"1.0.0.1", "1.0.0.2", "1.0.0.3"}}}).Targets(t.Context(), open("mail.example.com", 995))
	d := &dialled{answers: map[string]error{"1.0.0.2:995": syscall.ECONNREFUSED}}
	held := map[string]int{}
	conn, release, no := (&Gate{Dialer: d}).Dial(t.Context(), targets, func(at Target) (func(), *wire.RefusedError) {
		if at.String() == "1.0.0.1:995" {
			return nil, refuse(wire.TooMany, "")
		}
		held[at.String()]++
		return func() { held[at.String()]-- }, nil
	})
	if no != nil || held["1.0.0.2:995"] != 0 || held["1.0.0.3:995"] != 1 || len(d.asked) != 2 {
		t.Fatalf("%v, held %v, dialled %q", no, held, d.asked)
	}
	_ = conn.Close()
	if release(); held["1.0.0.3:995"] != 0 {
		t.Error("it stays held")
	}
}
