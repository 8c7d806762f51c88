package discover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// web is the web servers of a world: by host, what they answer. It is dialled by name and notes whom.
type web struct {
	sites map[string]http.HandlerFunc
	srv   map[string][]*net.SRV // by "_pop3s._tcp.example.com"
	fail  error                 // of look-ups

	mu      sync.Mutex
	dialled []string
	finder  *Finder
}

func newWeb(t *testing.T) *web {
	w := &web{sites: map[string]http.HandlerFunc{}, srv: map[string][]*net.SRV{}}
	authority := mailtest.NewAuthority(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			t.Errorf("a query: %s", r.URL)
		}
		if site := w.sites[r.Host]; site != nil {
			site(out, r)
			return
		}
		http.NotFound(out, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that end early are part of the tests
	server.TLS = &tls.Config{Certificates: []tls.Certificate{
		authority.Server("example.com", "autoconfig.example.com", "www.example.net"),
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	w.finder = &Finder{
		Roots: authority.Pool(), Timeout: 2 * time.Second,
		SRV: func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
			if w.fail != nil {
				return "", nil, w.fail
			}
			records, ok := w.srv["_"+service+"._"+proto+"."+name]
			if !ok {
				return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
			}
			return "", records, nil
		},
		Dial: func(ctx context.Context, host string, port int) (net.Conn, error) {
			w.mu.Lock()
			w.dialled = append(w.dialled, fmt.Sprintf("%s:%d", host, port))
			w.mu.Unlock()
			if w.sites[host] == nil {
				return nil, errors.New("no such site")
			}
			return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
		},
	}
	return w
}

const file = `<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="example.com">
    <domain>example.com</domain>
    <displayName>Example
      Mail</displayName>
    <incomingServer type="imap"><hostname>imap.example.com</hostname><port>993</port><socketType>SSL</socketType></incomingServer>
    <incomingServer type="pop3"><hostname>plain.example.com</hostname><port>110</port><socketType>plain</socketType></incomingServer>
    <incomingServer type="pop3"><hostname> POP.example.com </hostname><port>995</port><socketType>SSL</socketType><username>%EMAILLOCALPART%</username></incomingServer>
    <incomingServer type="pop3"><hostname>pop.example.com</hostname><port>110</port><socketType>STARTTLS</socketType><username>%EMAILADDRESS%</username></incomingServer>
    <outgoingServer type="smtp"><hostname>bad_port.example.com</hostname><port>99999</port><socketType>SSL</socketType></outgoingServer>
    <outgoingServer type="smtp"><hostname>not a host</hostname><port>465</port><socketType>SSL</socketType></outgoingServer>
    <outgoingServer type="smtp"><hostname>smtp.example.com</hostname><port>465</port><socketType>SSL</socketType></outgoingServer>
  </emailProvider>
</clientConfig>`

var ofFile = wire.Discovered{
	Provider: "Example Mail",
	Services: []wire.Found{
		{Service: wire.POP3S, Host: "pop.example.com", Port: 995, Source: wire.SourceAutoconfig, User: "%EMAILLOCALPART%"},
		{Service: wire.POP3, Host: "pop.example.com", Port: 110, Source: wire.SourceAutoconfig, User: "%EMAILADDRESS%"},
		{Service: wire.Submissions, Host: "smtp.example.com", Port: 465, Source: wire.SourceAutoconfig},
	},
}

func says(content string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, content) }
}

func (w *web) find(t *testing.T, domain string) wire.Discovered {
	t.Helper()
	d, err := w.finder.Find(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate(); err != nil {
		t.Fatalf("what is found cannot be told: %v", err)
	}
	return d
}

func TestAutoconfig(t *testing.T) {
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	for _, test := range []struct {
		name  string
		sites map[string]http.HandlerFunc
		want  wire.Discovered
		never string // must not have been dialled
	}{
		{name: "nothing", want: wire.Discovered{}},
		{name: "its own host", sites: map[string]http.HandlerFunc{"autoconfig.example.com": says(file)}, want: ofFile},
		{name: "well known", sites: map[string]http.HandlerFunc{"example.com": says(file)}, want: ofFile},
		{name: "a redirect", sites: map[string]http.HandlerFunc{"example.com": redirect("https://www.example.net/x.xml"), "www.example.net": says(file)}, want: ofFile},
		{name: "a redirect out of HTTPS", sites: map[string]http.HandlerFunc{"example.com": redirect("http://www.example.net/x.xml"), "www.example.net": says(file)}, never: "www.example.net:80"},
		{name: "a redirect to another port", sites: map[string]http.HandlerFunc{"example.com": redirect("https://www.example.net:25/"), "www.example.net": says(file)}, never: "www.example.net:25"},
		{name: "redirects without an end", sites: map[string]http.HandlerFunc{"example.com": redirect("https://example.com/again")}},
		{name: "a certificate for others", sites: map[string]http.HandlerFunc{"example.com": redirect("https://other.example.org/"), "other.example.org": says(file)}},
		{name: "not XML", sites: map[string]http.HandlerFunc{"example.com": says("hello")}},
		{name: "a page for people", sites: map[string]http.HandlerFunc{"example.com": says("<!doctype html><p>hello<br></p>")}},
		{name: "too long", sites: map[string]http.HandlerFunc{"example.com": says(file + strings.Repeat(" ", maxFile))}},
		{name: "a bomb of entities", sites: map[string]http.HandlerFunc{"example.com": says(`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><clientConfig><emailProvider><displayName>&b;</displayName></emailProvider></clientConfig>`)}},
		{name: "the first that says something", sites: map[string]http.HandlerFunc{
			"autoconfig.example.com": says("<clientConfig/>"), "example.com": says(file)}, want: ofFile},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWeb(t)
			w.sites = test.sites
			if d := cmp.Diff(test.want, w.find(t, "example.com")); d != "" {
				t.Error(d)
			}
			if slices.Contains(w.dialled, test.never) {
				t.Errorf("dialled %q", w.dialled)
			}
		})
	}
}

func TestSRV(t *testing.T) {
	w := newWeb(t)
	w.sites["autoconfig.example.com"] = says(file)
	w.srv["_pop3s._tcp.example.com"] = []*net.SRV{{Target: "Mail.Example.NET.", Port: 995}, {Target: "second.example.net.", Port: 9950}}
	w.srv["_pop3._tcp.example.com"] = []*net.SRV{{Target: "."}} // there is none, RFC 6186 section 3.4
	w.srv["_submission._tcp.example.com"] = []*net.SRV{{Target: "mail.example.net.", Port: 587}, {Target: "-bad-", Port: 587}, {Target: "x.example.net.", Port: 0}}
	want := wire.Discovered{
		Provider: ofFile.Provider,
		Services: append([]wire.Found{
			{Service: wire.POP3S, Host: "mail.example.net", Port: 995, Source: wire.SourceSRV},
			{Service: wire.POP3S, Host: "second.example.net", Port: 9950, Source: wire.SourceSRV},
			{Service: wire.Submission, Host: "mail.example.net", Port: 587, Source: wire.SourceSRV},
		}, ofFile.Services...),
	}
	if d := cmp.Diff(want, w.find(t, "example.com")); d != "" {
		t.Error(d)
	}
	many := make([]*net.SRV, 100)
	for i := range many {
		many[i] = &net.SRV{Target: fmt.Sprintf("m%d.example.net.", i), Port: 995}
	}
	w.srv["_pop3s._tcp.example.com"] = many
	if n := len(w.find(t, "example.com").Services); n > 32 {
		t.Errorf("%d services", n)
	}
}

func TestNameServerDown(t *testing.T) {
	w := newWeb(t)
	w.fail = &net.DNSError{Err: "i/o timeout", IsTimeout: true}
	if _, err := w.finder.Find(t.Context(), "example.com"); err == nil {
		t.Error("nothing could be looked up, and that is no error")
	}
	w.sites["example.com"] = says(file)
	if d := cmp.Diff(ofFile, w.find(t, "example.com")); d != "" {
		t.Error("what the web says is worth having without SRV:", d)
	}
}

// A web server that never ends costs the time of one look-up, and no more.
func TestSlowSite(t *testing.T) {
	w := newWeb(t)
	w.finder.Timeout = 200 * time.Millisecond
	w.sites["example.com"] = func(out http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(out, " ")
			out.(http.Flusher).Flush()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	}
	w.srv["_pop3s._tcp.example.com"] = []*net.SRV{{Target: "mail.example.net.", Port: 995}}
	if d := w.find(t, "example.com"); len(d.Services) != 1 {
		t.Errorf("%+v", d)
	}
}

// FuzzParse: whatever a file says, what is told of it can be told.
func FuzzParse(f *testing.F) {
	f.Add([]byte(file))
	f.Add([]byte("<clientConfig><emailProvider><incomingServer type='pop3'><hostname>a</hostname><port>1</port><socketType>SSL</socketType></incomingServer></emailProvider></clientConfig>"))
	f.Fuzz(func(t *testing.T, content []byte) {
		d := parse(content)
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
	})
}
