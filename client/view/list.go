package view

import (
	"context"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// List is the list of messages: a window of a folder (or of a search in it, or of all inboxes together) that may hold
// 100,000. Only the rows around what is on the screen are kept; the others are asked for when they come near. A message's
// number is its account's own, so that everything here is known by account and number.
type List struct {
	Loaded  bool // the first answer has come
	Slow    bool // it has not come for 100 ms
	Total   int
	Problem *api.Problem // why the last question was not answered

	// First and Shown are the rows on the screen, told by the component that scrolls.
	First, Shown int

	// Search is what stands in the search field; the place's query follows it a moment later.
	Search string

	Cursor   api.MessageRef // the row the keyboard is at
	Selected map[api.MessageRef]bool

	app     *App
	place   Route
	account api.AccountID // "" of all inboxes
	rows    map[int]api.Row
	cursor  int  // index of Cursor when it was last seen
	anchor  int  // the other end of a range being selected
	eager   bool // the focus was sent here before there was a row, and waits for one

	gen      int          // counts refreshes: answers to older questions are dropped
	asked    map[int]bool // offsets asked in this generation and not answered
	fresh    bool         // a refresh is on its way
	again    bool         // and another is due after it
	revision uint64
	known    uint64                      // of all inboxes: the revisions of the accounts when it was asked
	hidden   map[api.MessageRef]*removal // rows taken out before the engine has said so
	marks    map[api.MessageRef]*marking // flags changed before the engine has said so
	viewport Viewport
	typing   *time.Timer
}

// Viewport is the scrolling element of the list.
type Viewport interface {
	// ShiftBy scrolls by so many rows at once, so that what is looked at stays where it is when rows come in above.
	ShiftBy(rows int)
	// Reveal scrolls as little as needed to show the row.
	Reveal(index int)
	// Top scrolls to the start.
	Top()
}

const (
	// pageRows is what one question asks for: a few screens, some 30 KB of JSON.
	pageRows = 100
	// keepRows are kept on each side of the screen: scrolling back a few screens asks nothing.
	keepRows = 500
	// ahead is how near the edge of what is there the next rows are asked for.
	ahead = 30
	// questions is how many are asked at once: a fast drag of the scroll bar through 100,000 rows must not queue hundreds.
	questions = 2
)

// SetViewport tells the list what scrolls it.
func (l *List) SetViewport(v Viewport) { l.viewport = v }

// Count is how many rows there are.
func (l *List) Count() int { return l.Total }

// Place is the folder and search that the list shows.
func (l *List) Place() Route { return l.place }

// RefOf names a row's message.
func RefOf(r api.Row) api.MessageRef { return api.MessageRef{Account: r.Account, ID: r.ID} }

// Row is the i-th row, if it is there.
func (l *List) Row(i int) (api.Row, bool) {
	r, ok := l.rows[i]
	return r, ok
}

// Unread is how many unread messages the folder has, what was done here and is not confirmed yet included.
func (l *List) Unread() int { return l.app.folder(l.place).Unread }

// Find is the index of a message among the rows that are there, or -1.
func (l *List) Find(m api.MessageRef) int {
	if r, ok := l.rows[l.cursor]; ok && RefOf(r) == m {
		return l.cursor
	}
	for i, r := range l.rows {
		if RefOf(r) == m {
			return i
		}
	}
	return -1
}

// SetWindow says which rows are on the screen; those that are not there are asked for.
func (l *List) SetWindow(first, shown int) {
	l.First, l.Shown = max(first, 0), shown
	l.fetch()
}

// show makes the list show a place.
func (l *List) show(place Route) {
	same := l.account == place.Account && l.rows != nil
	if same && l.place == place {
		return
	}
	l.forgetCalls()
	if same && l.place.All == place.All && l.place.Folder == place.Folder && place.Search && l.place.Search {
		l.place = place // words added to a search: what was found stays until the answer comes
		l.Refresh()
		return
	}
	l.place, l.account = place, place.Account
	l.rows = map[int]api.Row{}
	l.Loaded, l.Slow, l.Total, l.Problem = false, false, 0, nil
	l.Cursor, l.cursor, l.anchor, l.Selected = api.MessageRef{}, 0, -1, nil
	l.First = 0
	l.Search = place.Query
	if l.viewport != nil {
		l.viewport.Top()
	}
	if !place.Search { // the count is known before the rows are
		l.Total = l.app.folder(place).Total
	}
	l.Refresh()
	gen := l.gen
	time.AfterFunc(100*time.Millisecond, func() {
		l.app.sched.Update(func() { l.Slow = l.Slow || gen == l.gen && !l.Loaded })
	})
}

// Refresh asks anew for what is on the screen. What is there stays until the answer comes.
func (l *List) Refresh() {
	if l.fresh {
		l.again = true
		return
	}
	l.gen++
	l.fresh = true
	l.asked = map[int]bool{}
	l.known = l.app.folder(l.place).Revision
	offset := max(l.First-ahead, 0)
	l.question(offset, min(max(l.Shown+2*ahead, pageRows), api.MaxListLimit), true)
}

// forgetCalls drops what a former engine was asked.
func (l *List) forgetCalls() {
	l.gen++
	l.fresh, l.again, l.asked = false, false, map[int]bool{}
}

// revised refreshes the list if the account's folder has changed since it was asked.
func (l *List) revised(acc api.Account) {
	f := l.app.folder(l.place)
	switch {
	case l.place.All && f.Revision == l.known, !l.place.All && (acc.ID != l.account || f.Revision == l.revision):
	case f.ID != "":
		l.Refresh()
	}
}

// fetch asks for the rows near the screen that are missing.
func (l *List) fetch() {
	if l.fresh || !l.Loaded {
		return
	}
	from, to := max(l.First-ahead, 0), min(l.First+l.Shown+ahead, l.Total)
	for i := from; i < to && len(l.asked) < questions; i++ {
		if _, ok := l.rows[i]; ok {
			continue
		}
		offset := i / pageRows * pageRows
		if !l.asked[offset] {
			l.question(offset, pageRows, false)
		}
		i = offset + pageRows - 1
	}
}

func (l *List) question(offset, limit int, refresh bool) {
	gen, place := l.gen, l.place
	q := api.ListQuery{Account: l.account, Folder: place.Folder, Query: place.Query, Offset: offset, Limit: limit}
	l.asked[offset] = true
	var page api.ListPage
	l.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		page, err = svc.List(ctx, q)
		return err
	}, func(p *api.Problem) {
		if gen != l.gen {
			return
		}
		delete(l.asked, offset)
		if refresh {
			l.fresh = false
		}
		switch {
		case p != nil && p.Code == api.CodeCanceled:
		case p != nil:
			l.Problem = p
		case refresh:
			l.Problem = nil
			l.replace(page)
		default:
			l.add(page)
			l.reach()
			if page.Revision != l.revision {
				l.Refresh()
			}
		}
		if refresh && l.again {
			l.again = false
			l.refreshSoon()
			return
		}
		if p == nil {
			l.fetch()
		}
	})
}

// refreshSoon is Refresh a moment later: while 10,000 messages come in, the list is asked a few times a second.
func (l *List) refreshSoon() {
	gen := l.gen
	time.AfterFunc(150*time.Millisecond, func() {
		l.app.sched.Update(func() {
			if gen == l.gen {
				l.Refresh()
			}
		})
	})
}

// replace takes the answer to a refresh.
func (l *List) replace(page api.ListPage) {
	top, looking := l.rows[l.First]
	empty := !l.Loaded
	for ref, h := range l.hidden { // what the engine confirmed before this question was asked is in the answer
		if h.confirmed && h.gen < l.gen {
			delete(l.hidden, ref)
		}
	}
	l.rows = map[int]api.Row{}
	l.revision = page.Revision
	l.Loaded, l.Slow = true, false
	l.add(page)
	if empty && l.Cursor.ID == 0 {
		l.Cursor = l.app.Open
		if l.Cursor.ID == 0 {
			l.Cursor = RefOf(l.rows[0])
		}
	}
	if looking && l.First > 0 && l.viewport != nil {
		if i := l.Find(RefOf(top)); i >= 0 && i != l.First {
			d := i - l.First
			l.First = i
			l.viewport.ShiftBy(d)
		}
	}
	l.followCursor()
	if l.eager && len(page.Rows) > 0 {
		l.focusCursor()
	}
}

// followCursor finds the cursor's row after the rows have changed; if it is gone, the one in its place takes over.
func (l *List) followCursor() {
	if i := l.Find(l.Cursor); i >= 0 {
		l.cursor = i
		return
	}
	if l.cursor >= l.Total {
		l.cursor = max(l.Total-1, 0)
	}
	if r, ok := l.rows[l.cursor]; ok {
		l.Cursor = RefOf(r)
	} else if r, ok := l.rows[l.First]; ok {
		l.cursor, l.Cursor = l.First, RefOf(r)
	}
}

// add takes rows in, without those that were removed here and with the flags that were changed here.
func (l *List) add(page api.ListPage) {
	out := 0
	for i, r := range page.Rows {
		if r.Account == "" {
			r.Account = l.account
		}
		if h := l.hidden[RefOf(r)]; h != nil && h.from == l.place.Folder {
			out++
			continue
		}
		if m := l.marks[RefOf(r)]; m != nil {
			m.apply(&r)
		}
		r.Date = l.app.platform.Local(r.Date)
		l.rows[page.Offset+i-out] = r
	}
	l.Total = max(page.Total-out, 0)
	for i := range l.rows {
		if i < l.First-keepRows || i > l.First+l.Shown+keepRows || i >= l.Total {
			delete(l.rows, i)
		}
	}
}

// cut takes the rows at some indexes out; put brings one back.
func (l *List) cut(i int) {
	rows := make(map[int]api.Row, len(l.rows))
	for j, r := range l.rows {
		switch {
		case j < i:
			rows[j] = r
		case j > i:
			rows[j-1] = r
		}
	}
	l.rows = rows
	l.Total = max(l.Total-1, 0)
}

func (l *List) put(i int, row api.Row) {
	rows := make(map[int]api.Row, len(l.rows)+1)
	for j, r := range l.rows {
		if j < i {
			rows[j] = r
		} else {
			rows[j+1] = r
		}
	}
	i = min(i, l.Total)
	rows[i] = row
	l.rows = rows
	l.Total++
}

// edit changes a row that is there.
func (l *List) edit(m api.MessageRef, change func(*api.Row)) {
	if i := l.Find(m); i >= 0 {
		r := l.rows[i]
		change(&r)
		l.rows[i] = r
	}
}
