package engine

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/tunnel"
)

// A story is a maildrop of n messages under one policy, from the first fetch to the end: fetched, then (until-deleted) half
// of them put into Trash and one in ten erased, or (days) a week passed. In the end nothing may be lost and nothing be
// there twice; and whatever a server is about to remove must be here, durably, at that moment.
type story struct {
	policy api.Leave
	n      int
}

var policies = []api.Leave{api.LeaveAlways, api.LeaveDays, api.LeaveUntilErased, api.LeaveNever}

// thousand is how many messages the long stories have.
func thousand() int {
	if underRace {
		return 120
	}
	return 1000
}

// few is how many messages the short ones have: a kind of each, in several batches.
func few() int {
	if underRace {
		return 8
	}
	return 16
}

// batch is how many messages become durable at once: each story has several.
func (s story) batch() int { return max(2, s.n/5) }

// mail is message i of a story: small, for what matters is their number.
func (s story) mail(i int) []byte { return letter(fmt.Sprint("m", i), strings.Repeat("x", i%7*10)) }

func (s story) trashed(i int) bool {
	return s.policy == api.LeaveUntilErased && i%2 == 0 && !s.erased(i)
}
func (s story) erased(i int) bool { return s.policy == api.LeaveUntilErased && i%10 == 0 }

// stays says whether message i is left on the server in the end.
func (s story) stays(i int) bool {
	return s.policy == api.LeaveAlways || s.policy == api.LeaveUntilErased && !s.trashed(i) && !s.erased(i)
}

// begin signs in and sets the policy, before anything goes wrong.
func (s story) begin(t *testing.T, w *world, d *maildrop) {
	w.gateway.serveAt("pop.example.org:110", d, nil) // in plain text: TLS would take half of the time of it all
	w.gateway.serveAt("smtp.example.org:587", w.post, nil)
	w.batch = s.batch()
	w.startEvery(1000 * time.Hour)
	a, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW, Keep: true, Servers: &api.Servers{
		POP3: api.Server{Host: "pop.example.org", Port: 110, Security: api.Plain},
		SMTP: api.Server{Host: "smtp.example.org", Port: 587, Security: api.Plain},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.configure(a.ID, leave(s.policy, 3))
	for i := range s.n {
		d.deliver(s.mail(i))
	}
	s.watch(t, w, d)
}

// watch checks at every UPDATE that nothing goes from the server that is not here.
func (s story) watch(t *testing.T, w *world, d *maildrop) {
	d.removing = func(gone []dropped) {
		var mine []dropped // the user's own erasures are no loss
		for _, m := range gone {
			if i := s.number(m.content); !s.erased(i) {
				mine = append(mine, m)
			}
		}
		wantDurable(t, w, mine)
	}
}

func (s story) number(content []byte) (i int) {
	fmt.Sscanf(subjectOf(string(content)), "m%d", &i)
	return i
}

// act plays what the user does. It can be played again: what is done stays done.
func (s story) act(t *testing.T, w *world) {
	id := accountID(alice)
	_ = w.SyncNow(t.Context(), id)
	w.settle(id)
	switch s.policy {
	case api.LeaveDays:
		time.Sleep(5 * 24 * time.Hour)
	case api.LeaveUntilErased:
		var bin, erase []api.MessageID
		for _, r := range w.everything(id) {
			var i int
			fmt.Sscanf(r.Subject, "m%d", &i)
			switch {
			case s.erased(i):
				erase = append(erase, r.ID)
			case s.trashed(i):
				bin = append(bin, r.ID)
			}
		}
		_ = w.Move(t.Context(), api.Move{Account: id, IDs: bin, To: api.Trash})
		_ = w.Erase(t.Context(), api.Erase{Account: id, IDs: erase})
	}
	_ = w.SyncNow(t.Context(), id)
	w.settle(id)
}

// settle lets the account recover from whatever befell it.
func (w *world) settle(id api.AccountID) {
	for range 20 {
		time.Sleep(time.Second) // a maildrop's pace
		synctest.Wait()
		s, err := w.Status(w.t.Context())
		if err != nil || w.gateway.State().Phase != tunnel.Online || len(s.Accounts) == 0 || s.Accounts[0].Sync.State == api.SyncIdle && s.Accounts[0].Sync.Problem == nil {
			return
		}
		time.Sleep(time.Minute)
		_ = w.SyncNow(w.t.Context(), id)
	}
}

// everything is what is in the inbox and in Trash.
func (w *world) everything(id api.AccountID) (rows []api.Row) {
	for _, f := range []api.FolderID{api.Inbox, api.Trash} {
		for offset := 0; ; offset += api.MaxListLimit {
			p, err := w.List(w.t.Context(), api.ListQuery{Account: id, Folder: f, Offset: offset, Limit: api.MaxListLimit})
			if err != nil || len(p.Rows) == 0 {
				break
			}
			rows = append(rows, p.Rows...)
		}
	}
	return rows
}

// check says whether everything ended well, and how many messages were lost, or are there twice or not removed.
func (s story) check(t *testing.T, w *world, d *maildrop) (lost, doubled int) {
	t.Helper()
	id := accountID(alice)
	a, err := w.mailbox(id)
	if err != nil {
		t.Error(err)
		return s.n, 0
	}
	here := make(map[[32]byte]int)
	for _, r := range w.everything(id) {
		content, err := a.box.Content(store.ID(r.ID))
		if err != nil {
			t.Errorf("%s: %v", r.Subject, err)
		}
		here[sumOf(content)]++
	}
	there := make(map[[32]byte]int)
	for _, c := range d.left() {
		there[sumOf(c)]++
	}
	for i := range s.n {
		sum := sumOf(s.mail(i))
		wantHere, wantThere := 1, 0
		if s.erased(i) {
			wantHere = 0
		}
		if s.stays(i) {
			wantThere = 1
		}
		if here[sum] < wantHere || there[sum] < wantThere {
			lost++
		}
		if here[sum] > wantHere || there[sum] > wantThere {
			doubled++
		}
	}
	if lost+doubled > 0 || len(here) > s.n {
		t.Errorf("%d lost, %d there twice or not removed", lost, doubled)
	}
	if now := w.accountNow(id).Sync; now.State != api.SyncIdle || now.Problem != nil {
		t.Errorf("sync %+v, problem %+v", now, now.Problem)
	}
	return lost, doubled
}
