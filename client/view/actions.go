package view

import (
	"context"
	"iter"
	"slices"

	"github.com/postern-mail/postern/client/api"
)

// Archive and Junk are folders that an account may have beside api.Folders; what needs them is offered when it does.
const (
	Archive api.FolderID = "archive"
	Junk                 = api.Junk
)

// removal is messages of one account taken out of a list before the engine has said so, and what brings them back.
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

func (r *removal) ref(i int) api.MessageRef { return api.MessageRef{Account: r.account, ID: r.ids[i]} }

type placed struct {
	index int
	row   api.Row
}

// batch is removals of one kind that one note tells of, with one Undo for all: who deletes three messages in a row means
// one thing.
type batch struct {
	verb  string
	place Route
	toast int
	list  []*removal
}

// take notes removals in the batch of now, or in a new one. gone is what happens when the time to undo is over.
func (a *App) take(verb string, list []*removal, undo func(*removal), gone func(*removal)) *batch {
	b := a.batch
	if b == nil || b.verb != verb || b.place != a.List.place || !a.Toasts.has(b.toast) {
		b = &batch{verb: verb, place: a.List.place}
		a.batch = b
		each := func(do func(*removal)) func() {
			if do == nil {
				return nil
			}
			return func() {
				for _, r := range slices.Backward(b.list) {
					do(r)
				}
			}
		}
		b.toast = a.Toasts.Show(Toast{Action: "Undo", Do: each(undo), Gone: each(gone)})
	}
	b.list = append(b.list, list...)
	a.retell(b)
	return b
}

// retell says how many messages the note is about; of none there is none.
func (a *App) retell(b *batch) {
	n := 0
	for _, r := range b.list {
		n += len(r.ids)
	}
	if n == 0 {
		a.Toasts.take(b.toast)
		return
	}
	a.Toasts.Reword(b.toast, Count(n, "message")+" "+b.verb)
}

func (a *App) drop(b *batch, r *removal) {
	b.list = slices.DeleteFunc(b.list, func(x *removal) bool { return x == r })
	a.retell(b)
}

// Delete moves messages to Trash; in Trash it erases them. Either acts at once and can be undone for a while.
func (a *App) Delete(refs []api.MessageRef) {
	if len(refs) == 0 {
		return
	}
	if a.List.place.Folder == api.Trash {
		a.erase(refs)
		return
	}
	a.move(refs, []api.FolderID{api.Trash}, "moved to Trash")
}

// Archive moves messages to the archive, if their accounts have one, and says whether there was any.
func (a *App) Archive(refs []api.MessageRef) bool {
	refs = slices.DeleteFunc(slices.Clone(refs), func(m api.MessageRef) bool { return !a.HasFolder(m.Account, Archive) })
	if len(refs) == 0 || a.List.place.Folder == Archive {
		return false
	}
	a.move(refs, []api.FolderID{Archive}, "archived")
	return true
}

// Restore takes messages out of Trash: mail that came to the inbox, mail from here to Sent. What the engine does not take
// there was never sent, and goes to Drafts.
func (a *App) Restore(refs []api.MessageRef) {
	var came, gone []api.MessageRef
	for _, m := range refs {
		if r, _ := a.rowOf(m); a.owns(m.Account, r.From.Addr) {
			gone = append(gone, m)
		} else {
			came = append(came, m)
		}
	}
	if len(came) > 0 {
		a.move(came, []api.FolderID{api.Inbox}, "moved to Inbox")
	}
	if len(gone) > 0 {
		a.move(gone, []api.FolderID{api.Sent, api.Drafts, api.Outbox}, "restored")
	}
}

// NotJunk moves messages from Junk to the inbox.
func (a *App) NotJunk(refs []api.MessageRef) {
	a.move(refs, []api.FolderID{api.Inbox}, "moved to Inbox")
}

// HasFolder says whether an account has the folder.
func (a *App) HasFolder(acc api.AccountID, f api.FolderID) bool {
	return slices.ContainsFunc(a.AccountOf(acc).Folders, func(x api.Folder) bool { return x.ID == f })
}

// move moves messages to the first of some folders that takes them.
func (a *App) move(refs []api.MessageRef, to []api.FolderID, verb string) {
	list := a.List.takeOut(refs, to[0])
	b := a.take(verb, list, a.putBack, nil)
	for _, r := range list {
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
				if !r.undo {
					a.drop(b, r)
					a.List.restore(r)
				}
				a.Toasts.Trouble("The "+plural(len(r.ids), "message")+" could not be moved", p)
				return
			}
			a.List.confirm(r)
			if r.undo {
				a.moveBack(r)
			}
		})
	}
}

// putBack undoes a move.
func (a *App) putBack(r *removal) {
	a.List.restore(r)
	if !r.confirmed {
		r.undo = true
		return
	}
	a.moveBack(r)
}

func (a *App) moveBack(r *removal) {
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
func (a *App) erase(refs []api.MessageRef) {
	a.take("deleted for good", a.List.takeOut(refs, ""), a.List.restore, func(r *removal) {
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
	})
}

// takeOut removes messages from what is shown, and moves the cursor and the reader on to the next one. It answers a
// removal for each account.
func (l *List) takeOut(refs []api.MessageRef, to api.FolderID) []*removal {
	var list []*removal
	if l.hidden == nil {
		l.hidden = map[api.MessageRef]*removal{}
	}
	next := l.cursor
	for acc, ids := range byAccount(refs) {
		r := &removal{account: acc, from: l.place.Folder, to: to, ids: ids, place: l.place}
		for i := range ids {
			m := r.ref(i)
			l.app.Toasts.forget(m)
			l.hidden[m] = r
			delete(l.Selected, m)
			i := l.Find(m)
			if i < 0 {
				continue
			}
			r.rows = append(r.rows, placed{i, l.rows[i]})
			if l.rows[i].Unread {
				r.unread++
			}
			if m == l.Cursor || i < next {
				next = min(i, next)
			}
			l.cut(i)
		}
		slices.Reverse(r.rows)
		l.app.recount(r, 1)
		list = append(list, r)
	}
	l.cursor = min(next, max(l.Total-1, 0))
	l.Cursor = RefOf(l.rows[l.cursor])
	l.fetch()

	open := l.app.Open
	switch {
	case open.ID == 0 || !slices.Contains(refs, open):
	case l.app.platform.Narrow() || l.Cursor.ID == 0 || l.place.Folder == api.Drafts:
		l.app.leave(l.place)
	default:
		l.app.swap(l.at(l.Cursor))
	}
	l.focusCursor()
	return list
}

// byAccount gives the numbers of messages account by account, in the order in which each comes first.
func byAccount(refs []api.MessageRef) iter.Seq2[api.AccountID, []api.MessageID] {
	return func(yield func(api.AccountID, []api.MessageID) bool) {
		done := map[api.AccountID]bool{}
		for i, m := range refs {
			if done[m.Account] {
				continue
			}
			done[m.Account] = true
			var ids []api.MessageID
			for _, x := range refs[i:] {
				if x.Account == m.Account {
					ids = append(ids, x.ID)
				}
			}
			if !yield(m.Account, ids) {
				return
			}
		}
	}
}

// restore puts messages back into what is shown.
func (l *List) restore(r *removal) {
	l.app.recount(r, -1)
	for i := range r.ids {
		if m := r.ref(i); l.hidden[m] == r {
			delete(l.hidden, m)
		}
	}
	if l.place != r.place {
		return
	}
	for _, x := range r.rows {
		if l.Find(RefOf(x.row)) < 0 {
			l.put(x.index, x.row)
		}
	}
	if len(r.rows) > 0 {
		x := r.rows[len(r.rows)-1]
		l.Cursor, l.cursor = RefOf(x.row), x.index
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
