package view_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// waits is n rows of the queue, the first with the number from.
func waits(from, n int) (list []api.QueueItem) {
	for i := range n {
		id := from + i
		list = append(list, api.QueueItem{QueueRow: api.QueueRow{ID: int64(id), Sender: alice, Recipient: fmt.Sprintf("u%d@far.example", id), Destination: "far.example", State: api.QueueWaiting,
			Attempts: 2, Created: time.Now().Add(-90 * time.Minute), NextTry: time.Now().Add(25*time.Minute + 10*time.Second), Problem: "connection refused"}})
	}
	return list
}

func atDesk(t *testing.T, location string, rows int, fn func(t *testing.T, p *page)) {
	in(t, "/inbox", 1, func(t *testing.T, p *page) {
		p.svc.Wait(waits(1, rows)...)
		p.svc.Change(func(s *api.Status) { s.Accounts[0].Admin = true })
		p.act(func() { p.Go(view.ParseRoute(location)) })
		fn(t, p)
	})
}

func ids(p *page) (list []int64) {
	for _, r := range p.Desk.Page.Rows {
		list = append(list, r.ID)
	}
	return list
}

// What waits is shown, with reason and next try, and changes by itself.
func TestDesk(t *testing.T) {
	atDesk(t, "/server", 2, func(t *testing.T, p *page) {
		d := &p.Desk
		equal(t, "place", p.Browser.Location(), "/server")
		equal(t, "pane", p.Pane(), view.PageServer)
		equal(t, "title", strings.HasPrefix(p.Browser.Title, "Mail server"), true)
		equal(t, "focus", p.Browser.Focused, `[data-testid="admin-filter"]`)
		equal(t, "tally", d.Tally(), "2 messages")
		r := d.Page.Rows[0]
		equal(t, "why", view.Why(r), "connection refused")
		equal(t, "next", d.Next(r), "Next try in 25 min")
		equal(t, "tried", d.Tried(r), "Tried 2 times, here for 1 h 30 min")
		p.pass(20 * time.Minute)
		equal(t, "later", d.Next(r), "Next try in 5 min 10 s")
		p.svc.Wait(waits(3, 1)...)
		p.pass(time.Second)
		equal(t, "a new one", d.Tally(), "3 messages")
		p.svc.Leave(1)
		p.pass(time.Second)
		equal(t, "one has gone", fmt.Sprint(ids(p)), "[2 3]")

		calls := func() (n int) {
			for _, c := range p.svc.Calls() {
				if c == "WatchQueue" || c == "Queue" {
					n++
				}
			}
			return n
		}
		p.act(p.LeaveDesk)
		equal(t, "back", p.Browser.Location(), "/inbox")
		before := calls()
		p.svc.Wait(waits(9, 1)...)
		p.pass(time.Minute)
		equal(t, "nobody asks any more", calls(), before)
	})
}

// Of many rows those of one page are sent and drawn.
func TestDeskPages(t *testing.T) {
	atDesk(t, "/server", 250, func(t *testing.T, p *page) {
		d := &p.Desk
		equal(t, "pages", d.Pages(), 3)
		equal(t, "the first", len(d.Page.Rows), 100)
		p.act(d.Earlier)
		equal(t, "there is none before", d.Number, 1)
		p.act(d.Later)
		p.act(d.Later)
		equal(t, "the last", fmt.Sprint(d.Number, len(d.Page.Rows), d.Page.Rows[0].ID), "3 50 201")
		for id := range int64(50) {
			p.svc.Leave(201 + id)
		}
		p.pass(time.Second)
		equal(t, "a page that is empty now", fmt.Sprint(d.Number, d.Page.Rows[0].ID), "2 101")
		p.act(d.Earlier)
		equal(t, "back", fmt.Sprint(d.Number, d.Page.Rows[0].ID), "1 1")
		for _, q := range p.svc.Asked() {
			if q.Limit != 100 {
				t.Errorf("asked for %d rows", q.Limit)
			}
		}
		n := len(p.svc.Asked())
		for i := range len("u250@") {
			p.act(func() { d.Filter("u250@"[:i+1]) })
		}
		p.pass(time.Second)
		equal(t, "asked once for what was typed", len(p.svc.Asked()), n+1)
		equal(t, "filtered", d.Tally(), "0 of 200 messages")
		title, _ := d.Empty()
		equal(t, "said", title, "Nothing like that is waiting")
		p.act(func() { d.Filter("") })
		p.act(func() { d.Show(api.QueueHeld) })
		p.pass(time.Second)
		equal(t, "none is held", d.Tally(), "0 of 200 messages")
		equal(t, "counted", d.Counted("")+d.Counted(api.QueueWaiting)*1000, 200200)
	})
}

// What can be undone is done at once; what cannot is asked first.
func TestDeskActs(t *testing.T) {
	atDesk(t, "/server", 150, func(t *testing.T, p *page) {
		d := &p.Desk
		p.act(func() { d.Choose(2); d.Choose(3); d.Choose(4); d.Choose(4) })
		equal(t, "selected", d.Selected(), 2)
		p.act(func() { d.Act(api.QueueHold) })
		equal(t, "asked", p.Question.Asked(), false)
		equal(t, "held", fmt.Sprint(p.svc.Done()[0].IDs, p.Toasts.Shown[0].Text), "[2 3]2 messages are held")
		p.pass(time.Second)
		equal(t, "shown", string(d.Page.Rows[1].State)+" "+d.Next(d.Page.Rows[1]), "held Held until you release it")
		equal(t, "nothing is selected", d.Selected(), 0)

		p.act(func() { d.Choose(1); d.Act(api.QueueDrop) })
		equal(t, "asked", p.Question.Title, "Drop this message?")
		if !strings.Contains(p.Question.Means, "cannot be undone") || len(p.svc.Done()) != 1 {
			t.Errorf("%s", p.Question.Means)
		}
		p.act(p.Question.No)
		equal(t, "not done", len(p.svc.Done()), 1)
		p.act(func() { d.Act(api.QueueDrop) })
		p.act(p.Question.Agree)
		p.pass(time.Second)
		equal(t, "dropped", fmt.Sprint(d.Page.Rows[0].ID, d.Tally()), "2149 messages")

		p.act(d.ChoosePage)
		equal(t, "the page", fmt.Sprint(d.Selected(), d.PageChosen()), "100 true")
		p.act(d.ChooseAll)
		equal(t, "all", d.Selected(), 149)
		p.act(func() { d.Act(api.QueueReturn) })
		equal(t, "asked for all", p.Question.Title, "Return 149 messages?")
		p.svc.Wait(api.QueueItem{QueueRow: api.QueueRow{ID: 151, Recipient: "late@far.example", State: api.QueueWaiting}})
		p.pass(time.Second)
		p.act(p.Question.Agree)
		equal(t, "by the filter", len(p.svc.Done()[2].IDs), 0)
		p.pass(time.Second)
		equal(t, "what came while it was asked stays", d.Tally(), "1 message")
		p.act(func() { d.Act(api.QueueRetry) })
		equal(t, "nothing selected, nothing done", len(p.svc.Done()), 3)
	})
}

// A row is a place of its own, with what is known of it; it says when it has left.
func TestDeskRow(t *testing.T) {
	atDesk(t, "/server", 3, func(t *testing.T, p *page) {
		d := &p.Desk
		key := func(name string) { p.act(func() { p.Key(view.Key{Name: name}) }) }
		p.act(func() { d.OpenRow(2) })
		equal(t, "place", p.Browser.Location(), "/server/2")
		equal(t, "known", d.Item.Recipient, "u2@far.example")
		equal(t, "focus", p.Browser.Focused, `[data-testid="admin-title"]`)
		key("j")
		equal(t, "next", p.Browser.Location(), "/server/3")
		key("j")
		key("k")
		equal(t, "before", p.Browser.Location(), "/server/2")
		p.act(func() { d.ActOpen(api.QueueHold) })
		p.pass(time.Second)
		equal(t, "held", d.Item.State, api.QueueHeld)
		p.svc.Leave(2)
		p.pass(time.Second)
		equal(t, "it has left", d.Gone, true)
		equal(t, "said", p.Voice.Polite, view.GoneWords)
		equal(t, "what is known stays", d.Item.Recipient, "u2@far.example")
		key("?")
		equal(t, "its keys", fmt.Sprint(p.Menu.Open, " ", p.Shortcuts()[0].Title), "shortcuts Mail server")
		key("Escape")
		key("Escape")
		equal(t, "closed", p.Browser.Location(), "/server")
		key("Escape")
		equal(t, "left", p.Browser.Location(), "/inbox")
	})
	atDesk(t, "/server/9", 1, func(t *testing.T, p *page) {
		equal(t, "a bookmark of what has left", p.Desk.Gone, true)
	})
}

// What fails is said and tried again; who is refused does not guess on.
func TestDeskProblems(t *testing.T) {
	atDesk(t, "/server", 1, func(t *testing.T, p *page) {
		d := &p.Desk
		p.svc.Fail("Queue", &api.Problem{Code: api.CodeServerTimeout})
		p.svc.Wait(waits(2, 1)...)
		p.pass(time.Second)
		equal(t, "said", d.Problem.Code, api.CodeServerTimeout)
		p.svc.Fail("Queue", nil)
		p.pass(6 * time.Second)
		if d.Problem != nil || d.Tally() != "2 messages" {
			t.Errorf("%v, %s", d.Problem, d.Tally())
		}
		p.svc.Fail("ChangeQueue", &api.Problem{Code: api.CodeServerRefused})
		p.act(func() { d.Choose(1); d.Act(api.QueueRetry) })
		equal(t, "an action that failed", p.Toasts.Shown[0].Problem.Code, api.CodeServerRefused)
		p.svc.Fail("QueueItem", &api.Problem{Code: api.CodeServerClosed})
		p.act(func() { d.OpenRow(1) })
		equal(t, "a row that failed", d.Trouble.Code, api.CodeServerClosed)

		p.svc.Fail("Queue", &api.Problem{Code: api.CodeNotAdministrator, Detail: alice})
		p.svc.Wait(waits(3, 1)...)
		p.pass(time.Second)
		n := len(p.svc.Calls())
		p.pass(10 * time.Minute)
		if asked := p.svc.Calls()[n:]; slices.Contains(asked, "Queue") || slices.Contains(asked, "WatchQueue") {
			t.Errorf("it guesses on: %v", asked)
		}
		p.svc.Fail("Queue", nil)
		p.act(d.Retry)
		p.pass(time.Second)
		equal(t, "by hand", d.Tally(), "3 messages")
		p.act(func() { p.Attach(p.svc) })
		p.svc.Wait(waits(4, 1)...)
		p.pass(time.Second)
		equal(t, "with another engine", d.Tally(), "4 messages")
	})
}

func TestWorldPanel(t *testing.T) {
	atDesk(t, "/server", 1, func(t *testing.T, p *page) {
		equal(t, "the real world", p.Desk.World.There(), false)
	})
	in(t, "/inbox", 1, func(t *testing.T, p *page) {
		p.svc.Wait(waits(1, 1)...)
		p.svc.InWorld(api.World{Rate: 1, Servers: []api.WorldServer{{Hostname: "postern.test", Domains: []string{"postern.test"}}, {Hostname: "mail.elsewhere.test", Domains: []string{"elsewhere.test"}}}})
		p.act(func() { p.OpenDesk(alice) })
		w := &p.Desk.World
		equal(t, "there", w.There(), true)
		equal(t, "ways", fmt.Sprint(w.Domains()), "[postern.test elsewhere.test *]")
		equal(t, "the other's first", w.Domain, "elsewhere.test")
		p.act(func() { w.Kind, w.For = string(api.FaultGreylist), "3600"; w.Start() })
		equal(t, "it lasts", fmt.Sprint(w.State.Faults, w.Lasts(w.State.Faults[0])), "[{elsewhere.test greylist 1h0m0s}]for another 1 h")
		p.act(func() { w.End("elsewhere.test") })
		equal(t, "it ends", len(w.State.Faults), 0)
		p.act(func() { w.Jump(time.Hour) })
		equal(t, "the clock", strings.HasSuffix(w.Clock(), "1 h ahead of ours"), true)
		equal(t, "the queue goes by it", p.Desk.Next(p.Desk.Page.Rows[0]), "Due now")
		p.act(func() { w.SetRate(3600) })
		equal(t, "faster", w.State.Rate, 3600.0)
		p.svc.Fail("World", &api.Problem{Code: api.CodeServerRefused})
		p.act(func() { w.SetRate(1) })
		equal(t, "an error is said", p.Toasts.Shown[0].Problem.Code, api.CodeServerRefused)
	})
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 s", 59 * time.Second: "59 s", 61 * time.Second: "1 min 1 s", 25*time.Minute + 10*time.Second: "25 min", time.Hour: "1 h", 90 * time.Minute: "1 h 30 min",
		26*time.Hour + 5*time.Minute: "1 d 2 h", 24*time.Hour + time.Minute: "1 d",
	} {
		equal(t, d.String(), view.Duration(d), want)
	}
}
