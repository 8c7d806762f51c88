package ui

import (
	"strings"

	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// SignIn is the sign-in form.
type SignIn struct{ App *view.App }

func (c *SignIn) submit(e vugu.DOMEvent) {
	e.PreventDefault()
	c.App.Session.Submit()
}

func (c *SignIn) title() string {
	switch {
	case c.App.Session.Adding && c.App.Session.Email != "" && c.App.Session.Email == c.App.Current().Email:
		return "Enter your password"
	case c.App.Session.Adding:
		return "Add an account"
	}
	return "Sign in to your mail"
}

func (c *SignIn) lead() string {
	return "Postern speaks to your mail server from this browser, and keeps your mail here."
}

func (c *SignIn) submitText() string {
	switch s := &c.App.Session; {
	case s.Busy && s.Doing != "":
		return s.Doing
	case s.Busy:
		return "Signing in…"
	case s.Confirm:
		return "Sign in there"
	}
	return "Sign in"
}

func (c *SignIn) setupText() string {
	if c.App.Session.Manual {
		return "Find the settings for me"
	}
	return "Set up by hand"
}

func (c *SignIn) foundLook() string {
	if c.App.Session.Confirm {
		return waits
	}
	return plain
}

// demoHook is "demo-alice" for Alice.
func demoHook(d api.DemoAccount) string { return "demo-" + strings.ToLower(d.Name) }

func demoInitials(d api.DemoAccount) string {
	return view.Initials(api.Address{Name: d.Name, Addr: d.Email})
}
