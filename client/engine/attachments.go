package engine

import (
	"cmp"
	"context"
	"fmt"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
)

// Upload keeps the bytes of an attachment.
func (e *Engine) Upload(_ context.Context, r api.Upload, data []byte) (api.DraftAttachment, error) {
	a, err := e.mailbox(r.Account)
	if err != nil {
		return api.DraftAttachment{}, err
	}
	if err := e.checkTotal(int64(len(data))); err != nil {
		return api.DraftAttachment{}, err
	}
	list, err := a.keep([]mail.Part{{Name: partName(r.Name), Type: cmp.Or(r.Type, "application/octet-stream"), Data: data}})
	if err != nil {
		return api.DraftAttachment{}, problemOf(err)
	}
	return list[0], nil
}

// Forwardable keeps copies of a message's attachments.
func (e *Engine) Forwardable(_ context.Context, r api.MessageRef) ([]api.DraftAttachment, error) {
	a, m, err := e.message(r)
	if err != nil {
		return nil, err
	}
	if isDraft(&m) {
		d, err := a.draft(m.ID)
		return d.Attachments, asError(problemOf(err))
	}
	if m.Partial() {
		return nil, errPartial
	}
	o, err := a.open(&m)
	if err != nil {
		return nil, problemOf(err)
	}
	var parts []mail.Part
	var total int64
	for _, p := range o.message.Parts {
		if !p.Inline {
			parts = append(parts, p)
			total += int64(len(p.Data))
		}
	}
	if err := e.checkTotal(total); err != nil {
		return nil, err
	}
	list, err := a.keep(parts)
	return list, asError(problemOf(err))
}

// keep stores the bytes of attachments, all or none. Bytes that are there already cost nothing.
func (a *account) keep(parts []mail.Part) ([]api.DraftAttachment, error) {
	list := make([]api.DraftAttachment, 0, len(parts))
	err := a.box.Update(func(tx *store.Tx) error {
		for _, p := range parts {
			sha, err := tx.PutBlob(p.Data)
			if err != nil {
				return err
			}
			list = append(list, api.DraftAttachment{Blob: api.BlobID(sha), Name: p.Name, Type: p.Type, Size: int64(len(p.Data))})
		}
		return nil
	})
	return list, storing(err)
}

func (e *Engine) checkTotal(octets int64) error {
	if octets <= e.Limits.Attachments {
		return nil
	}
	return &api.Problem{Code: api.CodeTooLarge, Detail: megabytes(e.Limits.Attachments),
		Technical: fmt.Sprintf("%d octets of attachments", octets)}
}

// checkAttachments bounds a draft's attachments by the sizes it names.
func (a *account) checkAttachments(d api.Draft) error {
	var total int64
	for _, at := range d.Attachments {
		if at.Size < 0 || at.Size > a.e.Limits.Attachments {
			return a.e.checkTotal(a.e.Limits.Attachments + 1)
		}
		total += at.Size
	}
	return a.e.checkTotal(total)
}

// attachments reads what a draft carries, to be composed.
func (a *account) attachments(d api.Draft) ([]mail.Part, error) {
	var parts []mail.Part
	var total int64
	for _, at := range d.Attachments {
		data, err := a.box.Blob(string(at.Blob))
		if err != nil {
			return nil, fmt.Errorf("attachment %q: %w", at.Name, storing(err))
		}
		if total += int64(len(data)); total > a.e.Limits.Attachments {
			return nil, a.e.checkTotal(total)
		}
		parts = append(parts, mail.Part{Name: at.Name, Type: at.Type, Data: data})
	}
	return parts, nil
}
