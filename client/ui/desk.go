package ui

import (
	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Desk is the administrator's page: what waits at the mail server.
type Desk struct{ App *view.App }

func (c *Desk) whose() string { return view.Label(c.App.AccountOf(c.App.Desk.Account)) }

func (c *Desk) chosen() string {
	if n := c.App.Desk.Selected(); n > 0 {
		return view.Number(n) + " selected"
	}
	return "Select"
}

// more says that there are more rows than those of the page, which are all selected.
func (c *Desk) more() bool {
	d := &c.App.Desk
	return d.PageChosen() && !d.All && d.Page.Matching > len(d.Page.Rows)
}

func (c *Desk) empty() bool {
	d := &c.App.Desk
	return d.Loaded && d.Problem == nil && len(d.Page.Rows) == 0
}

func (c *Desk) emptyTitle() string { title, _ := c.App.Desk.Empty(); return title }
func (c *Desk) emptyMeans() string { _, means := c.App.Desk.Empty(); return means }

func (c *Desk) current(r api.QueueRow) any {
	if r.ID == c.App.Desk.Open {
		return "true"
	}
	return nil
}

func (c *Desk) about(r api.QueueRow) string {
	return "From " + view.From(r) + " · " + c.App.Desk.Tried(r) + " · " + view.Size(r.Size)
}

// stateIcon and stateTone are a row's state in a picture and a colour, beside the words.
func stateIcon(r api.QueueRow) string {
	switch r.State {
	case api.QueueHeld:
		return "pause"
	case api.QueueSending:
		return "send"
	}
	return "clock"
}

func stateTone(r api.QueueRow) string {
	switch r.State {
	case api.QueueHeld:
		return "chip-held"
	case api.QueueSending:
		return "chip-good"
	}
	return "chip-waits"
}
