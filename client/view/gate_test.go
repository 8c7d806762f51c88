package view_test

import (
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
)

const gateToken = `[data-testid="gate-token"]`

// enter types a token and presents it.
func (p *page) enter(token string) {
	p.T.Helper()
	p.act(func() {
		p.Gate.Fields()[0].Set(token)
		p.Gate.Enter()
	})
}

// The token is the first step of signing in.
func TestGate(t *testing.T) {
	outside(t, func(s *viewtest.Service) { s.Ask("the token") }, func(t *testing.T, p *page) {
		equal(t, "asked", p.Gate.Asked(), true)
		equal(t, "words", p.Gate.Words().Title, "This gateway asks for an access token")
		equal(t, "focus", p.Browser.Focused, gateToken)
		p.enter("")
		equal(t, "nothing was asked", p.Gate.Problem == nil, true)
		p.enter("another")
		equal(t, "problem", p.Gate.Problem.Code, api.CodeWrongToken)
		equal(t, "words", p.Gate.Words().Title, "The access token was not accepted")
		equal(t, "field", p.Gate.Fields()[0].Wrong, true)
		equal(t, "typed", p.Gate.Token, "another")
		p.enter("the token")
		equal(t, "asked", p.Gate.Asked(), false)
		equal(t, "kept in the form", p.Gate.Token, "")
		equal(t, "focus", p.Browser.Focused, `[data-testid="signin-email"]`)
		p.signIn(alice, "secret")
		equal(t, "in", p.Session.Phase, view.SignedIn)
	})
}

// Above the mail it takes nobody's place, and no banner says it twice.
func TestGateAboveTheMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(nil)
		svc.SignedIn(alice, "Alice")
		svc.Add(inbox(3)...)
		run(t, svc, "/inbox", func(t *testing.T, p *page) {
			focused := p.Browser.Focused
			p.act(func() { go svc.Ask("the token") })
			equal(t, "asked", p.Gate.Asked(), true)
			equal(t, "focus", p.Browser.Focused, focused)
			equal(t, "mail is there to read", len(p.subjects(0, 3)), 3)
			p.enter("wrong")
			p.act(func() { go svc.Ask("") }) // the operator opens it
			equal(t, "asked", p.Gate.Asked(), false)
			equal(t, "typed", p.Gate.Token, "")
			equal(t, "problem", p.Gate.Problem == nil, true)
		})
	})
}

// Whatever keeps the gateway shut is said, and looking for settings does not hide it.
func TestShutGateways(t *testing.T) {
	for _, code := range []api.Code{api.CodeLoginNeeded, api.CodeLockedOut, api.CodeGatewayBusy, api.CodeGatewayRefused} {
		synctest.Test(t, func(t *testing.T) {
			svc := viewtest.NewService(nil)
			svc.SignedIn(alice, "Alice")
			svc.Change(func(st *api.Status) {
				st.Gateway.State, st.Gateway.Problem = api.Offline, &api.Problem{Code: code, Detail: "the reason"}
			})
			run(t, svc, "/inbox", func(t *testing.T, p *page) {
				equal(t, "asked", p.Gate.Asked(), false)
				b := p.Banner()
				if b == nil || b.Problem.Code != code {
					t.Fatalf("banner %+v", b)
				}
			})
		})
		outside(t, found(), func(t *testing.T, p *page) {
			p.svc.Fail("Discover", &api.Problem{Code: code})
			p.signIn(dana, "secret")
			equal(t, "by hand", p.Session.Manual, false)
			equal(t, "problem", p.Session.Problem.Code, code)
		})
	}
}
