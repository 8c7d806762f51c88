package view_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
)

const dana = "dana@example.org"

// outside is a page of nobody signed in, before servers of which the gateway's own is one.
func outside(t *testing.T, setup func(*viewtest.Service), fn func(t *testing.T, p *page)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(map[string]string{alice: "secret", dana: "secret"})
		setup(svc)
		run(t, svc, "/", fn)
	})
}

func (p *page) signIn(email, password string) {
	p.T.Helper()
	p.act(func() {
		p.Session.Email, p.Session.Password = email, password
		p.Session.Submit()
	})
}

// set fills a field of a form in.
func set(t *testing.T, list []view.Section, id, value string) {
	t.Helper()
	f := field(t, list, id)
	f.Set(value)
}

func field(t *testing.T, list []view.Section, id string) *view.Field {
	t.Helper()
	for i := range list {
		for j := range list[i].Fields {
			if f := &list[i].Fields[j]; f.ID == id {
				return f
			}
		}
	}
	t.Fatalf("no field %s", id)
	return nil
}

func press(t *testing.T, list []view.Section, id string) {
	t.Helper()
	for _, s := range list {
		for _, a := range s.Actions {
			if a.ID == id {
				a.Do()
				return
			}
		}
	}
	t.Fatalf("no button %s", id)
}

func at(pop3, smtp string) api.Servers {
	return api.Servers{POP3: api.Server{Host: pop3, Port: 995, Security: api.TLS}, SMTP: api.Server{Host: smtp, Port: 465, Security: api.TLS}}
}

func candidate(o api.Origin, pop3, smtp string) api.Candidate {
	return api.Candidate{Origin: o, Servers: at(pop3, smtp)}
}

func found(list ...api.Candidate) func(*viewtest.Service) {
	return func(s *viewtest.Service) {
		s.Announce("example.org", api.Discovery{Candidates: list, Suggestion: at("pop.example.org", "smtp.example.org")})
	}
}

func down(s *viewtest.Service, host string) {
	s.Trouble(host, &api.Problem{Code: api.CodeServerUnreachable, Detail: host, Technical: "dial: no"})
}

// hosts are the servers at which signing in was tried, "-" for the engine's choice.
func hosts(p *page) string {
	var list []string
	for _, r := range p.svc.SignIns() {
		h := "-"
		if r.Servers != nil {
			h = r.Servers.POP3.Host
		}
		list = append(list, h)
	}
	return strings.Join(list, " ")
}

func TestOwnDomainSignsInAtOnce(t *testing.T) {
	outside(t, found(), func(t *testing.T, p *page) {
		p.signIn(alice, "secret")
		equal(t, "phase", p.Session.Phase, view.SignedIn)
		equal(t, "tried", hosts(p), "-")
		for _, c := range p.svc.Calls() {
			if c == "Discover" {
				t.Error("settings were looked for")
			}
		}
	})
}

func TestSettingsAreFound(t *testing.T) {
	outside(t, found(candidate(api.OriginSRV, "pop.example.org", "smtp.example.org")), func(t *testing.T, p *page) {
		release := p.svc.Hold("Discover")
		p.signIn(dana, "secret")
		equal(t, "doing", p.Session.Doing, "Looking for the settings of example.org…")
		equal(t, "said", strings.TrimSpace(p.Voice.Polite), "Looking for the settings of example.org…")
		wait := p.svc.Hold("SignIn")
		release()
		synctest.Wait()
		equal(t, "doing", p.Session.Doing, "Signing in at pop.example.org…")
		equal(t, "who says so", p.Session.FoundWords().Title, "example.org names its servers in the DNS")
		wait()
		synctest.Wait()
		equal(t, "phase", p.Session.Phase, view.SignedIn)
		equal(t, "tried", hosts(p), "- pop.example.org")
		equal(t, "servers", p.Current().Servers, at("pop.example.org", "smtp.example.org"))
	})
}

func TestNextCandidateAfterAFailureToConnect(t *testing.T) {
	for _, c := range []struct {
		code  api.Code
		tried string
		said  api.Code // "" for signed in
	}{
		{api.CodeServerUnreachable, "- a.example.org b.example.org", ""},
		{api.CodeNoTLS, "- a.example.org b.example.org", ""},
		{api.CodeTargetRefused, "- a.example.org b.example.org", ""},
		{api.CodeCertificate, "- a.example.org b.example.org", ""}, // a guess
		{api.CodeWrongPassword, "- a.example.org", api.CodeWrongPassword},
		{api.CodeGatewayOffline, "- a.example.org", api.CodeGatewayOffline},
		{api.CodeMaildropLocked, "- a.example.org", api.CodeMaildropLocked},
	} {
		t.Run(string(c.code), func(t *testing.T) {
			outside(t, found(candidate(api.OriginGuess, "a.example.org", "smtp.example.org"), candidate(api.OriginGuess, "b.example.org", "smtp.example.org")), func(t *testing.T, p *page) {
				p.svc.Trouble("a.example.org", &api.Problem{Code: c.code})
				p.signIn(dana, "secret")
				equal(t, "tried", hosts(p), c.tried)
				var code api.Code
				if p.Session.Problem != nil {
					code = p.Session.Problem.Code
				}
				equal(t, "problem", code, c.said)
				equal(t, "signed in", p.Session.Phase == view.SignedIn, c.said == "")
			})
		})
	}
}

func TestAllCandidatesFail(t *testing.T) {
	outside(t, found(candidate(api.OriginGuess, "a.example.org", "smtp.example.org"), candidate(api.OriginGuess, "b.example.org", "smtp.example.org")), func(t *testing.T, p *page) {
		down(p.svc, "a.example.org")
		down(p.svc, "b.example.org")
		p.signIn(dana, "secret")
		equal(t, "the first is told of", p.Session.Problem.Detail, "a.example.org")
		equal(t, "typed", p.Session.Email+" "+p.Session.Password, dana+" secret")
		p.svc.Trouble("b.example.org", nil)
		p.act(func() { p.Session.Submit() }) // all are tried again
		equal(t, "phase", p.Session.Phase, view.SignedIn)
	})
}

// Who answers for a domain, or in its name, gets no password by naming a server of theirs.
func TestServersElsewhereAreAgreedTo(t *testing.T) {
	for _, origin := range []api.Origin{api.OriginSRV, api.OriginAutoconfig, api.OriginGuess} {
		outside(t, found(candidate(origin, "pop.example.org", "smtp.notexample.org")), func(t *testing.T, p *page) {
			p.signIn(dana, "secret")
			equal(t, "tried", hosts(p), "-")
			equal(t, "asked", p.Session.Confirm, true)
			if w := p.Session.FoundWords(); !strings.Contains(w.Means, "smtp.notexample.org:465 (TLS)") || !strings.Contains(w.Do, "your password goes to it") {
				t.Error(w)
			}
			p.act(func() { p.Session.Submit() })
			equal(t, "tried", hosts(p), "- pop.example.org")
			equal(t, "phase", p.Session.Phase, view.SignedIn)
		})
	}
	// The list that came with the page, and names under the domain, are believed.
	for _, c := range []api.Candidate{candidate(api.OriginProvider, "pop.big.example", "smtp.big.example"), candidate(api.OriginSRV, "POP.example.ORG.", "example.org")} {
		outside(t, found(c), func(t *testing.T, p *page) {
			p.signIn(dana, "secret")
			equal(t, "asked", p.Session.Confirm, false)
			equal(t, "phase", p.Session.Phase, view.SignedIn)
		})
	}
	// Another address is another question.
	outside(t, found(candidate(api.OriginSRV, "pop.evil.example", "smtp.evil.example")), func(t *testing.T, p *page) {
		p.signIn(dana, "secret")
		p.act(func() {
			p.Session.Email = "eve@example.org"
			equal(t, "what was found is not this address's", p.Session.FoundWords().Title, "")
			p.Session.Submit()
		})
		equal(t, "asked again", p.Session.Confirm, true)
		equal(t, "tried", hosts(p), "- -")
	})
}

func TestPlainTextIsNeverTriedByItself(t *testing.T) {
	open := candidate(api.OriginAutoconfig, "pop.example.org", "smtp.example.org")
	open.Servers.SMTP.Security, open.Servers.SMTP.Port = api.Plain, 587
	outside(t, found(open), func(t *testing.T, p *page) {
		p.signIn(dana, "secret")
		equal(t, "tried", hosts(p), "-")
		equal(t, "by hand", p.Session.Manual, true)
		p.Do(func() {
			f := field(t, p.Session.Fields(), "setup-smtp-security")
			equal(t, "security", *f.Value, "plain")
			if !f.Loud || !strings.Contains(f.Hint, "can read the password and every message") {
				t.Error(f.Hint)
			}
		})
		p.act(func() { p.Session.Submit() }) // somebody who read that wants it so
		equal(t, "phase", p.Session.Phase, view.SignedIn)
		seal := view.SealOf(p.Current())
		equal(t, "seal", seal.Text, "Not sealed")
		equal(t, "red", seal.Bad, true)
	})
	outside(t, found(open, candidate(api.OriginGuess, "mail.example.org", "mail.example.org")), func(t *testing.T, p *page) {
		p.signIn(dana, "secret")
		equal(t, "tried", hosts(p), "- mail.example.org")
	})
}

// What is wrong with looking for settings keeps nobody from saying them; without the gateway there is no signing in.
func TestLookingFails(t *testing.T) {
	for code, byHand := range map[api.Code]bool{api.CodeInternal: true, api.CodeServerTimeout: true, api.CodeGatewayOffline: false, api.CodeGatewayRefused: false} {
		outside(t, found(), func(t *testing.T, p *page) {
			p.svc.Fail("Discover", &api.Problem{Code: code, Technical: "look-ups"})
			p.signIn(dana, "secret")
			equal(t, string(code), p.Session.Manual, byHand)
			if w := p.Session.ErrorWords(); !strings.Contains(w.Technical, "look-ups") || w.Title == "" {
				t.Error(w)
			}
		})
	}
}

func TestMistypedDomainIsLookedUpAgain(t *testing.T) {
	setup := found(candidate(api.OriginSRV, "pop.example.org", "smtp.example.org"))
	outside(t, setup, func(t *testing.T, p *page) {
		p.signIn("dana@exmaple.org", "secret")
		equal(t, "by hand", p.Session.Manual, true)
		p.signIn(dana, "secret")
		equal(t, "phase", p.Session.Phase, view.SignedIn)
		equal(t, "tried", hosts(p), "- - pop.example.org")
	})
	outside(t, setup, func(t *testing.T, p *page) { // what was typed counts
		p.signIn("dana@exmaple.org", "secret")
		p.Do(func() {
			set(t, p.Session.Fields(), "setup-pop3-host", "a.example.org")
			set(t, p.Session.Fields(), "setup-smtp-host", "a.example.org")
		})
		p.signIn(dana, "secret")
		equal(t, "tried", hosts(p), "- a.example.org")
	})
	outside(t, setup, func(t *testing.T, p *page) { // and a demo account is the gateway's own
		p.signIn("dana@exmaple.org", "secret")
		p.act(func() { p.Session.Demo(api.DemoAccount{Name: "Alice", Email: alice, Password: "secret"}) })
		equal(t, "tried", hosts(p), "- -")
		equal(t, "phase", p.Session.Phase, view.SignedIn)
	})
}

func TestWrongPasswordKeepsWhatWasFound(t *testing.T) {
	c := candidate(api.OriginProvider, "pop.big.example", "smtp.big.example")
	c.Provider, c.Help = "Big", "Make an app password first."
	outside(t, found(c), func(t *testing.T, p *page) {
		p.signIn(dana, "no")
		equal(t, "problem", p.Session.Problem.Code, api.CodeWrongPassword)
		equal(t, "help", p.Session.FoundWords().Do, c.Help)
		equal(t, "typed", p.Session.Email+" "+p.Session.Password, dana+" no")
		p.act(func() { p.Session.Password = "secret"; p.Session.Submit() })
		equal(t, "tried", hosts(p), "- pop.big.example pop.big.example")
		equal(t, "phase", p.Session.Phase, view.SignedIn)
	})
}

func certificate(host, reason string) *api.Certificate {
	return &api.Certificate{Protocol: api.POP3, Host: host, Reason: reason, Subject: "CN=" + host, Names: []string{"other.example"}, Issuer: "CN=Own",
		NotBefore: time.Date(1998, 1, 2, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(1999, 1, 2, 0, 0, 0, 0, time.UTC), Fingerprint: strings.Repeat("ab12", 16)}
}

func distrusted(c *api.Certificate) *api.Problem {
	return &api.Problem{Code: api.CodeCertificate, Detail: c.Host, Certificate: c}
}

func TestCertificateIsTrustedAtSignIn(t *testing.T) {
	setup := func(s *viewtest.Service) {
		found(candidate(api.OriginAutoconfig, "pop.example.org", "smtp.example.org"))(s)
		s.Trouble("pop.example.org", distrusted(certificate("pop.example.org", "expired")))
	}
	outside(t, setup, func(t *testing.T, p *page) {
		p.signIn(dana, "secret")
		if w := p.Trust.Words(); !strings.Contains(w.Means, "expired on") || !strings.Contains(w.Means, "1999") {
			t.Error(w)
		}
		equal(t, "Enter cancels", p.Browser.Focused, `[data-testid="certificate-cancel"]`)
		p.act(func() { p.Key(view.Key{Name: "Escape"}) })
		equal(t, "closed", p.Trust.Certificate == nil, true)
		equal(t, "signed out", p.Session.Phase, view.SignedOut)
		p.act(func() { p.Session.Submit() })
		p.act(func() { p.Trust.Believe() })
		equal(t, "phase", p.Session.Phase, view.SignedIn)
		equal(t, "pinned", p.Current().Servers.POP3.Pin, strings.Repeat("ab12", 16))
		equal(t, "the other is not", p.Current().Servers.SMTP.Pin, "")
	})
	outside(t, setup, func(t *testing.T, p *page) { // by hand, and then another server: its certificate is another one
		p.Do(func() {
			p.Session.ByHand()
			set(t, p.Session.Fields(), "setup-pop3-host", "pop.example.org")
			set(t, p.Session.Fields(), "setup-smtp-host", "smtp.example.org")
		})
		p.signIn(dana, "no")
		p.act(func() { p.Trust.Believe() })
		equal(t, "problem", p.Session.Problem.Code, api.CodeWrongPassword)
		p.signIn(dana, "no")
		equal(t, "kept", p.svc.SignIns()[2].Servers.POP3.Pin, strings.Repeat("ab12", 16))
		p.Do(func() { set(t, p.Session.Fields(), "setup-pop3-host", "mail.example.org") })
		p.signIn(dana, "secret")
		equal(t, "not for another", p.svc.SignIns()[3].Servers.POP3.Pin, "")
	})
}

func TestCertificateWords(t *testing.T) {
	outside(t, found(), func(t *testing.T, p *page) {
		p.Do(func() {
			for reason, want := range map[string]string{"expired": "expired on", "not-yet-valid": "valid only from", "wrong-host": "for other names: other.example", "self-signed": "vouches for itself",
				"unknown-authority": "Nobody known here", "invalid": "not a valid one", "something": "not a valid one", "pin-changed": "reading along in its name"} {
				c := certificate("pop.example.org", reason)
				if reason == "pin-changed" {
					c.Pinned = strings.Repeat("cd34", 16)
				}
				p.Trust.Look(alice, c)
				if w := p.Trust.Words(); !strings.Contains(w.Means, want) || !strings.Contains(w.Title, "pop.example.org") {
					t.Errorf("%s: %v", reason, w)
				}
				var all strings.Builder
				for _, f := range p.Trust.Facts() {
					all.WriteString(f.Name + ": " + f.Value + "\n")
				}
				for _, want := range []string{"Server: pop.example.org (POP3)", "Issued by: CN=Own", "For: CN=pop.example.org", "Names: other.example", "1998", "1999", "AB12 AB12"} {
					if !strings.Contains(all.String(), want) {
						t.Errorf("%s: no %q in %s", reason, want, all.String())
					}
				}
				equal(t, reason+": both fingerprints", strings.Contains(all.String(), "CD34 CD34"), reason == "pin-changed")
			}
		})
	})
}

func TestChangedCertificateNeedsASecondStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(nil)
		id := svc.SignedIn(dana, "Dana")
		svc.Change(func(st *api.Status) { st.Accounts[0].Servers = at("pop.example.org", "smtp.example.org") })
		run(t, svc, "/", func(t *testing.T, p *page) {
			c := certificate("pop.example.org", "pin-changed")
			p.act(func() { p.Trust.Look(id, c); p.Trust.Believe() })
			equal(t, "still asking", p.Trust.Certificate == c, true)
			p.act(func() { p.Trust.Sure = true; p.Trust.Believe() })
			equal(t, "pinned", p.Current().Servers.POP3.Pin, c.Fingerprint)
			p.act(func() { p.Trust.Look(id, c) })
			equal(t, "not sure of the next", p.Trust.Sure, false)
		})
	})
}

// An account that is here already has its settings: its sign-in asks nobody for servers, and pins by Trust.
func TestPasswordOfAKnownAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(map[string]string{dana: "secret"})
		id := svc.SignedIn(dana, "Dana")
		svc.Change(func(st *api.Status) {
			st.Accounts[0].Servers, st.Accounts[0].HasPassword = at("pop.example.org", "smtp.example.org"), false
		})
		svc.Trouble("pop.example.org", distrusted(certificate("pop.example.org", "self-signed")))
		run(t, svc, "/", func(t *testing.T, p *page) {
			equal(t, "banner", p.Banner().Problem.Code, api.CodePasswordNeeded)
			p.act(func() { p.Session.AddPassword(id) })
			equal(t, "no servers to say", p.Session.CanSetUp(), false)
			p.act(func() { p.Session.Password = "secret"; p.Session.Submit() })
			p.act(func() { p.Trust.Believe() })
			equal(t, "shown", p.Session.Shown(), false)
			equal(t, "pinned", p.Current().Servers.POP3.Pin, strings.Repeat("ab12", 16))
			equal(t, "tried", hosts(p), "- -")
		})
	})
}

// A gateway that does not reach a domain's servers says so, and manual settings stay possible.
func TestServersThatTheGatewayDoesNotReach(t *testing.T) {
	outside(t, func(s *viewtest.Service) {
		s.Announce("example.org", api.Discovery{Suggestion: at("pop.example.org", "smtp.example.org"), Problem: &api.Problem{Code: api.CodeTargetRefused}})
	}, func(t *testing.T, p *page) {
		p.signIn(dana, "secret")
		w := p.Session.ErrorWords()
		equal(t, "title", w.Title, "This gateway does not reach the servers of example.org")
		if !strings.Contains(w.Do, "--allow") {
			t.Error(w.Do)
		}
		equal(t, "by hand", p.Session.Manual, true)
	})
}

// The name is asked for where nobody else knows it.
func TestNameIsAskedForElsewhere(t *testing.T) {
	outside(t, found(candidate(api.OriginSRV, "pop.example.org", "smtp.example.org")), func(t *testing.T, p *page) {
		asked := func(email string) (there bool) {
			p.Do(func() {
				p.Session.Email = email
				for _, f := range p.Session.Fields()[0].Fields {
					there = there || f.ID == "setup-name"
				}
			})
			return there
		}
		for _, email := range []string{"", "dana", "alice@p", "alice@postern.te", alice} {
			equal(t, email, asked(email), false)
		}
		equal(t, dana, asked(dana), true)
		p.Do(func() { set(t, p.Session.Fields(), "setup-name", " Dana D. ") })
		p.signIn(dana, "secret")
		all := p.svc.SignIns()
		equal(t, "name", all[len(all)-1].Name, "Dana D.")
	})
}

// Trouble is said where somebody looks: by hand, at the end of the form.
func TestWhereTroubleIsSaid(t *testing.T) {
	outside(t, found(), func(t *testing.T, p *page) {
		p.signIn(dana, "secret")
		equal(t, "nothing was found: where one begins", p.Session.ErrorBelow(), false)
		down(p.svc, "pop.example.org")
		p.act(p.Session.Submit)
		equal(t, "code", p.Session.Problem.Code, api.CodeServerUnreachable)
		equal(t, "where one ended", p.Session.ErrorBelow(), true)
		p.svc.Trouble("pop.example.org", nil)
		p.Do(func() { p.Session.Password = "no" })
		p.act(p.Session.Submit)
		equal(t, "code", p.Session.Problem.Code, api.CodeWrongPassword)
		equal(t, "at the password", p.Session.ErrorBelow(), false)
	})
}
