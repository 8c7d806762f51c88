package ui

import "github.com/postern-mail/postern/client/view"

// Toasts are the notes at the foot of the page.
type Toasts struct{ App *view.App }

func trouble(n view.Toast) string {
	w := n.Words()
	s := w.Title + "."
	if w.Means != "" {
		s += " " + w.Means
	}
	return s
}
