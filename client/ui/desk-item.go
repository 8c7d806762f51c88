package ui

import (
	"strconv"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// DeskItem is one message that waits at the mail server, with all that is known of it.
type DeskItem struct {
	App *view.App

	item *api.QueueItem
}

// Compute runs before each build.
func (c *DeskItem) Compute() { c.item = c.App.Desk.Item }

func (c *DeskItem) title() string {
	if c.item == nil {
		return "Message " + strconv.FormatInt(c.App.Desk.Open, 10)
	}
	return "To " + c.item.Recipient
}

func (c *DeskItem) lines() []wireLine { return wireLines(c.item.Transcript) }

// actions are those that have a meaning for it.
func (c *DeskItem) actions() []view.QueueAction {
	var list []view.QueueAction
	for _, a := range view.QueueActions {
		if view.Fits(a.Action, c.item.QueueRow) {
			list = append(list, a)
		}
	}
	return list
}

type fact struct{ name, value string }

func (c *DeskItem) facts() []fact {
	i, d := c.item, &c.App.Desk
	list := []fact{{"From", view.From(i.QueueRow)}, {"To", i.Recipient}, {"Next try", d.NextAt(i.QueueRow)}, {"So far", d.Tried(i.QueueRow)}, {"Last tried", d.At(i.Tried)},
		{"Server", i.Server}, {"Encryption", i.TLS}, {"Answer", c.answer()}, {"Size", view.Size(i.Size)}, {"Number", strconv.FormatInt(i.ID, 10)}}
	out := list[:0]
	for _, f := range list {
		if f.value != "" {
			out = append(out, f)
		}
	}
	return out
}

func (c *DeskItem) answer() string {
	switch i := c.item; {
	case i.Own:
		return "None: the server found it itself"
	case i.Code == 0:
		return ""
	default:
		return strconv.Itoa(i.Code) + " " + i.Enhanced
	}
}
