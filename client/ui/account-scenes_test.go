package ui

import (
	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view/viewtest"
)

// accountScenes are those of signing in, of certificates and of settings.
var accountScenes = []scene{
	{"set-up", "/", nobody, func(s *screen) { byHand(s); s.click("setup-more") }},
	{"set-up-plain", "/", nobody, func(s *screen) {
		byHand(s)
		s.fire("setup-pop3-security", "change", map[string]any{"target.value": "plain"})
		s.fire("signin-form", "submit", nil)
	}},
	{"looking", "/", nobody, func(s *screen) {
		s.T.Cleanup(s.svc.Hold("Discover"))
		signIn(s, "secret")
	}},
	{"found-nothing", "/", nobody, func(s *screen) { signIn(s, "secret") }},
	{"found-elsewhere", "/", announced(api.Candidate{Origin: api.OriginSRV, Servers: api.Servers{POP3: api.Server{Host: "pop.host.example", Port: 995, Security: api.TLS}, SMTP: itsServers().SMTP}}), func(s *screen) { signIn(s, "secret") }},
	{"wrong-password", "/", announced(api.Candidate{Origin: api.OriginProvider, Servers: itsServers(), Provider: "Example Mail", Help: "Make an app password first: your own password does not work here."}), func(s *screen) { signIn(s, "no") }},
	{"certificate", "/", func(s *viewtest.Service) {
		announced(api.Candidate{Origin: api.OriginAutoconfig, Servers: itsServers()})(s)
		s.Trouble("pop.example.org", distrusted("unknown-authority"))
	}, func(s *screen) { signIn(s, "secret") }},
	{"certificate-changed", "/inbox", func(s *viewtest.Service) {
		mailbox(s)
		s.Change(func(st *api.Status) {
			st.Accounts[0].Sync = api.Sync{State: api.SyncError, Problem: distrusted("pin-changed")}
		})
	}, func(s *screen) { s.click("banner-certificate") }},
	{"certificate-banner", "/inbox", func(s *viewtest.Service) {
		mailbox(s)
		s.Change(func(st *api.Status) {
			st.Accounts[0].Sync = api.Sync{State: api.SyncError, Problem: distrusted("pin-changed")}
		})
	}, nil},
	{"settings", "/settings?account=" + bob, twoAccounts, func(s *screen) {
		s.fire("settings-leave", "change", map[string]any{"target.value": "never"})
		s.click("settings-close")
	}},
	{"settings-refused", "/settings", twoAccounts, func(s *screen) {
		s.svc.Fail("Configure", &api.Problem{Code: api.CodeServerTimeout, Detail: "pop.example.org", Technical: "read: i/o timeout"})
		s.typeIn("settings-label", "Home")
		s.fire("settings-form", "submit", nil)
	}},
	{"panel", "/inbox", func(s *viewtest.Service) {
		twoAccounts(s)
		s.Change(func(st *api.Status) { st.Accounts[1].Sealed = false })
	}, func(s *screen) { s.click("account-menu") }},
	{"locked", "/inbox", locked, func(s *screen) {
		s.typeIn("unlock-passphrase", "shut")
		s.fire("unlock-form", "submit", nil)
	}},
}

func nobody(*viewtest.Service) {}

func announced(list ...api.Candidate) func(*viewtest.Service) {
	return func(s *viewtest.Service) { s.Announce("example.org", api.Discovery{Candidates: list}) }
}

func signIn(s *screen, password string) {
	s.typeIn("signin-email", dana)
	s.typeIn("signin-password", password)
	s.fire("signin-form", "submit", nil)
}
