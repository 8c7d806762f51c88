package view

import (
	"context"
	"slices"

	"github.com/postern-mail/postern/client/api"
)

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

// MarkUnread marks messages unread or read.
func (a *App) MarkUnread(refs []api.MessageRef, unread bool) { a.mark(refs, marking{unread: &unread}) }

// Flag flags messages or takes the flag away.
func (a *App) Flag(refs []api.MessageRef, flagged bool) { a.mark(refs, marking{flagged: &flagged}) }

// ToggleUnread marks messages unread if all are read, and else read.
func (a *App) ToggleUnread(refs []api.MessageRef) {
	a.MarkUnread(refs, !slices.ContainsFunc(refs, func(m api.MessageRef) bool { r, ok := a.rowOf(m); return ok && r.Unread }))
}

// ToggleFlag flags messages if none is flagged, and else takes the flags away.
func (a *App) ToggleFlag(refs []api.MessageRef) {
	a.Flag(refs, !slices.ContainsFunc(refs, func(m api.MessageRef) bool { r, ok := a.rowOf(m); return ok && r.Flagged }))
}

func (a *App) rowOf(m api.MessageRef) (api.Row, bool) {
	if i := a.List.Find(m); i >= 0 {
		return a.List.rows[i], true
	}
	if r := &a.Reader; r.Message != nil && r.MessageRef == m {
		return r.Message.Row, true
	}
	return api.Row{}, false
}

func (a *App) mark(refs []api.MessageRef, m marking) {
	for acc, ids := range byAccount(refs) {
		a.markOf(acc, ids, &m)
	}
}

func (a *App) markOf(acc api.AccountID, ids []api.MessageID, m *marking) {
	l := &a.List
	before := map[api.MessageRef]api.Row{}
	if l.marks == nil {
		l.marks = map[api.MessageRef]*marking{}
	}
	set := func(ref api.MessageRef, change func(*api.Row)) {
		row, ok := a.rowOf(ref)
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
		a.editEverywhere(ref, change)
	}
	for _, id := range ids {
		ref := api.MessageRef{Account: acc, ID: id}
		if row, ok := a.rowOf(ref); ok {
			before[ref] = row
		}
		l.marks[ref] = m
		set(ref, m.apply)
	}
	a.ask(func(ctx context.Context, svc api.Service) error {
		return svc.Mark(ctx, api.Mark{Account: acc, IDs: ids, Unread: m.unread, Flagged: m.flagged})
	}, func(p *api.Problem) {
		for _, id := range ids {
			if ref := (api.MessageRef{Account: acc, ID: id}); l.marks[ref] == m {
				delete(l.marks, ref)
			}
		}
		if p == nil {
			return
		}
		for ref, row := range before {
			set(ref, func(r *api.Row) { r.Unread, r.Flagged = row.Unread, row.Flagged })
		}
		a.Toasts.Trouble("The "+plural(len(ids), "message")+" could not be marked", p)
	})
}
