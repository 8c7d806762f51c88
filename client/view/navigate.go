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
	if r.Account == "" {
		r.Account = a.Account
		if r.Page == PageComposer && a.Composer.Open {
			r.Account = a.Composer.draft.Account
		}
	}
	r = a.full(r)
	if r.Page == "" {
		r.Page = PageList
		if r.ID != 0 {
			r.Page = PageReader
		}
	}
	if at := a.address(r); at != a.platform.Location() {
		put(at)
		a.depth += entries
	}
	a.arrive(r)
}

// full is a place with its account: without one, or with one that is gone, it is the first's. All inboxes have none, and
// where there is one account they are its inbox.
func (a *App) full(r Route) Route {
	if len(a.Accounts) == 0 {
		return r
	}
	if a.AccountOf(r.Account).ID == "" {
		if r.Account != "" { // it is gone, and its message is no other account's
			r.ID, r.Draft, r.Page = 0, 0, PageList
		}
		r.Account = a.Accounts[0].ID
	}
	r.All = r.All && a.Several()
	if r.All && r.ID == 0 && r.ofMail() {
		r.Account = ""
	}
	return r
}

// address is that of a place, without the account where it is the first.
func (a *App) address(r Route) string {
	if len(a.Accounts) > 0 && r.Account == a.Accounts[0].ID {
		r.Account = ""
	}
	return r.String()
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
	if a.Session.Phase == Starting {
		a.Route = r
		return
	}
	a.arrive(a.full(r))
}

// arrive shows the place.
func (a *App) arrive(r Route) {
	a.Menu.Close()
	if !r.All && r.Page != PageComposer && r.Account != "" {
		a.Account = r.Account
	}
	if a.Current().ID == "" && len(a.Accounts) > 0 {
		a.Account = a.Accounts[0].ID
	}
	if a.Route.Page == PageWire && r.Page != PageWire {
		a.Wire.close()
	}
	if a.Route.Page == PageServer && r.Page != PageServer {
		a.Desk.close()
	}
	if a.Route.Page == PageSite && r.Page != PageSite {
		a.SiteForm.close()
	}
	if len(a.Accounts) == 0 && r.Site == "" && r.Page != PageSite { // there is no mail: the form asks for an account
		a.Route = r
		a.title()
		a.platform.Focus(`[data-testid="signin-email"]`)
		return
	}
	switch r.Page {
	case PageComposer:
		if a.Route.Page != PageComposer {
			a.back = a.Route
		}
		// The list and the reader behind the composer stay what they were.
		if a.back.Folder == "" {
			a.back = Route{Account: r.Account, Folder: api.Inbox, Page: PageList}
		}
		a.Route = r
		a.behind(a.back)
		switch {
		case r.Draft != 0:
			a.Composer.edit(api.MessageRef{Account: r.Account, ID: r.Draft})
		case !a.Composer.Open:
			a.Composer.blank()
		}
	case PageWire:
		a.Route = r
		a.behind(a.List.place)
		of := r.Account
		if r.Site != "" {
			of = r.Site
		}
		a.Wire.open(of, r.Session, r.Line)
	case PageFiles:
		a.Files.focus = a.Files.focus || a.Route.Page != PageFiles
		a.Route = r
		a.behind(a.List.place)
		if a.Site(r.Site).ID == "" { // it is gone, or never was
			a.swap(a.List.place)
			return
		}
		a.Files.show(r.Site, r.Path)
	case PageSite:
		a.Route = r
		a.behind(a.List.place)
		a.SiteForm.open(r.Site)
	case PageServer:
		a.Route = r
		a.behind(a.List.place)
		a.Desk.open(r.Account, r.Row)
	case PageAccounts:
		a.Route = r
		a.behind(a.List.place)
		a.platform.Focus(`[data-testid="folder-` + string(a.Route.Folder) + `"]`)
	case PageSettings:
		a.Route = r
		a.behind(a.List.place)
		a.AccountForm.open(a.Account)
	default:
		a.Route = r
		a.Open = api.MessageRef{Account: r.Account, ID: r.ID}
		a.List.show(r.place())
		switch {
		case r.ID == 0:
			a.Reader.close()
		case r.Folder == api.Drafts:
			a.Reader.close()
			a.Composer.edit(a.Open)
		default:
			a.Reader.open(a.Open)
		}
	}
	a.title()
}

// behind keeps a place of mail behind a page of another kind.
func (a *App) behind(mail Route) {
	r := &a.Route
	r.All, r.Folder, r.Query, r.Search = mail.All, mail.Folder, mail.Query, mail.Search
	if r.Folder == "" {
		r.Folder = api.Inbox
	}
	place := r.place()
	if r.Page == PageComposer && !mail.All { // what is written may be another account's
		place.Account = mail.Account
	}
	if len(a.Accounts) > 0 {
		a.List.show(place)
	}
}

// OpenFolder shows a folder's list, of the account shown.
func (a *App) OpenFolder(f api.FolderID) { a.OpenFolderOf(a.Account, f) }

// OpenFolderOf shows the list of an account's folder.
func (a *App) OpenFolderOf(acc api.AccountID, f api.FolderID) {
	if acc != a.Account {
		a.platform.SetPreference("account", string(acc))
	}
	a.platform.SetPreference("all", "")
	a.goToList(Route{Account: acc, Folder: f})
}

// OpenAll shows the inboxes of all accounts together; of one, that is its inbox.
func (a *App) OpenAll() {
	if !a.Several() {
		a.OpenFolder(api.Inbox)
		return
	}
	a.platform.SetPreference("all", "yes")
	a.goToList(Route{All: true, Folder: api.Inbox})
}

// Home shows the inbox, or all of them if that is how they were read last.
func (a *App) Home() {
	if a.Several() && a.platform.Preference("all") == "yes" {
		a.OpenAll()
		return
	}
	a.OpenFolder(api.Inbox)
}

func (a *App) goToList(r Route) {
	a.List.Search = ""
	a.Go(r)
	switch {
	case a.platform.Narrow() || len(a.Accounts) == 0:
	case a.List.Total > 0:
		a.List.focusCursor()
	default: // the tree of the account shown comes first, so that the link that was pressed may be another's now
		a.platform.Focus(`.folder[aria-current]`)
	}
}

// OpenMessage opens a message of the list: in the reader, or a draft in the composer.
func (a *App) OpenMessage(m api.MessageRef) {
	a.List.SetCursor(m)
	r := a.List.at(m)
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

// OpenSettings shows the settings of an account.
func (a *App) OpenSettings(id api.AccountID) { a.Go(Route{Page: PageSettings, Account: id}) }

// OpenAccounts shows folders, accounts and state as a page of its own, where one pane is shown at a time.
func (a *App) OpenAccounts() { a.Go(Route{Page: PageAccounts}) }

// SwitchAccount shows another account's inbox.
func (a *App) SwitchAccount(id api.AccountID) {
	a.Menu.Close()
	if id == a.Account {
		return
	}
	a.Composer.Close()
	a.platform.SetPreference("account", string(id))
	a.platform.SetPreference("all", "")
	a.Go(Route{Account: id, Folder: api.Inbox})
}

const readerHeading = `[data-testid="message-subject"]`

// Narrow says that one pane is shown at a time, with the bar of tabs under it.
func (a *App) Narrow() bool { return a.platform.Narrow() }

// Pane is the pane shown where there is room for one.
func (a *App) Pane() Page {
	switch {
	case a.Composer.Open && (a.Route.Page == PageComposer || a.draftOpen()):
		return PageComposer
	case a.Route.Page == PageReader && a.Reader.ID != 0:
		return PageReader
	case a.Route.Page == PageAccounts, a.Route.Page == PageSettings, a.Route.Page == PageWire, a.Route.Page == PageServer, a.Route.Page == PageFiles, a.Route.Page == PageSite:
		return a.Route.Page
	}
	return PageList
}

// draftOpen says that the place is a draft in its folder.
func (a *App) draftOpen() bool {
	return a.Route.Page == PageReader && a.Route.Folder == api.Drafts && a.Route.ID != 0
}
