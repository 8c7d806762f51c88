package viewtest

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// The calls of api.Service about accounts and the mail there is.

// Status implements api.Service.
func (s *Service) Status(ctx context.Context) (api.Status, error) {
	if err := s.enter(ctx, "Status"); err != nil {
		return api.Status{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Accounts = slices.Clone(st.Accounts)
	st.Sites = slices.Clone(st.Sites)
	return st, nil
}

// SignOut implements api.Service.
func (s *Service) SignOut(ctx context.Context, r api.SignOut) error {
	if err := s.enter(ctx, "SignOut"); err != nil {
		return err
	}
	s.mu.Lock()
	s.world.signOuts = append(s.world.signOuts, r)
	s.status.Accounts = slices.DeleteFunc(s.status.Accounts, func(a api.Account) bool { return a.ID == r.Account })
	tell := s.onEvent
	s.mu.Unlock()
	if tell != nil {
		tell(api.Event{Removed: r.Account})
	}
	return nil
}

// List implements api.Service.
func (s *Service) List(ctx context.Context, q api.ListQuery) (api.ListPage, error) {
	if err := s.enter(ctx, "List"); err != nil {
		return api.ListPage{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	words := strings.Fields(strings.ToLower(q.Query))
	var rows []api.Row
	page := api.ListPage{Offset: q.Offset, Revision: s.revision}
	for _, m := range s.messages {
		text := ""
		if len(words) > 0 {
			text = strings.ToLower(m.Subject + " " + m.From.Name + " " + m.From.Addr + " " + m.Text)
		}
		if m.Folder != q.Folder || q.Account != "" && m.Account != q.Account || slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			continue
		}
		rows = append(rows, m.Row)
		if m.Unread {
			page.Unread++
		}
	}
	slices.SortFunc(rows, func(a, b api.Row) int {
		return cmp.Or(b.Date.Compare(a.Date), cmp.Compare(b.ID, a.ID), cmp.Compare(a.Account, b.Account))
	})
	page.Total = len(rows)
	from := min(q.Offset, len(rows))
	page.Rows = rows[from:min(from+q.Limit, len(rows))]
	return page, nil
}

func (s *Service) find(r api.MessageRef) (*api.Message, error) {
	if m := s.messages[r]; m != nil {
		return m, nil
	}
	return nil, &api.Problem{Code: api.CodeNoSuchMessage}
}

// Message implements api.Service.
func (s *Service) Message(ctx context.Context, r api.MessageRef) (api.Message, error) {
	if err := s.enter(ctx, "Message"); err != nil {
		return api.Message{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(r)
	if err != nil {
		return api.Message{}, err
	}
	return *m, nil
}

// Source implements api.Service.
func (s *Service) Source(ctx context.Context, r api.MessageRef) ([]byte, error) {
	m, err := s.Message(ctx, r)
	if err != nil {
		return nil, err
	}
	return []byte("From: " + m.From.Addr + "\r\nSubject: " + m.Subject + "\r\n\r\n" + m.Text), nil
}

// Attachment implements api.Service.
func (s *Service) Attachment(ctx context.Context, r api.PartRef) (api.Part, []byte, error) {
	if err := s.enter(ctx, "Attachment"); err != nil {
		return api.Part{}, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(r.MessageRef)
	if err != nil {
		return api.Part{}, nil, err
	}
	for _, p := range m.Parts {
		if p.Index == r.Index {
			return p, []byte("the bytes of " + p.Name), nil
		}
	}
	return api.Part{}, nil, &api.Problem{Code: api.CodeBadRequest}
}

func (s *Service) change(ctx context.Context, method string, acc api.AccountID, ids []api.MessageID, fn func(*api.Message)) error {
	if err := s.enter(ctx, method); err != nil {
		return err
	}
	s.mu.Lock()
	if p := s.fail[method+" "+string(acc)]; p != nil {
		s.mu.Unlock()
		return p
	}
	for _, id := range ids {
		if m := s.messages[s.ref(acc, id)]; m != nil {
			c := *m
			fn(&c)
			s.messages[s.ref(acc, id)] = &c
		}
	}
	s.recount()
	s.mu.Unlock()
	s.changed()
	return nil
}

// Mark implements api.Service.
func (s *Service) Mark(ctx context.Context, r api.Mark) error {
	return s.change(ctx, "Mark", r.Account, r.IDs, func(m *api.Message) {
		if r.Unread != nil {
			m.Unread = *r.Unread
		}
		if r.Flagged != nil {
			m.Flagged = *r.Flagged
		}
	})
}

// Move implements api.Service.
func (s *Service) Move(ctx context.Context, r api.Move) error {
	return s.change(ctx, "Move", r.Account, r.IDs, func(m *api.Message) { m.Folder = r.To })
}

// Erase implements api.Service.
func (s *Service) Erase(ctx context.Context, r api.Erase) error {
	if err := s.enter(ctx, "Erase"); err != nil {
		return err
	}
	s.mu.Lock()
	for _, id := range r.IDs {
		delete(s.messages, s.ref(r.Account, id))
		s.erased = append(s.erased, id)
	}
	s.recount()
	s.mu.Unlock()
	s.changed()
	return nil
}

// SyncNow implements api.Service.
func (s *Service) SyncNow(ctx context.Context, _ api.AccountID) error { return s.enter(ctx, "SyncNow") }

// Prepare implements api.Service.
func (s *Service) Prepare(ctx context.Context) error { return s.enter(ctx, "Prepare") }

// Admit implements api.Service. A gateway that asks is set up by Ask.
func (s *Service) Admit(ctx context.Context, token string) error {
	if err := s.enter(ctx, "Admit"); err != nil {
		return err
	}
	s.mu.Lock()
	asked, right := s.token != "", s.token == token
	s.mu.Unlock()
	if asked && !right {
		return &api.Problem{Code: api.CodeWrongToken}
	}
	s.Ask("")
	return nil
}

// Ask has the gateway ask for an access token, or for none.
func (s *Service) Ask(token string) {
	s.Change(func(st *api.Status) {
		s.token = token
		st.Gateway.State, st.Gateway.Problem = api.Online, nil
		if token != "" {
			st.Gateway.State, st.Gateway.Problem = api.Offline, &api.Problem{Code: api.CodeTokenNeeded}
		}
	})
}

// Reconnect implements api.Service.
func (s *Service) Reconnect(ctx context.Context) error { return s.enter(ctx, "Reconnect") }
