package view

import (
	"context"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// Setup finds the servers of an address that signs in for the first time, or has somebody say them.
type Setup struct {
	Manual  bool   // they are said by hand
	Doing   string // what is being done just now
	Found   *api.Candidate
	Confirm bool // what was found is not the domain's own: nothing is sent there before somebody agrees
	Name    string

	servers ServersForm
	about   string          // the domain that servers and offer are about
	offer   *api.Servers    // what was found while somebody says them by hand
	asked   bool            // Manual because nothing was found, not because somebody wished it
	email   string          // the address that Found and left are about
	left    []api.Candidate // not tried yet
	best    *api.Candidate  // the first that was tried, and why it did not work
	why     *api.Problem
	wrong   wrongField
}

// domainOf is the part of an address that says who serves it.
func domainOf(email string) string {
	return strings.ToLower(email[strings.LastIndexByte(email, '@')+1:])
}

// known says that the form is about an account that is here already: its servers are in its settings.
func (s *Session) known() bool {
	for i := range s.app.Accounts {
		if strings.EqualFold(s.app.Accounts[i].Email, s.Email) {
			return true
		}
	}
	return false
}

// discover asks for the servers of the address, and tries them.
func (s *Session) discover() {
	turn, email := s.attempt, s.Email
	s.doing("Looking for the settings of " + domainOf(email) + "…")
	var d api.Discovery
	s.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		d, err = svc.Discover(ctx, email)
		return err
	}, func(p *api.Problem) {
		if turn != s.attempt {
			return
		}
		if p != nil && (p.Code == api.CodeGatewayOffline || p.Code == api.CodeGatewayRefused || p.Code == api.CodeCanceled || ofGate(p.Code)) {
			s.say(p)
			return
		}
		if p != nil { // what is wrong with looking keeps nobody from saying it
			d.Problem = p
		}
		s.email, s.left, s.best, s.why = email, d.Candidates, nil, nil
		if len(d.Candidates) == 0 {
			why := "No settings were found for " + domainOf(email)
			if d.Problem != nil && d.Problem.Code == api.CodeTargetRefused {
				why = "This gateway does not reach the servers of " + domainOf(email)
			}
			s.notFound(d.Suggestion, why, d.Problem)
			return
		}
		s.next()
	})
}

func (s *Session) doing(what string) {
	s.Doing = what
	s.app.Voice.Say(what)
}

// notFound has somebody say the servers.
func (s *Session) notFound(begin api.Servers, why string, p *api.Problem) {
	s.Found, s.left, s.Manual, s.asked = nil, nil, true, true
	s.begin(domainOf(s.email), begin)
	code := notFound
	if p != nil && p.Code == api.CodeTargetRefused {
		code = notAllowed
	}
	s.say(&api.Problem{Code: code, Detail: why, Technical: technical(p)})
	s.app.platform.Focus(`[data-testid="setup-pop3-host"]`)
}

// These are problems of the page: nobody knows the servers, or the gateway does not connect to them.
const (
	notFound   api.Code = "not-found"
	notAllowed api.Code = "not-allowed"
)

func technical(p *api.Problem) string {
	if p == nil {
		return ""
	}
	return p.Error()
}

// next tries the next candidate. One that is not encrypted is never tried by itself: whoever answers for the domain, or
// in its name, could ask for the password in the clear that way. Nor is one that lies outside the domain, if it is the
// network that named it (RFC 6186 section 6): somebody has to agree first.
func (s *Session) next() {
	var open *api.Candidate
	for len(s.left) > 0 {
		c := s.left[0]
		s.left = s.left[1:]
		if c.Servers.POP3.Security == api.Plain || c.Servers.SMTP.Security == api.Plain {
			if open == nil {
				open = &c
			}
			continue
		}
		s.Found = &c
		if foreign(c, domainOf(s.email)) {
			s.Busy, s.Doing, s.Confirm = false, "", true
			s.app.Voice.Say(s.FoundWords().Title)
			s.app.platform.Focus(`[data-testid="signin-submit"]`)
			return
		}
		s.tryFound()
		return
	}
	switch {
	case s.best != nil:
		s.Found = s.best
		s.refused(&s.best.Servers, s.why)
	case open != nil:
		s.notFound(open.Servers, "What was found for "+domainOf(s.email)+" is not encrypted", nil)
	}
}

func (s *Session) tryFound() {
	s.Confirm = false
	where := "Signing in…"
	if h := s.Found.Servers.POP3.Host; h != "" {
		where = "Signing in at " + h + "…"
	}
	s.doing(where)
	servers := s.Found.Servers
	s.signIn(&servers)
}

// foreign says that a server lies outside the domain, and that not the list which comes with Postern names it.
func foreign(c api.Candidate, domain string) bool {
	if c.Origin == api.OriginGateway || c.Origin == api.OriginProvider {
		return false
	}
	for _, h := range []string{c.Servers.POP3.Host, c.Servers.SMTP.Host} {
		if h = strings.ToLower(strings.TrimSuffix(h, ".")); h != domain && !strings.HasSuffix(h, "."+domain) {
			return true
		}
	}
	return false
}

// failed takes the server's No to a sign-in: where there are other settings to try, they are tried.
func (s *Session) failed(servers *api.Servers, p *api.Problem) {
	switch {
	case servers == nil && p.Code == api.CodeSettingsNeeded:
		s.discover()
	case !s.Manual && s.Found != nil && tryAnother(s.Found, p):
		if s.best == nil {
			s.best, s.why = s.Found, p
		}
		s.next()
	default:
		s.refused(servers, p)
	}
}

// refused says why the sign-in did not work, and asks about a certificate that nobody vouches for.
func (s *Session) refused(servers *api.Servers, p *api.Problem) {
	s.say(p)
	if p.Certificate == nil {
		return
	}
	s.app.Trust.ask(p.Certificate, func(fingerprint string) { s.trusted(servers, p.Certificate, fingerprint) })
}

// trusted signs in once more, where this certificate is believed now.
func (s *Session) trusted(servers *api.Servers, c *api.Certificate, fingerprint string) {
	again := func() {
		s.Busy, s.Problem = true, nil
		s.signIn(servers)
	}
	if servers == nil { // an account that is here already
		s.Busy, s.Problem = true, nil
		email, turn := s.Email, s.attempt
		s.app.ask(func(ctx context.Context, svc api.Service) error {
			st, err := svc.Status(ctx)
			for _, a := range st.Accounts {
				if err == nil && strings.EqualFold(a.Email, email) {
					err = svc.Trust(ctx, api.Trust{Account: a.ID, Protocol: c.Protocol, Fingerprint: fingerprint})
				}
			}
			return err
		}, func(p *api.Problem) {
			switch {
			case turn != s.attempt:
			case p != nil:
				s.say(p)
			default:
				again()
			}
		})
		return
	}
	with := *servers
	servers = &with
	if c.Protocol == api.SMTP {
		servers.SMTP.Pin = fingerprint
	} else {
		servers.POP3.Pin = fingerprint
	}
	if s.Manual {
		s.servers.pin(c.Protocol, fingerprint)
	} else if s.Found != nil {
		s.Found.Servers = *servers
	}
	again()
}

// tryAnother says whether a failure is one of these settings, not of the password.
func tryAnother(c *api.Candidate, p *api.Problem) bool {
	switch p.Code {
	case api.CodeServerUnreachable, api.CodeServerTimeout, api.CodeServerClosed, api.CodeServerProtocol, api.CodeTargetRefused, api.CodeNoTLS, api.CodeNoMechanism:
		return true
	case api.CodeCertificate:
		return c.Origin == api.OriginGuess
	}
	return false
}

// FoundWords say which settings are tried, and who named them.
func (s *Session) FoundWords() Words {
	if s.Found == nil || s.Manual || s.email != strings.TrimSpace(s.Email) {
		return Words{}
	}
	c, domain := s.Found, domainOf(s.email)
	w := Words{Means: "Mail comes from " + serverWords(c.Servers.POP3) + " and goes to " + serverWords(c.Servers.SMTP) + ".", Do: c.Help}
	switch c.Origin {
	case api.OriginGateway:
		w.Title, w.Means = "This gateway is home to "+domain, ""
	case api.OriginSRV:
		w.Title = domain + " names its servers in the DNS"
	case api.OriginAutoconfig:
		w.Title = domain + " publishes its settings"
	case api.OriginProvider:
		w.Title = "These are the settings of " + c.Provider
	default:
		w.Title = "These usual names answer for " + domain
	}
	if s.Confirm {
		w.Title += ", and they are elsewhere"
		w.Do = strings.TrimSpace("Sign in there only if you know that this is your provider: your password goes to it. " + c.Help)
	}
	return w
}
