package view

import (
	"time"

	"github.com/postern-mail/postern/client/api"
)

// SetCursor puts the keyboard's place on a row.
func (l *List) SetCursor(m api.MessageRef) {
	l.Cursor = m
	if i := l.Find(m); i >= 0 {
		l.cursor, l.anchor = i, i
	}
}

// Move moves the cursor by so many rows and, where the reading pane is beside the list, opens the message there.
func (l *List) Move(by int) {
	if l.Total == 0 {
		return
	}
	i := min(max(l.cursor+by, 0), l.Total-1)
	if l.Find(l.Cursor) < 0 {
		i = min(max(l.First, 0), l.Total-1)
	}
	l.moveTo(i)
}

// MoveToEnd moves the cursor to the first row or the last.
func (l *List) MoveToEnd(last bool) {
	if l.Total == 0 {
		return
	}
	if last {
		l.moveTo(l.Total - 1)
	} else {
		l.moveTo(0)
	}
}

func (l *List) moveTo(i int) {
	l.cursor, l.anchor = i, i
	if l.viewport != nil {
		l.viewport.Reveal(i)
	}
	r, ok := l.rows[i]
	if !ok { // not there yet: it is reached when it comes
		l.Cursor = api.MessageRef{}
		l.First = i
		l.fetch()
		return
	}
	l.landOn(r)
}

// reach takes the cursor to the row that it was sent to before the row was there.
func (l *List) reach() {
	if r, ok := l.rows[l.cursor]; ok && l.Cursor.ID == 0 {
		l.landOn(r)
	}
}

func (l *List) landOn(r api.Row) {
	l.Cursor = RefOf(r)
	l.app.platform.Focus(l.selector(l.Cursor))
	if l.app.platform.Narrow() || l.place.Folder == api.Drafts || len(l.Selected) > 0 {
		return
	}
	l.openSoon(l.Cursor)
}

// openSoon opens the row under the cursor when it has rested there: holding j down must not open each message it passes.
func (l *List) openSoon(m api.MessageRef) {
	time.AfterFunc(120*time.Millisecond, func() {
		l.app.sched.Update(func() {
			if p := l.app.Route.Page; l.Cursor != m || l.app.Open == m || p == PageComposer || p == PageWire || p == PageServer {
				return
			}
			r := l.at(m)
			if l.app.Route.Page == PageReader {
				l.app.swap(r)
			} else {
				l.app.Go(r)
			}
		})
	})
}

// Left says that the focus went from the empty list to somewhere else: the first row that comes does not take it.
func (l *List) Left() { l.eager = false }

// focusCursor gives the keyboard to the cursor's row.
func (l *List) focusCursor() {
	if l.Cursor.ID == 0 {
		if r, ok := l.rows[l.First]; ok {
			l.Cursor, l.cursor = RefOf(r), l.First
		}
	}
	l.eager = !l.Loaded || l.Cursor.ID == 0
	if l.Cursor.ID != 0 {
		l.app.platform.Focus(l.selector(l.Cursor))
	} else { // in an empty list the keys work all the same
		l.app.platform.Focus(`[data-testid="message-list"]`)
	}
}

// Toggle selects or unselects a row; with extend, the rows from the last one toggled to this one.
func (l *List) Toggle(m api.MessageRef, extend bool) {
	i := l.Find(m)
	if i < 0 {
		return
	}
	if l.Selected == nil {
		l.Selected = map[api.MessageRef]bool{}
	}
	from := l.anchor
	if !extend || from < 0 {
		if l.Selected[m] {
			delete(l.Selected, m)
		} else {
			l.Selected[m] = true
		}
		l.anchor = i
	} else {
		for j := min(i, from); j <= max(i, from); j++ {
			if r, ok := l.rows[j]; ok {
				l.Selected[RefOf(r)] = true
			}
		}
	}
	l.Cursor, l.cursor = m, i
}

// ClearSelection unselects all.
func (l *List) ClearSelection() { l.Selected = nil }

// Targets are the messages that an action is about: those selected, or the one open, or the one under the cursor.
func (l *List) Targets() []api.MessageRef {
	if len(l.Selected) > 0 {
		list := make([]api.MessageRef, 0, len(l.Selected))
		for m := range l.Selected {
			list = append(list, m)
		}
		inOrder(len(list), func(i, j int) bool {
			a, b := &list[i], &list[j]
			return a.Account < b.Account || a.Account == b.Account && a.ID < b.ID
		}, func(i, j int) { list[i], list[j] = list[j], list[i] })
		return list
	}
	if l.app.Route.Page == PageReader && l.app.Reader.ID != 0 {
		return []api.MessageRef{l.app.Reader.MessageRef}
	}
	if l.Cursor.ID != 0 && l.Find(l.Cursor) >= 0 {
		return []api.MessageRef{l.Cursor}
	}
	return nil
}

// at is the place of a message of the list.
func (l *List) at(m api.MessageRef) Route {
	r := l.place
	r.Account, r.ID, r.Page = m.Account, m.ID, PageReader
	return r
}

// Key names a message's row in the document: by its number, and where several accounts are listed by its account too.
func (l *List) Key(m api.MessageRef) string {
	if l.place.All {
		return idText(m.ID) + "@" + escape(string(m.Account))
	}
	return idText(m.ID)
}

func (l *List) selector(m api.MessageRef) string { return `[data-row="` + l.Key(m) + `"]` }
