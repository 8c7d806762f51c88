package ui

import (
	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Unlock asks for the passphrase under which the passwords are kept. The mail is there to read beside it.
type Unlock struct{ App *view.App }

func (c *Unlock) submit(e vugu.DOMEvent) {
	e.PreventDefault()
	c.App.Vault.Unlock()
}

func (c *Unlock) words() view.Words {
	if p := c.App.Vault.Problem; p != nil {
		return view.WordsFor(p)
	}
	return view.WordsFor(&api.Problem{Code: api.CodeLocked})
}

func (c *Unlock) role() string {
	if c.App.Vault.Problem != nil {
		return "alert"
	}
	return "status"
}

func (c *Unlock) text() string {
	if c.App.Vault.Busy {
		return "Unlocking…"
	}
	return "Unlock"
}
