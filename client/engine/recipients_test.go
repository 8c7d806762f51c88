package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/tunnel"
)

const (
	carol = "carol@example.org"
	dave  = "dave@example.org"
)

// answerRecipients makes the server answer RCPT by address; "" takes it.
func (p *postOffice) answerRecipients(answers map[string]string) {
	p.failAt(func(step, arg string) string {
		if step == "RCPT" {
			return answers[arg]
		}
		return ""
	})
}

func (w *world) open(account api.AccountID, id api.MessageID) api.Message {
	w.t.Helper()
	m, err := w.Message(w.t.Context(), api.MessageRef{Account: account, ID: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// outcome is who fared how, in a line.
func outcome(list []api.Recipient) string {
	var parts []string
	for _, r := range list {
		s := r.Addr[:strings.IndexByte(r.Addr, '@')] + " " + string(r.State)
		if r.Problem != nil {
			s += " (" + r.Problem.Detail + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// envelopes are the recipients of each message that the server took.
func (p *postOffice) envelopes() (list []string) {
	for _, l := range p.letters() {
		list = append(list, strings.Join(l.to, " "))
	}
	return list
}

// Who is put off is tried again, alone; who is served never again; in the end the message says who was refused. A restart
// in the middle changes nothing.
func TestRecipientsFareApart(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.signIn(alice)
				w.post.answerRecipients(map[string]string{carol: "450 4.7.1 greylisted", dave: "550 5.1.1 no such person"})
				id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Bcc: to(dave), Subject: "s"})
				synctest.Wait()
				m := w.open(a.ID, id)
				if m.State != api.StateDeferred || m.Folder != api.Outbox || m.Problem == nil || m.Problem.Code != api.CodeRecipientRefused ||
					outcome(m.Recipients) != "carol deferred (greylisted), dave failed (no such person), bob sent" &&
						outcome(m.Recipients) != "bob sent, carol deferred (greylisted), dave failed (no such person)" {
					t.Fatalf("after the first attempt: %s, %v, %s", m.State, m.Problem, outcome(m.Recipients))
				}
				for _, r := range m.Recipients {
					if r.State == api.StateFailed && (r.Problem.Means == "" || r.Problem.Session != m.Session || r.Problem.Code != api.CodeRecipientRefused) {
						t.Errorf("the problem of %s: %+v", r.Addr, *r.Problem)
					}
				}
				if restart {
					w.halt()
					w.start()
				}
				time.Sleep(retryPauses[0])
				synctest.Wait()
				if got := w.post.envelopes(); !slices.Equal(got, []string{bob}) {
					t.Fatalf("while carol is still put off: %q", got)
				}
				w.post.failAt(nil)
				time.Sleep(time.Hour)
				synctest.Wait()
				if got := w.post.envelopes(); !slices.Equal(got, []string{bob, carol}) {
					t.Errorf("envelopes %q", got)
				}
				m = w.open(a.ID, id)
				if m.Folder != api.Sent || m.State != api.StateSent || m.Problem == nil || m.Problem.Detail != dave+" (no such person)" ||
					!strings.Contains(outcome(m.Recipients), "dave failed (no such person)") || strings.Count(outcome(m.Recipients), " sent") != 2 {
					t.Errorf("in the end: %s, %v, %s", m.State, m.Problem, outcome(m.Recipients))
				}
				if l := w.post.letters(); messageID(l[0].content) != messageID(l[1].content) {
					t.Error("they got different messages")
				}
			})
		})
	}
}

func TestRecipientsOfASimpleMessage(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.gateway.set(tunnel.Offline)
		id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Subject: "s"})
		if got := outcome(w.open(a.ID, id).Recipients); got != "bob queued, carol queued" {
			t.Errorf("before: %s", got)
		}
		w.gateway.set(tunnel.Online)
		synctest.Wait()
		m := w.open(a.ID, id)
		if got := outcome(m.Recipients); got != "bob sent, carol sent" || m.Problem != nil || m.Note != "" {
			t.Errorf("after: %s, %v", got, m.Problem)
		}
		if m.Session == 0 || len(w.transcript(api.WireQuery{Account: a.ID, Session: m.Session}).Lines) == 0 {
			t.Errorf("the row links to session %d, of which nothing is known", m.Session)
		}
	})
}

// A server that takes so many recipients at once is given the others at once.
func TestTooManyRecipientsForOneTransaction(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		n := 0
		w.post.failAt(func(step, _ string) string {
			switch step {
			case "MAIL":
				n = 0
			case "RCPT":
				if n++; n > 10 {
					return "452 4.5.3 too many recipients"
				}
			}
			return ""
		})
		var all []string
		for i := range 25 {
			all = append(all, fmt.Sprintf("r%d@example.org", i))
		}
		began := time.Now()
		id := w.send(api.Draft{Account: a.ID, To: to(all...), Subject: "s"})
		synctest.Wait()
		var got []string
		for _, l := range w.post.letters() {
			got = append(got, l.to...)
		}
		if m := w.open(a.ID, id); !slices.Equal(got, all) || m.State != api.StateSent || m.Problem != nil || time.Since(began) > 0 {
			t.Errorf("after %v: %s, %v, in %d messages: %v", time.Since(began), m.State, m.Problem, len(w.post.letters()), got)
		}
	})
}

// laterForCarol sends a message that bob gets at once. Carol is put off, and her turn fails at a step when it comes.
func (w *world) laterForCarol(step, how string) api.Message {
	w.t.Helper()
	a := w.signIn(alice)
	w.post.answerRecipients(map[string]string{carol: "450 4.7.1 greylisted"})
	id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Subject: "s"})
	synctest.Wait()
	w.post.failOnce(step, how)
	time.Sleep(time.Hour)
	synctest.Wait()
	return w.open(a.ID, id)
}

// A message that is refused as such after some have it is sent, to those.
func TestMessageRefusedForTheRest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := w.laterForCarol("dot", "554 5.7.1 spam")
		if got := outcome(m.Recipients); m.Folder != api.Sent || m.State != api.StateSent || !strings.Contains(got, "bob sent") || !strings.Contains(got, "carol failed (spam)") || m.Problem == nil {
			t.Errorf("%s in %s, %s, %v", m.State, m.Folder, got, m.Problem)
		}
	})
}

// The outcome of a later attempt that is unknown is unknown for those alone whom it was for.
func TestUnknownForTheRest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := w.laterForCarol("answer", "cut")
		if got := outcome(m.Recipients); m.State != api.StateUnknown || !strings.Contains(got, "bob sent") || !strings.Contains(got, "carol unknown") {
			t.Errorf("%s, %s", m.State, got)
		}
		if err := w.Retry(t.Context(), api.MessageRef{Account: m.Account, ID: m.ID}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := w.post.envelopes(); !slices.Equal(got, []string{bob, carol, carol}) {
			t.Errorf("envelopes %q", got)
		}
	})
}

func TestRetryAsksAgainForTheRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.answerRecipients(map[string]string{bob: "550 5.1.1 nobody", carol: "550 5.1.1 nobody either"})
		id := w.send(api.Draft{Account: a.ID, To: to(bob, carol), Subject: "s"})
		synctest.Wait()
		if m := w.open(a.ID, id); m.State != api.StateFailed || outcome(m.Recipients) != "bob failed (nobody), carol failed (nobody either)" {
			t.Fatalf("%s, %s", m.State, outcome(m.Recipients))
		}
		w.post.failAt(nil)
		if err := w.Retry(t.Context(), api.MessageRef{Account: a.ID, ID: id}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := w.post.envelopes(); !slices.Equal(got, []string{bob + " " + carol}) {
			t.Errorf("envelopes %q", got)
		}
	})
}

// A message taken back after some have it is a draft to the others.
func TestUnsendOfWhatSomeHave(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		w.post.answerRecipients(map[string]string{carol: "450 4.7.1 greylisted"})
		id := w.send(api.Draft{Account: a.ID, To: to("bob@POSTERN.test", carol), Cc: to(bob), Subject: "s", Receipt: true})
		synctest.Wait()
		d, err := w.OpenDraft(t.Context(), api.MessageRef{Account: a.ID, ID: id})
		if err != nil || len(d.To) != 1 || d.To[0].Addr != carol || len(d.Cc) != 0 || !d.Receipt {
			t.Errorf("draft %+v, %v", d, err)
		}
	})
}

// A fate from before there were any is read as the problem it is.
func TestFateOfAnEarlierVersion(t *testing.T) {
	f := decodeFate([]byte(`{"code":"server-closed","detail":"mail.postern.test","technical":"EOF"}`))
	if f.problem == nil || f.problem.Code != api.CodeServerClosed || f.session != 0 || f.recipients != nil {
		t.Errorf("%+v", f)
	}
	for _, b := range [][]byte{nil, []byte("{}"), []byte("junk"), []byte(`{"attempt":7}`)} {
		if f := decodeFate(b); f.problem != nil {
			t.Errorf("%s: %+v", b, f)
		}
	}
	e := store.Entry{Delivery: &store.Delivery{To: []string{bob}}}
	if got := outcome(recipientsOf(&e, api.StateSent)); got != "bob sent" {
		t.Error(got)
	}
}

// A power cut at any moment while recipients fare apart gives nobody the message twice, nor forgets anybody, unless the
// message says that it does not know.
func TestPowerCutWhileRecipientsFareApart(t *testing.T) {
	queued := false
	atEveryMoment(t, func(_ *testing.T, w *world) {
		queued = false
		puts := 0
		w.post.failAt(func(step, arg string) string {
			if step == "RCPT" && arg == carol {
				if puts++; puts == 1 {
					return "450 4.7.1 greylisted"
				}
			}
			return ""
		})
	}, func(t *testing.T, w *world) {
		if _, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW, Keep: true}); err != nil {
			return
		}
		if _, err := w.Send(t.Context(), api.Draft{Account: accountID(alice), To: to(bob, carol), Subject: "s"}); err != nil {
			return
		}
		queued = true
		time.Sleep(retryPauses[0] + time.Second)
		synctest.Wait()
	}, func(t *testing.T, w *world) {
		id := accountID(alice)
		if s, _ := w.Status(t.Context()); len(s.Accounts) == 0 {
			if queued {
				t.Error("the account is gone")
			}
			return
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		got := make(map[string]int)
		for _, l := range w.post.letters() {
			for _, addr := range l.to {
				got[addr]++
			}
		}
		rows := append(w.list(id, api.Outbox), w.list(id, api.Sent)...)
		switch {
		case len(rows) == 0 && !queued && len(got) == 0:
		case len(rows) == 1 && rows[0].State == api.StateSent && got[bob] == 1 && got[carol] == 1:
		case len(rows) == 1 && rows[0].State == api.StateUnknown && got[bob] <= 1 && got[carol] <= 1:
		default:
			t.Errorf("bob has it %d times, carol %d; rows %+v", got[bob], got[carol], rows)
		}
	})
}
