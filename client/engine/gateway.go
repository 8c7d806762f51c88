package engine

import (
	"context"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// gateway is the state of the gateway as a page sees it.
func (e *Engine) gateway() api.Gateway {
	s := e.Gateway.State()
	g := api.Gateway{State: api.Offline}
	switch s.Phase {
	case tunnel.Online:
		g.State = api.Online
	case tunnel.Connecting:
		g.State = api.Connecting
	default:
		g.RetryAt = s.RetryAt
	}
	switch {
	case s.Err == nil || s.Phase == tunnel.Online:
	case e.awaitingToken(s.Err):
		g.State = api.Connecting
	default:
		g.Problem = e.noSession(s.Err)
	}
	e.mu.Lock()
	if s.Welcome != nil {
		e.welcome = s.Welcome
	}
	welcome := e.welcome
	e.mu.Unlock()
	if welcome == nil {
		return g
	}
	for _, s := range welcome.Servers() {
		g.Domains = append(g.Domains, s.Domains...)
		for _, d := range s.Demo {
			g.Demo = append(g.Demo, api.DemoAccount{Name: d.Name, Email: d.Email, Password: d.Password})
		}
	}
	return g
}

// followGateway tells pages of each change, and accounts when the gateway is back.
func (e *Engine) followGateway() (cancel func()) {
	away := false
	return e.Gateway.Subscribe(func(s tunnel.State) {
		e.events.emit(func() api.Event {
			g := e.gateway()
			return api.Event{Gateway: &g}
		})
		if s.Phase != tunnel.Online {
			away = true
			return
		}
		e.tellFiles()
		if away {
			for _, site := range e.allSites() {
				site.pool.drop() // their streams went with the session
			}
		}
		e.transfers.gatewayHere()
		for _, a := range e.all() {
			a.gatewayHere(away)
		}
		away = false
	})
}

func (e *Engine) online() bool { return e.Gateway.State().Phase == tunnel.Online }

// nudgeGateway tries the gateway now if it is waiting for its next attempt.
func (e *Engine) nudgeGateway() {
	if e.Gateway.State().Phase == tunnel.Offline {
		e.Gateway.Kick()
	}
}

// signInPatience is how long a sign-in waits for a session that is being made: longer than one attempt takes on a bad
// line, shorter than a person's.
const signInPatience = 10 * time.Second

// awaitGateway waits a little while for a session and answers what the gateway said of itself. An attempt that fails
// meanwhile is answer enough.
func (e *Engine) awaitGateway(ctx context.Context) (*wire.Welcome, error) {
	return e.awaitGatewayAfter(ctx, e.nudgeGateway)
}

// awaitGatewayAfter is awaitGateway after something that makes for an attempt: what was told before it does not count.
func (e *Engine) awaitGatewayAfter(ctx context.Context, attempt func()) (*wire.Welcome, error) {
	changed := make(chan tunnel.State, 8)
	defer e.Gateway.Subscribe(func(s tunnel.State) {
		select {
		case changed <- s:
		default:
		}
	})()
	s := e.Gateway.State()
	attempt()
	patience := e.Clock.After(signInPatience)
	for tried := false; ; {
		switch {
		case s.Phase == tunnel.Online && s.Welcome != nil:
			return s.Welcome, nil
		case s.Phase == tunnel.Connecting:
			tried = true
		case tried:
			return nil, e.noSession(s.Err)
		}
		select {
		case s = <-changed:
		case <-patience:
			return nil, e.noSession(e.Gateway.State().Err)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
