package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

const rightToken = "the token of the family"

// wantsToken has the gateway let in who presents the right token, as a Dialer does it.
func wantsToken(g *fakeGateway) {
	no := &wire.RefusedError{Reason: wire.BadToken, Detail: "wrong access token"}
	g.mu.Lock()
	g.answer = func(token string) {
		g.setTo(tunnel.Connecting, no)
		time.Sleep(time.Second)
		if token == rightToken {
			g.set(tunnel.Online)
			return
		}
		g.setTo(tunnel.Offline, no)
	}
	g.mu.Unlock()
	g.setTo(tunnel.Offline, no)
}

func TestAdmit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		wantsToken(w.gateway)
		synctest.Wait()
		problem := func() api.Code { t.Helper(); return problemCode(w.gatewayNow().Problem) }
		if problem() != api.CodeTokenNeeded {
			t.Errorf("it asks by %q", problem())
		}
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: bob, Password: bobPW}); code(err) != api.CodeTokenNeeded {
			t.Errorf("signing in: %v", err)
		}
		for _, token := range []string{"", " ", "two\nlines", string(make([]byte, 513))} {
			if err := w.Admit(t.Context(), token); code(err) != api.CodeBadRequest {
				t.Errorf("%q: %v", token, err)
			}
		}
		if err := w.Admit(t.Context(), "a wrong one"); code(err) != api.CodeWrongToken || problem() != api.CodeWrongToken {
			t.Errorf("a wrong one: %v, then %q", err, problem())
		}
		if w.vault.secrets[tokenSecret] != nil {
			t.Errorf("a wrong token is kept")
		}
		if err := w.Admit(t.Context(), " "+rightToken+"\n"); err != nil {
			t.Error(err)
			return
		}
		if g := w.gatewayNow(); g.State != api.Online || g.Problem != nil {
			t.Errorf("%+v", g)
		}
		if string(w.vault.secrets[tokenSecret]) != rightToken {
			t.Errorf("kept: %q", w.vault.secrets)
		}

		// After a restart it is presented without a question.
		w.halt()
		wantsToken(w.gateway)
		w.pop.Maildrop[alice].Deliver(letter("came meanwhile", "x"))
		w.start()
		synctest.Wait()
		if problem() != "" {
			t.Errorf("it asks again: %q", problem())
		}
		time.Sleep(5 * time.Second)
		if g := w.gatewayNow(); g.State != api.Online {
			t.Errorf("%+v", g)
		}
		for _, e := range w.seen.all() {
			if e.Gateway != nil && e.Gateway.Problem != nil && e.Gateway.Problem.Code == api.CodeTokenNeeded {
				t.Error("the page was told that a token is needed while the kept one was looked for")
			}
		}
		if err := w.SyncNow(t.Context(), a.ID); err != nil {
			t.Error(err)
		}

		// One that is taken back is asked for again, with other words.
		wantsToken(w.gateway)
		synctest.Wait()
		if problem() != api.CodeWrongToken {
			t.Errorf("taken back: %q", problem())
		}
	})
}

// What the session before the token's says is not about the token.
func TestAdmitDuringAnAttempt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		no := &wire.RefusedError{Reason: wire.BadToken}
		w.gateway.setTo(tunnel.Connecting, no)
		w.gateway.mu.Lock()
		w.gateway.answer = func(string) {
			time.Sleep(time.Second)
			w.gateway.setTo(tunnel.Offline, no) // the attempt that was under way
			time.Sleep(time.Second)
			w.gateway.setTo(tunnel.Connecting, no)
			time.Sleep(time.Second)
			w.gateway.set(tunnel.Online)
		}
		w.gateway.mu.Unlock()
		if err := w.Admit(t.Context(), rightToken); err != nil {
			t.Error(err)
		}
	})
}

func (w *world) gatewayNow() api.Gateway {
	w.t.Helper()
	s, err := w.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Gateway
}

// While a token is tried, the page is not told that it is wrong.
func TestNoHastyNo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		wantsToken(w.gateway)
		synctest.Wait()
		go func() { _ = w.Admit(t.Context(), rightToken) }()
		time.Sleep(500 * time.Millisecond) // half of what the gateway takes
		if p := problemCode(w.gatewayNow().Problem); p != api.CodeTokenNeeded {
			t.Errorf("told of %q", p)
		}
		time.Sleep(time.Minute)
		if g := w.gatewayNow(); g.State != api.Online {
			t.Errorf("%+v", g)
		}
	})
}
