package engine

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/wire"
)

// atExample are the provider's servers as a user types them.
func atExample(p *provider) *api.Servers {
	return &api.Servers{
		POP3: api.Server{Host: "pop.example.org", Port: 995, Security: api.TLS, Pin: p.pin()},
		SMTP: api.Server{Host: "smtp.example.org", Port: 465, Security: api.TLS, Pin: p.pin()},
	}
}

func (w *world) signInAt(r api.SignIn) api.Account {
	w.t.Helper()
	a, err := w.SignIn(w.t.Context(), r)
	if err != nil {
		w.t.Fatalf("signing in as %s: %v", r.Email, err)
	}
	synctest.Wait()
	return a
}

// An account of one's own, by each way of protection, to its first letter in and its first letter out.
func TestAccountElsewhere(t *testing.T) {
	for _, test := range []struct {
		name   string
		user   string // that the server knows
		change func(s *api.Servers)
		sealed bool
	}{
		{name: "TLS", user: dora, sealed: true},
		{name: "STARTTLS", user: dora, sealed: true, change: func(s *api.Servers) {
			s.POP3.Port, s.POP3.Security, s.SMTP.Port, s.SMTP.Security = 110, api.STARTTLS, 587, api.STARTTLS
		}},
		{name: "ports and security unsaid", user: dora, sealed: true, change: func(s *api.Servers) {
			s.POP3.Port, s.POP3.Security, s.SMTP.Port, s.SMTP.Security = 0, "", 0, ""
		}},
		{name: "plain", user: dora, change: func(s *api.Servers) {
			s.POP3, s.SMTP = api.Server{Host: "pop.example.org", Security: api.Plain}, api.Server{Host: "smtp.example.org", Security: api.Plain}
		}},
		{name: "plain on one side", user: dora, change: func(s *api.Servers) {
			s.SMTP = api.Server{Host: "smtp.example.org", Security: api.Plain}
		}},
		{name: "a login name", user: "d1234", sealed: true, change: func(s *api.Servers) { s.POP3.User, s.SMTP.User = "d1234", "d1234" }},
		{name: "a name as people write it", user: dora, sealed: true, change: func(s *api.Servers) { s.POP3.Host, s.SMTP.Host = " POP.Example.ORG. ", "Smtp.example.org" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p := newProvider(w, test.user)
				p.pop.Maildrop[test.user].Deliver(letter("welcome", "x"))
				servers := atExample(p)
				if test.change != nil {
					test.change(servers)
				}
				a := w.signInAt(api.SignIn{Email: dora, Password: doraPW, Keep: true, Name: "Dora", Servers: servers})
				if a.Sealed != test.sealed || a.Name != "Dora" || len(a.Identities) != 1 || a.Identities[0] != (api.Identity{Name: "Dora", Addr: dora}) {
					t.Errorf("account %+v", a)
				}
				if r := w.only(a.ID, api.Inbox); r.Subject != "welcome" || r.Account != a.ID {
					t.Errorf("row %+v", r)
				}
				id := w.send(api.Draft{Account: a.ID, To: to(alice), Subject: "hello"})
				synctest.Wait()
				if r := w.row(a.ID, id); r.State != api.StateSent {
					t.Errorf("row %+v", r)
				}
				if n := len(p.post.Received()); n != 1 {
					t.Errorf("the provider has %d messages", n)
				}
				w.halt() // and all of it again from what is on the device
				w.start()
				p.pop.Maildrop[test.user].Deliver(letter("again", "x"))
				time.Sleep(time.Minute)
				synctest.Wait()
				if now := w.accountNow(a.ID); now.Sealed != test.sealed || now.Servers != a.Servers || now.Sync.Problem != nil || len(w.list(a.ID, api.Inbox)) != 2 {
					t.Errorf("after a restart: %+v", now)
				}
				if onDisk(t, w.fs, doraPW) {
					t.Error("the password is in a file")
				}
			})
		})
	}
}

func TestSignInElsewhereRefusals(t *testing.T) {
	wrongRoot := func(p *provider) *api.Servers {
		s := atExample(p)
		s.POP3.Pin, s.SMTP.Pin = "", ""
		return s
	}
	for _, test := range []struct {
		name    string
		servers func(p *provider) *api.Servers
		prepare func(w *world, p *provider)
		want    api.Code
		detail  string
		reason  string
		side    api.Protocol
	}{
		{name: "nobody said which servers", servers: func(*provider) *api.Servers { return nil }, want: api.CodeSettingsNeeded, detail: dora},
		{name: "an authority nobody knows", servers: wrongRoot, want: api.CodeCertificate, detail: "pop.example.org", reason: trust.UnknownAuthority, side: api.POP3},
		{name: "on the sending side", servers: func(p *provider) *api.Servers {
			s := atExample(p)
			s.SMTP.Pin = ""
			return s
		}, want: api.CodeCertificate, detail: "smtp.example.org", reason: trust.UnknownAuthority, side: api.SMTP},
		{name: "a pin that changed", servers: func(p *provider) *api.Servers {
			s := atExample(p)
			s.POP3.Pin = strings.Repeat("0a", 32)
			return s
		}, want: api.CodeCertificate, detail: "pop.example.org", reason: trust.PinChanged, side: api.POP3},
		{name: "a stripped STLS", servers: func(p *provider) *api.Servers {
			s := atExample(p)
			s.POP3.Security, s.POP3.Port = api.STARTTLS, 110
			return s
		}, prepare: func(w *world, p *provider) {
			w.gateway.serveAt("pop.example.org:110", &mailtest.POP3{Password: p.pop.Password, Maildrop: p.pop.Maildrop}, nil)
		}, want: api.CodeNoTLS, detail: "pop.example.org"},
		{name: "a stripped STARTTLS", servers: func(p *provider) *api.Servers {
			s := atExample(p)
			s.SMTP.Security, s.SMTP.Port = api.STARTTLS, 587
			return s
		}, prepare: func(w *world, p *provider) {
			w.gateway.serveAt("smtp.example.org:587", &mailtest.SMTP{Password: p.pop.Password}, nil)
		}, want: api.CodeNoTLS, detail: "smtp.example.org"},
		{name: "sending alone refuses the password", servers: atExample, prepare: func(w *world, p *provider) {
			w.gateway.serveAt("smtp.example.org:465", &mailtest.SMTP{Password: map[string]string{dora: "another"}}, p.tls)
		}, want: api.CodeWrongPassword, detail: dora + " at smtp.example.org, the server for sending"},
		{name: "no such host", servers: func(p *provider) *api.Servers {
			s := atExample(p)
			s.POP3.Host = "mx.example.org"
			return s
		}, want: api.CodeServerUnreachable, detail: "not in this world"},
		{name: "sending unreachable", servers: func(p *provider) *api.Servers {
			s := atExample(p)
			s.SMTP.Port = 2525
			return s
		}, want: api.CodeServerUnreachable, detail: "smtp.example.org"},
		{name: "the gateway's policy", servers: atExample, prepare: func(w *world, p *provider) {
			w.gateway.hosts, w.gateway.nowhere = nil, wire.Denied
		}, want: api.CodeTargetRefused, detail: "pop.example.org:995"},
		{name: "no host", servers: func(p *provider) *api.Servers {
			s := atExample(p)
			s.POP3.Host = "pop example org"
			return s
		}, want: api.CodeBadRequest, detail: "pop example org"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				p := newProvider(w, dora)
				if test.prepare != nil {
					test.prepare(w, p)
				}
				_, err := w.SignIn(t.Context(), api.SignIn{Email: dora, Password: doraPW, Keep: true, Servers: test.servers(p)})
				problem := api.AsProblem(err)
				if err == nil || problem.Code != test.want || !strings.Contains(problem.Detail, test.detail) {
					t.Fatalf("got %v, want %s %s", err, test.want, test.detail)
				}
				if c := problem.Certificate; test.reason == "" && c != nil || test.reason != "" && (c == nil || c.Reason != test.reason ||
					c.Protocol != test.side || c.Host != test.detail || c.Fingerprint != p.pin() || c.Issuer == "" || c.NotAfter.IsZero() || len(c.Names) != 2 ||
					(c.Pinned != "") != (test.reason == trust.PinChanged) || !strings.Contains(problem.Means, test.detail)) {
					t.Errorf("certificate %+v, means %q", c, problem.Means)
				}
				if s, _ := w.Status(t.Context()); len(s.Accounts) != 0 || len(w.vault.secrets) != 0 {
					t.Errorf("something was kept: %+v, %d secrets", s.Accounts, len(w.vault.secrets))
				}
			})
		})
	}
}

// Without TLS there is no password on the wire, but where the settings say so.
func TestNoPasswordWithoutTLS(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := newProvider(w, dora)
		heard := make(chan string, 1)
		w.gateway.serveAt("pop.example.org:110", overhear(&mailtest.POP3{Password: p.pop.Password, Maildrop: p.pop.Maildrop}, heard), nil)
		s := atExample(p)
		s.POP3 = api.Server{Host: "pop.example.org", Security: api.STARTTLS}
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: dora, Password: doraPW, Servers: s}); code(err) != api.CodeNoTLS {
			t.Fatalf("got %v", err)
		}
		if said := <-heard; strings.Contains(said, "USER") || strings.Contains(said, "AUTH") || strings.Contains(said, "dora") || !strings.Contains(said, "STLS") {
			t.Errorf("the server heard %q", said)
		}
	})
}

func TestConfigure(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		s, err := w.Settings(t.Context(), a.ID)
		if err != nil || s.Account != a.ID || len(s.Identities) != 1 || s.Identities[0] != (api.Identity{Name: "Alice", Addr: alice}) || s.Servers != (api.Servers{}) {
			t.Fatalf("%+v, %v", s, err)
		}
		streams := w.gateway.streams(wire.POP3S)
		s.Label, s.Leave, s.LeaveDays, s.SizeCap = " Work ", api.LeaveDays, 14, 1<<20
		s.Identities = append(s.Identities, api.Identity{Name: "The office", Addr: "office@Postern.TEST", Signature: "A.\nB."})
		got, err := w.Configure(t.Context(), s)
		if err != nil || got.Label != "Work" || got.Identities[1].Addr != "office@postern.test" {
			t.Fatalf("%+v, %v", got, err)
		}
		synctest.Wait()
		if n := w.gateway.streams(wire.POP3S); n != streams {
			t.Errorf("%d connections for a change that needs none", n-streams)
		}
		w.halt()
		w.start()
		if again, _ := w.Settings(t.Context(), a.ID); again.Label != "Work" || again.LeaveDays != 14 || len(again.Identities) != 2 || again.Identities[1].Signature != "A.\nB." {
			t.Errorf("after a restart: %+v", again)
		}
		if now := w.accountNow(a.ID); now.Label != "Work" || len(now.Identities) != 2 {
			t.Errorf("account %+v", now)
		}
		for name, change := range map[string]func(s *api.Settings){
			"no identity":          func(s *api.Settings) { s.Identities = nil },
			"an identity twice":    func(s *api.Settings) { s.Identities[1] = s.Identities[0] },
			"no address":           func(s *api.Settings) { s.Identities[0].Addr = "alice" },
			"a header in a name":   func(s *api.Settings) { s.Identities[0].Name = "A\r\nBcc: x@example.org" },
			"a long signature":     func(s *api.Settings) { s.Identities[0].Signature = strings.Repeat("x", maxSignature+1) },
			"no days":              func(s *api.Settings) { s.LeaveDays = 0 },
			"ten years and more":   func(s *api.Settings) { s.LeaveDays = 3651 },
			"an unknown leave":     func(s *api.Settings) { s.Leave = "sometimes" },
			"a size below zero":    func(s *api.Settings) { s.SizeCap = -1 },
			"two lines of label":   func(s *api.Settings) { s.Label = "a\nb" },
			"a port beyond":        func(s *api.Settings) { s.Servers.POP3 = api.Server{Host: "pop.example.org", Port: 65536} },
			"a security of sorts":  func(s *api.Settings) { s.Servers.POP3 = api.Server{Host: "pop.example.org", Security: "ssl"} },
			"a pin of sorts":       func(s *api.Settings) { s.Servers.POP3 = api.Server{Host: "pop.example.org", Pin: "abc"} },
			"a login of two lines": func(s *api.Settings) { s.Servers.POP3 = api.Server{Host: "pop.example.org", User: "a\r\nDELE 1"} },
		} {
			bad, _ := w.Settings(t.Context(), a.ID)
			change(&bad)
			if _, err := w.Configure(t.Context(), bad); code(err) != api.CodeBadRequest {
				t.Errorf("%s: %v", name, err)
			}
		}
		if again, _ := w.Settings(t.Context(), a.ID); again.Label != "Work" || len(again.Identities) != 2 || again.Identities[0].Addr != alice {
			t.Errorf("after what was refused: %+v", again)
		}
	})
}

// Other servers are signed in at before they are the account's.
func TestConfigureMovesAnAccount(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := newProvider(w, dora)
		a := w.signInAt(api.SignIn{Email: dora, Password: doraPW, Keep: true, Servers: atExample(p)})
		s, _ := w.Settings(t.Context(), a.ID)

		wrong := s
		wrong.Servers.SMTP.Port = 2525
		if _, err := w.Configure(t.Context(), wrong); code(err) != api.CodeServerUnreachable {
			t.Errorf("got %v", err)
		}
		wrong = s
		wrong.Servers.POP3.User = "somebody"
		if _, err := w.Configure(t.Context(), wrong); code(err) != api.CodeWrongPassword {
			t.Errorf("got %v", err)
		}
		if now, _ := w.Settings(t.Context(), a.ID); now.Servers != s.Servers {
			t.Errorf("settings %+v", now)
		}
		p.pop.Maildrop[dora].Deliver(letter("still here", "x"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.only(a.ID, api.Inbox).Subject != "still here" {
			t.Error("fetching has stopped")
		}

		next := &mailtest.POP3{Password: p.pop.Password, Maildrop: map[string]*mailtest.Maildrop{dora: new(mailtest.Maildrop)}, NoWait: true}
		next.Maildrop[dora].Deliver(letter("first", "x"))      // whose unique-id the old server had given too
		next.Maildrop[dora].Deliver(letter("still here", "x")) // it moved along
		next.Maildrop[dora].Deliver(letter("at the new place", "x"))
		w.gateway.serveAt("pop3.example.org:995", next, p.tls)
		s.Servers.POP3.Host = "pop3.example.org"
		if _, err := w.Configure(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var subjects []string
		for _, r := range w.list(a.ID, api.Inbox) {
			subjects = append(subjects, r.Subject)
		}
		slices.Sort(subjects)
		if want := []string{"at the new place", "first", "still here"}; !slices.Equal(subjects, want) { // each once
			t.Errorf("after the move: %q", subjects)
		}
		w.halt() // after a restart no password is typed again
		w.start()
		s.Servers.POP3 = api.Server{Host: "pop.example.org", Security: api.STARTTLS, Pin: p.pin()}
		if got, err := w.Configure(t.Context(), s); err != nil || got.Servers.POP3.Port != 110 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// A certificate that changes stops everything, loudly, until the user trusts the new one.
func TestTrust(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := newProvider(w, dora)
		a := w.signInAt(api.SignIn{Email: dora, Password: doraPW, Servers: atExample(p)})
		fresh := mailtest.SelfSigned(t, "pop.example.org")
		w.gateway.serveAt("pop.example.org:995", p.pop, &tls.Config{Certificates: []tls.Certificate{fresh}})
		p.pop.Maildrop[dora].Deliver(letter("behind it", "x"))
		time.Sleep(time.Minute)
		synctest.Wait()
		problem := w.accountNow(a.ID).Sync.Problem
		if problemCode(problem) != api.CodeCertificate || problem.Certificate.Reason != trust.PinChanged || problem.Certificate.Pinned != p.pin() || len(w.list(a.ID, api.Inbox)) != 0 {
			t.Fatalf("problem %+v", problem)
		}
		if problem.Session == 0 {
			t.Error("the problem names no session of the transcript")
		}
		if err := w.Trust(t.Context(), api.Trust{Account: a.ID, Protocol: api.POP3, Fingerprint: strings.ToUpper(problem.Certificate.Fingerprint)}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if w.only(a.ID, api.Inbox).Subject != "behind it" || w.accountNow(a.ID).Sync.Problem != nil {
			t.Errorf("sync %+v", w.accountNow(a.ID).Sync)
		}
		if s := w.accountNow(a.ID).Servers; s.POP3.Pin != trust.Fingerprint(fresh.Certificate[0]) || s.SMTP.Pin != p.pin() {
			t.Errorf("servers %+v", s)
		}
		if err := w.Trust(t.Context(), api.Trust{Account: a.ID, Protocol: api.POP3}); err != nil || w.accountNow(a.ID).Servers.POP3.Pin != "" {
			t.Errorf("unpinning: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if problem := w.accountNow(a.ID).Sync.Problem; problemCode(problem) != api.CodeCertificate || problem.Certificate.Reason != trust.SelfSigned {
			t.Errorf("problem %+v", problem)
		}
		w.gateway.serveAt("smtp.example.org:465", p.post, &tls.Config{Certificates: []tls.Certificate{fresh}})
		id := w.send(api.Draft{Account: a.ID, To: to(alice), Subject: "hello"})
		synctest.Wait()
		if r := w.row(a.ID, id); r.State != api.StateDeferred || problemCode(r.Problem) != api.CodeCertificate || r.Problem.Certificate.Protocol != api.SMTP {
			t.Fatalf("row %+v", r)
		}
		if err := w.Trust(t.Context(), api.Trust{Account: a.ID, Protocol: api.SMTP, Fingerprint: w.row(a.ID, id).Problem.Certificate.Fingerprint}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if r := w.row(a.ID, id); r.State != api.StateSent { // at once, not when it would have been tried again
			t.Errorf("row %+v", r)
		}
		b := w.signIn(alice)
		for _, r := range []api.Trust{
			{Account: a.ID, Protocol: api.POP3, Fingerprint: "short"}, {Account: a.ID, Protocol: "imap", Fingerprint: p.pin()},
			{Account: b.ID, Protocol: api.POP3, Fingerprint: p.pin()}, {Account: "nobody", Protocol: api.POP3},
		} {
			if err := w.Trust(t.Context(), r); code(err) != api.CodeBadRequest {
				t.Errorf("%+v: %v", r, err)
			}
		}
	})
}

// What the version without settings wrote opens as it is, and what a later one will write is not misread.
func TestRecordsOfOtherVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.vault.secrets[secretName(accountID(alice))] = []byte(alicePW)
		write := func(list string) {
			sub, err := w.fs.Sub(registryFolder)
			if err != nil {
				t.Fatal(err)
			}
			box, err := store.Open(sub, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := box.Update(func(tx *store.Tx) error { return tx.SetMeta(registryKey, []byte(list)) }); err != nil {
				t.Fatal(err)
			}
			box.Close()
		}
		write(`[{"id":"` + string(accountID(alice)) + `","email":"` + alice + `","name":"Alice","kept":true,"added":"2026-01-01T00:00:00Z"}]`)
		w.pop.Maildrop[alice].Deliver(letter("x", "y"))
		w.start()
		a := w.accountNow(accountID(alice))
		if !a.Sealed || a.Servers != (api.Servers{}) || len(a.Identities) != 1 || a.Identities[0] != (api.Identity{Name: "Alice", Addr: alice}) || a.Sync.Problem != nil {
			t.Errorf("account %+v", a)
		}
		if w.only(a.ID, api.Inbox).Subject != "x" {
			t.Error("not fetched")
		}
		w.halt()
		write(`[{"version":2,"id":"x","email":"` + alice + `","added":"2026-01-01T00:00:00Z"}]`)
		if e, err := New(w.config()); err == nil {
			e.Close()
			t.Error("a record of version 2 was opened")
		}
	})
}
