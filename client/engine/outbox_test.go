package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

func to(addrs ...string) (list []api.Address) {
	for _, a := range addrs {
		list = append(list, api.Address{Addr: a})
	}
	return list
}

func (w *world) send(d api.Draft) api.MessageID {
	w.t.Helper()
	id, err := w.Send(w.t.Context(), d)
	if err != nil {
		w.t.Fatalf("Send: %v", err)
	}
	return id
}

func TestSendGoesToSentAndMarksWhatItAnswers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver(letter("question", "?"))
		a := w.signIn(alice)
		question := w.only(a.ID, api.Inbox)
		id := w.send(api.Draft{Account: a.ID, To: to(bob), Cc: to("carol@example.org"), Bcc: to("dave@example.org", bob),
			Subject: "Re: question", Text: "answer", InReplyTo: "<question@example.org>", Answers: question.ID})
		synctest.Wait()
		letters := w.post.letters()
		if len(letters) != 1 {
			t.Fatalf("%d messages sent", len(letters))
		}
		l := letters[0]
		if l.from != alice || !slices.Equal(l.to, []string{bob, "carol@example.org", "dave@example.org"}) {
			t.Errorf("envelope %s → %v", l.from, l.to)
		}
		if strings.Contains(l.content, "dave") || !strings.Contains(l.content, "In-Reply-To: <question@example.org>") || !strings.Contains(l.content, "\nMessage-ID: <") && !strings.Contains(l.content, "\nMessage-Id: <") {
			t.Errorf("content:\n%s", l.content)
		}
		r := w.only(a.ID, api.Sent)
		if r.ID != id || r.State != api.StateSent || r.Problem != nil || r.Unread || r.Subject != "Re: question" {
			t.Errorf("in Sent: %+v", r)
		}
		source, err := w.Source(t.Context(), api.MessageRef{Account: a.ID, ID: id})
		if err != nil || string(source) != l.content {
			t.Errorf("the copy differs from what was sent (%v)", err)
		}
		if m, _ := w.Message(t.Context(), api.MessageRef{Account: a.ID, ID: id}); len(m.Bcc) != 2 {
			t.Errorf("the copy does not show Bcc: %v", m.Bcc)
		}
		if n := len(w.list(a.ID, api.Outbox)); n != 0 {
			t.Errorf("%d still in the outbox", n)
		}
		if !w.only(a.ID, api.Inbox).Answered {
			t.Error("the question is not marked as answered")
		}
		if s := fmt.Sprint(w.seen.states(id)); s != "[queued sending sent]" && s != "[sending sent]" {
			t.Errorf("states %s", s)
		}
	})
}

func TestSendWithoutTheGatewayWaits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.gateway.set(tunnel.Offline)
		for i := range 3 {
			w.send(api.Draft{Account: a.ID, To: to(bob), Subject: fmt.Sprint(i)})
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, r := range w.list(a.ID, api.Outbox) {
			if r.State != api.StateQueued || r.Problem != nil {
				t.Errorf("row %+v", r)
			}
		}
		w.gateway.set(tunnel.Online)
		synctest.Wait()
		if n := len(w.post.letters()); n != 3 {
			t.Fatalf("%d sent", n)
		}
		if w.gateway.streams(wire.Submissions) != 1 {
			t.Error("one session is enough for three messages")
		}
		for i, l := range w.post.letters() {
			if !strings.Contains(l.content, fmt.Sprintf("Subject: %d\r\n", i)) {
				t.Errorf("message %d out of turn", i)
			}
		}
	})
}

// What becomes of a message at each way in which a submission can end. Never is it lost, never sent twice by us.
func TestSubmissionFaults(t *testing.T) {
	for _, test := range []struct {
		step, how string
		state     api.OutboxState // after the first attempt
		code      api.Code
		taken     int // by the server in the end, the user doing nothing
	}{
		{"greeting", "cut", api.StateDeferred, api.CodeServerClosed, 1},
		{"greeting", "stall", api.StateDeferred, api.CodeServerTimeout, 1},
		{"greeting", "421 4.3.2 too busy", api.StateDeferred, api.CodeServerRefused, 1},
		{"greeting", "554 5.3.2 go away", api.StateDeferred, api.CodeServerRefused, 1},
		{"greeting", "+OK POP3 here", api.StateDeferred, api.CodeServerProtocol, 1},
		{"EHLO", "cut", api.StateDeferred, api.CodeServerClosed, 1},
		{"AUTH", "cut", api.StateDeferred, api.CodeServerClosed, 1},
		{"AUTH", "454 4.7.0 no memory of anybody", api.StateDeferred, api.CodeServerRefused, 1},
		{"AUTH", "535 5.7.8 not you", api.StateQueued, api.CodeWrongPassword, 0},
		{"MAIL", "cut", api.StateDeferred, api.CodeServerClosed, 1},
		{"MAIL", "451 4.3.0 not now", api.StateDeferred, api.CodeMessageRefused, 1},
		{"MAIL", "552 5.3.4 too big", api.StateFailed, api.CodeTooLarge, 0},
		{"RCPT", "cut", api.StateDeferred, api.CodeServerClosed, 1},
		{"RCPT", "550 5.1.1 nobody", api.StateFailed, api.CodeRecipientRefused, 0},
		{"RCPT", "450 4.7.1 greylisted", api.StateDeferred, api.CodeRecipientRefused, 1},
		{"DATA", "cut", api.StateDeferred, api.CodeServerClosed, 1},
		{"DATA", "554 5.7.0 no", api.StateFailed, api.CodeMessageRefused, 0},
		{"content", "cut", api.StateDeferred, api.CodeServerClosed, 1},
		{"dot", "cut", api.StateUnknown, api.CodeServerClosed, 0},
		{"dot", "stall", api.StateUnknown, "", 0},
		{"dot", "451 4.3.0 disk", api.StateDeferred, api.CodeMessageRefused, 1},
		{"dot", "554 5.7.1 spam", api.StateFailed, api.CodeMessageRefused, 0},
		{"answer", "cut", api.StateUnknown, api.CodeServerClosed, 1},
		{"answer", "stall", api.StateUnknown, "", 1},
	} {
		t.Run(test.step+" "+test.how, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.signIn(alice)
				w.post.failOnce(test.step, test.how)
				// Long enough that a cut in its middle is one before its end.
				id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s", Text: strings.Repeat("A line of the text.\n", 20_000)})
				synctest.Wait()
				if test.how == "stall" {
					time.Sleep(20 * time.Second)
					if r := w.row(a.ID, id); test.step != "greeting" && r.State != api.StateSending {
						t.Errorf("meanwhile %+v", r)
					}
					for range 60 { // until the client gives up
						if w.row(a.ID, id).State != api.StateSending && w.row(a.ID, id).State != api.StateQueued {
							break
						}
						time.Sleep(10 * time.Second)
						synctest.Wait()
					}
				}
				r := w.row(a.ID, id)
				if r.Folder != api.Outbox || r.State != test.state || test.code != "" && problemCode(r.Problem) != test.code {
					t.Fatalf("after the attempt: %s, %s, %v", r.Folder, r.State, r.Problem)
				}
				if (r.State == api.StateDeferred) != !r.RetryAt.IsZero() {
					t.Errorf("state %s, RetryAt %v", r.State, r.RetryAt)
				}
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				if n := len(w.post.letters()); n != test.taken {
					t.Errorf("the server has taken it %d times, want %d", n, test.taken)
				}
				if r = w.row(a.ID, id); test.state == api.StateDeferred && (r.Folder != api.Sent || r.State != api.StateSent) {
					t.Errorf("in the end: %+v", r)
				}
				if test.state != api.StateDeferred { // it stays until the user says so
					if r.State != test.state {
						t.Errorf("in the end: %+v", r)
					}
					if err := w.Retry(t.Context(), api.MessageRef{Account: a.ID, ID: id}); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					if r = w.row(a.ID, id); r.State != api.StateSent || len(w.post.letters()) != test.taken+1 {
						t.Errorf("after Retry: %+v", r)
					}
				}
				ids := make(map[string]bool)
				for _, l := range w.post.letters() {
					ids[messageID(l.content)] = true
				}
				if len(ids) != 1 {
					t.Errorf("attempts with different Message-IDs: %v", ids)
				}
			})
		})
	}
}

func messageID(content string) string {
	_, rest, _ := strings.Cut(strings.ToLower(content), "message-id: ")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}

// row finds a message of the outbox or of Sent.
func (w *world) row(account api.AccountID, id api.MessageID) api.Row {
	w.t.Helper()
	for _, f := range []api.FolderID{api.Outbox, api.Sent} {
		for _, r := range w.list(account, f) {
			if r.ID == id {
				return r
			}
		}
	}
	w.t.Fatalf("message %d is lost", id)
	return api.Row{}
}

func TestRetriesGrowRarer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.failAt(func(step, _ string) string {
			if step == "MAIL" {
				return "451 4.3.0 not now"
			}
			return ""
		})
		id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		for i, pause := range append(retryPauses, 30*time.Minute, 30*time.Minute) {
			synctest.Wait()
			r := w.row(a.ID, id)
			if got := time.Until(r.RetryAt); r.State != api.StateDeferred || got != pause {
				t.Fatalf("attempt %d: %s, again in %v, want %v", i+1, r.State, got, pause)
			}
			time.Sleep(pause)
		}
	})
}

func TestPartialRefusalIsReportedInSent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.failAt(func(step, arg string) string {
			if step == "RCPT" && arg == "nobody@example.org" {
				return "550 5.1.1 no such person"
			}
			return ""
		})
		w.send(api.Draft{Account: a.ID, To: to(bob, "nobody@example.org"), Subject: "s"})
		synctest.Wait()
		r := w.only(a.ID, api.Sent)
		if problemCode(r.Problem) != api.CodeRecipientRefused || !strings.Contains(r.Problem.Detail, "nobody@example.org") || !strings.Contains(r.Problem.Detail, "no such person") {
			t.Errorf("problem %v", r.Problem)
		}
		if l := w.post.letters(); len(l) != 1 || !slices.Equal(l[0].to, []string{bob}) {
			t.Errorf("sent %v", l)
		}
	})
}

func TestUnsendAndSendAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.gateway.set(tunnel.Offline)
		d := api.Draft{Account: a.ID, To: to(bob), Bcc: to("dave@example.org"), Subject: "s", Text: "first"}
		id := w.send(d)
		ref := api.MessageRef{Account: a.ID, ID: id}
		if err := w.Unsend(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if r := w.only(a.ID, api.Drafts); r.ID != id || r.State != api.StateDraft || r.Subject != "s" {
			t.Errorf("in Drafts: %+v", r)
		}
		if err := w.Unsend(t.Context(), ref); code(err) != api.CodeNoSuchMessage {
			t.Errorf("again: %v", err)
		}
		d, err := w.OpenDraft(t.Context(), ref)
		if err != nil || d.Text != "first" || len(d.Bcc) != 1 || d.ID != id {
			t.Fatalf("draft %+v, %v", d, err)
		}
		d.Text = "second"
		id = w.send(d)
		if len(w.list(a.ID, api.Drafts)) != 0 || len(w.list(a.ID, api.Outbox)) != 1 {
			t.Error("the draft is not where it belongs")
		}
		if _, err := w.Send(t.Context(), d); code(err) != api.CodeNoSuchMessage {
			t.Errorf("the same draft sent twice: %v", err)
		}
		// opening a queued message takes it out of the queue
		d, err = w.OpenDraft(t.Context(), api.MessageRef{Account: a.ID, ID: id})
		if err != nil || d.Text != "second" || len(w.list(a.ID, api.Outbox)) != 0 {
			t.Fatalf("draft %+v, %v", d, err)
		}
		w.send(d)
		w.gateway.set(tunnel.Online)
		synctest.Wait()
		if l := w.post.letters(); len(l) != 1 || !strings.Contains(l[0].content, "second") {
			t.Errorf("sent %v", l)
		}
	})
}

func TestMessageOnTheWireStaysWhereItIs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.failOnce("DATA", "stall")
		id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		synctest.Wait()
		ref := api.MessageRef{Account: a.ID, ID: id}
		ids := []api.MessageID{id}
		for name, err := range map[string]error{
			"Unsend": w.Unsend(t.Context(), ref),
			"Retry":  w.Retry(t.Context(), ref),
			"Move":   w.Move(t.Context(), api.Move{Account: a.ID, IDs: ids, To: api.Trash}),
			"Erase":  w.Erase(t.Context(), api.Erase{Account: a.ID, IDs: ids}),
		} {
			if code(err) != api.CodeBadRequest {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestQueuedMessageInTrashIsNotSent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.gateway.set(tunnel.Offline)
		id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		move := func(f api.FolderID) {
			t.Helper()
			if err := w.Move(t.Context(), api.Move{Account: a.ID, IDs: []api.MessageID{id}, To: f}); err != nil {
				t.Fatal(err)
			}
		}
		move(api.Trash)
		w.gateway.set(tunnel.Online)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(w.post.letters()) != 0 {
			t.Fatal("sent from the trash")
		}
		move(api.Outbox)
		synctest.Wait()
		if len(w.post.letters()) != 1 {
			t.Error("not sent after it was put back")
		}
	})
}

func TestQueueWaitsForThePassword(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		if err := w.SignOut(t.Context(), api.SignOut{Account: a.ID}); err != nil {
			t.Fatal(err)
		}
		id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		synctest.Wait()
		if r := w.row(a.ID, id); r.State != api.StateQueued || problemCode(r.Problem) != api.CodePasswordNeeded {
			t.Errorf("row %+v", r)
		}
		w.signIn(alice)
		if r := w.row(a.ID, id); r.State != api.StateSent || r.Problem != nil {
			t.Errorf("row %+v", r)
		}
	})
}

// A submission server that refuses the password does not keep mail from being fetched.
func TestSubmissionRefusesThePasswordAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.failAt(func(step, _ string) string {
			if step == "AUTH" {
				return "535 5.7.8 no"
			}
			return ""
		})
		id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
		synctest.Wait()
		if r := w.row(a.ID, id); r.State != api.StateQueued || problemCode(r.Problem) != api.CodeWrongPassword || r.Problem.Detail != alice {
			t.Errorf("row %+v", r)
		}
		w.pop.Maildrop[alice].Deliver(letter("x", "y"))
		time.Sleep(defaultPoll)
		synctest.Wait()
		w.only(a.ID, api.Inbox)
		if n := w.gateway.streams(wire.Submissions); n != 1 {
			t.Errorf("the password was tried %d times", n)
		}
	})
}

func TestGatewayLostWhileSending(t *testing.T) {
	for _, test := range []struct {
		step string
		want api.OutboxState
	}{{"greeting", api.StateQueued}, {"DATA", api.StateQueued}, {"dot", api.StateUnknown}} {
		t.Run(test.step, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.signIn(alice)
				w.post.failOnce(test.step, "stall")
				id := w.send(api.Draft{Account: a.ID, To: to(bob), Subject: "s"})
				synctest.Wait()
				w.gateway.set(tunnel.Offline)
				synctest.Wait()
				if r := w.row(a.ID, id); r.State != test.want {
					t.Fatalf("row %+v", r)
				}
				w.gateway.set(tunnel.Online)
				time.Sleep(time.Hour)
				synctest.Wait()
				want := 1
				if test.want == api.StateUnknown {
					want = 0
				}
				if n := len(w.post.letters()); n != want {
					t.Errorf("sent %d times, want %d", n, want)
				}
			})
		})
	}
}

func TestBadDraftsAreNotQueued(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		for name, test := range map[string]struct {
			d    api.Draft
			want api.Code
		}{
			"no recipient":    {api.Draft{Subject: "s"}, api.CodeBadRequest},
			"no address":      {api.Draft{To: to("bob")}, api.CodeBadRequest},
			"a line break":    {api.Draft{To: to("bob@x.org>\r\nRCPT TO:<eve@x.org")}, api.CodeBadRequest},
			"no such blob":    {api.Draft{To: to(bob), Attachments: []api.DraftAttachment{{Blob: "00", Name: "x"}}}, api.CodeNoSuchMessage},
			"no such draft":   {api.Draft{ID: 99, To: to(bob)}, api.CodeNoSuchMessage},
			"no such account": {api.Draft{Account: "x", To: to(bob)}, api.CodeBadRequest},
		} {
			if test.d.Account == "" {
				test.d.Account = a.ID
			}
			if _, err := w.Send(t.Context(), test.d); code(err) != test.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := len(w.list(a.ID, api.Outbox)); n != 0 {
			t.Errorf("%d queued", n)
		}
	})
}
