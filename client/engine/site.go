package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine/keyring"
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

	looking, attaching chan struct{} // hold a token while a session is used for that

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
	s.looking, s.attaching, s.tree.most = make(chan struct{}, 1), make(chan struct{}, 1), e.Limits.Folder
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
	if !look || s.e.Vault == nil {
		return "", needed
	}
	secret, err := s.e.secrets.Get(ctx, secretName(s.id))
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, keyring.ErrLocked):
		return "", &api.Problem{Code: api.CodeLocked}
	default:
		needed.Technical = "reading the vault: " + err.Error()
		return "", needed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = true
	if s.password == "" && s.rec.Kept {
		s.password = string(secret)
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

// tellFiles tells of the accounts whose offer of files may be another now.
func (e *Engine) tellFiles() {
	for _, a := range e.all() {
		if offers := a.offersFiles(); a.offered.Swap(offers) != offers {
			a.announce()
		}
	}
}

// AddSite adds a site, or changes one, when its server has accepted it.
func (e *Engine) AddSite(ctx context.Context, r api.AddSite) (api.Site, error) {
	if err := e.oneAtATime(ctx); err != nil {
		return api.Site{}, problemOf(err)
	}
	defer func() { <-e.signing }()
	s, err := e.addSite(ctx, r)
	if err != nil {
		return api.Site{}, problemOf(err)
	}
	return s.snapshot(), nil
}

func (e *Engine) addSite(ctx context.Context, r api.AddSite) (*site, error) {
	if err := e.checkSite(&r); err != nil {
		return nil, err
	}
	s, err := e.siteFor(r)
	if err != nil {
		return nil, err
	}
	before := s.record()
	rec := before
	rec.Label, rec.Server = r.Label, r.Server
	password := r.Password
	proven := s.joined && before.Server == rec.Server && password == "" // nothing that the server has to be asked about
	if password == "" && (s.joined && sameLogin(before.Server, rec.Server) || r.Account != "") {
		if s.joined {
			s.forgive()
		} else {
			s.rec = rec
		}
		if password, err = s.secret(ctx); err != nil {
			return nil, err
		}
	}
	if password == "" {
		if !anonymous(rec.Server.User) {
			return nil, &api.Problem{Code: api.CodeWrongPassword, Detail: rec.Server.User, Technical: "no password was given"}
		}
		password = "anonymous@" // RFC 1635
	}
	if !proven {
		if _, err := e.awaitGateway(ctx); err != nil {
			return nil, err
		}
		x, err := s.connect(ctx, rec.Server, password)
		if err != nil {
			return nil, err
		}
		rec.Home = x.home()
		s.pool.drop() // sessions of before
		defer s.pool.give(x)
	}
	return s, e.keepSite(ctx, s, rec, r, password)
}

// keepSite makes a site durable that its server has accepted.
func (e *Engine) keepSite(ctx context.Context, s *site, rec siteRecord, r api.AddSite, password string) error {
	borrowed := r.Account != "" || s.joined && r.Password == "" && s.lender() != nil
	wasKept := rec.Kept
	rec.Kept = false
	later := false
	if r.Keep && !borrowed {
		rec.Kept, later = e.keepPassword(ctx, rec.ID, api.SignIn{Password: password, Keep: true})
	}
	if err := e.registry.putSite(rec); err != nil {
		if rec.Kept && !wasKept { // nobody would know of it, nor ever remove it
			e.forgetPassword(ctx, rec.ID)
		}
		return err
	}
	if wasKept && !rec.Kept {
		e.forgetPassword(ctx, rec.ID)
	}
	s.mu.Lock()
	fresh := !s.joined
	if s.rec.Server != rec.Server {
		s.tree.forget()
	}
	s.rec, s.joined, s.later, s.refused, s.problem = rec, true, later, false, nil
	s.password, s.looked = password, true
	if borrowed {
		s.password, s.looked = "", false
	}
	s.mu.Unlock()
	if fresh {
		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			return errClosed
		}
		e.sites = append(slices.Clone(e.sites), s)
		e.mu.Unlock()
	}
	s.announce()
	e.tellFiles()
	e.transfers.unblock(s)
	return nil
}

// siteFor is the site that AddSite is about: one that is there, or a new one.
func (e *Engine) siteFor(r api.AddSite) (*site, error) {
	if r.Site != "" {
		return e.site(r.Site)
	}
	for _, s := range e.allSites() {
		if o := s.record().Server; sameLogin(o, r.Server) && o.Port == r.Server.Port {
			return s, nil
		}
	}
	if len(e.allSites()) >= maxSites {
		return nil, badSetting(fmt.Sprintf("there are %d sites already", maxSites))
	}
	return newSite(e, siteRecord{ID: newSiteID(), Server: r.Server, Added: e.Clock.Now()}, false), nil
}

// maxSites bounds the sites: each keeps a transcript and folders in memory.
const maxSites = 100

func anonymous(user string) bool { return user == "anonymous" || user == "ftp" }

// checkSite says what is wrong with a site, and brings the rest into the form in which it is kept.
func (e *Engine) checkSite(r *api.AddSite) error {
	r.Label = strings.TrimSpace(r.Label)
	if utf8.RuneCountInString(r.Label) > maxLabel || !printableLine(r.Label) {
		return badSetting("the site's name is too long, or has more than one line")
	}
	if r.Account != "" {
		a, err := e.account(r.Account)
		if err != nil {
			return err
		}
		r.Server = api.Server{User: a.email}
		r.Password = ""
		return nil
	}
	user := strings.TrimSpace(r.Server.User)
	if r.Server.Security == "" {
		r.Server.Security = api.STARTTLS // what the servers there are have (RFC 4217 section 2)
	}
	var err error
	if r.Server, err = normalServer(r.Server, [2]int{990, 21}); err != nil {
		return err
	}
	r.Server.Auth = ""
	if r.Server.Host == "" {
		if user, err = normalAddress(user); err != nil {
			return err
		}
	} else if user == "" {
		user = "anonymous"
	}
	r.Server.User = user
	return nil
}

// forgive lets the password be tried again.
func (s *site) forgive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = false
}

// RemoveSite forgets a site. The password goes first, for a cut must not leave one that nobody knows of.
func (e *Engine) RemoveSite(ctx context.Context, id api.AccountID) error {
	if err := e.oneAtATime(ctx); err != nil {
		return problemOf(err)
	}
	defer func() { <-e.signing }()
	s, err := e.site(id)
	if err != nil {
		return err
	}
	e.forgetPassword(ctx, id)
	if err := e.registry.removeSite(id); err != nil {
		return problemOf(err)
	}
	e.mu.Lock()
	e.sites = slices.DeleteFunc(slices.Clone(e.sites), func(o *site) bool { return o == s })
	e.mu.Unlock()
	e.transfers.dropSite(s)
	s.close()
	err = e.FS.RemoveAll(siteFolder(id))
	e.events.emit(func() api.Event { return api.Event{SiteGone: id} })
	e.tellFiles()
	return asError(problemOf(storing(err)))
}

// trustSite pins a certificate for a site, or unpins it.
func (e *Engine) trustSite(r api.Trust, pin string) error {
	s, err := e.site(r.Account)
	if err != nil {
		return err
	}
	rec := s.record()
	if r.Protocol != api.FTP || rec.own() || rec.Server.Security == api.Plain {
		return &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("the site has no %q server whose certificate could be pinned", r.Protocol)}
	}
	rec.Server.Pin = pin
	if err := e.registry.putSite(rec); err != nil {
		return problemOf(err)
	}
	s.mu.Lock()
	s.rec, s.problem = rec, nil
	s.mu.Unlock()
	s.pool.drop()
	s.announce()
	e.transfers.unblock(s)
	return nil
}

// keepAtLast puts the password into the vault that was locked when the site was added.
func (s *site) keepAtLast(ctx context.Context) error {
	s.mu.Lock()
	later, password, rec := s.later && s.password != "", s.password, s.rec
	s.later = false
	s.mu.Unlock()
	if !later {
		return nil
	}
	if err := s.e.secrets.Put(ctx, secretName(s.id), []byte(password)); err != nil {
		return err
	}
	rec.Kept = true
	if err := s.e.registry.putSite(rec); err != nil {
		return err
	}
	s.mu.Lock()
	s.rec.Kept = true
	s.mu.Unlock()
	s.announce()
	return nil
}
