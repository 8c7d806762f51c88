package viewtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// The calls of api.Service about mail that is written and sent.

// Upload implements api.Service.
func (s *Service) Upload(ctx context.Context, r api.Upload, data []byte) (api.DraftAttachment, error) {
	if err := s.enter(ctx, "Upload"); err != nil {
		return api.DraftAttachment{}, err
	}
	sum := sha256.Sum256(data)
	id := api.BlobID(hex.EncodeToString(sum[:]))
	s.mu.Lock()
	s.data[id] = slices.Clone(data)
	s.mu.Unlock()
	return api.DraftAttachment{Blob: id, Name: r.Name, Type: r.Type, Size: int64(len(data))}, nil
}

// Forwardable implements api.Service.
func (s *Service) Forwardable(ctx context.Context, r api.MessageRef) ([]api.DraftAttachment, error) {
	m, err := s.Message(ctx, r)
	if err != nil {
		return nil, err
	}
	var out []api.DraftAttachment
	for _, p := range m.Parts {
		a, err := s.Upload(ctx, api.Upload{Account: r.Account, Name: p.Name, Type: p.Type}, []byte("the bytes of "+p.Name))
		if err != nil {
			return nil, err
		}
		a.Size = p.Size
		out = append(out, a)
	}
	return out, nil
}

// OpenDraft implements api.Service.
func (s *Service) OpenDraft(ctx context.Context, r api.MessageRef) (api.Draft, error) {
	if err := s.enter(ctx, "OpenDraft"); err != nil {
		return api.Draft{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.drafts[r]; ok {
		return d, nil
	}
	m, err := s.find(r)
	if err != nil {
		return api.Draft{}, err
	}
	return api.Draft{Account: r.Account, ID: m.ID, To: m.To, Cc: m.Cc, Bcc: m.Bcc, Subject: m.Subject, Text: m.Text}, nil
}

// SaveDraft implements api.Service.
func (s *Service) SaveDraft(ctx context.Context, d api.Draft) (api.Draft, error) {
	if err := s.enter(ctx, "SaveDraft"); err != nil {
		return api.Draft{}, err
	}
	s.mu.Lock()
	if d.ID == 0 {
		s.last[d.Account]++
		d.ID = s.last[d.Account]
	}
	s.put(d, api.Drafts, api.StateDraft)
	s.mu.Unlock()
	s.changed()
	return d, nil
}

func (s *Service) put(d api.Draft, f api.FolderID, st api.OutboxState) {
	ref := s.ref(d.Account, d.ID)
	var parts []api.Part
	for i, x := range d.Attachments {
		parts = append(parts, api.Part{Index: i, Name: x.Name, Type: x.Type, Size: x.Size})
	}
	s.drafts[ref] = d
	s.messages[ref] = &api.Message{
		Row: api.Row{Account: ref.Account, ID: d.ID, Folder: f, From: api.Address{Addr: string(d.Account)}, To: d.To, Subject: d.Subject, Snippet: strings.Join(strings.Fields(d.Text), " "),
			Date: time.Now(), Attachments: len(d.Attachments), State: st},
		Parts: parts, Cc: d.Cc, Bcc: d.Bcc, Text: d.Text, References: d.References,
	}
	s.recount()
}

// Send implements api.Service: the message waits until Outgoing says what becomes of it.
func (s *Service) Send(ctx context.Context, d api.Draft) (api.MessageID, error) {
	if err := s.enter(ctx, "Send"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	if d.ID == 0 {
		s.last[d.Account]++
		d.ID = s.last[d.Account]
	}
	s.put(d, api.Outbox, api.StateQueued)
	s.mu.Unlock()
	s.changed()
	return d.ID, nil
}

// Retry implements api.Service.
func (s *Service) Retry(ctx context.Context, r api.MessageRef) error {
	return s.change(ctx, "Retry", r.Account, []api.MessageID{r.ID}, func(m *api.Message) { m.State, m.Problem = api.StateQueued, nil })
}

// Unsend implements api.Service.
func (s *Service) Unsend(ctx context.Context, r api.MessageRef) error {
	return s.change(ctx, "Unsend", r.Account, []api.MessageID{r.ID}, func(m *api.Message) { m.Folder, m.State, m.Problem = api.Drafts, api.StateDraft, nil })
}
