package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/wire"
)

// site is one FTP account: its sessions, and what is known of its folders.
type site struct {
	e    *Engine
	id   api.AccountID
	wire *wireLog
	pool sessionPool
	tree folderCache

	looking chan struct{} // holds a token while a session is used by somebody who looks and waits

	mu       sync.Mutex // guards what follows; never held while emitting
	rec      siteRecord
	joined   bool // it is one of the engine's
	password string
	looked   bool // in the vault
	later    bool // the password is kept when the vault is unlocked
	refused  bool // the password, by the server: only the user can go on from there
	problem  *api.Problem
}

func newSite(e *Engine, rec siteRecord, joined bool) *site {
	s := &site{e: e, id: rec.ID, rec: rec, joined: joined}
	logf := func(format string, args ...any) { e.Logf("site "+string(s.id)+": "+format, args...) }
	s.wire = wireLogIn(func() (store.FS, error) { return e.FS.Sub(siteFolder(s.id)) }, e.Clock, logf, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.joined
	})
	s.pool.site = s
	s.looking, s.tree.limits = make(chan struct{}, 1), &e.Limits
	s.tree.revision = uint64(max(0, e.Clock.Now().UnixMicro())) // above those of the last run
	return s
}

// close ends its sessions.
func (s *site) close() {
	s.pool.close()
	s.wire.close()
}

func (s *site) record() siteRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rec
}

// snapshot is the site as a page sees it.
func (s *site) snapshot() api.Site {
	borrowed := false
	if a := s.lender(); a != nil {
		a.mu.Lock()
		borrowed = a.hasPassword()
		a.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return api.Site{
		ID: s.id, Label: s.rec.Label, Server: s.rec.Server, HasPassword: s.password != "" || s.rec.Kept && !s.looked || borrowed, Kept: s.rec.Kept,
		Sealed: s.rec.own() || s.rec.Server.Security != api.Plain, Home: s.rec.Home, Problem: s.problem,
	}
}

func (s *site) announce() {
	s.e.events.emit(func() api.Event {
		snapshot := s.snapshot()
		return api.Event{Site: &snapshot}
	})
}

// lender is the mail account whose password is this site's too: that of the gateway's own server which has the address.
func (s *site) lender() *account {
	s.mu.Lock()
	own, user, has := s.rec.own(), s.rec.Server.User, s.password != "" || s.rec.Kept
	s.mu.Unlock()
	if !own || has {
		return nil
	}
	a, err := s.e.account(accountID(user))
	if err != nil || a.settings().Servers.POP3.Host != "" {
		return nil
	}
	return a
}

// lent tells the sites that have an account's password of another one.
func (e *Engine) lent(a *account) {
	for _, s := range e.allSites() {
		if s.lender() == a {
			s.forgive()
			s.announce()
			e.transfers.unblock(s)
		}
	}
}

// secret answers the password.
func (s *site) secret(ctx context.Context) (string, error) {
	s.mu.Lock()
	password, look, user, refused := s.password, s.rec.Kept && !s.looked, s.rec.Server.User, s.refused
	s.mu.Unlock()
	switch {
	case refused:
		return "", &api.Problem{Code: api.CodeWrongPassword, Detail: user}
	case password != "":
		return password, nil
	}
	if a := s.lender(); a != nil {
		return a.secret(ctx)
	}
	needed := &api.Problem{Code: api.CodePasswordNeeded, Detail: user}
	if !look {
		return "", needed
	}
	secret, err := s.e.keptPassword(ctx, s.id, user)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = true
	if s.password == "" && s.rec.Kept {
		s.password = secret
	}
	if s.password == "" {
		return "", needed
	}
	return s.password, nil
}

// met remembers how the last attempt to reach the site ended, and tells of it if that is news.
func (s *site) met(p *api.Problem) {
	if p != nil && (p.Code == api.CodeCanceled || p.Code == api.CodeGatewayOffline) {
		return
	}
	s.mu.Lock()
	s.refused = s.refused || p != nil && p.Code == api.CodeWrongPassword
	news := (p == nil) != (s.problem == nil) || p != nil && p.Code != s.problem.Code
	s.problem = p
	s.mu.Unlock()
	if news {
		s.announce()
	}
}

// site answers the site of that ID.
func (e *Engine) site(id api.AccountID) (*site, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	for _, s := range e.sites {
		if s.id == id {
			return s, nil
		}
	}
	return nil, &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("no site %q", id)}
}

func (e *Engine) allSites() []*site {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.sites)
}

// openSites makes the sites there are.
func (e *Engine) openSites() error {
	list, err := e.registry.siteRecords()
	if err != nil {
		return err
	}
	if err := removeSiteOrphans(e.FS, list); err != nil {
		e.Logf("removing what no site names: %v", err)
	}
	for _, rec := range list {
		e.sites = append(e.sites, newSite(e, rec, true))
	}
	return nil
}

// offersFiles says that an account's own server has an FTP server beside it which is no site yet.
func (a *account) offersFiles() bool {
	e := a.e
	welcome := e.Gateway.State().Welcome
	e.mu.Lock()
	if welcome == nil {
		welcome = e.welcome // of before
	}
	sites := slices.Clone(e.sites)
	e.mu.Unlock()
	if welcome == nil || !slices.Contains(welcome.Capabilities, wire.CapFTPData) || a.settings().Servers.POP3.Host != "" {
		return false
	}
	own := home(welcome, a.email)
	if own == nil || serviceOf(own, services[api.FTP][0]) == nil && serviceOf(own, services[api.FTP][1]) == nil {
		return false
	}
	return !slices.ContainsFunc(sites, func(s *site) bool {
		rec := s.record()
		return rec.own() && strings.EqualFold(rec.Server.User, a.email)
	})
}

// tellFiles tells of the accounts whose offer of files may be another now: those of the gateway's own server.
func (e *Engine) tellFiles() {
	for _, a := range e.all() {
		if a.settings().Servers.POP3.Host == "" {
			a.announce()
		}
	}
}

// forgive lets the password be tried again.
func (s *site) forgive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = false
}

// keepAtLast puts the password into the vault that was locked when the site was added.
func (s *site) keepAtLast(ctx context.Context) error {
	s.mu.Lock()
	later, password := s.later && s.password != "", s.password
	s.later = false
	s.mu.Unlock()
	if !later {
		return nil
	}
	if err := s.e.secrets.Put(ctx, secretName(s.id), []byte(password)); err != nil {
		return err
	}
	if err := s.e.registry.updateSite(s.id, func(rec *siteRecord) { rec.Kept = true }); err != nil {
		return err
	}
	s.mu.Lock()
	s.rec.Kept = true
	s.mu.Unlock()
	s.announce()
	return nil
}
