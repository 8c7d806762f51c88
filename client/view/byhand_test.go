package view_test

import (
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
)

func TestNothingFoundIsSaidByHand(t *testing.T) {
	outside(t, found(), func(t *testing.T, p *page) {
		p.signIn(dana, "secret")
		equal(t, "by hand", p.Session.Manual, true)
		equal(t, "why", p.Session.ErrorWords().Title, "No settings were found for example.org")
		p.Do(func() {
			list := p.Session.Fields()
			equal(t, "begun", *field(t, list, "setup-pop3-host").Value, "pop.example.org")
			set(t, list, "setup-pop3-host", " Mail.Example.Org ")
			set(t, list, "setup-smtp-host", "")
			set(t, list, "setup-user", "dana1")
			set(t, list, "setup-name", "Dana D.")
		})
		p.act(func() { p.Session.Submit() })
		p.Do(func() {
			equal(t, "marked", field(t, p.Session.Fields(), "setup-smtp-host").Wrong, true)
			equal(t, "focus", p.Browser.Focused, `[data-testid="setup-smtp-host"]`)
			set(t, p.Session.Fields(), "setup-smtp-host", "mail.example.org")
		})
		equal(t, "tried", hosts(p), "-")
		p.act(func() { p.Session.Submit() })
		r := p.svc.SignIns()[1]
		equal(t, "name", r.Name, "Dana D.")
		want := at("mail.example.org", "mail.example.org")
		want.POP3.User, want.SMTP.User = "dana1", "dana1"
		equal(t, "servers", *r.Servers, want)
		equal(t, "phase", p.Session.Phase, view.SignedIn)
	})
}

func TestPortsFollowSecurityUnlessEdited(t *testing.T) {
	outside(t, found(), func(t *testing.T, p *page) {
		p.Do(func() {
			p.Session.ByHand()
			port := func(id string) string { return *field(t, p.Session.Fields(), id).Value }
			for _, c := range []struct{ security, pop3, smtp string }{{"starttls", "110", "587"}, {"plain", "110", "587"}, {"tls", "995", "465"}} {
				set(t, p.Session.Fields(), "setup-pop3-security", c.security)
				set(t, p.Session.Fields(), "setup-smtp-security", c.security)
				equal(t, c.security, port("setup-pop3-port")+" "+port("setup-smtp-port"), c.pop3+" "+c.smtp)
			}
			set(t, p.Session.Fields(), "setup-pop3-port", "1995")
			set(t, p.Session.Fields(), "setup-pop3-security", "starttls")
			equal(t, "edited", port("setup-pop3-port"), "1995")
		})
	})
}

func TestServersFormRefusesWhatCannotBe(t *testing.T) {
	for _, c := range []struct{ id, value string }{
		{"setup-pop3-host", ""}, {"setup-pop3-host", "https://example.org"}, {"setup-pop3-host", "a b"}, {"setup-smtp-host", "me@example.org"},
		{"setup-pop3-port", ""}, {"setup-pop3-port", "0"}, {"setup-pop3-port", "65536"}, {"setup-smtp-port", "-1"}, {"setup-smtp-port", "imap"},
	} {
		outside(t, found(), func(t *testing.T, p *page) {
			p.signIn(dana, "secret")
			p.Do(func() { set(t, p.Session.Fields(), c.id, c.value) })
			p.act(func() { p.Session.Submit() })
			p.Do(func() { equal(t, c.id+" "+c.value, field(t, p.Session.Fields(), c.id).Wrong, true) })
			equal(t, "tried", hosts(p), "-")
		})
	}
}

func TestByHandOffersWhatIsUsual(t *testing.T) {
	outside(t, found(), func(t *testing.T, p *page) {
		p.act(func() { p.Session.Email = dana; p.Session.ByHand() })
		p.Do(func() {
			equal(t, "not filled in", *field(t, p.Session.Fields(), "setup-smtp-host").Value, "")
			equal(t, "offered", p.Session.Offer(), "Use pop.example.org and smtp.example.org")
			p.Session.TakeOffer()
			equal(t, "taken", *field(t, p.Session.Fields(), "setup-smtp-host").Value, "smtp.example.org")
			equal(t, "once", p.Session.Offer(), "")
			p.Session.ByHand()
			equal(t, "back", p.Session.Manual, false)
		})
	})
	outside(t, found(), func(t *testing.T, p *page) { // who types is not typed over, nor bothered
		release := p.svc.Hold("Discover")
		p.act(func() { p.Session.Email = dana; p.Session.ByHand() })
		p.Do(func() { set(t, p.Session.Fields(), "setup-pop3-host", "x.example.org") })
		release()
		synctest.Wait()
		p.Do(func() {
			equal(t, "offered", p.Session.Offer(), "")
			p.Session.TakeOffer()
			equal(t, "kept", *field(t, p.Session.Fields(), "setup-pop3-host").Value, "x.example.org")
			equal(t, "kept", *field(t, p.Session.Fields(), "setup-smtp-host").Value, "")
		})
	})
	outside(t, found(), func(t *testing.T, p *page) { // the form is gone by then
		release := p.svc.Hold("Discover")
		p.act(func() { p.Session.Email = dana; p.Session.ByHand(); p.Session.ByHand() })
		release()
		synctest.Wait()
		p.Do(func() { equal(t, "offered", p.Session.Offer(), "") })
	})
	outside(t, found(), func(t *testing.T, p *page) { // it was about another address
		p.act(func() { p.Session.Email = dana; p.Session.ByHand() })
		p.Do(func() {
			p.Session.Email = "dana@example.net"
			equal(t, "offered", p.Session.Offer(), "")
			p.Session.TakeOffer()
			equal(t, "kept", *field(t, p.Session.Fields(), "setup-smtp-host").Value, "")
			p.Session.Email = " Dana@Example.Org"
			equal(t, "offered", p.Session.Offer(), "Use pop.example.org and smtp.example.org")
		})
	})
	outside(t, func(s *viewtest.Service) { // one server for both
		s.Announce("example.org", api.Discovery{Candidates: []api.Candidate{candidate(api.OriginSRV, "mail.example.org", "mail.example.org")}})
	}, func(t *testing.T, p *page) {
		p.act(func() { p.Session.Email = dana; p.Session.ByHand() })
		p.Do(func() { equal(t, "offered", p.Session.Offer(), "Use mail.example.org") })
	})
	outside(t, found(candidate(api.OriginSRV, "pop.example.org", "smtp.example.org")), func(t *testing.T, p *page) { // an answer that comes late changes nothing
		release := p.svc.Hold("Discover")
		p.signIn(dana, "secret")
		p.act(func() { p.Session.ByHand() })
		release()
		synctest.Wait()
		equal(t, "tried", hosts(p), "-")
		equal(t, "busy", p.Session.Busy, false)
	})
}

// No answer takes the place of what somebody said, whichever field it was.
func TestWhatWasSaidByHandStays(t *testing.T) {
	for _, c := range []struct{ id, value string }{
		{"setup-pop3-host", "mine.example.org"}, {"setup-smtp-host", "mine.example.org"}, {"setup-pop3-port", "1995"}, {"setup-smtp-security", "starttls"}, {"setup-user", "dana1"},
		{"setup-smtp-user", "dana2"}, {"setup-pop3-auth", "APOP"}, {"setup-smtp-auth", "LOGIN"},
	} {
		typed := func(p *page) {
			p.act(func() { p.Session.Email, p.Session.Password = dana, "no"; p.Session.ByHand() })
			p.Do(func() {
				press(t, p.Session.Fields(), "setup-more")
				set(t, p.Session.Fields(), c.id, c.value)
			})
		}
		is := func(p *page, when, value string) {
			t.Helper()
			p.Do(func() { equal(t, c.id+" "+when, *field(t, p.Session.Fields(), c.id).Value, value) })
		}
		outside(t, found(), func(t *testing.T, p *page) {
			typed(p)
			p.act(func() { p.Session.TakeOffer() })
			is(p, "before the offer", c.value)
			p.act(func() { p.Session.ByHand() })
			p.act(func() { p.Session.ByHand() })
			is(p, "when the form is shown again", c.value)
			p.act(func() { p.Session.ByHand() })
			p.act(func() { p.Session.Submit() })
			equal(t, "nothing was found", p.Session.Problem.Code, api.Code("not-found"))
			is(p, "when nothing was found", c.value)
		})
		outside(t, found(candidate(api.OriginSRV, "pop.example.org", "smtp.example.org")), func(t *testing.T, p *page) {
			typed(p)
			p.act(func() { p.Session.ByHand() })
			p.act(func() { p.Session.Submit() })
			equal(t, "found", p.Session.Found.Servers.POP3.Host, "pop.example.org")
			p.act(func() { p.Session.ByHand() })
			is(p, "when other servers were found", c.value)
		})
	}
	outside(t, found(), func(t *testing.T, p *page) { // it was said of another domain
		p.act(func() { p.Session.Email = "dana@example.net"; p.Session.ByHand() })
		p.act(func() { set(t, p.Session.Fields(), "setup-pop3-host", "pop.example.net"); p.Session.ByHand() })
		p.act(func() { p.Session.Email = dana; p.Session.ByHand() })
		p.Do(func() {
			equal(t, "host", *field(t, p.Session.Fields(), "setup-pop3-host").Value, "")
			equal(t, "offered", p.Session.Offer(), "Use pop.example.org and smtp.example.org")
		})
	})
	outside(t, found(), func(t *testing.T, p *page) { // the address was filled in last
		p.act(func() { p.Session.ByHand() })
		p.act(func() { set(t, p.Session.Fields(), "setup-pop3-host", "mine.example.org"); p.Session.Email = dana })
		p.act(func() { p.Session.ByHand() })
		p.act(func() { p.Session.ByHand() })
		p.Do(func() { equal(t, "host", *field(t, p.Session.Fields(), "setup-pop3-host").Value, "mine.example.org") })
	})
}
