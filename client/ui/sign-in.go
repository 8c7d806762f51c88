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
	if c.App.Session.Busy {
		return "Signing in…"
	}
	return "Sign in"
}

func (c *SignIn) placeholder() string {
	if d := c.App.Gateway.Domains; len(d) > 0 {
		return "you@" + d[0]
	}
	return "you@example.org"
}

func (c *SignIn) invalid() string {
	p := c.App.Session.Problem
	return boolText(p != nil && p.Code == api.CodeWrongPassword)
}

// demoHook is "demo-alice" for Alice.
func demoHook(d api.DemoAccount) string { return "demo-" + strings.ToLower(d.Name) }

func demoInitials(d api.DemoAccount) string {
	return view.Initials(api.Address{Name: d.Name, Addr: d.Email})
}
