package view

import (
	"context"
	"slices"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Desk is the administrator's page: what waits at the account's mail server for others, why, and when it is tried
// again. It changes by itself while one looks.
type Desk struct {
	Account api.AccountID
	Page    api.QueuePage
	Loaded  bool
	Problem *api.Problem
	Text    string         // the filter: occurs in sender or recipient
	State   api.QueueState // the filter: "" any
	Number  int            // of the page, from 1
	Chosen  map[int64]bool // rows of this page
	All     bool           // all rows that the filter chooses, on this page and all others

	Open    int64          // the row that is shown alone, 0: none
	Item    *api.QueueItem // what is known of it, nil while that is not known
	Gone    bool           // it has left the queue
	Trouble *api.Problem   // why it cannot be shown

	World World

	app   *App
	after []int64 // what the pages so far come after; the last is this page's
	at    time.Time
	known uint64 // the revision that Item is not older than
	turn  int
	stop  context.CancelFunc // of waiting for a change
	typed *time.Timer
	tick  *time.Timer
}

const (
	deskRows   = 100                    // of a page: each is some twenty nodes
	deskPause  = 300 * time.Millisecond // between a change and the next question for one
	deskRetry  = 5 * time.Second        // after a problem that may pass
	typedPause = 250 * time.Millisecond // after a letter of the filter
)

// OpenDesk shows the queue of an account's mail server.
func (a *App) OpenDesk(acc api.AccountID) { a.Go(Route{Page: PageServer, Account: acc}) }

// LeaveDesk goes back to the mail.
func (a *App) LeaveDesk() {
	a.leave(a.List.place)
	a.List.focusCursor()
}

// open shows the queue, or a row of it.
func (d *Desk) open(acc api.AccountID, row int64) {
	if d.stop == nil || d.Account != acc {
		d.close()
		d.Account, d.Number, d.after, d.Chosen = acc, 1, []int64{0}, map[int64]bool{}
		d.begin()
		d.app.platform.Focus(`[data-testid="admin-filter"]`)
	}
	was := d.Open
	d.Open, d.Item, d.Gone, d.Trouble = row, nil, false, nil
	switch {
	case row != 0:
		d.loadItem()
		d.app.platform.Focus(`[data-testid="admin-title"]`)
	case was != 0:
		d.app.platform.Focus(rowSelector(was))
	}
}

// begin asks for everything, and waits for changes.
func (d *Desk) begin() {
	ctx, stop := context.WithCancel(d.app.ctx)
	d.stop = stop
	d.load(func() { d.watch(ctx, d.turn) })
	d.World.load()
	d.ticks(d.turn)
}

// close ends the waiting.
func (d *Desk) close() {
	if d.stop != nil {
		d.stop()
	}
	for _, t := range []*time.Timer{d.typed, d.tick} {
		if t != nil {
			t.Stop()
		}
	}
	*d = Desk{app: d.app, turn: d.turn + 1}
	d.World.app = d.app
}

// again asks a new engine.
func (d *Desk) again() {
	if d.stop == nil {
		return
	}
	d.stop()
	d.turn++
	d.begin()
	if d.Open != 0 {
		d.loadItem()
	}
}

// Retry asks once more after a problem.
func (d *Desk) Retry() {
	d.Problem = nil
	d.again()
}

// ticks has the times drawn anew as they pass: fast where the server's clock is.
func (d *Desk) ticks(turn int) {
	every := 10 * time.Second
	if d.World.State.Rate > 1 {
		every = time.Second
	}
	d.tick = time.AfterFunc(every, func() {
		d.app.sched.Update(func() {
			if turn == d.turn {
				d.ticks(turn)
			}
		})
	})
}

// load asks for the page that is shown.
func (d *Desk) load(then func()) {
	turn := d.turn
	q := api.QueueQuery{Account: d.Account, Text: d.Text, State: d.State, After: d.after[len(d.after)-1], Limit: deskRows}
	var page api.QueuePage
	d.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		page, err = svc.Queue(ctx, q)
		return err
	}, func(p *api.Problem) {
		if turn != d.turn {
			return
		}
		current := q.Text == d.Text && q.State == d.State && q.After == d.after[len(d.after)-1]
		if d.Problem = p; p != nil {
			d.Loaded = true
		} else if current {
			d.take(page)
		}
		if then != nil {
			then()
		}
	})
}

func (d *Desk) take(page api.QueuePage) {
	d.Page, d.at, d.Loaded = page, d.app.platform.Now(), true
	if len(page.Rows) == 0 && d.Number > 1 { // what was here is gone
		d.Earlier()
		return
	}
	for id := range d.Chosen {
		if !slices.ContainsFunc(page.Rows, func(r api.QueueRow) bool { return r.ID == id }) {
			delete(d.Chosen, id)
		}
	}
	d.All = d.All && len(d.Chosen) > 0
	if d.Open != 0 && !d.Gone && d.known != page.Revision { // the page was read before: what it has seen, the row has
		d.loadItem()
	}
}

// watch waits for a change, asks what it is, and waits for the next.
func (d *Desk) watch(ctx context.Context, turn int) {
	again := func(after time.Duration) {
		time.AfterFunc(after, func() {
			d.app.sched.Update(func() {
				if turn == d.turn {
					d.watch(ctx, turn)
				}
			})
		})
	}
	if ctx.Err() != nil {
		return
	}
	if p := d.Problem; p != nil {
		if p.Code != api.CodeNotAdministrator { // to ask that again is to guess a password
			time.AfterFunc(deskRetry, func() {
				d.app.sched.Update(func() {
					if turn == d.turn {
						d.load(func() { d.watch(ctx, turn) })
					}
				})
			})
		}
		return
	}
	since := d.Page.Revision
	d.app.ask(func(_ context.Context, svc api.Service) (err error) {
		_, err = svc.WatchQueue(ctx, api.QueueWatch{Account: d.Account, Revision: since})
		return err
	}, func(p *api.Problem) {
		switch {
		case turn != d.turn || ctx.Err() != nil:
			return
		case p != nil:
			d.Problem = p
			again(0)
			return
		}
		d.World.load()
		d.load(func() { again(deskPause) })
	})
}

// loadItem asks what is known of the row that is shown.
func (d *Desk) loadItem() {
	turn, id := d.turn, d.Open
	d.known = d.Page.Revision
	var item api.QueueItem
	d.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		item, err = svc.QueueItem(ctx, api.QueueRef{Account: d.Account, ID: id})
		return err
	}, func(p *api.Problem) {
		switch {
		case turn != d.turn || id != d.Open:
		case p == nil:
			d.Item, d.Gone, d.Trouble = &item, false, nil
		case p.Code == api.CodeNoSuchMessage:
			if !d.Gone {
				d.Gone = true
				d.app.Voice.Say(GoneWords)
			}
		default:
			d.Trouble = p
		}
	})
}

// GoneWords say of a row that it is not there any more.
const GoneWords = "This message has left the queue: it was delivered, returned or dropped."

// Filter takes what somebody types. The page is asked for when he pauses.
func (d *Desk) Filter(text string) {
	if text == d.Text {
		return
	}
	d.Text = text
	d.first()
	if d.typed != nil {
		d.typed.Stop()
	}
	turn := d.turn
	d.typed = time.AfterFunc(typedPause, func() {
		d.app.sched.Update(func() {
			if turn == d.turn {
				d.load(d.tell)
			}
		})
	})
}

// Show shows the rows in one state, or with "" all.
func (d *Desk) Show(s api.QueueState) {
	d.State = s
	d.first()
	d.load(d.tell)
}

func (d *Desk) first() {
	d.Number, d.after, d.All = 1, []int64{0}, false
	clear(d.Chosen)
}

// tell says how much the filter found.
func (d *Desk) tell() {
	if d.Problem == nil {
		d.app.Voice.Say(Count(d.Page.Matching, "message"))
	}
}

// Pages are how many there are, at least 1.
func (d *Desk) Pages() int { return max(1, (d.Page.Matching+deskRows-1)/deskRows) }

// Later shows the page after this one; Earlier the one before.
func (d *Desk) Later() {
	if n := len(d.Page.Rows); n > 0 {
		d.turnTo(append(d.after, d.Page.Rows[n-1].ID))
	}
}

// Earlier shows the page before this one.
func (d *Desk) Earlier() {
	if n := len(d.after); n > 1 {
		d.turnTo(d.after[:n-1])
	}
}

func (d *Desk) turnTo(after []int64) {
	d.after, d.Number, d.All = after, len(after), false
	clear(d.Chosen)
	d.load(nil)
}

// OpenRow shows a row alone; 0 none.
func (d *Desk) OpenRow(id int64) {
	if id == 0 {
		d.app.leave(Route{Page: PageServer, Account: d.Account})
		return
	}
	d.app.Go(Route{Page: PageServer, Account: d.Account, Row: id})
}

// step shows the row before or after the one that is shown, without a new entry in the history.
func (d *Desk) step(by int) {
	i := slices.IndexFunc(d.Page.Rows, func(r api.QueueRow) bool { return r.ID == d.Open })
	if i < 0 && by < 0 {
		return
	}
	if i += by; i < 0 || i >= len(d.Page.Rows) {
		return
	}
	r := Route{Page: PageServer, Account: d.Account, Row: d.Page.Rows[i].ID}
	if d.Open == 0 {
		d.app.Go(r)
		return
	}
	d.app.swap(r)
}

// key does what a key means on this page.
func (d *Desk) key(k Key) bool {
	switch k.Name {
	case "j":
		d.step(1)
	case "k":
		d.step(-1)
	case "/":
		d.app.platform.Focus(`[data-testid="admin-filter"]`)
	default:
		return false
	}
	return true
}

// now is the present by the server's clock.
func (d *Desk) now() time.Time {
	passed := d.app.platform.Now().Sub(d.at)
	if r := d.World.State.Rate; r > 1 {
		passed = time.Duration(float64(passed) * r)
	}
	return d.Page.Now.Add(passed)
}
