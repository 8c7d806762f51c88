package engine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// A refusal does not cost the session: what comes after goes over the same.
func TestSessionOutlivesRefusals(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.gateway.set(tunnel.Offline)
		var ids []api.MessageID
		for i := range 4 {
			ids = append(ids, w.send(api.Draft{Account: a.ID, To: to(fmt.Sprintf("r%d@example.org", i)), Subject: fmt.Sprint(i)}))
		}
		w.post.failAt(func(step, arg string) string {
			switch {
			case step == "RCPT" && arg == "r0@example.org":
				return "550 5.1.1 nobody"
			case step == "dot" && len(w.post.taken) == 1: // its lock is held
				return "554 5.7.1 spam"
			}
			return ""
		})
		w.gateway.set(tunnel.Online)
		synctest.Wait()
		var states []string
		for _, id := range ids {
			states = append(states, string(w.row(a.ID, id).State))
		}
		if n := w.gateway.streams(wire.Submissions); n != 1 || states[0] != "failed" || states[1] != "sent" {
			t.Errorf("%d sessions, %v", n, states)
		}
		p := w.transcript(api.WireQuery{Account: a.ID, Session: w.row(a.ID, ids[0]).Problem.Session})
		wantOrder(t, p.Lines, "RCPT TO:<r0@example.org>", "550 5.1.1 nobody", "RCPT TO:<r1@example.org>", "Failed: ")
	})
}

// A server that ends the session after each message, with a word or without, gets the next at once over a new one.
func TestSessionThatEndsBetweenMessages(t *testing.T) {
	for _, how := range []string{"421 4.7.0 one message a session", "cut"} {
		t.Run(how, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.signIn(alice)
				w.gateway.set(tunnel.Offline)
				for i := range 3 {
					w.send(api.Draft{Account: a.ID, To: to(bob), Subject: fmt.Sprint(i)})
				}
				mails := 0
				w.post.failAt(func(step, _ string) string {
					switch step {
					case "greeting":
						mails = 0
					case "MAIL":
						if mails++; mails > 1 {
							return how
						}
					}
					return ""
				})
				began := time.Now()
				w.gateway.set(tunnel.Online)
				synctest.Wait()
				if n := len(w.list(a.ID, api.Sent)); n != 3 || len(w.post.letters()) != 3 || time.Since(began) > 0 {
					t.Errorf("%d in Sent, %d taken after %v", n, len(w.post.letters()), time.Since(began))
				}
			})
		})
	}
}

// What was put off because the server was not to be reached is tried when the gateway is back, or the user asks; what
// the server put off waits.
func TestReturnOfTheNetworkHurries(t *testing.T) {
	for _, test := range []struct {
		name  string
		how   string
		again func(w *world)
		sent  bool
	}{
		{"cut, gateway back", "cut", func(w *world) { w.gateway.set(tunnel.Offline); synctest.Wait(); w.gateway.set(tunnel.Online) }, true},
		{"cut, asked", "cut", func(w *world) { _ = w.SyncNow(w.t.Context(), "") }, true},
		{"refused, gateway back", "451 4.3.0 not now", func(w *world) { w.gateway.set(tunnel.Offline); synctest.Wait(); w.gateway.set(tunnel.Online) }, false},
		{"refused, asked", "451 4.3.0 not now", func(w *world) { _ = w.SyncNow(w.t.Context(), "") }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.signIn(alice)
				w.post.failOnce("MAIL", test.how)
				id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
				synctest.Wait()
				if r := w.row(a.ID, id); r.State != api.StateDeferred {
					t.Fatalf("row %+v", r)
				}
				test.again(w)
				synctest.Wait()
				if r := w.row(a.ID, id); (r.State == api.StateSent) != test.sent {
					t.Errorf("row %+v", r)
				}
				time.Sleep(retryPauses[0])
				synctest.Wait()
				if r := w.row(a.ID, id); r.State != api.StateSent || len(w.post.letters()) != 1 {
					t.Errorf("in the end %+v", r)
				}
			})
		})
	}
}
