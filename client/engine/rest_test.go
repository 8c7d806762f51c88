package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/tunnel"
)

func capped(octets int64) func(*api.Settings) {
	return func(s *api.Settings) { s.SizeCap = octets }
}

func long(subject string, lines int) []byte {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "line %d of %s\r\n", i, subject)
	}
	return letter(subject, b.String()+"the end of "+subject)
}

func TestLargeMessageComesInPart(t *testing.T) {
	d := &maildrop{}
	large := long("large", 2000)
	d.deliver(letter("small", "x"), large)
	inDrop(t, d, capped(10_000), func(t *testing.T, w *world, a api.AccountID) {
		// What was fetched at the sign-in had no cap yet.
		more := long("more", 3000)
		d.deliver(more)
		w.fetchNow(a)
		r := w.bySubject(a, "more")
		if !r.Partial || r.Size != int64(len(more)) || r.From.Addr == "" || !r.Unread {
			t.Fatalf("row %+v", r)
		}
		if d.count("RETR 3") != 0 {
			t.Error("fetched whole")
		}
		ref := api.MessageRef{Account: a, ID: r.ID}
		source, err := w.Source(t.Context(), ref)
		if err != nil || !strings.HasPrefix(string(more), string(source)) || strings.Count(string(source), "line ") != beginningLines {
			t.Errorf("%v: %d octets", err, len(source))
		}
		if m, err := w.Message(t.Context(), ref); err != nil || !m.Partial || !strings.Contains(m.Text, "line 39") || strings.Contains(m.Text, "line 40") {
			t.Errorf("%v: %q", err, m.Text)
		}
		found := func(word string) bool {
			p, err := w.List(t.Context(), api.ListQuery{Account: a, Folder: api.Inbox, Query: word, Limit: 5})
			return err == nil && p.Total == 1
		}
		if !found("subject:more") && !found("39 more") || found("end of more") {
			t.Error("a search finds what is here, and no more")
		}
		on := true
		if err := w.Mark(t.Context(), api.Mark{Account: a, IDs: []api.MessageID{r.ID}, Flagged: &on}); err != nil {
			t.Fatal(err)
		}

		if err := w.FetchRest(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		whole := w.bySubject(a, "more")
		if whole.Partial || whole.ID != r.ID || !whole.Flagged || whole.Size != int64(len(more)) {
			t.Errorf("row %+v", whole)
		}
		if source, err := w.Source(t.Context(), ref); err != nil || string(source) != string(more) {
			t.Errorf("%v: %d octets of %d", err, len(source), len(more))
		}
		if !found("end of more") {
			t.Error("the end is not found")
		}
		if err := w.FetchRest(t.Context(), ref); err != nil { // all of it is here
			t.Error(err)
		}
		w.fetchNow(a)
		wantHere(t, w, a, "small", "large", "more")
		if left := len(d.left()); left != 3 {
			t.Errorf("%d left on the server", left)
		}
	})
}

// A part that may be cut off is given to nobody as if it were whole.
func TestPartsOfAPartialMessage(t *testing.T) {
	d := &maildrop{}
	inDrop(t, d, capped(1000), func(t *testing.T, w *world, a api.AccountID) {
		d.deliver([]byte("From: <c@example.org>\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
			"--b\r\n\r\nthe text\r\n--b\r\nContent-Type: application/pdf; name=x.pdf\r\nContent-Disposition: attachment; filename=x.pdf\r\n\r\n" +
			strings.Repeat("octets of it\r\n", 300) + "--b--\r\n"))
		w.fetchNow(a)
		r := w.only(a, api.Inbox)
		ref := api.MessageRef{Account: a, ID: r.ID}
		m, err := w.Message(t.Context(), ref)
		if err != nil || !m.Partial || len(m.Parts) != 0 || !strings.Contains(m.Text, "the text") || r.Attachments != 1 {
			t.Errorf("%v: %+v", err, m)
		}
		if _, _, err := w.Attachment(t.Context(), api.PartRef{MessageRef: ref}); code(err) != api.CodeBadRequest {
			t.Errorf("Attachment: %v", err)
		}
		if _, err := w.Forwardable(t.Context(), ref); code(err) != api.CodeBadRequest {
			t.Errorf("Forwardable: %v", err)
		}
		if err := w.FetchRest(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if list, err := w.Forwardable(t.Context(), ref); err != nil || len(list) != 1 || list[0].Size != 300*14-2 {
			t.Errorf("Forwardable: %v, %+v", err, list)
		}
	})
}

// The rest is durable when FetchRest answers, whatever happens then.
func TestRestIsDurable(t *testing.T) {
	d := &maildrop{}
	inDrop(t, d, capped(1000), func(t *testing.T, w *world, a api.AccountID) {
		more := long("more", 300)
		d.deliver(more)
		w.fetchNow(a)
		if err := w.FetchRest(t.Context(), api.MessageRef{Account: a, ID: w.only(a, api.Inbox).ID}); err != nil {
			t.Fatal(err)
		}
		wantDurable(t, w, []dropped{{content: more}})
	})
}

func TestCapThatIsLiftedBringsTheRest(t *testing.T) {
	d := &maildrop{}
	inDrop(t, d, capped(1000), func(t *testing.T, w *world, a api.AccountID) {
		d.deliver(long("more", 300))
		w.fetchNow(a)
		if !w.only(a, api.Inbox).Partial {
			t.Fatal("not in part")
		}
		w.configure(a, capped(0))
		w.fetchNow(a)
		if r := w.only(a, api.Inbox); r.Partial || r.Size != int64(len(long("more", 300))) {
			t.Errorf("row %+v", r)
		}
	})
}

// What is here only in part is never removed from the server, whatever the policy and whatever becomes of it here.
func TestPartIsNeverRemovedFromTheServer(t *testing.T) {
	for _, policy := range []api.Leave{api.LeaveDays, api.LeaveUntilErased, api.LeaveNever} {
		for _, fate := range []string{"kept", "in Trash", "erased"} {
			t.Run(string(policy)+" "+fate, func(t *testing.T) {
				d := &maildrop{}
				inDropEvery(t, 12*time.Hour, d, func(s *api.Settings) { s.Leave, s.LeaveDays, s.SizeCap = policy, 1, 1000 },
					func(t *testing.T, w *world, a api.AccountID) {
						d.deliver(long("more", 300))
						w.fetchNow(a)
						id := w.only(a, api.Inbox).ID
						switch fate {
						case "in Trash":
							w.move(a, api.Trash, id)
						case "erased":
							w.erase(a, id)
						}
						w.fetchNow(a)
						time.Sleep(3 * 24 * time.Hour)
						synctest.Wait()
						wantLeft(t, d, "more")
						if d.count("DELE") != 0 {
							t.Error("DELE")
						}
						if fate == "erased" {
							return
						}
						if err := w.FetchRest(t.Context(), api.MessageRef{Account: a, ID: id}); err != nil {
							t.Fatal(err)
						}
						synctest.Wait()
						w.fetchNow(a)
						if policy != api.LeaveUntilErased || fate == "in Trash" {
							wantLeft(t, d)
						}
					})
			})
		}
	}
}

func TestCapWithoutTop(t *testing.T) {
	for _, noCapa := range []bool{false, true} {
		d := &maildrop{noTop: true, noCapa: noCapa}
		inDrop(t, d, capped(1000), func(t *testing.T, w *world, a api.AccountID) {
			d.deliver(letter("small", "x"), long("more", 300))
			w.fetchNow(a)
			wantHere(t, w, a, "small")
			if s := w.accountNow(a).Sync; s.State != api.SyncIdle || problemCode(s.Problem) != api.CodeTooLarge {
				t.Errorf("sync %+v", s)
			}
		})
	}
}

func TestHardLimitHoldsForTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t), &maildrop{}
		w.limits.Message = 5000
		w.start()
		defer w.halt()
		w.gateway.serve("pop3s", d)
		a := w.signIn(alice).ID
		w.configure(a, capped(1000))
		d.deliver(long("huge", 400), long("more", 70))
		w.fetchNow(a)
		if s := w.accountNow(a).Sync; problemCode(s.Problem) != api.CodeTooLarge {
			t.Errorf("sync %+v", s)
		}
		huge := w.bySubject(a, "huge")
		if !huge.Partial || !w.bySubject(a, "more").Partial {
			t.Fatal("not in part")
		}
		if err := w.FetchRest(t.Context(), api.MessageRef{Account: a, ID: huge.ID}); code(err) != api.CodeTooLarge {
			t.Errorf("FetchRest: %v", err)
		}
		if err := w.FetchRest(t.Context(), api.MessageRef{Account: a, ID: w.bySubject(a, "more").ID}); err != nil {
			t.Errorf("FetchRest: %v", err)
		}
	})
}

func TestRestThatCannotBeHad(t *testing.T) {
	for _, test := range []struct {
		name string
		fail func(w *world, d *maildrop)
		want api.Code
	}{
		{"offline", func(w *world, _ *maildrop) { w.gateway.set(tunnel.Offline) }, api.CodeGatewayOffline},
		{"gone", func(_ *world, d *maildrop) { d.messages = nil }, api.CodeNoSuchMessage},
		{"refused", func(_ *world, d *maildrop) { d.retr = func(int, []byte) []byte { return nil } }, api.CodeServerRefused},
		{"another message", func(_ *world, d *maildrop) { d.retr = func(int, []byte) []byte { return letter("other", "x") } }, api.CodeServerRefused},
		{"cut", func(_ *world, d *maildrop) { d.step = func(at string) bool { return at == "RETR half answered" } }, api.CodeServerClosed},
		{"device full", func(w *world, _ *maildrop) { w.fs.SetRoom(0) }, api.CodeStorageFull},
		{"wrong password", func(w *world, d *maildrop) { d.step = nil; w.gateway.serve("pop3s", says("-ERR [SYS/TEMP] later\r\n")) }, api.CodeServerRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &maildrop{}
			inDrop(t, d, capped(1000), func(t *testing.T, w *world, a api.AccountID) {
				d.deliver(long("more", 300))
				w.fetchNow(a)
				id := w.only(a, api.Inbox).ID
				test.fail(w, d)
				err := w.FetchRest(t.Context(), api.MessageRef{Account: a, ID: id})
				if code(err) != test.want {
					t.Errorf("%v, want %s", err, test.want)
				}
				if r := w.bySubject(a, "more"); !r.Partial || r.ID != id {
					t.Errorf("row %+v", r)
				}
			})
		})
	}
}

func TestRestEndsWithItsCallerAndWithTheEngine(t *testing.T) {
	d := &maildrop{}
	inDrop(t, d, capped(1000), func(t *testing.T, w *world, a api.AccountID) {
		d.deliver(long("more", 300))
		w.fetchNow(a)
		ref := api.MessageRef{Account: a, ID: w.only(a, api.Inbox).ID}
		w.gateway.serve("pop3s", silent{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.FetchRest(ctx, ref); err == nil {
			t.Error("no error")
		}
		done := make(chan error)
		go func() { done <- w.FetchRest(context.Background(), ref) }()
		synctest.Wait()
		w.stop()
		if err := <-done; err == nil {
			t.Error("no error")
		}
	})
}
