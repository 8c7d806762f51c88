package ui

import (
	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// FilesNav is the file servers, below the folders of the mail.
type FilesNav struct{ App *view.App }

func (c *FilesNav) current(id api.AccountID) any {
	if c.App.Route.Site == id {
		return "page"
	}
	return nil
}

func (c *FilesNav) href(s api.Site) string {
	return view.Route{Page: view.PageFiles, Site: s.ID}.String()
}

func (c *FilesNav) label(s api.Site) string {
	l := view.SiteLabel(s) + ", " + view.SiteSeal(s).Text
	if s.Problem != nil {
		l += ", " + view.FileWords(s.Problem).Title
	}
	return l
}

func (c *FilesNav) open(id api.AccountID, e vugu.DOMEvent) {
	if plainClick(e) {
		e.PreventDefault()
		c.App.OpenFiles(id, "")
	}
}

func (c *FilesNav) add(e vugu.DOMEvent) {
	if plainClick(e) {
		e.PreventDefault()
		c.App.AddServer()
	}
}
