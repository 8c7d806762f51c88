// Package viewtest has what tests of the page need: an engine in memory that speaks no protocol, and a browser that
// notes what it is told. Only tests import it.
package viewtest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Service is an api.Service in memory. It keeps what it is told and can be made slow or failing, call by call.
type Service struct {
	mu       sync.Mutex
	status   api.Status
	password map[string]string
	messages map[api.MessageID]*api.Message
	data     map[api.BlobID][]byte
	drafts   map[api.MessageID]api.Draft
	last     api.MessageID
	revision uint64
	onEvent  func(api.Event)
	fail     map[string]*api.Problem
	hold     map[string]chan struct{}
	calls    []string
	erased   []api.MessageID
}

var _ api.Service = (*Service)(nil)

// NewService is a service with accounts that may sign in, by address and password, and none signed in.
func NewService(passwords map[string]string) *Service {
	return &Service{
		password: passwords, messages: map[api.MessageID]*api.Message{}, data: map[api.BlobID][]byte{}, drafts: map[api.MessageID]api.Draft{},
		fail: map[string]*api.Problem{}, hold: map[string]chan struct{}{},
		status: api.Status{Version: "test", Gateway: api.Gateway{State: api.Online, Domains: []string{"postern.test"}}},
	}
}

// OnEvent says who is told of events.
func (s *Service) OnEvent(fn func(api.Event)) { s.mu.Lock(); s.onEvent = fn; s.mu.Unlock() }

// Fail makes a method answer a problem; nil makes it work again.
func (s *Service) Fail(method string, p *api.Problem) { s.mu.Lock(); s.fail[method] = p; s.mu.Unlock() }

// Hold makes calls of a method wait until release is called.
func (s *Service) Hold(method string) (release func()) {
	c := make(chan struct{})
	s.mu.Lock()
	s.hold[method] = c
	s.mu.Unlock()
	return sync.OnceFunc(func() {
		s.mu.Lock()
		delete(s.hold, method)
		s.mu.Unlock()
		close(c)
	})
}

// Calls are the names of the methods called so far.
func (s *Service) Calls() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.calls) }

// Erased are the messages that Erase removed.
func (s *Service) Erased() []api.MessageID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.erased)
}

// Message answers what is stored of a message.
func (s *Service) Stored(id api.MessageID) (api.Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messages[id]
	if m == nil {
		return api.Message{}, false
	}
	return *m, true
}

// SignedIn puts an account in, as if it had signed in before.
func (s *Service) SignedIn(email, name string) api.AccountID {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Accounts = append(s.status.Accounts, api.Account{ID: api.AccountID(email), Email: email, Name: name, HasPassword: true, Sealed: true, Sync: api.Sync{State: api.SyncIdle}})
	s.recount()
	return api.AccountID(email)
}

// Change changes the status and tells of it.
func (s *Service) Change(fn func(*api.Status)) {
	s.mu.Lock()
	fn(&s.status)
	g := s.status.Gateway
	events := []api.Event{{Gateway: &g}}
	for _, a := range s.status.Accounts {
		events = append(events, api.Event{Account: &a})
	}
	tell := s.onEvent
	s.mu.Unlock()
	if tell != nil {
		for _, e := range events {
			tell(e)
		}
	}
}

// Add stores messages without telling of them; a zero ID is numbered. Arrive tells.
func (s *Service) Add(list ...api.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		m := list[i]
		if m.ID == 0 {
			m.ID = s.last + 1
		}
		s.last = max(s.last, m.ID)
		s.messages[m.ID] = &m
	}
	s.recount()
}

// Arrive stores messages and tells of them, as a fetch does.
func (s *Service) Arrive(acc api.AccountID, list ...api.Message) {
	s.Add(list...)
	s.mu.Lock()
	first := *s.messages[s.last]
	tell := s.onEvent
	s.mu.Unlock()
	s.changed()
	if tell != nil {
		tell(api.Event{NewMail: &api.NewMail{Account: acc, Count: len(list), First: first.Row}})
	}
}

// Outgoing changes a message on its way and tells of it.
func (s *Service) Outgoing(acc api.AccountID, id api.MessageID, change func(*api.Row)) {
	s.mu.Lock()
	m := *s.messages[id]
	change(&m.Row)
	s.messages[id] = &m
	s.recount()
	tell := s.onEvent
	s.mu.Unlock()
	if tell != nil {
		tell(api.Event{Outbox: &api.OutboxEvent{Account: acc, Row: m.Row}})
	}
	s.changed()
}

// recount counts the folders anew; every account has all messages.
func (s *Service) recount() {
	s.revision++
	total, unread := map[api.FolderID]int{}, map[api.FolderID]int{}
	for _, m := range s.messages {
		total[m.Folder]++
		if m.Unread {
			unread[m.Folder]++
		}
	}
	for i := range s.status.Accounts {
		s.status.Accounts[i].Folders = nil
		for _, f := range api.Folders {
			s.status.Accounts[i].Folders = append(s.status.Accounts[i].Folders, api.Folder{ID: f, Total: total[f], Unread: unread[f], Revision: s.revision})
		}
	}
}

// changed tells of every account.
func (s *Service) changed() {
	s.mu.Lock()
	list, tell := slices.Clone(s.status.Accounts), s.onEvent
	s.mu.Unlock()
	if tell != nil {
		for _, a := range list {
			tell(api.Event{Account: &a})
		}
	}
}

// enter notes a call, waits while it is held, and answers its failure.
func (s *Service) enter(ctx context.Context, method string) error {
	s.mu.Lock()
	s.calls = append(s.calls, method)
	hold := s.hold[method]
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.fail[method]; p != nil {
		return p
	}
	return nil
}

// Status implements api.Service.
func (s *Service) Status(ctx context.Context) (api.Status, error) {
	if err := s.enter(ctx, "Status"); err != nil {
		return api.Status{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Accounts = slices.Clone(st.Accounts)
	return st, nil
}

// SignIn implements api.Service.
func (s *Service) SignIn(ctx context.Context, r api.SignIn) (api.Account, error) {
	if err := s.enter(ctx, "SignIn"); err != nil {
		return api.Account{}, err
	}
	s.mu.Lock()
	if s.password[r.Email] != r.Password {
		s.mu.Unlock()
		return api.Account{}, &api.Problem{Code: api.CodeWrongPassword, Detail: r.Email, Technical: "PASS: -ERR [AUTH] no"}
	}
	s.mu.Unlock()
	s.SignedIn(r.Email, "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.Accounts[len(s.status.Accounts)-1], nil
}

// SignOut implements api.Service.
func (s *Service) SignOut(ctx context.Context, r api.SignOut) error {
	if err := s.enter(ctx, "SignOut"); err != nil {
		return err
	}
	s.mu.Lock()
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
		if m.Folder != q.Folder || slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			continue
		}
		rows = append(rows, m.Row)
		if m.Unread {
			page.Unread++
		}
	}
	slices.SortFunc(rows, func(a, b api.Row) int {
		return cmp.Or(b.Date.Compare(a.Date), cmp.Compare(b.ID, a.ID))
	})
	page.Total = len(rows)
	from := min(q.Offset, len(rows))
	page.Rows = rows[from:min(from+q.Limit, len(rows))]
	return page, nil
}

func (s *Service) find(id api.MessageID) (*api.Message, error) {
	if m := s.messages[id]; m != nil {
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
	m, err := s.find(r.ID)
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
	m, err := s.find(r.ID)
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

func (s *Service) change(ctx context.Context, method string, ids []api.MessageID, fn func(*api.Message)) error {
	if err := s.enter(ctx, method); err != nil {
		return err
	}
	s.mu.Lock()
	for _, id := range ids {
		if m := s.messages[id]; m != nil {
			c := *m
			fn(&c)
			s.messages[id] = &c
		}
	}
	s.recount()
	s.mu.Unlock()
	s.changed()
	return nil
}

// Mark implements api.Service.
func (s *Service) Mark(ctx context.Context, r api.Mark) error {
	return s.change(ctx, "Mark", r.IDs, func(m *api.Message) {
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
	return s.change(ctx, "Move", r.IDs, func(m *api.Message) { m.Folder = r.To })
}

// Erase implements api.Service.
func (s *Service) Erase(ctx context.Context, r api.Erase) error {
	if err := s.enter(ctx, "Erase"); err != nil {
		return err
	}
	s.mu.Lock()
	for _, id := range r.IDs {
		delete(s.messages, id)
		s.erased = append(s.erased, id)
	}
	s.recount()
	s.mu.Unlock()
	s.changed()
	return nil
}

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
	if d, ok := s.drafts[r.ID]; ok {
		return d, nil
	}
	m, err := s.find(r.ID)
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
		s.last++
		d.ID = s.last
	}
	s.put(d, api.Drafts, api.StateDraft)
	s.mu.Unlock()
	s.changed()
	return d, nil
}

func (s *Service) put(d api.Draft, f api.FolderID, st api.OutboxState) {
	s.drafts[d.ID] = d
	s.messages[d.ID] = &api.Message{
		Row: api.Row{ID: d.ID, Folder: f, From: api.Address{Addr: string(d.Account)}, To: d.To, Subject: d.Subject, Snippet: strings.Join(strings.Fields(d.Text), " "),
			Date: time.Now(), Attachments: len(d.Attachments), State: st},
		Cc: d.Cc, Bcc: d.Bcc, Text: d.Text, References: d.References,
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
		s.last++
		d.ID = s.last
	}
	s.put(d, api.Outbox, api.StateQueued)
	s.mu.Unlock()
	s.changed()
	return d.ID, nil
}

// Retry implements api.Service.
func (s *Service) Retry(ctx context.Context, r api.MessageRef) error {
	return s.change(ctx, "Retry", []api.MessageID{r.ID}, func(m *api.Message) { m.State, m.Problem = api.StateQueued, nil })
}

// Unsend implements api.Service.
func (s *Service) Unsend(ctx context.Context, r api.MessageRef) error {
	return s.change(ctx, "Unsend", []api.MessageID{r.ID}, func(m *api.Message) { m.Folder, m.State, m.Problem = api.Drafts, api.StateDraft, nil })
}

// SyncNow implements api.Service.
func (s *Service) SyncNow(ctx context.Context, _ api.AccountID) error { return s.enter(ctx, "SyncNow") }

// Reconnect implements api.Service.
func (s *Service) Reconnect(ctx context.Context) error { return s.enter(ctx, "Reconnect") }
