package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
)

func TestLoginDelayIsHonoured(t *testing.T) {
	const delay = 10 * time.Minute
	var logins []time.Time
	d := &maildrop{caps: []string{"LOGIN-DELAY 600"}, step: func(at string) bool {
		if at == "PASS heard" {
			logins = append(logins, time.Now())
		}
		return false
	}}
	inDrop(t, d, nil, func(t *testing.T, w *world, a api.AccountID) {
		d.deliver(letters("one")...)
		w.fetchNow(a) // though asked
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := w.accountNow(a).Sync; s.State != api.SyncIdle {
			t.Errorf("sync %+v", s)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		wantHere(t, w, a, "one")
		if len(logins) < 6 {
			t.Errorf("%d logins in an hour", len(logins))
		}
		for i := 1; i < len(logins); i++ {
			if gap := logins[i].Sub(logins[i-1]); gap < delay {
				t.Errorf("login %d came after %v", i, gap)
			}
		}
	})
}

func TestLoginThatCameTooSoon(t *testing.T) {
	attempts := 0
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice).ID
		w.gateway.serve("pop3s", refusing("-ERR [LOGIN-DELAY] not yet", &attempts))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if attempts < 3 || attempts > 11 {
			t.Errorf("%d attempts in ten minutes", attempts)
		}
		w.gateway.serve("pop3s", w.pop)
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if s := w.accountNow(a).Sync; s.State != api.SyncIdle {
			t.Errorf("sync %+v", s)
		}
	})
}

func TestServerThatExpiresMailIsSaid(t *testing.T) {
	for _, test := range []struct{ caps, want string }{
		{"EXPIRE 0", "as soon as it was fetched"},
		{"EXPIRE 1", "after a day"},
		{"EXPIRE 30", "after 30 days"},
		{"EXPIRE 60 USER", "after 60 days"},
		{"EXPIRE NEVER", ""},
		{"EXPIRE", ""},
		{"IMPLEMENTATION x", ""},
	} {
		d := &maildrop{caps: []string{test.caps}}
		d.deliver(letters("one")...)
		inDrop(t, d, nil, func(t *testing.T, w *world, a api.AccountID) {
			wantHere(t, w, a, "one")
			p := w.accountNow(a).Sync.Problem
			if test.want == "" && p != nil || test.want != "" && (problemCode(p) != api.CodeExpires || p.Detail != test.want) {
				t.Errorf("%s: %+v", test.caps, p)
			}
		})
	}
}
