package view

import (
	"context"
	"strconv"

	"github.com/postern-mail/postern/client/api"
)

// QueueAction is a button that does something to rows.
type QueueAction struct {
	Action      api.QueueAction
	Name, Title string
	Bad         bool
}

// QueueActions are what can be done to rows, in the order of their buttons.
var QueueActions = []QueueAction{
	{api.QueueRetry, "Try now", "Try to deliver it now", false},
	{api.QueueHold, "Hold", "Keep it from being sent until you release it", false},
	{api.QueueRelease, "Release", "Send what is held", false},
	{api.QueueReturn, "Return…", "Give it back to its sender, with a report", true},
	{api.QueueDrop, "Drop…", "Delete it, without a word to its sender", true},
}

// Fits says whether an action has a meaning for a row.
func Fits(a api.QueueAction, r api.QueueRow) bool {
	switch a {
	case api.QueueRetry, api.QueueHold:
		return r.State == api.QueueWaiting
	case api.QueueRelease:
		return r.State == api.QueueHeld
	}
	return r.State != api.QueueSending
}

// Choose takes a row into the selection, or out of it.
func (d *Desk) Choose(id int64) {
	d.All = false
	if d.Chosen[id] {
		delete(d.Chosen, id)
		return
	}
	d.Chosen[id] = true
}

// ChoosePage takes all rows of the page, or none.
func (d *Desk) ChoosePage() {
	d.All = false
	if d.PageChosen() {
		clear(d.Chosen)
		return
	}
	for _, r := range d.Page.Rows {
		d.Chosen[r.ID] = true
	}
}

// PageChosen says that all rows of the page are in the selection.
func (d *Desk) PageChosen() bool {
	return len(d.Page.Rows) > 0 && len(d.Chosen) == len(d.Page.Rows)
}

// ChooseAll takes all rows that the filter chooses, on all pages.
func (d *Desk) ChooseAll() { d.All = true }

// Selected is how many rows an action would be for.
func (d *Desk) Selected() int {
	if d.All {
		return d.Page.Matching
	}
	return len(d.Chosen)
}

// Act does something to the selection.
func (d *Desk) Act(a api.QueueAction) {
	c := api.QueueChange{Account: d.Account, Action: a}
	if d.All {
		c.Text, c.State, c.UpTo = d.Text, d.State, d.Page.Last // what comes while somebody thinks about it was not meant
	} else {
		for _, r := range d.Page.Rows {
			if d.Chosen[r.ID] {
				c.IDs = append(c.IDs, r.ID)
			}
		}
		if len(c.IDs) == 0 {
			return
		}
	}
	d.act(c, d.Selected(), `[data-testid="admin-filter"]`)
}

// ActOpen does something to the row that is shown.
func (d *Desk) ActOpen(a api.QueueAction) {
	d.act(api.QueueChange{Account: d.Account, Action: a, IDs: []int64{d.Open}}, 1, `[data-testid="admin-title"]`)
}

// act asks first where nobody can take it back.
func (d *Desk) act(c api.QueueChange, n int, back string) {
	what, them, who := "this message", "it", "its sender gets"
	if n != 1 {
		what, them, who = Count(n, "message"), "them", "their senders get"
	}
	switch c.Action {
	case api.QueueReturn:
		d.app.Question.ask("Return "+what+"?", "The server stops trying to deliver "+them+", and "+who+" a report that says so. This cannot be undone.", "Return", back, func() { d.change(c, back) })
	case api.QueueDrop:
		d.app.Question.ask("Drop "+what+"?", "The server deletes "+them+" for good, and nobody is told: neither the sender nor the receiver. This cannot be undone.", "Drop", back, func() { d.change(c, back) })
	default:
		d.change(c, "")
	}
}

func (d *Desk) change(c api.QueueChange, back string) {
	if back != "" {
		d.app.platform.Focus(back)
	}
	turn, n := d.turn, 0
	d.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		n, err = svc.ChangeQueue(ctx, c)
		return err
	}, func(p *api.Problem) {
		if turn != d.turn {
			return
		}
		if p != nil {
			d.app.Toasts.Show(Toast{Text: WordsFor(p).Title, Problem: p})
			return
		}
		words := doneWords(c.Action, n)
		d.app.Toasts.Show(Toast{Text: words})
		d.app.Voice.Say(words)
		clear(d.Chosen)
		d.All = false
		d.load(nil)
	})
}

// doneWords say what was done.
func doneWords(a api.QueueAction, n int) string {
	if n == 0 {
		return "Nothing was changed: what is being sent is left alone, and the rest was so already"
	}
	m := Count(n, "message")
	is := " is "
	if n != 1 {
		is = " are "
	}
	switch a {
	case api.QueueRetry:
		return m + is + "tried now"
	case api.QueueHold:
		return m + is + "held"
	case api.QueueRelease:
		return m + is + "released"
	case api.QueueReturn:
		return m + " returned"
	}
	return m + " dropped"
}

// rowSelector finds a row's button.
func rowSelector(id int64) string {
	return `[data-testid="admin-row"][data-id="` + strconv.FormatInt(id, 10) + `"]`
}
