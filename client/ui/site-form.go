package ui

import (
	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/view"
)

// SiteForm is the page where a file server is added, or changed.
type SiteForm struct{ App *view.App }

func (c *SiteForm) submit(e vugu.DOMEvent) {
	e.PreventDefault()
	c.App.SiteForm.Save()
}

func (c *SiteForm) words() view.Words { return c.App.FileTrouble(c.App.SiteForm.Problem) }
