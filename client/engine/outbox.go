package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
)

// stateCommitting is the finer mark within "sending": the content has been written, and the final dot may be on its way.
// It is in the mailbox before the dot can be on the wire. An engine that finds it at its start cannot know whether
// the message was taken.
const stateCommitting = "committing"

// shownState is a state of a store.Delivery as pages know it.
func shownState(s string) api.OutboxState {
	if s == stateCommitting {
		return api.StateSending
	}
	return api.OutboxState(s)
}

// recoverOutbox puts every message that the last run left on the wire into the state that is true of it.
func (a *account) recoverOutbox() error {
	left := a.box.List(outbox, func(e *store.Entry) bool {
		return e.Delivery != nil && shownState(e.Delivery.State) == api.StateSending
	}, 0, maxWindow)
	if len(left.Entries) == 0 {
		return nil
	}
	return a.box.Update(func(tx *store.Tx) error {
		for _, e := range left.Entries {
			d := *e.Delivery
			if d.State == stateCommitting {
				d.State = string(api.StateUnknown)
				f := decodeFate(d.Problem)
				f.problem = &api.Problem{Code: api.CodeServerClosed, Technical: "the engine ended between the final dot and its answer"}
				d.Problem = f.encode()
			} else {
				d.State = string(api.StateQueued)
			}
			if err := tx.SetDelivery(e.ID, &d); err != nil {
				return err
			}
		}
		return nil
	})
}

// maxWindow is every entry of a folder.
const maxWindow = 1 << 30

// onTheWire says that a message is being sent now. Call it with a.outbox held.
func (a *account) onTheWire(e *store.Entry) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inFlight == e.ID || e.Delivery != nil && shownState(e.Delivery.State) == api.StateSending
}

// Send puts a message into the outbox and its draft out of Drafts.
func (e *Engine) Send(_ context.Context, d api.Draft) (api.MessageID, error) {
	a, err := e.mailbox(d.Account)
	if err != nil {
		return 0, err
	}
	id, err := a.enqueue(d)
	if err != nil {
		return 0, problemOf(err)
	}
	a.announceOutbox(id)
	e.nudgeGateway()
	ask(a.toSend)
	return api.MessageID(id), nil
}

func (a *account) enqueue(d api.Draft) (id store.ID, err error) {
	to, err := recipients(d)
	if err != nil {
		return 0, err
	}
	attachments, err := a.attachments(d)
	if err != nil {
		return 0, err
	}
	from, err := a.identity(d.Identity)
	if err != nil {
		return 0, err
	}
	content, err := mail.Compose(mail.Draft{ // the Message-ID is made here, so that every attempt sends the same message
		From: mail.Address{Name: from.Name, Addr: from.Addr}, To: fromAddresses(d.To), Cc: fromAddresses(d.Cc), Bcc: fromAddresses(d.Bcc),
		Subject: d.Subject, Text: d.Text, InReplyTo: d.InReplyTo, References: d.References, Attachments: attachments,
		Date: a.e.Clock.Now(), MessageID: mail.NewMessageID(domainOf(from.Addr)),
	})
	if err != nil {
		return 0, &api.Problem{Code: api.CodeBadRequest, Technical: "composing: " + err.Error()}
	}
	entry := store.Entry{Folder: outbox, Summary: a.e.Mail.Summarize(content),
		Delivery: &store.Delivery{State: string(api.StateQueued), From: from.Addr, To: to}}
	entry.Summary.Bcc = fromAddresses(d.Bcc) // for the sender's eyes; it is not in the message
	origin, err := encodeDraft(d)
	if err != nil {
		return 0, err
	}
	a.outbox.Lock()
	defer a.outbox.Unlock()
	return id, a.update(func(tx *store.Tx) error {
		if d.ID != 0 { // a draft that is gone was sent or erased elsewhere: not once more
			if _, err := savedDraft(tx, d.ID); err != nil {
				return err
			}
			if err := tx.Remove(store.ID(d.ID)); err != nil {
				return err
			}
		}
		if id, err = tx.Add(entry, content); err != nil {
			return err
		}
		return tx.SetMeta(originKey(id), origin)
	})
}

// identity is who a message is from: the identity of that address, or the account's first.
func (a *account) identity(addr string) (api.Identity, error) {
	list := a.settings().Identities
	if addr == "" {
		return list[0], nil
	}
	for _, i := range list {
		if strings.EqualFold(i.Addr, addr) {
			return i, nil
		}
	}
	return api.Identity{}, &api.Problem{Code: api.CodeBadRequest, Detail: fmt.Sprintf("“%s” is none of this account's addresses", addr)}
}

// recipients is the envelope: every address once. See RFC 5321 section 2.3.1.
func recipients(d api.Draft) ([]string, error) {
	var to []string
	seen := make(map[string]bool)
	for _, list := range [][]api.Address{d.To, d.Cc, d.Bcc} {
		for _, r := range list {
			if !(mail.Address{Name: r.Name, Addr: r.Addr}).Valid() {
				return nil, &api.Problem{Code: api.CodeBadRequest, Detail: fmt.Sprintf("“%s” is not an address", r.Addr)}
			}
			if key := mailboxKey(r.Addr); !seen[key] {
				seen[key] = true
				to = append(to, r.Addr)
			}
		}
	}
	if len(to) == 0 {
		return nil, &api.Problem{Code: api.CodeBadRequest, Detail: "There is no recipient"}
	}
	return to, nil
}

// mailboxKey is the same for spellings of one address: case counts in the local part alone (RFC 5321 section 2.4).
func mailboxKey(addr string) string {
	domain := domainOf(addr)
	return addr[:len(addr)-len(domain)] + domain
}

// Retry puts a message back into the queue, at the user's word.
func (e *Engine) Retry(_ context.Context, r api.MessageRef) error {
	a, err := e.mailbox(r.Account)
	if err != nil {
		return err
	}
	id := store.ID(r.ID)
	a.outbox.Lock()
	err = a.update(func(tx *store.Tx) error {
		m, err := a.idleInOutbox(tx, id)
		if err != nil {
			return err
		}
		d := *m.Delivery
		d.State, d.Attempts, d.NextTry = string(api.StateQueued), 0, time.Time{}
		again(&d)
		return tx.SetDelivery(id, &d)
	})
	a.outbox.Unlock()
	if err != nil {
		return problemOf(err)
	}
	a.forgive()
	a.announceOutbox(id)
	e.nudgeGateway()
	ask(a.toSend)
	return nil
}

// Unsend takes a message out of the outbox and makes it a draft again, under the same number.
func (e *Engine) Unsend(_ context.Context, r api.MessageRef) error {
	a, err := e.mailbox(r.Account)
	if err != nil {
		return err
	}
	return asError(problemOf(a.takeBack(store.ID(r.ID))))
}

func (a *account) takeBack(id store.ID) error {
	a.outbox.Lock()
	err := a.update(func(tx *store.Tx) error {
		m, err := a.idleInOutbox(tx, id)
		if err != nil {
			return err
		}
		origin, ok := a.box.Meta(originKey(id))
		d, err := decodeDraft(origin)
		if !ok || err != nil {
			return &api.Problem{Code: api.CodeInternal, Technical: fmt.Sprintf("message %d has lost its draft", id)}
		}
		if served := decodeFate(m.Delivery.Problem).in(api.StateSent); len(served) > 0 { // they have it
			for _, list := range []*[]api.Address{&d.To, &d.Cc, &d.Bcc} {
				*list = slices.DeleteFunc(*list, func(r api.Address) bool {
					return slices.ContainsFunc(served, func(addr string) bool { return mailboxKey(addr) == mailboxKey(r.Addr) })
				})
			}
			if origin, err = encodeDraft(d); err != nil {
				return err
			}
		}
		return errors.Join(
			tx.Replace(m.ID, a.draftSummary(d), origin),
			tx.SetDelivery(m.ID, &store.Delivery{State: string(api.StateDraft)}),
			tx.SetFolder(m.ID, drafts),
			tx.SetMeta(originKey(id), nil),
		)
	})
	a.outbox.Unlock()
	if err == nil {
		a.announceOutbox(id)
	}
	return err
}

// idleInOutbox answers a message that waits in the outbox, for whatever reason.
func (a *account) idleInOutbox(tx *store.Tx, id store.ID) (store.Entry, error) {
	m, ok := tx.Get(id)
	if !ok || m.Folder != outbox || m.Delivery == nil {
		return m, &api.Problem{Code: api.CodeNoSuchMessage, Technical: fmt.Sprintf("message %d is not in the outbox", id)}
	}
	if a.onTheWire(&m) {
		return m, errOnTheWire
	}
	return m, nil
}

// originKey is the Meta key of the draft that an outgoing message was made of. It is kept until the message is sent.
func originKey(id store.ID) string { return fmt.Sprintf("origin/%d", id) }

// announceOutbox tells every page the present state of a message on its way.
func (a *account) announceOutbox(id store.ID) {
	entry, ok := a.box.Get(id)
	if !ok {
		return
	}
	a.e.events.emit(func() api.Event {
		if now, ok := a.box.Get(id); ok {
			entry = now
		}
		return api.Event{Outbox: &api.OutboxEvent{Account: a.id, Row: a.row(&entry)}}
	})
}
