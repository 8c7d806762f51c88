package ui

import (
	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/view"
)

// Search is the search field.
type Search struct{ App *view.App }

func (c *Search) folder() string {
	f := c.App.List.Place().Folder
	if c.App.InAll() {
		return "all inboxes"
	}
	if f == "" {
		return "mail"
	}
	return view.FolderName(f)
}

func (c *Search) submit(e vugu.DOMEvent) {
	e.PreventDefault()
	c.App.SubmitSearch()
}

func (c *Search) key(e vugu.DOMEvent) {
	if goesDown(e) {
		c.App.SubmitSearch()
	}
}

// goesDown says that a key leads from a field to what it has found.
func goesDown(e vugu.DOMEvent) bool {
	k := e.PropString("key")
	if k != "ArrowDown" && k != "Enter" {
		return false
	}
	e.PreventDefault()
	return true
}

func (c *Search) clear() {
	c.App.EndSearch()
	c.App.FocusSearch()
}
