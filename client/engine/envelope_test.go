package engine

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/client/api"
)

func (w *world) identities(id api.AccountID, list ...api.Identity) {
	a, err := w.account(id)
	if err != nil {
		w.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rec.Settings.Identities = list
}

func TestIdentityOfADraft(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.identities(a.ID, api.Identity{Name: "Alice", Addr: alice}, api.Identity{Name: "The Office", Addr: "office@example.org"})
		d, err := w.SaveDraft(t.Context(), api.Draft{Account: a.ID, To: to(bob), Subject: "s", Identity: "Office@example.org", Receipt: true})
		if err != nil {
			t.Fatal(err)
		}
		if r := w.only(a.ID, api.Drafts); r.From.Addr != "office@example.org" || r.From.Name != "The Office" {
			t.Errorf("in Drafts from %v", r.From)
		}
		if d, err = w.OpenDraft(t.Context(), api.MessageRef{Account: a.ID, ID: d.ID}); err != nil || d.Identity != "Office@example.org" || !d.Receipt {
			t.Errorf("draft %+v, %v", d, err)
		}
		w.send(d)
		w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		synctest.Wait()
		l := w.post.letters()
		if len(l) != 2 || l[0].from != "office@example.org" || !strings.Contains(l[0].content, "From: The Office <office@example.org>\r\n") ||
			!strings.Contains(messageID(l[0].content), "@example.org>") || l[1].from != alice {
			t.Errorf("sent %+v", l)
		}
		w.identities(a.ID, api.Identity{Addr: alice})
		if _, err := w.Send(t.Context(), api.Draft{Account: a.ID, To: to(bob), Identity: "office@example.org"}); code(err) != api.CodeBadRequest {
			t.Errorf("from an address that is no longer the account's: %v", err)
		}
	})
}

func TestReceiptOfDelivery(t *testing.T) {
	for _, test := range []struct {
		extensions []string
		wanted     bool
		mail, rcpt []string
		note       string
	}{
		{nil, false, nil, nil, ""},
		{[]string{"DSN"}, false, nil, nil, ""},
		{[]string{"DSN"}, true, []string{"RET=HDRS", "ENVID="}, []string{"NOTIFY=SUCCESS,FAILURE,DELAY"}, ""},
		{nil, true, nil, nil, noReceipt},
	} {
		t.Run(fmt.Sprint(test.extensions, test.wanted), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.post.extensions = test.extensions
				a := w.signIn(alice)
				id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s", Receipt: test.wanted})
				synctest.Wait()
				l := w.post.letters()
				if len(l) != 1 {
					t.Fatalf("%d sent", len(l))
				}
				for i, want := range [][]string{test.mail, test.rcpt} {
					for _, piece := range []string{"RET=", "ENVID=", "NOTIFY="} {
						if len(want) == 0 && strings.Contains(l[0].params[i], piece) {
							t.Errorf("%q in %q", piece, l[0].params[i])
						}
					}
					for _, piece := range want {
						if !strings.Contains(l[0].params[i], piece) {
							t.Errorf("no %q in %q", piece, l[0].params[i])
						}
					}
				}
				m := w.open(a.ID, id)
				if test.mail != nil && !strings.Contains(l[0].params[0], "ENVID="+strings.ReplaceAll(strings.Trim(m.MessageID, "<>"), "+", "+2B")) {
					t.Errorf("MAIL %q of %s", l[0].params[0], m.MessageID)
				}
				if m.Note != test.note || m.Problem != nil {
					t.Errorf("note %q, %v", m.Note, m.Problem)
				}
			})
		})
	}
}
