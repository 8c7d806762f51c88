package ui

import "github.com/postern-mail/postern/client/view"

// The looks of Trouble.
const (
	bad   = "problem-bad"
	waits = "notice-waits"
	plain = ""
)

// Trouble says what happened, what it means and what to do, with the technical words folded beneath.
type Trouble struct {
	Words view.Words
	Look  string
	Hook  string
}

func (c *Trouble) role() string {
	if c.Look == bad {
		return "alert"
	}
	return "status"
}

func (c *Trouble) picture() string {
	if c.Look == bad {
		return "alert"
	}
	return "info"
}

func lookOf(w view.Words) string {
	if w.Waits {
		return waits
	}
	return bad
}
