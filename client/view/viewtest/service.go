// Package viewtest has what tests of the page need: an engine in memory that speaks no protocol, and a browser that
// notes what it is told. Only tests import it.
package viewtest

import (
	"context"
	"slices"
	"sync"

	"github.com/postern-mail/postern/client/api"
)

// Service is an api.Service in memory. It keeps what it is told and can be made slow or failing, call by call.
type Service struct {
	mu       sync.Mutex
	status   api.Status
	password map[string]string
	messages map[api.MessageRef]*api.Message
	data     map[api.BlobID][]byte
	drafts   map[api.MessageRef]api.Draft
	last     map[api.AccountID]api.MessageID
	wire     map[api.AccountID]*api.WirePage
	said     chan struct{} // closed when something is said on the wire
	revision uint64
	onEvent  func(api.Event)
	fail     map[string]*api.Problem
	hold     map[string]chan struct{}
	calls    []string
	erased   []api.MessageID
	token    string // that the gateway asks for
	world    world
	queue    queue
	files    files
}

var _ api.Service = (*Service)(nil)

// NewService is a service with accounts that may sign in, by address and password, and none signed in.
func NewService(passwords map[string]string) *Service {
	return &Service{
		password: passwords, messages: map[api.MessageRef]*api.Message{}, data: map[api.BlobID][]byte{}, drafts: map[api.MessageRef]api.Draft{},
		last: map[api.AccountID]api.MessageID{}, wire: map[api.AccountID]*api.WirePage{}, said: make(chan struct{}),
		fail: map[string]*api.Problem{}, hold: map[string]chan struct{}{},
		queue:  queue{changed: make(chan struct{})},
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

// Stored answers what is stored of a message of the first account; StoredIn of one of any.
func (s *Service) Stored(id api.MessageID) (api.Message, bool) { return s.StoredIn("", id) }

// StoredIn answers what is stored of a message.
func (s *Service) StoredIn(acc api.AccountID, id api.MessageID) (api.Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messages[s.ref(acc, id)]
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

// ref names a message; without an account it is the first's.
func (s *Service) ref(acc api.AccountID, id api.MessageID) api.MessageRef {
	if acc == "" && len(s.status.Accounts) > 0 {
		acc = s.status.Accounts[0].ID
	}
	return api.MessageRef{Account: acc, ID: id}
}

// Add stores messages without telling of them, of the first account where they name none; a zero ID is numbered. Arrive
// tells.
func (s *Service) Add(list ...api.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		m := list[i]
		ref := s.ref(m.Account, m.ID)
		if m.Account = ref.Account; m.ID == 0 {
			m.ID = s.last[ref.Account] + 1
			ref.ID = m.ID
		}
		s.last[ref.Account] = max(s.last[ref.Account], m.ID)
		s.messages[ref] = &m
	}
	s.recount()
}

// Arrive stores messages and tells of them, as a fetch does.
func (s *Service) Arrive(acc api.AccountID, list ...api.Message) {
	for i := range list {
		list[i].Account = acc
	}
	s.Add(list...)
	s.mu.Lock()
	first := *s.messages[s.ref(acc, s.last[acc])]
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
	m := *s.messages[s.ref(acc, id)]
	change(&m.Row)
	s.messages[s.ref(acc, id)] = &m
	s.recount()
	tell := s.onEvent
	s.mu.Unlock()
	if tell != nil {
		tell(api.Event{Outbox: &api.OutboxEvent{Account: acc, Row: m.Row}})
	}
	s.changed()
}

// recount counts the folders anew.
func (s *Service) recount() {
	s.revision++
	for i := range s.status.Accounts {
		total, unread := map[api.FolderID]int{}, map[api.FolderID]int{}
		for ref, m := range s.messages {
			if ref.Account != s.status.Accounts[i].ID {
				continue
			}
			total[m.Folder]++
			if m.Unread {
				unread[m.Folder]++
			}
		}
		s.status.Accounts[i].Folders = nil
		for _, f := range api.Folders {
			s.status.Accounts[i].Folders = append(s.status.Accounts[i].Folders, api.Folder{ID: f, Total: total[f], Unread: unread[f], Revision: s.revision})
		}
		if total[api.Junk] > 0 {
			s.status.Accounts[i].Folders = append(s.status.Accounts[i].Folders, api.Folder{ID: api.Junk, Total: total[api.Junk], Unread: unread[api.Junk], Revision: s.revision})
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
