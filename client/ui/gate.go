package ui

import (
	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/view"
)

// Gate asks for the gateway's access token: as the first step of signing in, or above the mail, which is there to read.
type Gate struct{ App *view.App }

func (c *Gate) submit(e vugu.DOMEvent) {
	e.PreventDefault()
	c.App.Gate.Enter()
}

func (c *Gate) look() string {
	if c.App.Session.Shown() {
		return "signin-card"
	}
	return "banner banner-waits unlock"
}

func (c *Gate) button() string {
	if c.App.Session.Shown() {
		return "button button-main button-wide"
	}
	return "button button-main"
}

func (c *Gate) role() string {
	if c.App.Gate.Problem != nil {
		return "alert"
	}
	return "status"
}

func (c *Gate) text() string {
	if c.App.Gate.Busy {
		return "Asking…"
	}
	return "Enter"
}
