package view

import (
	"context"

	"github.com/postern-mail/postern/client/api"
)

// Gate is the form that asks for the gateway's access token. It is there for as long as the gateway asks.
type Gate struct {
	Token   string
	Busy    bool
	Problem *api.Problem // of the token that was entered last

	app *App
}

// Asked says that the gateway lets nobody in without a token, or without another one.
func (g *Gate) Asked() bool {
	p := g.app.Gateway.Problem
	return g.app.Gateway.State != api.Online && p != nil && (p.Code == api.CodeTokenNeeded || p.Code == api.CodeWrongToken)
}

// ofGate says whether a problem is that the gateway lets somebody not in, whatever is asked of it.
func ofGate(c api.Code) bool {
	switch c {
	case api.CodeTokenNeeded, api.CodeWrongToken, api.CodeLoginNeeded, api.CodeLockedOut, api.CodeGatewayBusy:
		return true
	}
	return false
}

// Words say why the form is there, or what was wrong with what was entered.
func (g *Gate) Words() Words {
	p := &api.Problem{Code: api.CodeTokenNeeded}
	switch {
	case g.Problem != nil:
		p = g.Problem
	case g.app.Gateway.Problem != nil:
		p = g.app.Gateway.Problem
	}
	w := WordsFor(p)
	if p.Code == api.CodeTokenNeeded && g.app.Session.Phase == SignedIn {
		w.Means += " Mail that is here already can be read without."
	}
	return w
}

// Enter presents the token.
func (g *Gate) Enter() {
	if g.Busy || g.Token == "" {
		g.app.platform.Focus(gateField)
		return
	}
	g.Busy, g.Problem = true, nil
	token := g.Token
	g.app.ask(func(ctx context.Context, svc api.Service) error { return svc.Admit(ctx, token) }, func(p *api.Problem) {
		g.Busy, g.Problem = false, p
		if p != nil {
			g.app.Voice.Cry(WordsFor(p).Title)
			g.app.platform.Focus(gateField)
			return
		}
		g.Token = ""
		g.app.Voice.Say("The gateway is open")
		if g.app.Session.Shown() {
			g.app.platform.Focus(`[data-testid="signin-email"]`)
			return
		}
		g.app.List.focusCursor()
	})
}

// changed follows the gateway: a form that appears is where to type, but not in the middle of something else.
func (g *Gate) changed(was bool) {
	switch {
	case g.Asked() && !was && g.app.Session.Phase == SignedOut:
		g.app.platform.Focus(gateField)
	case !g.Asked() && !g.Busy:
		g.Token, g.Problem = "", nil
	}
}

const gateField = `[data-testid="gate-token"]`

// Fields are the form.
func (g *Gate) Fields() []Field {
	return []Field{{ID: "gate-token", Label: "Access token", Kind: PasswordField, Auto: "off", Value: &g.Token, Wrong: g.Problem != nil}}
}
