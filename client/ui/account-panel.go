package ui

import (
	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// AccountPanel is what belongs to the account and to this device: in a menu, or in a pane of its own where there is
// room for one.
type AccountPanel struct{ App *view.App }

func (c *AccountPanel) others() []api.Account {
	var out []api.Account
	for _, a := range c.App.Accounts {
		if a.ID != c.App.Account {
			out = append(out, a)
		}
	}
	return out
}

func sealClass(a api.Account) string { return classes("seal", when(view.SealOf(a).Bad, "seal-open")) }

// first marks the element that gets the focus when the menu opens.
func (c *AccountPanel) first(i int) any {
	if i == 0 {
		return "true"
	}
	return nil
}

func nameOf(a api.Account) string {
	if a.Label != "" {
		return a.Label
	}
	if a.Name != "" {
		return a.Name
	}
	return a.Email
}

func initialsOf(a api.Account) string {
	if a.Email == "" {
		return ""
	}
	return view.Initials(api.Address{Name: a.Name, Addr: a.Email})
}

func themeName(t string) string {
	switch t {
	case "light":
		return "Light"
	case "dark":
		return "Dark"
	}
	return "System"
}
