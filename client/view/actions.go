package view

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// Archive and Junk are folders that an account may have beside api.Folders; what needs them is offered when it does.
const (
	Archive api.FolderID = "archive"
	Junk    api.FolderID = "junk"
)

// removal is messages taken out of a list before the engine has said so, and what brings them back.
type removal struct {
	account   api.AccountID
	from, to  api.FolderID
	ids       []api.MessageID
	place     Route
	rows      []placed // as they were, the last first
	unread    int      // how many of them
	confirmed bool     // the engine has moved them
	gen       int      // the list's generation then: later answers know of it
	undo      bool     // asked to be undone before it was confirmed
}

type placed struct {
	index int
	row   api.Row
}

// Delete moves messages to Trash; in Trash it erases them. Either acts at once and can be undone for a while.
func (a *App) Delete(ids []api.MessageID) {
	if len(ids) == 0 {
		return
	}
	if a.List.place.Folder == api.Trash {
		a.erase(ids)
		return
	}
	a.move(ids, []api.FolderID{api.Trash}, Count(len(ids), "message")+" moved to Trash")
}

// Archive moves messages to the archive, if the account has one.
func (a *App) Archive(ids []api.MessageID) {
	if len(ids) > 0 && a.HasFolder(Archive) && a.List.place.Folder != Archive {
		a.move(ids, []api.FolderID{Archive}, Count(len(ids), "message")+" archived")
	}
}

// Restore takes messages out of Trash: mail that came to the inbox, mail from here to Sent. What the engine does not take
// there was never sent, and goes to Drafts.
func (a *App) Restore(ids []api.MessageID) {
	var came, gone []api.MessageID
	for _, id := range ids {
		if r, _ := a.rowOf(id); strings.EqualFold(r.From.Addr, a.Current().Email) {
			gone = append(gone, id)
		} else {
			came = append(came, id)
		}
	}
	if len(came) > 0 {
		a.move(came, []api.FolderID{api.Inbox}, Count(len(came), "message")+" moved to Inbox")
	}
	if len(gone) > 0 {
		a.move(gone, []api.FolderID{api.Sent, api.Drafts, api.Outbox}, Count(len(gone), "message")+" restored")
	}
}

// HasFolder says whether the account shown has the folder.
func (a *App) HasFolder(f api.FolderID) bool {
	return slices.ContainsFunc(a.Current().Folders, func(x api.Folder) bool { return x.ID == f })
}

// move moves messages to the first of some folders that takes them.
func (a *App) move(ids []api.MessageID, to []api.FolderID, words string) {
	r := a.List.takeOut(ids, to[0])
	toast := a.Toasts.Show(Toast{Text: words, Action: "Undo", Do: func() { a.putBack(r) }})
	a.ask(func(ctx context.Context, svc api.Service) (err error) {
		for _, f := range to {
			err = svc.Move(ctx, api.Move{Account: r.account, IDs: r.ids, To: f})
			if p := problemOf(err); p == nil || p.Code != api.CodeBadRequest {
				return err
			}
		}
		return err
	}, func(p *api.Problem) {
		if p != nil {
			a.Toasts.Dismiss(toast)
			a.List.restore(r)
			a.Toasts.Trouble("The "+plural(len(r.ids), "message")+" could not be moved", p)
			return
		}
		a.List.confirm(r)
		if r.undo {
			a.putBack(r)
		}
	})
}

// putBack undoes a move.
func (a *App) putBack(r *removal) {
	a.List.restore(r)
	if !r.confirmed {
		r.undo = true
		return
	}
	a.ask(func(ctx context.Context, svc api.Service) error {
		return svc.Move(ctx, api.Move{Account: r.account, IDs: r.ids, To: r.from})
	}, func(p *api.Problem) {
		if p != nil {
			a.Toasts.Trouble("The "+plural(len(r.ids), "message")+" could not be moved back", p)
		}
		a.List.Refresh()
	})
}

// erase hides messages and erases them when the time to undo is over: the engine cannot bring them back.
func (a *App) erase(ids []api.MessageID) {
	r := a.List.takeOut(ids, "")
	a.Toasts.Show(Toast{
		Text: Count(len(ids), "message") + " deleted for good", Action: "Undo",
		Do: func() { a.List.restore(r) },
		Gone: func() {
			a.ask(func(ctx context.Context, svc api.Service) error {
				return svc.Erase(ctx, api.Erase{Account: r.account, IDs: r.ids})
			}, func(p *api.Problem) {
				if p != nil {
					a.List.restore(r)
					a.Toasts.Trouble("The "+plural(len(r.ids), "message")+" could not be deleted", p)
					return
				}
				a.List.confirm(r)
			})
		},
	})
}

// takeOut removes messages from what is shown, and moves the cursor and the reader on to the next one.
func (l *List) takeOut(ids []api.MessageID, to api.FolderID) *removal {
	r := &removal{account: l.account, from: l.place.Folder, to: to, ids: slices.Clone(ids), place: l.place}
	if l.hidden == nil {
		l.hidden = map[api.MessageID]*removal{}
	}
	unread := 0
	next := l.cursor
	for _, id := range ids {
		l.app.Toasts.forget(id)
		l.hidden[id] = r
		delete(l.Selected, id)
		i := l.Find(id)
		if i < 0 {
			continue
		}
		r.rows = append(r.rows, placed{i, l.rows[i]})
		if l.rows[i].Unread {
			unread++
		}
		if id == l.Cursor || i < next {
			next = min(i, next)
		}
		l.cut(i)
	}
	slices.Reverse(r.rows)
	r.unread = unread
	l.app.recount(r, 1)
	l.cursor = min(next, max(l.Total-1, 0))
	l.Cursor = l.rows[l.cursor].ID
	l.fetch()

	open := l.app.Route.ID
	switch {
	case open == 0 || !slices.Contains(ids, open):
		l.focusCursor()
	case l.app.platform.Narrow() || l.Cursor == 0 || l.place.Folder == api.Drafts:
		l.app.leave(l.place)
		l.focusCursor()
	default:
		p := l.place
		p.ID, p.Page = l.Cursor, PageReader
		l.app.swap(p)
		l.focusCursor()
	}
	return r
}

// restore puts messages back into what is shown.
func (l *List) restore(r *removal) {
	l.app.recount(r, -1)
	for _, id := range r.ids {
		if l.hidden[id] == r {
			delete(l.hidden, id)
		}
	}
	if l.account != r.account || l.place != r.place {
		return
	}
	for _, x := range r.rows {
		if l.Find(x.row.ID) < 0 {
			l.put(x.index, x.row)
		}
	}
	if len(r.rows) > 0 {
		x := r.rows[len(r.rows)-1]
		l.Cursor, l.cursor = x.row.ID, x.index
		l.focusCursor()
	}
}

// confirm notes that the engine has done the removal: answers to questions asked from now on know of it. The counts are
// asked too: those that an event told meanwhile may have had the removal in them already, or not.
func (l *List) confirm(r *removal) {
	r.confirmed = true
	r.gen = l.gen
	l.app.loadStatus()
}

// recount changes the counts of the folders that a removal touches, or with sign -1 takes that back.
func (a *App) recount(r *removal, sign int) {
	a.count(r.account, r.from, -sign*len(r.ids), -sign*r.unread)
	if r.to != "" {
		a.count(r.account, r.to, sign*len(r.ids), sign*r.unread)
	}
}

// recountPending puts what the engine has not confirmed yet into counts that the engine has told.
func (a *App) recountPending(acc api.AccountID) {
	seen := map[*removal]bool{}
	for _, r := range a.List.hidden {
		if r.account == acc && !r.confirmed && !seen[r] {
			seen[r] = true
			a.recount(r, 1)
		}
	}
}

// count changes what the folder list shows until the engine tells the true counts.
func (a *App) count(acc api.AccountID, f api.FolderID, total, unread int) {
	for i := range a.Accounts {
		if a.Accounts[i].ID != acc {
			continue
		}
		folders := slices.Clone(a.Accounts[i].Folders)
		for j := range folders {
			if folders[j].ID == f {
				folders[j].Total = max(folders[j].Total+total, 0)
				folders[j].Unread = max(folders[j].Unread+unread, 0)
			}
		}
		a.Accounts[i].Folders = folders
	}
	a.title()
}

// marking is flags changed here before the engine has said so.
type marking struct{ unread, flagged *bool }

func (m *marking) apply(r *api.Row) {
	if m.unread != nil {
		r.Unread = *m.unread
	}
	if m.flagged != nil {
		r.Flagged = *m.flagged
	}
}

// MarkUnread marks messages unread or read; Flag flags them or takes the flag away.
func (a *App) MarkUnread(ids []api.MessageID, unread bool) { a.mark(ids, marking{unread: &unread}) }

// Flag flags messages or takes the flag away.
func (a *App) Flag(ids []api.MessageID, flagged bool) { a.mark(ids, marking{flagged: &flagged}) }

// ToggleUnread marks messages unread if all are read, and else read; ToggleFlag does the like.
func (a *App) ToggleUnread(ids []api.MessageID) {
	a.MarkUnread(ids, !slices.ContainsFunc(ids, func(id api.MessageID) bool { r, ok := a.rowOf(id); return ok && r.Unread }))
}

// ToggleFlag flags messages if none is flagged, and else takes the flags away.
func (a *App) ToggleFlag(ids []api.MessageID) {
	a.Flag(ids, !slices.ContainsFunc(ids, func(id api.MessageID) bool { r, ok := a.rowOf(id); return ok && r.Flagged }))
}

func (a *App) rowOf(id api.MessageID) (api.Row, bool) {
	if i := a.List.Find(id); i >= 0 {
		return a.List.rows[i], true
	}
	if m := a.Reader.Message; m != nil && m.ID == id {
		return m.Row, true
	}
	return api.Row{}, false
}

func (a *App) mark(ids []api.MessageID, m marking) {
	if len(ids) == 0 {
		return
	}
	l := &a.List
	acc, before := l.account, map[api.MessageID]api.Row{}
	if l.marks == nil {
		l.marks = map[api.MessageID]*marking{}
	}
	set := func(id api.MessageID, change func(*api.Row)) {
		row, ok := a.rowOf(id)
		if !ok {
			return
		}
		now := row
		change(&now)
		if now.Unread != row.Unread {
			d := 1
			if row.Unread {
				d = -1
			}
			a.count(acc, row.Folder, 0, d)
		}
		l.edit(id, change)
		if r := &a.Reader; r.Message != nil && r.ID == id {
			r.edit(change)
		}
	}
	for _, id := range ids {
		if row, ok := a.rowOf(id); ok {
			before[id] = row
		}
		l.marks[id] = &m
		set(id, m.apply)
	}
	a.ask(func(ctx context.Context, svc api.Service) error {
		return svc.Mark(ctx, api.Mark{Account: acc, IDs: ids, Unread: m.unread, Flagged: m.flagged})
	}, func(p *api.Problem) {
		for _, id := range ids {
			if l.marks[id] == &m {
				delete(l.marks, id)
			}
		}
		if p == nil {
			return
		}
		for id, row := range maps.All(before) {
			set(id, func(r *api.Row) { r.Unread, r.Flagged = row.Unread, row.Flagged })
		}
		a.Toasts.Trouble("The "+plural(len(ids), "message")+" could not be marked", p)
	})
}
