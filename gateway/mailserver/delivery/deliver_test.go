package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery/mtasts"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/mailtest"
)

// internet is a DNS and a network of our own: addresses lead to servers of this test, and nowhere else.
type internet struct {
	mx      map[string][]*net.MX
	hosts   map[string][]string
	failing map[string]bool // names for which the DNS has no answer for now
	servers map[string]mailtest.Server

	mu     sync.Mutex
	dialed []string
	t      testing.TB
}

func (n *internet) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	if n.failing[name] {
		return nil, &net.DNSError{Err: "timeout", Name: name, IsTimeout: true}
	}
	if l := n.mx[name]; l != nil {
		return l, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (n *internet) LookupIPAddr(_ context.Context, host string) (l []net.IPAddr, err error) {
	for _, a := range n.hosts[host] {
		l = append(l, net.IPAddr{IP: net.ParseIP(a)})
	}
	if l == nil {
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return l, err
}

func (n *internet) LookupTXT(context.Context, string) ([]string, error) { return nil, nil }

func (n *internet) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialed = append(n.dialed, address)
	n.mu.Unlock()
	s := n.servers[strings.TrimSuffix(address, ":25")]
	if s == nil {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	return mailtest.Connect(n.t, s, nil), nil
}

func (n *internet) dials() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dialed)
}

// world has example.test with a first and a second server.
func world(t testing.TB, first, second mailtest.Server) *internet {
	n := &internet{
		t:       t,
		mx:      map[string][]*net.MX{"example.test": {{Host: "mx2.example.test.", Pref: 20}, {Host: "mx1.example.test.", Pref: 10}}},
		hosts:   map[string][]string{"mx1.example.test": {"192.0.2.1"}, "mx2.example.test": {"192.0.2.2"}},
		failing: map[string]bool{}, servers: map[string]mailtest.Server{},
	}
	if first != nil {
		n.servers["192.0.2.1"] = first
	}
	if second != nil {
		n.servers["192.0.2.2"] = second
	}
	return n
}

func deliverer(t testing.TB, n *internet, change ...func(*Config)) *Deliverer {
	c := Config{Hostname: "here.test", Resolver: n, Dialer: n, Refuse: func(a netip.Addr) string {
		if a.IsLoopback() {
			return "this machine"
		}
		return ""
	}}
	for _, f := range change {
		f(&c)
	}
	d := New(c)
	t.Cleanup(func() { d.Close() })
	return d
}

func peer() *mailtest.SMTP {
	s := mailtest.NewSMTP()
	s.OpenMail, s.Pipelining, s.DSN = true, true, true
	return s
}

const letter = "From: a@here.test\r\nTo: bob@example.test\r\nSubject: x\r\n\r\nHello.\r\n"

func mailOf(content string, to ...string) Message {
	m := Message{From: "a@here.test", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
	for _, a := range to {
		m.Recipients = append(m.Recipients, Recipient{Address: a})
	}
	return m
}

// brief writes results as "outcome enhanced server".
func brief(results []Result) (l []string) {
	for _, r := range results {
		l = append(l, strings.TrimSpace(fmt.Sprint(r.Outcome, " ", r.Enhanced, " ", r.Server)))
	}
	return l
}

func at(stage string, f mailtest.SMTPFault) func(string) *mailtest.SMTPFault {
	return func(s string) *mailtest.SMTPFault {
		if s == stage {
			return &f
		}
		return nil
	}
}

func TestOutcomes(t *testing.T) {
	const first, second = " mx1.example.test (192.0.2.1)", " mx2.example.test (192.0.2.2)"
	faulty := func(stage string, f mailtest.SMTPFault) *mailtest.SMTP {
		s := peer()
		s.Fault = at(stage, f)
		return s
	}
	for _, c := range []struct {
		name    string
		first   *mailtest.SMTP
		to      []string
		want    []string
		second  int // messages at the second server
		without bool
	}{
		{name: "delivered", first: peer(), to: []string{"bob@example.test", "alice@example.test"}, want: []string{"delivered 2.0.0" + first, "delivered 2.0.0" + first}},
		{name: "one is refused", first: peer(), to: []string{"bob@example.test", "nobody@example.test"}, want: []string{"delivered 2.0.0" + first, "failed 5.1.1" + first}},
		{name: "all are refused", first: peer(), to: []string{"nobody@example.test"}, want: []string{"failed 5.1.1" + first}},
		{name: "cut at the greeting", first: faulty("", mailtest.SMTPFault{Cut: true}), to: []string{"bob@example.test"}, want: []string{"delivered 2.0.0" + second}, second: 1},
		{name: "cut at EHLO", first: faulty("EHLO", mailtest.SMTPFault{Cut: true}), to: []string{"bob@example.test"}, want: []string{"delivered 2.0.0" + second}, second: 1},
		{name: "no mail now", first: faulty("", mailtest.SMTPFault{Reply: "421 4.3.2 busy\r\n", Cut: true}), to: []string{"bob@example.test"}, want: []string{"delivered 2.0.0" + second}, second: 1},
		{name: "MAIL refused for now", first: faulty("MAIL", mailtest.SMTPFault{Reply: "451 4.3.0 no\r\n"}), to: []string{"bob@example.test"}, want: []string{"delivered 2.0.0" + second}, second: 1},
		{name: "MAIL refused for ever", first: faulty("MAIL", mailtest.SMTPFault{Reply: "550 5.7.1 not you\r\n"}), to: []string{"bob@example.test"}, want: []string{"failed 5.7.1" + first}},
		{name: "RCPT refused for now", first: faulty("RCPT", mailtest.SMTPFault{Reply: "450 4.2.0 greylisted\r\n"}), to: []string{"bob@example.test"}, want: []string{"deferred 4.2.0" + first}},
		{name: "cut at RCPT", first: faulty("RCPT", mailtest.SMTPFault{Cut: true}), to: []string{"bob@example.test"}, want: []string{"delivered 2.0.0" + second}, second: 1},
		{name: "cut at DATA", first: faulty("DATA", mailtest.SMTPFault{Cut: true}), to: []string{"bob@example.test"}, want: []string{"delivered 2.0.0" + second}, second: 1},
		{name: "the message is refused", first: faulty(".", mailtest.SMTPFault{Reply: "554 5.7.1 spam\r\n"}), to: []string{"bob@example.test"}, want: []string{"failed 5.7.1" + first}},
		{name: "the message is deferred", first: faulty(".", mailtest.SMTPFault{Reply: "452 4.3.1 full\r\n"}), to: []string{"bob@example.test"}, want: []string{"deferred 4.3.1" + first}},
		{name: "cut behind the dot", first: faulty(".", mailtest.SMTPFault{Accept: true, Cut: true}), to: []string{"bob@example.test"}, want: []string{"unknown 4.4.2" + first}},
		{name: "cut behind the dot, one refused before", first: faulty(".", mailtest.SMTPFault{Cut: true}), to: []string{"nobody@example.test", "bob@example.test"}, want: []string{"failed 5.1.1" + first, "unknown 4.4.2" + first}},
		{name: "both are gone", without: true, to: []string{"bob@example.test"}, want: []string{"deferred 4.4.1" + second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := peer()
			n := world(t, c.first, other)
			if c.without {
				n = world(t, nil, nil)
			}
			results, said := deliverer(t, n).Deliver(t.Context(), "Example.TEST", mailOf(letter, c.to...))
			if got := brief(results); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q\n%v", got, c.want, said)
			}
			if got := len(other.Received()); got != c.second {
				t.Errorf("the second server has %d messages, want %d", got, c.second)
			}
			if c.first != nil && len(c.first.Violations()) > 0 {
				t.Error(c.first.Violations())
			}
		})
	}
}

func TestWhereNothingIsDialled(t *testing.T) {
	for domain, want := range map[string]string{
		"null.test":      "failed 5.1.10",
		"nowhere.test":   "failed 5.1.2",
		"silent.test":    "deferred 4.4.3",
		"trap.test":      "failed 5.4.4",
		"[127.0.0.1]":    "failed 5.4.4",
		"[192.0.2]":      "failed 5.1.3",
		"mine.test":      "failed 5.4.6",
		"no_such..test":  "failed 5.1.2",
		"orphan.test":    "failed 5.4.4",
		"192.0.2.1":      "failed 5.1.2",
		"backup.test":    "failed 5.4.6", // this server is the best: what is behind it would send it back
		"[IPv6:::1]":     "failed 5.4.4",
		"[IPv6:nothing]": "failed 5.1.3",
	} {
		n := world(t, nil, nil)
		n.mx["null.test"] = []*net.MX{{Host: "."}}
		n.mx["trap.test"] = []*net.MX{{Host: "localhost.trap.test."}}
		n.hosts["localhost.trap.test"] = []string{"127.0.0.1"}
		n.mx["mine.test"] = []*net.MX{{Host: "HERE.test."}}
		n.mx["backup.test"] = []*net.MX{{Host: "here.test.", Pref: 10}, {Host: "mx1.example.test.", Pref: 20}}
		n.mx["orphan.test"] = []*net.MX{{Host: "gone.orphan.test."}}
		n.failing["silent.test"] = true
		results, _ := deliverer(t, n).Deliver(t.Context(), domain, mailOf(letter, "x@"+domain))
		if got := brief(results); !slices.Equal(got, []string{want}) || !results[0].Local {
			t.Errorf("%s: %q %+v", domain, got, results)
		}
		if d := n.dials(); len(d) != 0 {
			t.Errorf("%s: dialled %q", domain, d)
		}
	}
}

func TestConnectionIsKept(t *testing.T) {
	s := peer()
	n := world(t, s, nil)
	d := deliverer(t, n, func(c *Config) { c.Limits.Messages = 3 })
	for range 4 {
		results, _ := d.Deliver(t.Context(), "example.test", mailOf(letter, "bob@example.test"))
		if got := brief(results); got[0] != "delivered 2.0.0 mx1.example.test (192.0.2.1)" {
			t.Fatal(got)
		}
	}
	if got := n.dials(); len(got) != 2 {
		t.Errorf("dialled %q: three messages on one connection", got)
	}
	if got := len(s.Received()); got != 4 {
		t.Errorf("%d messages arrived", got)
	}
}

func TestDeadAddressIsRemembered(t *testing.T) {
	n := world(t, nil, nil)
	d := deliverer(t, n)
	for range 3 {
		results, _ := d.Deliver(t.Context(), "example.test", mailOf(letter, "bob@example.test"))
		if results[0].Outcome != Deferred {
			t.Fatal(results)
		}
	}
	if got := n.dials(); len(got) != 2 {
		t.Errorf("dialled %q: each address once", got)
	}
}

func TestTLS(t *testing.T) {
	authority := mailtest.NewAuthority(t)
	for _, c := range []struct {
		name    string
		cert    *tls.Certificate
		enforce bool
		broken  bool
		want    string
		tls     string
	}{
		{name: "none is offered", want: "delivered 2.0.0", tls: "none"},
		{name: "verified", cert: new(authority.Server("mx1.example.test")), want: "delivered 2.0.0", tls: "TLS 1.3, verified"},
		{name: "of another name", cert: new(authority.Server("other.test")), want: "delivered 2.0.0", tls: "TLS 1.3, unverified"},
		{name: "broken", cert: new(authority.Server("mx1.example.test")), broken: true, want: "delivered 2.0.0", tls: "none"},
		{name: "a policy, and none is offered", enforce: true, want: "deferred 4.7.5", tls: "none"},
		{name: "a policy, and another name", cert: new(authority.Server("other.test")), enforce: true, want: "deferred 4.7.5", tls: "none"},
		{name: "a policy, and verified", cert: new(authority.Server("mx1.example.test")), enforce: true, want: "delivered 2.0.0", tls: "TLS 1.3, verified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := peer()
			if c.cert != nil {
				s.TLS = &tls.Config{Certificates: []tls.Certificate{*c.cert}}
			}
			if c.broken {
				s.Fault = at("STARTTLS", mailtest.SMTPFault{Reply: "220 go on\r\nrubbish", Cut: true})
			}
			n := world(t, s, nil)
			n.mx["example.test"] = n.mx["example.test"][1:]
			d := deliverer(t, n, func(o *Config) {
				o.Roots = authority.Pool()
				if c.enforce {
					o.Policies = policies{"example.test": {Mode: mtasts.Enforce, MX: []string{"*.example.test"}, MaxAge: time.Hour}}
				}
			})
			results, said := d.Deliver(t.Context(), "example.test", mailOf(letter, "bob@example.test"))
			if got := fmt.Sprint(results[0].Outcome, " ", results[0].Enhanced); got != c.want || results[0].TLS != c.tls {
				t.Errorf("%s, %s; want %s, %s\n%v", got, results[0].TLS, c.want, c.tls, said)
			}
		})
	}
}

type policies map[string]mtasts.Policy

func (p policies) Policy(_ context.Context, domain string) mtasts.Policy { return p[domain] }

func TestPolicyKeepsOtherHostsOut(t *testing.T) {
	n := world(t, peer(), nil)
	d := deliverer(t, n, func(c *Config) {
		c.Policies = policies{"example.test": {Mode: mtasts.Enforce, MX: []string{"mail.elsewhere.test"}, MaxAge: time.Hour}}
	})
	results, _ := d.Deliver(t.Context(), "example.test", mailOf(letter, "bob@example.test"))
	if got := brief(results); got[0] != "deferred 4.7.1" || len(n.dials()) != 0 {
		t.Errorf("%q, dialled %q", got, n.dials())
	}
}

func TestEightBitMailForASevenBitServer(t *testing.T) {
	s := peer()
	s.No8Bit = true
	d := deliverer(t, world(t, s, nil))
	text := "From: a@here.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße.\r\n"
	results, said := d.Deliver(t.Context(), "example.test", mailOf(text, "bob@example.test"))
	if results[0].Outcome != Delivered {
		t.Fatal(results, said)
	}
	got := s.Received()[0].Content
	if !isASCII(got) || strings.TrimSpace((mail.Reader{}).Parse(got).Text) != "Grüße." {
		t.Errorf("%q", got)
	}
	sealed := strings.Replace(text, "text/plain; charset=utf-8", `multipart/signed; boundary=b`, 1) + "--b\r\n\r\nGrüße\r\n--b--\r\n"
	if results, _ = d.Deliver(t.Context(), "example.test", mailOf(sealed, "bob@example.test")); brief(results)[0] != "failed 5.6.3 mx1.example.test (192.0.2.1)" {
		t.Error(brief(results))
	}
	wide := mailOf(letter, "büro@example.test")
	wide.UTF8 = true
	if results, _ = d.Deliver(t.Context(), "example.test", wide); brief(results)[0] != "failed 5.6.7 mx1.example.test (192.0.2.1)" {
		t.Error(brief(results))
	}
	only := mailOf(letter, "bob@example.test")
	only.UTF8 = true // it was said, and nothing needs it
	if results, _ = d.Deliver(t.Context(), "example.test", only); results[0].Outcome != Delivered {
		t.Error(brief(results))
	}
}

// TestLoop: RFC 5321 section 6.3 wants at least 100 Received fields to be let through.
func TestLoop(t *testing.T) {
	for _, c := range []struct {
		most, fields int
		want         Outcome
	}{
		{0, 100, Delivered}, {0, 101, Failed}, {50, 100, Delivered}, {-1, 101, Failed}, {150, 150, Delivered}, {150, 151, Failed},
	} {
		s := peer()
		n := world(t, s, nil)
		d := deliverer(t, n, func(conf *Config) { conf.MaxReceived = c.most })
		results, _ := d.Deliver(t.Context(), "example.test", mailOf(strings.Repeat("received: from a.test\r\n", c.fields)+letter, "bob@example.test"))
		if got := results[0]; got.Outcome != c.want || c.want == Failed && (got.Enhanced != "5.4.6" || !got.Local || len(n.dials()) != 0) {
			t.Errorf("at most %d, %d fields: %+v", c.most, c.fields, got)
		}
	}
}

func TestRequestsForReportsArePassedOn(t *testing.T) {
	s := peer()
	d := deliverer(t, world(t, s, nil))
	m := mailOf(letter, "bob@example.test")
	m.Return, m.EnvelopeID = "HDRS", "QQ 1"
	m.Recipients[0].Notify, m.Recipients[0].Original = []string{"SUCCESS"}, "rfc822;b@list.test"
	results, _ := d.Deliver(t.Context(), "example.test", m)
	got := s.Received()[0]
	if results[0].Outcome != Delivered || !strings.Contains(got.Params, "RET=HDRS ENVID=QQ+201") || !strings.Contains(got.Rcpt[0], "NOTIFY=SUCCESS ORCPT=rfc822;b@list.test") {
		t.Errorf("%v %+v", results, got)
	}
	s = peer()
	s.DSN = false
	results, _ = deliverer(t, world(t, s, nil)).Deliver(t.Context(), "example.test", m)
	if results[0].Outcome != Relayed {
		t.Errorf("%v: the server takes no such requests", results)
	}
}

func TestAttemptsWaitForTheirTurn(t *testing.T) {
	s := peer()
	stop, started := make(chan struct{}), make(chan struct{}, 10)
	s.Fault = func(stage string) *mailtest.SMTPFault {
		if stage == "MAIL" {
			started <- struct{}{}
			<-stop
		}
		return nil
	}
	n := world(t, s, nil)
	d := deliverer(t, n, func(c *Config) { c.Limits.PerDestination = 2 })
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			results, _ := d.Deliver(t.Context(), "example.test", mailOf(letter, "bob@example.test"))
			if results[0].Outcome != Delivered {
				t.Error(results)
			}
		})
	}
	<-started
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if results, _ := d.Deliver(ctx, "example.test", mailOf(letter, "bob@example.test")); brief(results)[0] != "deferred 4.4.1" {
		t.Error(results)
	}
	close(stop)
	all.Wait()
	if got := n.dials(); len(got) != 2 {
		t.Errorf("%d connections", len(got))
	}
}

func TestTranscriptIsBounded(t *testing.T) {
	s := peer()
	s.Anybody = true
	d := deliverer(t, world(t, s, nil), func(c *Config) { c.Limits.Transcript = 20 })
	var to []string
	for i := range 90 {
		to = append(to, fmt.Sprintf("u%d@example.test", i))
	}
	_, said := d.Deliver(t.Context(), "example.test", mailOf(letter, to...))
	if len(said) != 20 || !bytes.Contains([]byte(said[10].Text+said[9].Text), []byte("left out")) {
		t.Errorf("%d lines: %v", len(said), said)
	}
}
