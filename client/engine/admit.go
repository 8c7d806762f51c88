package engine

import (
	"context"
	"errors"
	"strings"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

const (
	tokenSecret = "gateway/token" // the access token's name in the vault: under no passphrase, for nothing can be fetched to unlock without it
	maxToken    = 512             // octets, as much as a Hello takes
)

// presentToken gives the gateway the token that it took before. Until it has answered nobody is told that it asks for one.
func (e *Engine) presentToken(ctx context.Context) {
	var kept []byte
	if e.Vault != nil {
		var err error
		if kept, err = e.Vault.Get(ctx, tokenSecret); err != nil && ctx.Err() == nil {
			e.Logf("the access token: %v", err)
		}
	}
	e.mu.Lock()
	present := len(kept) > 0 && e.token == ""
	if present {
		e.token = string(kept)
	}
	e.mu.Unlock()
	if present {
		_ = e.present(ctx, string(kept)) // the gateway's state says how it went
	}
	e.mu.Lock()
	e.tokenRead, e.tokenShut = true, e.token != "" // when it is asked for again, that one is the wrong one
	e.mu.Unlock()
	e.announceGateway()
}

// present gives the gateway a token, and answers what comes of it.
func (e *Engine) present(ctx context.Context, token string) error {
	before := e.Gateway.State()
	_, err := e.awaitGatewayAfter(ctx, func() { e.Gateway.Present(token) })
	if before.Phase == tunnel.Connecting && asks(err) {
		_, err = e.awaitGateway(ctx) // that was about the one before
	}
	if asks(err) {
		p := *problemOf(err)
		p.Code, err = api.CodeWrongToken, &p
		e.mu.Lock()
		e.tokenShut = true
		e.mu.Unlock()
		e.announceGateway()
	}
	return err
}

// asks says whether an error is that the gateway asks for a token, or for another one.
func asks(err error) bool {
	p := problemOf(err)
	return p != nil && (p.Code == api.CodeTokenNeeded || p.Code == api.CodeWrongToken)
}

func (e *Engine) announceGateway() {
	e.events.emit(func() api.Event {
		g := e.gateway()
		return api.Event{Gateway: &g}
	})
}

// Admit tries a token, and keeps it when the gateway has taken it.
func (e *Engine) Admit(ctx context.Context, token string) error {
	token = strings.TrimSpace(token)
	if token == "" || len(token) > maxToken || !printableLine(token) {
		return badSetting("an access token is one line of characters")
	}
	e.mu.Lock()
	e.token, e.tokenRead, e.tokenShut = token, true, false
	e.mu.Unlock()
	if err := e.present(ctx, token); err != nil {
		return problemOf(err)
	}
	e.mu.Lock()
	e.tokenShut = true // when it is asked for again, this one is the wrong one
	e.mu.Unlock()
	if e.Vault != nil {
		if err := e.Vault.Put(ctx, tokenSecret, []byte(token)); err != nil {
			e.Logf("keeping the access token: %v", err) // it is asked for again the next time
		}
	}
	return nil
}

// noSession is why there is no session with the gateway.
func (e *Engine) noSession(err error) *api.Problem {
	p := gatewayProblem(err)
	e.mu.Lock()
	shut := e.tokenShut
	e.mu.Unlock()
	if p.Code == api.CodeTokenNeeded && shut {
		p.Code = api.CodeWrongToken
	}
	return p
}

// awaitingToken says that the gateway asks for a token, and that the one that is kept has not been tried yet.
func (e *Engine) awaitingToken(err error) bool {
	var refused *wire.RefusedError
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.tokenRead && errors.As(err, &refused) && refused.Reason == wire.BadToken
}
