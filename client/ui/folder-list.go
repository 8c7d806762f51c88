package ui

import (
	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// FolderList is the folders of the account shown.
type FolderList struct{ App *view.App }

// folders are the account's, or the usual ones without counts until it is known.
func (c *FolderList) folders() []api.Folder {
	if f := c.App.Current().Folders; len(f) > 0 {
		return f
	}
	out := make([]api.Folder, len(api.Folders))
	for i, id := range api.Folders {
		out[i].ID = id
	}
	return out
}

func (c *FolderList) current(f api.Folder) any {
	if c.App.List.Place().Folder == f.ID {
		return "page"
	}
	return nil
}

func (c *FolderList) open(f api.FolderID, e vugu.DOMEvent) {
	if plainClick(e) {
		e.PreventDefault()
		c.App.OpenFolder(f)
	}
}
