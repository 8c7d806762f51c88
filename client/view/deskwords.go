package view

import (
	"strconv"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Next says what happens to a row next, in a few words.
func (d *Desk) Next(r api.QueueRow) string {
	switch r.State {
	case api.QueueHeld:
		return "Held until you release it"
	case api.QueueSending:
		return "Being sent now"
	}
	wait := r.NextTry.Sub(d.now())
	if wait < time.Second {
		return "Due now"
	}
	return "Next try in " + Duration(wait)
}

// NextAt is when that is, in full.
func (d *Desk) NextAt(r api.QueueRow) string {
	if r.State != api.QueueWaiting {
		return ""
	}
	return d.At(r.NextTry)
}

// At is a time in full; "" of none.
func (d *Desk) At(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return FullDate(d.app.platform.Local(t))
}

// Why says why a row is still there.
func Why(r api.QueueRow) string {
	switch {
	case r.Problem != "":
		return r.Problem
	case r.Attempts == 0:
		return "Not tried yet"
	}
	return "No reason was given"
}

// Tried says how often a row was tried, and since when it waits.
func (d *Desk) Tried(r api.QueueRow) string {
	words := "Tried once"
	switch r.Attempts {
	case 0:
		words = "Not tried yet"
	case 1:
	default:
		words = "Tried " + Number(r.Attempts) + " times"
	}
	if waits := d.now().Sub(r.Created); waits >= time.Minute {
		words += ", here for " + Duration(waits)
	}
	return words
}

// From is a row's sender, for people.
func From(r api.QueueRow) string {
	if r.Sender == "" {
		return "a mail server (a report)"
	}
	return r.Sender
}

// Tally says how much there is.
func (d *Desk) Tally() string {
	p := &d.Page
	all := p.Waiting + p.Held + p.Sending
	if !d.Loaded || d.Problem != nil && all == 0 {
		return ""
	}
	words := Count(all, "message")
	if d.Text != "" || d.State != "" {
		words = Number(p.Matching) + " of " + words
	}
	return words
}

// Counted is how many rows are in a state, of the whole queue; "" is all.
func (d *Desk) Counted(s api.QueueState) int {
	switch s {
	case api.QueueWaiting:
		return d.Page.Waiting
	case api.QueueHeld:
		return d.Page.Held
	case api.QueueSending:
		return d.Page.Sending
	}
	return d.Page.Waiting + d.Page.Held + d.Page.Sending
}

// QueueStates are those that can be shown, with their names; "" is all.
var QueueStates = []struct {
	State api.QueueState
	Name  string
}{{"", "All"}, {api.QueueWaiting, "Waiting"}, {api.QueueHeld, "Held"}, {api.QueueSending, "Being sent"}}

// Empty says in words that there is nothing to show: a title, and what it means.
func (d *Desk) Empty() (title, means string) {
	if d.Text != "" || d.State != "" {
		return "Nothing like that is waiting", "No message in the queue fits the filter."
	}
	return "Nothing is waiting", "Mail for other servers appears here while it is on its way, with the reason when it has to wait."
}

// Duration is how long something lasts, in its two largest units.
func Duration(d time.Duration) string {
	d = max(d.Round(time.Second), time.Second)
	words := ""
	for _, u := range [...]struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}} {
		n := d / u.size
		if n == 0 {
			if words != "" {
				break
			}
			continue
		}
		d -= n * u.size
		part := strconv.FormatInt(int64(n), 10) + " " + u.name
		if words != "" {
			return words + " " + part
		}
		if words = part; u.size == time.Minute && n >= 10 { // seconds are no help there
			break
		}
	}
	return words
}
