package view

import "time"

// SetSearch takes what stands in the search field; the list follows when the typing pauses.
func (a *App) SetSearch(words string) {
	l := &a.List
	l.Search = words
	if l.typing != nil {
		l.typing.Stop()
	}
	l.typing = time.AfterFunc(180*time.Millisecond, func() { a.sched.Update(func() { a.search(words) }) })
}

// SubmitSearch searches at once and moves to the first message found.
func (a *App) SubmitSearch() {
	if a.List.typing != nil {
		a.List.typing.Stop()
	}
	a.search(a.List.Search)
	a.List.focusCursor()
}

// FocusSearch goes to the search field.
func (a *App) FocusSearch() {
	if a.platform.Narrow() && a.Route.Page != PageList {
		a.swap(a.List.place)
	}
	a.platform.Focus(`[data-testid="search-input"]`)
}

// EndSearch shows the whole folder again.
func (a *App) EndSearch() {
	if a.List.typing != nil {
		a.List.typing.Stop()
	}
	a.List.Search = ""
	a.search("")
}

func (a *App) search(words string) {
	if words != a.List.Search || a.Session.Phase != SignedIn {
		return // typed on, or went elsewhere
	}
	p := a.List.place
	if words == p.Query && p.Search == (words != "") {
		return
	}
	r := Route{Account: p.Account, All: p.All, Folder: p.Folder, Query: words, Search: words != ""}
	if p.Search == r.Search || words == "" {
		a.swap(r) // a word more is no place of its own
	} else {
		a.Go(r)
	}
	a.List.Search = words
}
