package view

import (
	"slices"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// SetCursor puts the keyboard's place on a row.
func (l *List) SetCursor(id api.MessageID) {
	l.Cursor = id
	if i := l.Find(id); i >= 0 {
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
		l.Cursor = 0
		l.First = i
		l.fetch()
		return
	}
	l.landOn(r)
}

// reach takes the cursor to the row that it was sent to before the row was there.
func (l *List) reach() {
	if r, ok := l.rows[l.cursor]; ok && l.Cursor == 0 {
		l.landOn(r)
	}
}

func (l *List) landOn(r api.Row) {
	l.Cursor = r.ID
	l.app.platform.Focus(rowSelector(r.ID))
	if l.app.platform.Narrow() || l.place.Folder == api.Drafts || len(l.Selected) > 0 {
		return
	}
	l.openSoon(r.ID)
}

// openSoon opens the row under the cursor when it has rested there: holding j down must not open each message it passes.
func (l *List) openSoon(id api.MessageID) {
	time.AfterFunc(120*time.Millisecond, func() {
		l.app.sched.Update(func() {
			if l.Cursor != id || l.app.Route.ID == id || l.app.Route.Page == PageComposer {
				return
			}
			r := l.place
			r.ID, r.Page = id, PageReader
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
	if l.Cursor == 0 {
		if r, ok := l.rows[l.First]; ok {
			l.Cursor, l.cursor = r.ID, l.First
		}
	}
	l.eager = !l.Loaded || l.Cursor == 0
	if l.Cursor != 0 {
		l.app.platform.Focus(rowSelector(l.Cursor))
	} else { // in an empty list the keys work all the same
		l.app.platform.Focus(`[data-testid="message-list"]`)
	}
}

// Toggle selects or unselects a row; with extend, the rows from the last one toggled to this one.
func (l *List) Toggle(id api.MessageID, extend bool) {
	i := l.Find(id)
	if i < 0 {
		return
	}
	if l.Selected == nil {
		l.Selected = map[api.MessageID]bool{}
	}
	from := l.anchor
	if !extend || from < 0 {
		if l.Selected[id] {
			delete(l.Selected, id)
		} else {
			l.Selected[id] = true
		}
		l.anchor = i
	} else {
		for j := min(i, from); j <= max(i, from); j++ {
			if r, ok := l.rows[j]; ok {
				l.Selected[r.ID] = true
			}
		}
	}
	l.Cursor, l.cursor = id, i
}

// ClearSelection unselects all.
func (l *List) ClearSelection() { l.Selected = nil }

// Targets are the messages that an action is about: those selected, or the one open, or the one under the cursor.
func (l *List) Targets() []api.MessageID {
	if len(l.Selected) > 0 {
		ids := make([]api.MessageID, 0, len(l.Selected))
		for id := range l.Selected {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		return ids
	}
	if l.app.Route.Page == PageReader && l.app.Reader.ID != 0 {
		return []api.MessageID{l.app.Reader.ID}
	}
	if l.Cursor != 0 && l.Find(l.Cursor) >= 0 {
		return []api.MessageID{l.Cursor}
	}
	return nil
}
