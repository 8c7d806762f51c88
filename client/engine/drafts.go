package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
)

// A draft is a message of the mailbox whose Delivery is in state draft and whose content is the api.Draft as JSON: it
// may be half-written, with addresses that no header could hold. Its attachments are blobs of the mailbox.

func encodeDraft(d api.Draft) ([]byte, error) {
	d.Account, d.ID = "", 0 // they are where it is kept
	b, err := json.Marshal(d)
	if err != nil {
		return nil, &api.Problem{Code: api.CodeBadRequest, Technical: "encoding the draft: " + err.Error()}
	}
	return b, nil
}

func decodeDraft(content []byte) (d api.Draft, err error) {
	return d, json.Unmarshal(content, &d)
}

// draftSummary is what a list shows of a draft.
func (a *account) draftSummary(d api.Draft) mail.Summary {
	from, err := a.identity(d.Identity)
	if err != nil { // it was taken away since: what a list shows does no harm
		from.Addr = d.Identity
	}
	return mail.Summary{
		From: []mail.Address{{Name: from.Name, Addr: from.Addr}}, To: fromAddresses(d.To), Cc: fromAddresses(d.Cc), Bcc: fromAddresses(d.Bcc),
		Subject: d.Subject, Date: a.e.Clock.Now(), Snippet: snippet(d.Text), Attachments: len(d.Attachments),
		InReplyTo: d.InReplyTo, References: d.References,
	}
}

// snippet is the first words of a text.
func snippet(text string) string {
	const most = 200 // characters: more than any row shows
	words := 0
	var b strings.Builder
	for word := range strings.FieldsSeq(text) {
		if words > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word)
		if words++; b.Len() >= 4*most {
			break
		}
	}
	if r := []rune(b.String()); len(r) > most {
		return string(r[:most])
	}
	return b.String()
}

func isDraft(e *store.Entry) bool {
	return e.Delivery != nil && e.Delivery.State == string(api.StateDraft)
}

// savedDraft answers the draft of that number, if it is still one.
func savedDraft(tx *store.Tx, id api.MessageID) (store.Entry, error) {
	m, ok := tx.Get(store.ID(id))
	if !ok || !isDraft(&m) {
		return m, &api.Problem{Code: api.CodeNoSuchMessage, Technical: fmt.Sprintf("there is no draft %d any more", id)}
	}
	return m, nil
}

// SaveDraft stores a draft, a new one or in the place of the saved one.
func (e *Engine) SaveDraft(_ context.Context, d api.Draft) (api.Draft, error) {
	a, err := e.mailbox(d.Account)
	if err != nil {
		return api.Draft{}, err
	}
	if err := a.checkAttachments(d); err != nil {
		return api.Draft{}, err
	}
	content, err := encodeDraft(d)
	if err != nil {
		return api.Draft{}, err
	}
	summary := a.draftSummary(d)
	a.outbox.Lock() // against a Send of the same draft
	defer a.outbox.Unlock()
	err = a.update(func(tx *store.Tx) error {
		if d.ID == 0 {
			id, err := tx.Add(store.Entry{Folder: drafts, Summary: summary, Delivery: &store.Delivery{State: string(api.StateDraft)}}, content)
			d.ID = api.MessageID(id)
			return err
		}
		m, err := savedDraft(tx, d.ID)
		if err != nil {
			return err
		}
		if err := tx.SetFolder(m.ID, drafts); err != nil { // out of Trash: somebody writes it
			return err
		}
		return tx.Replace(m.ID, summary, content)
	})
	if err != nil {
		return api.Draft{}, problemOf(err)
	}
	return d, nil
}

// OpenDraft answers a draft. One that waits in the outbox is taken out first, or it would be sent while it is edited.
func (e *Engine) OpenDraft(_ context.Context, r api.MessageRef) (api.Draft, error) {
	a, m, err := e.message(r)
	if err != nil {
		return api.Draft{}, err
	}
	if m.Folder == outbox {
		if err := a.takeBack(m.ID); err != nil {
			return api.Draft{}, problemOf(err)
		}
		m, _ = a.box.Get(m.ID)
	}
	if !isDraft(&m) {
		return api.Draft{}, &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("message %d is no draft", r.ID)}
	}
	d, err := a.draft(m.ID)
	if err != nil {
		return api.Draft{}, problemOf(err)
	}
	return d, nil
}

// draft reads a saved draft.
func (a *account) draft(id store.ID) (api.Draft, error) {
	content, err := a.box.Content(id)
	if err != nil {
		return api.Draft{}, storing(err)
	}
	d, err := decodeDraft(content)
	if err != nil {
		return api.Draft{}, &api.Problem{Code: api.CodeStorage, Technical: "reading a draft: " + err.Error()}
	}
	d.Account, d.ID = a.id, api.MessageID(id)
	return d, nil
}

// message answers an account and a message of it.
func (e *Engine) message(r api.MessageRef) (*account, store.Entry, error) {
	a, err := e.mailbox(r.Account)
	if err != nil {
		return nil, store.Entry{}, err
	}
	m, ok := a.box.Get(store.ID(r.ID))
	if !ok {
		return nil, m, &api.Problem{Code: api.CodeNoSuchMessage, Technical: fmt.Sprintf("message %d", r.ID)}
	}
	return a, m, nil
}
