package engine

import (
	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
)

// The folders as the mailbox names them: as the page does.
const (
	inbox  = store.Folder(api.Inbox)
	drafts = store.Folder(api.Drafts)
	outbox = store.Folder(api.Outbox)
	sent   = store.Folder(api.Sent)
	trash  = store.Folder(api.Trash)
)

// row is a message as a list shows it.
func (a *account) row(e *store.Entry) api.Row {
	s := &e.Summary
	r := api.Row{
		Account: a.id, ID: api.MessageID(e.ID), Folder: api.FolderID(e.Folder),
		To: toAddresses(s.To), Subject: s.Subject, Snippet: s.Snippet, Date: s.Date, Size: e.Size,
		Unread: e.Flags.Unread, Flagged: e.Flags.Flagged, Answered: e.Flags.Answered, Attachments: s.Attachments,
	}
	if e.Partial() {
		r.Partial, r.Size = true, e.Whole
	}
	if len(s.From) > 0 {
		r.From = toAddress(s.From[0])
	} else if len(s.Sender) > 0 {
		r.From = toAddress(s.Sender[0])
	}
	if r.Date.IsZero() {
		r.Date = e.Stored
	}
	if d := e.Delivery; d != nil && (e.Folder == drafts || e.Folder == outbox || e.Folder == sent) {
		r.State = shownState(d.State)
		f := decodeFate(d.Problem)
		r.Problem, r.Session = f.problem, f.session
		if r.State == api.StateDeferred {
			r.RetryAt = d.NextTry
		}
		if r.State == api.StateSending {
			a.sendingRow(e.ID, &r)
		}
	}
	return r
}

// sendingRow adds to a row what the mailbox does not know of a message being sent: how far it is, or what became of it
// when that could not be written down.
func (a *account) sendingRow(id store.ID, r *api.Row) {
	r.Session = a.wire.latest(api.SMTP).id()
	a.mu.Lock()
	defer a.mu.Unlock()
	r.Progress = a.progress[id]
	if s, ok := a.unsettled[id]; ok {
		r.State, r.RetryAt, r.Problem = s.state, s.retryAt, s.problem
		if r.Problem == nil {
			r.Problem = &api.Problem{Code: api.CodeStorage}
		}
	}
}

func toAddress(a mail.Address) api.Address { return api.Address{Name: a.Name, Addr: a.Addr} }

func toAddresses(list []mail.Address) []api.Address {
	if len(list) == 0 {
		return nil
	}
	out := make([]api.Address, len(list))
	for i, a := range list {
		out[i] = toAddress(a)
	}
	return out
}

func fromAddresses(list []api.Address) []mail.Address {
	if len(list) == 0 {
		return nil
	}
	out := make([]mail.Address, len(list))
	for i, a := range list {
		out[i] = mail.Address{Name: a.Name, Addr: a.Addr}
	}
	return out
}
