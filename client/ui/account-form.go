package ui

import (
	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/view"
)

// AccountForm is the page of an account's settings.
type AccountForm struct{ App *view.App }

func (c *AccountForm) submit(e vugu.DOMEvent) {
	e.PreventDefault()
	c.App.AccountForm.Save()
}
