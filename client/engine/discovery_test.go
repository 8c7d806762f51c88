package engine

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// inDiscovery runs fn in a world whose gateway looks things up, with a provider at example.org whose authority is known.
func inDiscovery(t *testing.T, fn func(t *testing.T, w *world, p *provider)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.gateway.welcome.Capabilities = []string{wire.CapDiscover}
		w.gateway.lookUp = func(string) (wire.Discovered, *wire.RefusedError) { return wire.Discovered{}, nil }
		p := newProvider(w, dora)
		c := w.config()
		c.Roots = p.authority.Pool()
		engine, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		w.runEngine(engine)
		defer w.halt()
		fn(t, w, p)
	})
}

func (w *world) discover(email string) api.Discovery {
	w.t.Helper()
	d, err := w.Discover(w.t.Context(), email)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range []api.Server{d.Suggestion.POP3, d.Suggestion.SMTP} {
		if len(d.Candidates) == 0 && (s.Host == "" || s.Port == 0 || s.Security == "") {
			w.t.Errorf("nothing to begin with: %+v", d.Suggestion)
		}
	}
	return d
}

var ofExample = api.Servers{
	POP3: api.Server{Host: "pop.example.org", Port: 995, Security: api.TLS},
	SMTP: api.Server{Host: "smtp.example.org", Port: 465, Security: api.TLS},
}

func TestDiscoverTheGatewaysOwn(t *testing.T) {
	inDiscovery(t, func(t *testing.T, w *world, _ *provider) {
		d := w.discover("Somebody@POSTERN.test")
		if len(d.Candidates) != 1 || d.Candidates[0].Origin != api.OriginGateway || d.Candidates[0].Servers != (api.Servers{}) || len(w.gateway.reached) != 0 {
			t.Errorf("%+v, %v", d, w.gateway.reachedHosts())
		}
	})
}

func TestDiscoverByLookUp(t *testing.T) {
	inDiscovery(t, func(t *testing.T, w *world, _ *provider) {
		asked := ""
		w.gateway.lookUp = func(domain string) (wire.Discovered, *wire.RefusedError) {
			asked = domain
			return wire.Discovered{Provider: "Büro", Services: []wire.Found{
				{Service: wire.Submission, Host: "out.example.net", Port: 587, Source: wire.SourceAutoconfig, User: "%EMAILLOCALPART%"},
				{Service: wire.POP3, Host: "in.example.net", Port: 110, Source: wire.SourceAutoconfig, User: "%EMAILLOCALPART%"},
				{Service: wire.POP3S, Host: "IN.example.net", Port: 995, Source: wire.SourceAutoconfig, User: "%EMAILADDRESS%"},
				{Service: wire.POP3S, Host: "pop.gmail.com", Port: 995, Source: wire.SourceSRV},
				{Service: wire.Submissions, Host: "smtp.gmail.com", Port: 465, Source: wire.SourceSRV},
			}}, nil
		}
		d := w.discover("Jörg@Büro.example")
		out := api.Server{Host: "out.example.net", Port: 587, Security: api.STARTTLS, User: "Jörg"}
		want := []api.Candidate{
			{Origin: api.OriginSRV, Provider: "Büro", Help: helpBoth, Servers: api.Servers{
				POP3: api.Server{Host: "pop.gmail.com", Port: 995, Security: api.TLS}, SMTP: api.Server{Host: "smtp.gmail.com", Port: 465, Security: api.TLS}}},
			{Origin: api.OriginAutoconfig, Provider: "Büro", Servers: api.Servers{
				POP3: api.Server{Host: "in.example.net", Port: 995, Security: api.TLS}, SMTP: out}},
			{Origin: api.OriginAutoconfig, Provider: "Büro", Servers: api.Servers{
				POP3: api.Server{Host: "in.example.net", Port: 110, Security: api.STARTTLS, User: "Jörg"}, SMTP: out}},
		}
		if !slices.Equal(d.Candidates, want) || d.Suggestion != want[0].Servers || d.Problem != nil {
			t.Errorf("got %+v", d)
		}
		if asked != "xn--bro-hoa.example" || len(w.gateway.reached) != 1 {
			t.Errorf("asked about %q, reached %v", asked, w.gateway.reachedHosts())
		}
	})
}

func TestDiscoverByList(t *testing.T) {
	inDiscovery(t, func(t *testing.T, w *world, _ *provider) {
		d := w.discover("somebody@gmx.net")
		if len(d.Candidates) != 1 || d.Candidates[0].Origin != api.OriginProvider || d.Candidates[0].Servers.POP3.Host != "pop.gmx.net" || d.Candidates[0].Help != helpEnable {
			t.Errorf("got %+v", d)
		}
		w.gateway.set(tunnel.Offline) // what is here needs nobody
		if d := w.discover("somebody@gmail.com"); len(d.Candidates) != 1 || problemCode(d.Problem) != api.CodeGatewayOffline {
			t.Errorf("offline: %+v", d)
		}
		if d := w.discover(dora); len(d.Candidates) != 0 || problemCode(d.Problem) != api.CodeGatewayOffline || d.Suggestion != ofExample {
			t.Errorf("offline: %+v", d)
		}
	})
}

func TestDiscoverByGuessing(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(w *world, p *provider)
		want    []api.Servers
		problem api.Code
		atMost  time.Duration
	}{
		{name: "the usual names", want: []api.Servers{ofExample, {
			POP3: api.Server{Host: "pop.example.org", Port: 110, Security: api.STARTTLS}, SMTP: api.Server{Host: "smtp.example.org", Port: 587, Security: api.STARTTLS}}}},
		{name: "STARTTLS alone", prepare: func(w *world, p *provider) {
			delete(w.gateway.hosts, "pop.example.org:995")
			delete(w.gateway.hosts, "smtp.example.org:465")
		}, want: []api.Servers{{
			POP3: api.Server{Host: "pop.example.org", Port: 110, Security: api.STARTTLS}, SMTP: api.Server{Host: "smtp.example.org", Port: 587, Security: api.STARTTLS}}}},
		{name: "nobody is asked who has no TLS", prepare: func(w *world, p *provider) {
			w.gateway.hosts = map[string]hosted{"pop.example.org:110": {server: &mailtest.POP3{}}, "smtp.example.org:587": {server: &mailtest.SMTP{}}}
		}},
		{name: "one side alone", prepare: func(w *world, p *provider) {
			delete(w.gateway.hosts, "smtp.example.org:465")
			delete(w.gateway.hosts, "smtp.example.org:587")
		}},
		{name: "a certificate for another name, where there is nothing better", prepare: func(w *world, p *provider) {
			w.gateway.hosts = map[string]hosted{"mail.example.org:995": {p.pop, p.tls}, "smtp.example.org:465": {p.post, p.tls}}
		}, want: []api.Servers{{POP3: api.Server{Host: "mail.example.org", Port: 995, Security: api.TLS}, SMTP: ofExample.SMTP}}},
		{name: "something else answers", prepare: func(w *world, p *provider) {
			w.gateway.serveAt("pop.example.org:995", p.post, p.tls)
			w.gateway.serveAt("pop.example.org:110", p.post, nil)
		}},
		{name: "all stall", atMost: discoveryTime, prepare: func(w *world, p *provider) {
			w.gateway.stalling = map[string]bool{}
			for _, protocol := range []api.Protocol{api.POP3, api.SMTP} {
				for _, g := range guesses(protocol, "example.org") {
					l := &login{servers: api.Servers{POP3: g.server}}
					w.gateway.stalling[l.place(api.POP3).address()] = true
				}
			}
		}},
		{name: "the others stall", atMost: 2 * time.Second, prepare: func(w *world, p *provider) {
			w.gateway.stalling = map[string]bool{"mail.example.org:995": true, "example.org:465": true, "pop.example.org:110": true, "smtp.example.org:587": true}
		}, want: []api.Servers{ofExample}},
		{name: "the gateway's policy", problem: api.CodeTargetRefused, prepare: func(w *world, p *provider) { w.gateway.hosts, w.gateway.nowhere = nil, wire.Denied }},
		{name: "the gateway's policy, said at once", problem: api.CodeTargetRefused, prepare: func(w *world, p *provider) { // the servers that answer are not asked
			w.gateway.lookUp = func(string) (wire.Discovered, *wire.RefusedError) {
				return wire.Discovered{}, &wire.RefusedError{Reason: wire.Denied}
			}
		}},
		{name: "a look-up that fails", problem: api.CodeGatewayBusy, prepare: func(w *world, p *provider) {
			w.gateway.lookUp = func(string) (wire.Discovered, *wire.RefusedError) {
				return wire.Discovered{}, &wire.RefusedError{Reason: wire.TooMany}
			}
			delete(w.gateway.hosts, "pop.example.org:110")
			delete(w.gateway.hosts, "smtp.example.org:587")
		}, want: []api.Servers{ofExample}},
		{name: "half of it is told", prepare: func(w *world, p *provider) {
			w.gateway.lookUp = func(string) (wire.Discovered, *wire.RefusedError) {
				return wire.Discovered{Services: []wire.Found{{Service: wire.Submissions, Host: "out.example.org", Port: 465, Source: wire.SourceSRV}}}, nil
			}
			delete(w.gateway.hosts, "pop.example.org:110")
		}, want: []api.Servers{{POP3: ofExample.POP3, SMTP: api.Server{Host: "out.example.org", Port: 465, Security: api.TLS}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inDiscovery(t, func(t *testing.T, w *world, p *provider) {
				if test.prepare != nil {
					test.prepare(w, p)
				}
				began := time.Now()
				d := w.discover(dora)
				var got []api.Servers
				for _, c := range d.Candidates {
					got = append(got, c.Servers)
					if want := api.OriginGuess; c.Origin != want && test.name != "half of it is told" { // TestHalfALieIsALie
						t.Errorf("origin %s, want %s", c.Origin, want)
					}
				}
				if !slices.Equal(got, test.want) || problemCode(d.Problem) != test.problem {
					t.Errorf("got %+v, %v", got, d.Problem)
				}
				if took := time.Since(began); test.atMost > 0 && took > test.atMost {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// The servers that are guessed hear nothing of whose address it is.
func TestGuessesSayNothing(t *testing.T) {
	inDiscovery(t, func(t *testing.T, w *world, p *provider) {
		heard := make(chan string, 4)
		w.gateway.serveAt("pop.example.org:995", overhear(p.pop, heard), p.tls)
		w.gateway.serveAt("pop.example.org:110", overhear(p.pop, heard), nil)
		w.gateway.serveAt("smtp.example.org:465", overhear(p.post, heard), p.tls)
		w.gateway.serveAt("smtp.example.org:587", overhear(p.post, heard), nil)
		w.discover("dora.the.explorer@example.org")
		all := ""
		for range 4 {
			all += <-heard
		}
		for _, command := range []string{"CAPA", "EHLO", "STLS"} {
			if !strings.Contains(all, command) {
				t.Errorf("no %s was heard", command)
			}
		}
		for _, command := range []string{"dora", "USER", "AUTH", "MAIL"} {
			if strings.Contains(all, command) {
				t.Errorf("%s was heard", command)
			}
		}
	})
}

func TestDiscoverRefusesWhatIsNoAddress(t *testing.T) {
	inDiscovery(t, func(t *testing.T, w *world, _ *provider) {
		for _, email := range []string{"", "dora", "@example.org", "dora@", "a b@example.org"} {
			if _, err := w.Discover(t.Context(), email); code(err) != api.CodeBadRequest {
				t.Errorf("%q: %v", email, err)
			}
		}
		w.discover("dora@[192.0.2.1]")
	})
}

// The list is written by hand: every entry has to be one.
func TestProviders(t *testing.T) {
	seen := map[string]string{}
	for i := range providers {
		p := &providers[i]
		g := p.group()
		for _, s := range append(g.pop3, g.smtp...) {
			if n, err := normalServer(s, [2]int{}); err != nil || n != s {
				t.Errorf("%s: %+v, %v", p.name, s, err)
			}
		}
		if !strings.HasSuffix(p.pop, ":995") || !strings.HasSuffix(p.smtp, ":465") && !strings.HasSuffix(p.smtp, ":587") || p.name == "" || p.domains == "" {
			t.Errorf("%+v", p)
		}
		for _, d := range strings.Fields(p.domains) {
			if seen[d] != "" || wire.CheckHost(d) != nil || providerOf(d) != p {
				t.Errorf("%s of %s, and %s", d, p.name, seen[d])
			}
			seen[d] = p.name
		}
	}
}

func TestLoginName(t *testing.T) {
	for template, want := range map[string]string{
		"": "", "%EMAILADDRESS%": "", "%EMAILLOCALPART%": "dora", "%EMAILDOMAIN%": "example.org",
		"%EMAILLOCALPART%%EMAILDOMAIN%": "doraexample.org", "x-%EMAILLOCALPART%": "x-dora", "fixed": "fixed",
		"%REALNAME%": "", "%EMAILLOCALPART%\r\nDELE": "", "100%": "",
	} {
		if got := loginName(template, dora); got != want {
			t.Errorf("%q: %q, want %q", template, got, want)
		}
	}
}

func TestPairUp(t *testing.T) {
	server := rapid.Custom(func(t *rapid.T) api.Server {
		return api.Server{Host: rapid.SampledFrom([]string{"a.example", "b.example", "c.example"}).Draw(t, "host"), Port: rapid.SampledFrom([]int{995, 110}).Draw(t, "port")}
	})
	rapid.Check(t, func(t *rapid.T) {
		var groups []group
		anyPOP3, anySMTP := false, false
		for _, origin := range []api.Origin{api.OriginSRV, api.OriginAutoconfig, api.OriginProvider, api.OriginGuess} {
			g := group{origin: origin, pop3: rapid.SliceOfN(server, 0, 4).Draw(t, "pop3"), smtp: rapid.SliceOfN(server, 0, 4).Draw(t, "smtp")}
			anyPOP3, anySMTP = anyPOP3 || len(g.pop3) > 0, anySMTP || len(g.smtp) > 0
			groups = append(groups, g)
		}
		all := pairUp(groups)
		if (len(all) > 0) != (anyPOP3 && anySMTP) {
			t.Fatalf("%d candidates", len(all))
		}
		for i, c := range all {
			if c.Servers.POP3.Host == "" || c.Servers.SMTP.Host == "" {
				t.Fatalf("half a candidate: %+v", c)
			}
			if slices.ContainsFunc(all[:i], func(o api.Candidate) bool { return o.Servers == c.Servers }) {
				t.Fatalf("twice: %+v", c)
			}
		}
		if !anyPOP3 || !anySMTP {
			return
		}
		for _, g := range groups { // nothing that was found is kept from the user
			for _, s := range g.pop3 {
				if !slices.ContainsFunc(all, func(c api.Candidate) bool { return c.Servers.POP3 == s }) {
					t.Fatalf("%+v is in no candidate", s)
				}
			}
			for _, s := range g.smtp {
				if !slices.ContainsFunc(all, func(c api.Candidate) bool { return c.Servers.SMTP == s }) {
					t.Fatalf("%+v is in no candidate", s)
				}
			}
		}
	})
}
