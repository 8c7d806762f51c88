package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/postern-mail/postern/client/api"
)

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
	s.mu.Lock()
	s.joined = false // what is under way makes nothing durable any more
	s.mu.Unlock()
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
	if err := e.registry.updateSite(s.id, func(rec *siteRecord) { rec.Server.Pin = pin }); err != nil {
		return problemOf(err)
	}
	s.mu.Lock()
	s.rec.Server.Pin, s.problem = pin, nil
	s.mu.Unlock()
	s.pool.drop()
	s.announce()
	e.transfers.unblock(s)
	return nil
}
