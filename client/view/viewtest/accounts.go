package viewtest

import (
	"context"
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// The calls of api.Service about accounts and their servers.

// world is the mail servers that there are, and what is known of accounts.
type world struct {
	found    map[string]api.Discovery // by domain
	trouble  map[string]*api.Problem  // by host: why nobody gets in there
	settings map[api.AccountID]api.Settings
	signIns  []api.SignIn
	signOuts []api.SignOut
	phrase   string
}

// Announce says what Discover finds for a domain.
func (s *Service) Announce(domain string, d api.Discovery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world.found == nil {
		s.world.found = map[string]api.Discovery{}
	}
	s.world.found[domain] = d
}

// Trouble makes a mail server refuse everybody; of a certificate, those who do not pin it. nil makes it work again.
func (s *Service) Trouble(host string, p *api.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world.trouble == nil {
		s.world.trouble = map[string]*api.Problem{}
	}
	s.world.trouble[host] = p
}

// Lock puts the passwords under a passphrase.
func (s *Service) Lock(phrase string) {
	s.mu.Lock()
	s.world.phrase, s.status.Vault = phrase, api.VaultLocked
	s.mu.Unlock()
	s.vaultChanged()
}

// SignIns are the calls of SignIn so far.
func (s *Service) SignIns() []api.SignIn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.world.signIns)
}

// SignedOut are the calls of SignOut so far.
func (s *Service) SignedOut() []api.SignOut {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.world.signOuts)
}

func (s *Service) refusal(v api.Servers) *api.Problem {
	for _, x := range []api.Server{v.POP3, v.SMTP} {
		p := s.world.trouble[x.Host]
		if p != nil && (p.Certificate == nil || p.Certificate.Fingerprint != x.Pin) {
			return p
		}
	}
	return nil
}

// SignIn implements api.Service.
func (s *Service) SignIn(ctx context.Context, r api.SignIn) (api.Account, error) {
	s.mu.Lock()
	s.world.signIns = append(s.world.signIns, r)
	s.mu.Unlock()
	if err := s.enter(ctx, "SignIn"); err != nil {
		return api.Account{}, err
	}
	s.mu.Lock()
	at := func() int {
		return slices.IndexFunc(s.status.Accounts, func(a api.Account) bool { return a.Email == r.Email })
	}
	servers := r.Servers
	switch {
	case servers != nil:
	case at() >= 0:
		servers = &s.status.Accounts[at()].Servers
	case slices.Contains(s.status.Gateway.Domains, r.Email[strings.LastIndexByte(r.Email, '@')+1:]):
		servers = &api.Servers{}
	default:
		s.mu.Unlock()
		return api.Account{}, &api.Problem{Code: api.CodeSettingsNeeded, Detail: r.Email}
	}
	p := s.refusal(*servers)
	if i := at(); p == nil && r.Password == "" && i >= 0 && r.Servers == nil {
		s.status.Accounts[i].Kept = r.Keep
		a := s.status.Accounts[i]
		s.mu.Unlock()
		s.changed()
		return a, nil
	}
	if p == nil && s.password[r.Email] != r.Password {
		p = &api.Problem{Code: api.CodeWrongPassword, Detail: r.Email, Technical: "PASS: -ERR [AUTH] no"}
	}
	known, v := at() >= 0, *servers
	s.mu.Unlock()
	if p != nil {
		return api.Account{}, p
	}
	if !known {
		s.SignedIn(r.Email, r.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.status.Accounts[at()]
	a.HasPassword, a.Kept, a.Servers, a.Sealed = true, r.Keep, v, v.POP3.Security != api.Plain && v.SMTP.Security != api.Plain
	return *a, nil
}

// Discover implements api.Service.
func (s *Service) Discover(ctx context.Context, email string) (api.Discovery, error) {
	if err := s.enter(ctx, "Discover"); err != nil {
		return api.Discovery{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.world.found[email[strings.LastIndexByte(email, '@')+1:]], nil
}

// Settings implements api.Service.
func (s *Service) Settings(ctx context.Context, id api.AccountID) (api.Settings, error) {
	if err := s.enter(ctx, "Settings"); err != nil {
		return api.Settings{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settingsOf(id)
}

func (s *Service) settingsOf(id api.AccountID) (api.Settings, error) {
	if v, ok := s.world.settings[id]; ok {
		v.Identities = slices.Clone(v.Identities)
		return v, nil
	}
	for _, a := range s.status.Accounts {
		if a.ID == id {
			return api.Settings{Account: id, Servers: a.Servers, Identities: []api.Identity{{Name: a.Name, Addr: a.Email}}}, nil
		}
	}
	return api.Settings{}, &api.Problem{Code: api.CodeBadRequest, Detail: "no such account"}
}

// Configure implements api.Service.
func (s *Service) Configure(ctx context.Context, r api.Settings) (api.Settings, error) {
	if err := s.enter(ctx, "Configure"); err != nil {
		return api.Settings{}, err
	}
	s.mu.Lock()
	if p := s.refusal(r.Servers); p != nil {
		s.mu.Unlock()
		return api.Settings{}, p
	}
	s.configure(r)
	s.mu.Unlock()
	s.changed()
	return r, nil
}

func (s *Service) configure(r api.Settings) {
	if s.world.settings == nil {
		s.world.settings = map[api.AccountID]api.Settings{}
	}
	s.world.settings[r.Account] = r
	for i := range s.status.Accounts {
		if a := &s.status.Accounts[i]; a.ID == r.Account {
			a.Label, a.Servers, a.Identities = r.Label, r.Servers, r.Identities
			a.Sealed = r.Servers.POP3.Security != api.Plain && r.Servers.SMTP.Security != api.Plain
		}
	}
}

// Trust implements api.Service.
func (s *Service) Trust(ctx context.Context, r api.Trust) error {
	if err := s.enter(ctx, "Trust"); err != nil {
		return err
	}
	s.mu.Lock()
	if r.Protocol == api.FTP {
		for i := range s.status.Sites {
			if s.status.Sites[i].ID == r.Account {
				s.status.Sites[i].Server.Pin = r.Fingerprint
			}
		}
		s.mu.Unlock()
		return nil
	}
	v, err := s.settingsOf(r.Account)
	if err == nil {
		if r.Protocol == api.SMTP {
			v.Servers.SMTP.Pin = r.Fingerprint
		} else {
			v.Servers.POP3.Pin = r.Fingerprint
		}
		s.configure(v)
	}
	s.mu.Unlock()
	s.changed()
	return err
}

// Unlock implements api.Service.
func (s *Service) Unlock(ctx context.Context, phrase string) error {
	if err := s.enter(ctx, "Unlock"); err != nil {
		return err
	}
	s.mu.Lock()
	if phrase != s.world.phrase {
		s.mu.Unlock()
		return &api.Problem{Code: api.CodeWrongPassphrase}
	}
	s.status.Vault = api.VaultSealed
	s.mu.Unlock()
	s.vaultChanged()
	return nil
}

// SetPassphrase implements api.Service.
func (s *Service) SetPassphrase(ctx context.Context, r api.Passphrase) error {
	if err := s.enter(ctx, "SetPassphrase"); err != nil {
		return err
	}
	s.mu.Lock()
	if r.Old != s.world.phrase {
		s.mu.Unlock()
		return &api.Problem{Code: api.CodeWrongPassphrase}
	}
	s.world.phrase, s.status.Vault = r.New, api.VaultSealed
	if r.New == "" {
		s.status.Vault = api.VaultOpen
	}
	s.mu.Unlock()
	s.vaultChanged()
	return nil
}

func (s *Service) vaultChanged() {
	s.mu.Lock()
	v, tell := s.status.Vault, s.onEvent
	s.mu.Unlock()
	if tell != nil {
		tell(api.Event{Vault: &v})
	}
}
