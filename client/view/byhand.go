package view

import (
	"context"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// CanSetUp says whether the servers can be said by hand here.
func (s *Session) CanSetUp() bool { return !s.known() }

// ByHand shows the form for the servers, begun with what was found before, or takes it away again.
func (s *Session) ByHand() {
	s.attempt++
	s.Busy, s.Problem, s.Doing, s.Confirm, s.wrong = false, nil, "", false, wrongField{}
	s.offer = nil
	domain := domainOf(strings.TrimSpace(s.Email))
	if s.Manual {
		s.Manual, s.Found, s.about = false, nil, domain
		return
	}
	s.Manual, s.asked = true, false
	var begin api.Servers
	if s.Found != nil {
		begin = s.Found.Servers
	}
	if s.begin(domain, begin) && s.Found == nil {
		s.suggest()
	}
	s.app.platform.Focus(`[data-testid="setup-pop3-host"]`)
}

// begin shows servers in a form that comes up now, unless somebody has filled it in for this domain before.
func (s *Session) begin(domain string, servers api.Servers) bool {
	if s.servers.touched && s.about == domain {
		return false
	}
	s.about = domain
	s.servers.fill(servers)
	return true
}

// suggest looks for settings to offer. They are not filled in: whoever asked for the form has a field in hand by then.
func (s *Session) suggest() {
	email := strings.TrimSpace(s.Email)
	if !ValidAddress(email) {
		return
	}
	turn := s.attempt
	var d api.Discovery
	s.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		d, err = svc.Discover(ctx, email)
		return err
	}, func(p *api.Problem) {
		if found := suggested(d); p == nil && turn == s.attempt && found.POP3.Host != "" {
			s.offer = &found
		}
	})
}

// Offer says what the form could be filled in with; empty if there is nothing, or it is about another address, or somebody
// has filled the form in.
func (s *Session) Offer() string {
	switch {
	case s.offer == nil || !s.Manual || s.servers.touched || s.about != domainOf(strings.TrimSpace(s.Email)):
		return ""
	case s.offer.POP3.Host == s.offer.SMTP.Host:
		return "Use " + s.offer.POP3.Host
	}
	return "Use " + s.offer.POP3.Host + " and " + s.offer.SMTP.Host
}

// TakeOffer fills the form in with it.
func (s *Session) TakeOffer() {
	if s.Offer() != "" {
		s.servers.fill(*s.offer)
		s.offer = nil
		s.app.platform.Focus(`[data-testid="signin-submit"]`)
	}
}

// suggested is the best of what was found that can be shown in the form.
func suggested(d api.Discovery) api.Servers {
	for _, c := range d.Candidates {
		if c.Servers.POP3.Host != "" && c.Servers.SMTP.Host != "" {
			return c.Servers
		}
	}
	return d.Suggestion
}
