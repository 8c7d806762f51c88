package ui

import (
	"strconv"
	"strings"

	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// FolderList is the folders: of each account a tree, and of several their inboxes together on top. In the document the
// tree of the account shown comes first, so that its folders are the first of their names; on the page the trees stand
// in the order of the accounts.
type FolderList struct{ App *view.App }

type tree struct {
	api.Account
	name, sync string
	place      int // on the page
	folded     bool
	first      bool // of the accounts: its addresses do not name it
}

func (c *FolderList) trees() []tree {
	out := make([]tree, 0, len(c.App.Accounts)+1)
	for i, acc := range c.App.Accounts {
		t := tree{Account: acc, name: acc.Label, place: i + 1, first: i == 0}
		if t.name == "" { // there is no room for the whole address, which stands beneath
			t.name, _, _ = strings.Cut(acc.Email, "@")
		}
		t.sync, _ = c.App.SyncWordsOf(acc)
		t.folded = c.App.Several() && c.App.Settings.Folded(acc.ID)
		if out = append(out, t); acc.ID == c.App.Account {
			copy(out[1:], out)
			out[0] = t
		}
	}
	if len(out) == 0 {
		out = append(out, tree{first: true})
	}
	for i := range out {
		if len(out[i].Folders) == 0 { // the usual ones without counts until they are known
			for _, id := range api.Folders {
				out[i].Folders = append(out[i].Folders, api.Folder{ID: id})
			}
		}
	}
	return out
}

func (t tree) order() string { return "order:" + strconv.Itoa(t.place) }

func (t tree) label() string {
	if t.ID == "" {
		return "Folders"
	}
	return "Folders of " + t.Email
}

func (t tree) unread() (n int) {
	for _, f := range t.Folders {
		if f.ID == api.Inbox {
			n = f.Unread
		}
	}
	return n
}

func (t tree) href(f api.Folder) string {
	r := view.Route{Folder: f.ID, Account: t.ID}
	if t.first {
		r.Account = ""
	}
	return r.String()
}

// icon says how fetching stands where there is something to say.
func (t tree) icon() string {
	switch {
	case !t.HasPassword && t.ID != "":
		return "lock"
	case t.Sync.State == api.SyncError:
		return "alert"
	case t.Sync.State == api.Syncing:
		return "sync"
	}
	return ""
}

func (t tree) look() string {
	if t.icon() == "sync" {
		return "turning"
	}
	return "tree-waits"
}

func (c *FolderList) current(t tree, f api.Folder) any {
	if c.App.AtFiles() {
		return nil
	}
	if p := c.App.List.Place(); !p.All && p.Folder == f.ID && t.ID == c.App.Account {
		return "page"
	}
	return nil
}

func (c *FolderList) inAll() any {
	if c.App.InAll() && !c.App.AtFiles() {
		return "page"
	}
	return nil
}

func (c *FolderList) allLabel() string {
	if n := c.App.AllUnread(); n > 0 {
		return view.AllInboxes + ", " + view.Number(n) + " unread"
	}
	return view.AllInboxes
}

func (c *FolderList) open(t tree, f api.FolderID, e vugu.DOMEvent) {
	if plainClick(e) {
		e.PreventDefault()
		c.App.OpenFolderOf(t.ID, f)
	}
}

func (c *FolderList) openAll(e vugu.DOMEvent) {
	if plainClick(e) {
		e.PreventDefault()
		c.App.OpenAll()
	}
}
