package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

// List answers a window of a folder, of one account or of all.
func (e *Engine) List(ctx context.Context, q api.ListQuery) (api.ListPage, error) {
	if q.Folder != api.Junk && !slices.Contains(api.Folders, q.Folder) {
		return api.ListPage{}, &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("no folder %q", q.Folder)}
	}
	offset, limit := max(q.Offset, 0), min(max(q.Limit, 0), api.MaxListLimit)
	if q.Account == "" {
		page, err := e.unified(ctx, q, offset, limit)
		return page, asError(problemOf(err))
	}
	a, err := e.mailbox(q.Account)
	if err != nil {
		return api.ListPage{}, err
	}
	w, err := a.window(ctx, store.Folder(q.Folder), q.Query, offset, limit)
	if err != nil {
		return api.ListPage{}, problemOf(err)
	}
	page := api.ListPage{Total: w.Total, Unread: w.Unread, Revision: w.Revision, Offset: offset, Rows: make([]api.Row, 0, len(w.Entries))}
	for i := range w.Entries {
		page.Rows = append(page.Rows, a.row(&w.Entries[i]))
	}
	return page, nil
}

// Mark changes flags. Messages that are gone are passed over: somebody else removed them meanwhile.
func (e *Engine) Mark(_ context.Context, r api.Mark) error {
	a, err := e.mailbox(r.Account)
	if err != nil {
		return err
	}
	return asError(problemOf(a.update(func(tx *store.Tx) error {
		return eachMessage(tx, r.IDs, func(m store.Entry) error {
			flags := m.Flags
			if r.Unread != nil {
				flags.Unread = *r.Unread
			}
			if r.Flagged != nil {
				flags.Flagged = *r.Flagged
			}
			if flags == m.Flags {
				return nil
			}
			return tx.SetFlags(m.ID, flags)
		})
	})))
}

// Move puts messages into a folder, all or none. Drafts and the outbox hold only what is written here, and a message
// on the wire stays where it is.
func (e *Engine) Move(_ context.Context, r api.Move) error {
	a, err := e.mailbox(r.Account)
	if err != nil {
		return err
	}
	a.outbox.Lock()
	err = a.update(func(tx *store.Tx) error {
		return eachMessage(tx, r.IDs, func(m store.Entry) error {
			if err := a.checkMove(&m, store.Folder(r.To)); err != nil {
				return err
			}
			return tx.SetFolder(m.ID, store.Folder(r.To))
		})
	})
	a.outbox.Unlock()
	if err == nil && r.To == api.Outbox {
		ask(a.toSend)
	}
	return asError(problemOf(err))
}

// checkMove says whether a message may be in a folder. Call it with a.outbox held.
func (a *account) checkMove(m *store.Entry, to store.Folder) error {
	if m.Folder == to {
		return nil
	}
	if a.onTheWire(m) {
		return errOnTheWire
	}
	var allowed []store.Folder
	switch d := m.Delivery; {
	case d == nil || d.State == string(api.StateSent):
		allowed = []store.Folder{inbox, sent, trash, junk}
	case d.State == string(api.StateDraft):
		allowed = []store.Folder{drafts, trash}
	default:
		allowed = []store.Folder{outbox, trash}
	}
	if !slices.Contains(allowed, to) {
		return &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("message %d cannot be in folder %q", m.ID, to)}
	}
	return nil
}

// Erase removes messages for good, all or none.
func (e *Engine) Erase(_ context.Context, r api.Erase) error {
	a, err := e.mailbox(r.Account)
	if err != nil {
		return err
	}
	a.outbox.Lock()
	defer a.outbox.Unlock()
	return asError(problemOf(a.update(func(tx *store.Tx) error {
		return eachMessage(tx, r.IDs, func(m store.Entry) error {
			if a.onTheWire(&m) {
				return errOnTheWire
			}
			if m.Delivery != nil {
				if err := tx.SetMeta(originKey(m.ID), nil); err != nil {
					return err
				}
			}
			return tx.Remove(m.ID)
		})
	})))
}

var errOnTheWire = &api.Problem{Code: api.CodeBadRequest, Detail: "The message is being sent at this moment", Technical: "a message on the wire cannot be changed"}

// eachMessage calls fn for every message of ids that is there.
func eachMessage(tx *store.Tx, ids []api.MessageID, fn func(store.Entry) error) error {
	for _, id := range ids {
		if m, ok := tx.Get(store.ID(id)); ok {
			if err := fn(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// asError keeps a nil *Problem from becoming an error that is not nil.
func asError(p *api.Problem) error {
	if p == nil {
		return nil
	}
	return p
}
