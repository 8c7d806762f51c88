package view_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
)

func spoken(from, n int) []api.WireLine {
	var list []api.WireLine
	for i := range n {
		list = append(list, api.WireLine{Who: api.ClientSays, State: "TRANSACTION", Text: fmt.Sprintf("RETR %d", from+i)})
	}
	return list
}

func TestWire(t *testing.T) {
	in(t, "/inbox", 1, func(t *testing.T, p *page) {
		fetch := api.WireSession{ID: 1, Protocol: api.POP3, Server: "pop.x:995", Began: time.Now(), TLS: "TLS 1.3, X"}
		p.svc.Say(alice, fetch, spoken(1, 700)...)
		p.act(func() { p.OpenWire(alice, 0) })
		p.pass(time.Second)
		w := &p.Wire
		equal(t, "place", p.Browser.Location(), "/wire")
		equal(t, "pane", p.Pane(), view.PageWire)
		equal(t, "all that is kept", len(w.Lines), 700)
		lines, before, after := w.Drawn()
		equal(t, "a few are drawn", len(lines)*10000+before*10+after, 300*10000+4000)

		p.svc.Say(alice, fetch, spoken(701, 1)...)
		p.pass(time.Second)
		lines, _, _ = w.Drawn()
		equal(t, "the newest is followed", lines[299].Text, "RETR 701")
		p.act(func() { w.Follow(false) })
		p.svc.Say(alice, fetch, spoken(702, 1)...)
		p.pass(time.Second)
		lines, _, after = w.Drawn()
		equal(t, "what is looked at stays", lines[299].Text, "RETR 701")
		equal(t, "and more is told of", after, 1)
		p.act(func() { w.Follow(true) })
		equal(t, "the end of what is drawn is not the end", w.Following(), false)
		p.act(w.Earlier)
		lines, _, _ = w.Drawn()
		equal(t, "earlier", lines[0].Text, "RETR 252")
		p.act(w.Newest)
		lines, _, _ = w.Drawn()
		equal(t, "newest", lines[299].Text, "RETR 702")

		p.act(w.Pause)
		p.svc.Say(alice, fetch, spoken(703, 1)...)
		p.pass(time.Second)
		equal(t, "paused", len(w.Lines), 702)
		p.act(w.Pause)
		p.pass(time.Second)
		equal(t, "all came after the pause", len(w.Lines), 703)

		p.svc.Say(alice, fetch, spoken(704, 2000)...)
		p.pass(5 * time.Second)
		equal(t, "bounded", len(w.Lines), 2000)
		equal(t, "the newest are kept", w.Lines[1999].Text, "RETR 2703")

		p.act(w.Save)
		text := string(p.Browser.Saved[0].Data)
		if p.Browser.Saved[0].Name != "wire alice@postern.test.txt" || !strings.Contains(text, "# POP3 pop.x:995") || !strings.Contains(text, "C: RETR 2703   [TRANSACTION]\n") {
			t.Errorf("%s: %.300s", p.Browser.Saved[0].Name, text)
		}

		calls := func() (n int) {
			for _, c := range p.svc.Calls() {
				if c == "Wire" {
					n++
				}
			}
			return n
		}
		p.act(func() { p.Key(view.Key{Name: "Escape"}) })
		equal(t, "back", p.Browser.Location(), "/inbox")
		asked := calls()
		p.svc.Say(alice, fetch, spoken(1, 1)...)
		p.pass(time.Second)
		equal(t, "nobody listens any more", calls(), asked)
	})
}

func TestWireOfOneConnection(t *testing.T) {
	both(t, "/wire?session=2&account="+bob, 1, func(t *testing.T, p *page) {
		at := time.Now()
		why := &api.Problem{Code: api.CodeServerTimeout, Detail: "smtp.x"}
		p.svc.Say(bob, api.WireSession{ID: 1, Protocol: api.POP3, Began: at, Ended: at}, spoken(1, 3)...)
		p.svc.Say(bob, api.WireSession{ID: 2, Protocol: api.SMTP, Server: "smtp.x:465", Began: at, Ended: at, Problem: why}, api.WireLine{Who: api.ServerSays, State: "HELLO", Text: "220 hi"})
		p.pass(time.Second)
		w := &p.Wire
		equal(t, "one", len(w.Lines), 1)
		equal(t, "the newest first", w.Sessions[0].ID, 2)
		equal(t, "how it ended", w.Outcome(w.Sessions[0]), "The mail server is not answering")
		equal(t, "and the other", w.Outcome(w.Sessions[1]), "Ended well")
		equal(t, "account", string(p.Account), bob)
		p.act(func() { p.OpenWire(bob, 0) })
		p.pass(time.Second)
		equal(t, "all", len(w.Lines), 4)
		equal(t, "place", p.Browser.Location(), "/wire?account="+bob)

		p.svc.Fail("Wire", &api.Problem{Code: api.CodeInternal})
		p.act(func() { p.OpenWire(alice, 0) })
		equal(t, "said", w.Problem.Code, api.CodeInternal)
		p.svc.Fail("Wire", nil)
		p.act(w.Retry)
		equal(t, "mended", w.Problem == nil && w.Loaded, true)

		other := viewtest.NewService(nil)
		other.SignedIn(alice, "Alice")
		other.SignedIn(bob, "Bob")
		other.Say(alice, api.WireSession{ID: 1, Protocol: api.POP3, Began: at}, spoken(1, 2)...)
		p.act(func() { p.Attach(other) })
		p.pass(time.Second)
		equal(t, "a new engine is asked", len(w.Lines), 2)
	})
}

// From a failure the transcript opens at the line that it is about, and who reads there is not led away.
func TestWireOpensAtTheFault(t *testing.T) {
	said := func(svc *viewtest.Service, problem *api.Problem) {
		lines := spoken(1, 700)
		lines[99] = api.WireLine{Who: api.ServerSays, State: "RCPT", Text: "550 nobody"}
		svc.Say(alice, api.WireSession{ID: 3, Protocol: api.SMTP, Server: "smtp.x:465", Began: time.Now(), Problem: problem}, lines...)
	}
	at := func(t *testing.T, p *page, want string) {
		t.Helper()
		w := &p.Wire
		lines, before, _ := w.Drawn()
		equal(t, "following", w.Following(), false)
		i := slices.IndexFunc(lines, func(x api.WireLine) bool { return x.Seq == w.Marked })
		if i < 0 || lines[i].Text != want {
			t.Fatalf("line %d is marked, %d to %d are drawn", w.Marked, before+1, before+len(lines))
		}
		equal(t, "brought there", w.Anchor, w.Marked)
		if said := strings.TrimRight(p.Voice.Polite, "\u00a0"); !strings.HasSuffix(said, ": "+want) {
			t.Errorf("said: %q", said)
		}
	}
	for _, c := range []struct {
		name, place, want string
		open              func(p *page)
		problem           *api.Problem
	}{
		{"a failure", "/wire?session=3&line=100", "550 nobody", func(p *page) { p.OpenFault(alice, &api.Problem{Session: 3, Line: 100}) }, nil},
		{"one that is not the last of its connection", "/wire?session=3&line=100", "550 nobody", func(p *page) { p.OpenFault(alice, &api.Problem{Session: 3, Line: 100}) }, &api.Problem{Code: api.CodeServerClosed, Line: 600}},
		{"a connection that failed", "/wire?session=3", "550 nobody", func(p *page) { p.OpenWire(alice, 3) }, &api.Problem{Code: api.CodeRecipientRefused, Line: 100}},
		{"among all", "/wire?line=600", "RETR 600", func(p *page) { p.OpenFault(alice, &api.Problem{Line: 600}) }, nil},
		{"a line that is not kept any more", "/wire?session=3&line=5000", "RETR 700", func(p *page) { p.OpenFault(alice, &api.Problem{Session: 3, Line: 5000}) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, "/inbox", 1, func(t *testing.T, p *page) {
				said(p.svc, c.problem)
				p.act(func() { c.open(p) })
				p.pass(time.Second)
				equal(t, "place", p.Browser.Location(), c.place)
				equal(t, "all is here", len(p.Wire.Lines), 700)
				at(t, p, c.want)

				p.act(func() { p.Wire.Anchor = 0 }) // the page has done it
				_, before, _ := p.Wire.Drawn()
				p.svc.Say(alice, api.WireSession{ID: 3, Protocol: api.SMTP, Server: "smtp.x:465", Began: time.Now(), Problem: c.problem}, spoken(701, 400)...)
				p.pass(time.Second)
				_, now, after := p.Wire.Drawn()
				if now != before || after == 0 || p.Wire.Anchor != 0 {
					t.Errorf("drawn from %d, then from %d; anchor %d", before, now, p.Wire.Anchor)
				}
			})
			synctest.Test(t, func(t *testing.T) { // and when the page is loaded there
				svc := viewtest.NewService(nil)
				svc.SignedIn(alice, "Alice")
				said(svc, c.problem)
				run(t, svc, c.place, func(t *testing.T, p *page) {
					p.pass(time.Second)
					at(t, p, c.want)
				})
			})
		})
	}
	for _, c := range []struct {
		name    string
		problem *api.Problem
	}{{"nothing failed", nil}, {"it is not known where", &api.Problem{Code: api.CodeServerClosed}}} {
		in(t, "/wire?session=3", 1, func(t *testing.T, p *page) {
			said(p.svc, c.problem)
			p.pass(time.Second)
			equal(t, c.name+": the end", p.Wire.Following(), true)
			equal(t, c.name+": marked", p.Wire.Marked, uint64(0))
			// what fails under the eyes of who follows is marked where it stands
			p.svc.Say(alice, api.WireSession{ID: 3, Protocol: api.SMTP, Problem: &api.Problem{Code: api.CodeServerRefused, Line: 701}}, api.WireLine{Who: api.ServerSays, Text: "421 enough"})
			p.pass(time.Second)
			equal(t, c.name+": marked", p.Wire.Marked, uint64(701))
			equal(t, c.name+": and it follows", p.Wire.Following(), true)
		})
	}
}

func TestWireOfASignInThatFailed(t *testing.T) {
	in(t, "/inbox", 1, func(t *testing.T, p *page) {
		p.svc.Fail("SignIn", &api.Problem{Code: api.CodeWrongPassword, Session: 4, Line: 7})
		p.act(p.Session.Add)
		p.act(func() { p.Session.Email, p.Session.Password = "new@postern.test", "x"; p.Session.Submit() })
		equal(t, "of an account that is not here nothing is kept", p.Session.Said(), false)
		p.act(func() { p.Session.Email, p.Session.Password = alice, "x"; p.Session.Submit() })
		equal(t, "of one that is", p.Session.Said(), true)
		p.act(p.Session.ShowSaid)
		equal(t, "place", p.Browser.Location(), "/wire?session=4&line=7")
		equal(t, "the form is put away", p.Session.Shown(), false)
	})
}

func TestFetchRest(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		m := inbox(1)[0]
		m.Partial, m.Size, m.Text = true, 480_000, strings.Repeat("x", 11_900)
		p.svc.Add(m)
		p.act(func() { p.Go(view.Route{Folder: api.Inbox, ID: 1}) })
		r := &p.Reader
		equal(t, "words", r.PartialWords(), "Only the beginning is here: 12 of 480 KB.")
		p.svc.Fail("FetchRest", &api.Problem{Code: api.CodeServerClosed})
		p.act(r.FetchRest)
		equal(t, "why not", r.Rest.Code, api.CodeServerClosed)
		p.svc.Fail("FetchRest", nil)
		release := p.svc.Hold("FetchRest")
		p.act(r.FetchRest)
		equal(t, "on its way", r.Fetching && r.Rest == nil, true)
		equal(t, "what is here stays", r.Message != nil, true)
		release()
		synctest.Wait()
		equal(t, "whole", r.Message.Partial || r.Fetching, false)
		equal(t, "said", strings.TrimRight(p.Voice.Polite, "\u00a0"), "The whole message is here")
		if !strings.HasSuffix(r.Message.Text, "And the rest.") {
			t.Error("the text is still the beginning")
		}
	})
}

// What may have been sent goes again after a warning alone; what became of each recipient is asked when the state changes.
func TestRecipientsFollow(t *testing.T) {
	in(t, "/outbox", 0, func(t *testing.T, p *page) {
		p.svc.Add(api.Message{Row: api.Row{ID: 1, Folder: api.Outbox, State: api.StateSending, Subject: "Hi", Date: time.Now()}})
		p.act(func() { p.Go(view.Route{Folder: api.Outbox, ID: 1}) })
		p.svc.Alter(alice, 1, func(m *api.Message) {
			m.Recipients = []api.Recipient{{Addr: "a@x", State: api.StateSent}, {Addr: "b@x", State: api.StateFailed}}
		})
		p.svc.Outgoing(alice, 1, func(r *api.Row) {
			r.State, r.Session, r.Problem = api.StateFailed, 5, &api.Problem{Code: api.CodeRecipientRefused}
		})
		synctest.Wait()
		equal(t, "recipients", len(p.Reader.Message.Recipients), 2)
		equal(t, "session", p.Reader.Message.Session, 5)
	})
}
