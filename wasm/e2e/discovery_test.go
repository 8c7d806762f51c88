package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

// provider is a mail provider on loopback whose domain has records in the DNS or a file on its web server, as providers
// have, and a gateway that finds it there. The gateway's page is that of the program; its tunnel is the same bridge, with
// a DNS of the test's making.
type provider struct {
	domain string
	pop    *mailtest.POP3
	post   *mailtest.SMTP
	url    string // of the gateway

	pops, submissions, site   string // addresses
	popsPort, submissionsPort int
	records                   bool // SRV
	file                      bool // of settings
}

func startProvider(t testing.TB, domain string) *provider {
	t.Helper()
	p := &provider{domain: domain, pop: mailtest.NewPOP3(), post: mailtest.NewSMTP()}
	address := "dana@" + domain
	p.pop.Password[address], p.pop.Maildrop[address] = "dana-pw", new(mailtest.Maildrop)
	p.post.Password[address], p.post.Anybody = "dana-pw", true
	authority := mailtest.NewAuthority(t)
	sealed := func(s mailtest.Server, name string) (at string) {
		c := &tls.Config{Certificates: []tls.Certificate{authority.Server(name)}}
		return mailtest.Listen(t, mailtest.ServerFunc(func(conn net.Conn) { s.ServeConn(tls.Server(conn, c)) }))
	}
	p.pops, p.submissions = sealed(p.pop, "in."+domain), sealed(p.post, "out."+domain)
	p.popsPort, p.submissionsPort = portOf(t, p.pops), portOf(t, p.submissions)
	site := httptest.NewUnstartedServer(http.HandlerFunc(p.serveFile))
	site.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server("autoconfig." + domain)}}
	site.StartTLS()
	t.Cleanup(site.Close)
	p.site = site.Listener.Addr().String()

	b, err := bridge.New(bridge.Config{
		Server: "postern", Resolver: p, SRVResolver: p, Dialer: p, WebRoots: authority.Pool(),
		Policy: bridge.Policy{Allow: []bridge.Rule{rule(t, "*."+domain+":*")}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := url.Parse(startGateway(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	all := http.NewServeMux()
	all.Handle("/", httputil.NewSingleHostReverseProxy(page))
	all.Handle(wire.Path, b)
	front := httptest.NewServer(all)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		b.Shutdown(ctx)
		front.Close()
	})
	p.url = strings.Replace(front.URL, "127.0.0.1", "localhost", 1)
	return p
}

func rule(t testing.TB, s string) bridge.Rule {
	t.Helper()
	r, err := bridge.ParseRule(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// LookupSRV is the DNS: what RFC 6186 says of a domain.
func (p *provider) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	port := map[string]int{"pop3s": p.popsPort, "submissions": p.submissionsPort}[service]
	if !p.records || port == 0 || proto != "tcp" || name != p.domain+"." {
		return "", nil, notFound(service + "." + name)
	}
	host := map[string]string{"pop3s": "in.", "submissions": "out."}[service] + name
	return "", []*net.SRV{{Target: host, Port: uint16(port)}}, nil
}

// LookupNetIP is the DNS: where the provider's names lead.
func (p *provider) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	host = strings.TrimSuffix(host, ".") // it is asked for as it is, with no search domain behind it
	switch name, _ := strings.CutSuffix(host, "."+p.domain); name {
	case "in", "out", "autoconfig":
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return nil, notFound(host)
}

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// DialContext connects. A web server has port 443, which a test cannot take.
func (p *provider) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	switch address {
	case "127.0.0.1:443":
		address = p.site
	case p.pops, p.submissions:
	default:
		return nil, fmt.Errorf("%s is none of the provider's", address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

func (p *provider) serveFile(w http.ResponseWriter, r *http.Request) {
	if !p.file || r.URL.Path != "/mail/config-v1.1.xml" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintf(w, `<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id=%q><domain>%[1]s</domain><displayName>A Provider</displayName>
		<incomingServer type="pop3"><hostname>in.%[1]s</hostname><port>%[2]d</port><socketType>SSL</socketType><username>%%EMAILADDRESS%%</username></incomingServer>
		<outgoingServer type="smtp"><hostname>out.%[1]s</hostname><port>%[3]d</port><socketType>SSL</socketType><username>%%EMAILADDRESS%%</username></outgoingServer>
		</emailProvider></clientConfig>`, p.domain, p.popsPort, p.submissionsPort)
}

// Who types address and password and nothing else reads and sends mail, where the domain says in the DNS or on its web
// server which its servers are.
func TestSettingsAreFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		source func(p *provider)
		says   string
	}{
		{"by SRV", func(p *provider) { p.records = true }, "found.test names its servers in the DNS"},
		{"by a file", func(p *provider) { p.file = true }, "found.test publishes its settings"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startProvider(t, "found.test")
			c.source(p)
			p.pop.Maildrop["dana@found.test"].Deliver([]byte("From: Bob <bob@example.test>\r\nTo: dana@found.test\r\nSubject: Found you\r\n" +
				"Date: Mon, 02 Nov 2026 10:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nWithout a word about servers.\r\n"))
			b := startBrowser(t, "dana")
			b.Go(p.url)
			b.Type("signin-email", "dana@found.test")
			b.Type("signin-password", "dana-pw")
			b.Click("signin-submit")
			b.Until("who says where the servers are", `(`+q("setup-found")+`?.textContent || "").includes(`+js(c.says)+`)`)
			b.Until("nobody is asked for them", q("setup-pop3-host")+` === null`)
			b.shot("found-" + strings.ReplaceAll(c.name, " ", "-"))
			b.trustBoth() // no browser knows the test's authority
			b.Open("Found you")
			b.Until("mail is read", body+`.includes("Without a word about servers.")`)
			b.Click("reply")
			b.Type("compose-body", "Here I am. ")
			b.Click("compose-send")
			b.Click("folder-sent")
			b.Until("it is sent", row("Re: Found you")+` !== undefined`)
			if got := p.post.Received(); len(got) != 1 || got[0].From != "dana@found.test" || !strings.Contains(string(got[0].Content), "Here I am.") {
				t.Errorf("received: %+v", got)
			}
		})
	}
}
