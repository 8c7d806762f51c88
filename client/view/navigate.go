package view

import "github.com/postern-mail/postern/client/api"

// Go goes to a place, with an entry in the history.
func (a *App) Go(r Route) { a.travel(r, a.platform.Push, 1) }

// write goes to the composer; a message after a message is no place of its own, so that closing it leads back to the mail.
func (a *App) write() {
	if a.Route.Page == PageComposer {
		a.swap(Route{Page: PageComposer})
		return
	}
	a.Go(Route{Page: PageComposer})
}

// swap goes to a place in the stead of the present one.
func (a *App) swap(r Route) { a.travel(r, a.platform.Replace, 0) }

func (a *App) travel(r Route, put func(string), entries int) {
	r.Account = a.Account
	if len(a.Accounts) > 0 && a.Accounts[0].ID == a.Account {
		r.Account = ""
	}
	if r.Page == "" {
		r.Page = PageList
		if r.ID != 0 {
			r.Page = PageReader
		}
	}
	if r.String() != a.platform.Location() {
		put(r.String())
		a.depth += entries
	}
	a.arrive(r)
}

// Navigated follows the browser's Back and Forward to an address.
func (a *App) Navigated(location string) {
	from := a.Route
	r := ParseRoute(location)
	if a.depth > 0 {
		a.depth--
	}
	if from.Page == PageComposer && r.Page != PageComposer {
		a.Composer.Close()
	}
	if acc := r.Account; acc == "" && len(a.Accounts) > 0 {
		a.Account = a.Accounts[0].ID
	} else if acc != "" {
		a.Account = acc
	}
	if a.Session.Phase != SignedIn {
		a.Route = r
		return
	}
	a.arrive(r)
}

// arrive shows the place.
func (a *App) arrive(r Route) {
	a.Menu.Close()
	if a.Current().ID == "" && len(a.Accounts) > 0 {
		a.Account = a.Accounts[0].ID
	}
	switch r.Page {
	case PageComposer:
		if a.Route.Page != PageComposer {
			a.back = a.Route
		}
		// The list and the reader behind the composer stay what they were.
		r.Folder, r.Query, r.Search, r.ID = a.back.Folder, a.back.Query, a.back.Search, a.back.ID
		if r.Folder == "" {
			r.Folder = api.Inbox
		}
		a.Route = r
		a.List.show(r.place())
		switch {
		case r.Draft != 0:
			a.Composer.edit(r.Draft)
		case !a.Composer.Open:
			a.Composer.blank()
		}
	case PageAccounts:
		r.Folder, r.Query, r.Search = a.List.place.Folder, a.List.place.Query, a.List.place.Search
		if r.Folder == "" {
			r.Folder = api.Inbox
		}
		a.Route = r
		a.List.show(r.place())
		a.platform.Focus(`[data-testid="folder-` + string(r.Folder) + `"]`)
	case PageSettings:
		r.Folder, r.Query, r.Search = a.List.place.Folder, a.List.place.Query, a.List.place.Search
		if r.Folder == "" {
			r.Folder = api.Inbox
		}
		a.Route = r
		a.List.show(r.place())
		a.AccountForm.open(a.Account)
	default:
		a.Route = r
		a.List.show(r.place())
		switch {
		case r.ID == 0:
			a.Reader.close()
		case r.Folder == api.Drafts:
			a.Reader.close()
			a.Composer.edit(r.ID)
		default:
			a.Reader.open(r.ID)
		}
	}
	a.title()
}

// OpenFolder shows a folder's list.
func (a *App) OpenFolder(f api.FolderID) {
	a.List.Search = ""
	a.Go(Route{Folder: f})
	if a.List.Total > 0 && !a.platform.Narrow() {
		a.List.focusCursor()
	}
}

// OpenMessage opens a message of the list: in the reader, or a draft in the composer.
func (a *App) OpenMessage(id api.MessageID) {
	a.List.SetCursor(id)
	r := a.List.place
	r.ID, r.Page = id, PageReader
	a.Go(r)
	if a.platform.Narrow() && r.Folder != api.Drafts {
		a.platform.Focus(readerHeading)
	}
}

// CloseMessage goes back to the list.
func (a *App) CloseMessage() {
	if a.Route.Page != PageReader {
		return
	}
	a.leave(a.List.place)
	a.List.focusCursor()
}

// leave goes back in the history if the place before is this page's own, and else replaces the place by to, so that a
// message opened from a bookmark has a way back too.
func (a *App) leave(to Route) {
	if a.depth > 0 {
		a.platform.Back() // Navigated follows
		return
	}
	a.swap(to)
}

// OpenSettings shows the settings of the present account.
func (a *App) OpenSettings() { a.Go(Route{Page: PageSettings}) }

// OpenAccounts shows folders, accounts and state as a page of its own, where one pane is shown at a time.
func (a *App) OpenAccounts() { a.Go(Route{Page: PageAccounts}) }

// SwitchAccount shows another account's inbox.
func (a *App) SwitchAccount(id api.AccountID) {
	a.Menu.Close()
	if id == a.Account {
		return
	}
	a.Composer.Close()
	a.Account = id
	a.platform.SetPreference("account", string(id))
	a.Go(Route{Folder: api.Inbox})
}

const readerHeading = `[data-testid="message-subject"]`

func rowSelector(id api.MessageID) string { return `[data-row="` + idText(id) + `"]` }

// Narrow says that one pane is shown at a time, with the bar of tabs under it.
func (a *App) Narrow() bool { return a.platform.Narrow() }

// Pane is the pane shown where there is room for one.
func (a *App) Pane() Page {
	switch {
	case a.Composer.Open && (a.Route.Page == PageComposer || a.Route.Folder == api.Drafts && a.Route.ID != 0):
		return PageComposer
	case a.Route.Page == PageReader && a.Reader.ID != 0:
		return PageReader
	case a.Route.Page == PageAccounts, a.Route.Page == PageSettings:
		return a.Route.Page
	}
	return PageList
}
