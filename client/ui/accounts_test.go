package ui

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/html"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view/viewtest"
)

const (
	dana        = "dana@example.org"
	fingerprint = "aa11bb22cc33dd44ee55ff66aa11bb22cc33dd44ee55ff66aa11bb22cc33dd44"
)

func itsServers() api.Servers {
	return api.Servers{POP3: api.Server{Host: "pop.example.org", Port: 995, Security: api.TLS}, SMTP: api.Server{Host: "smtp.example.org", Port: 465, Security: api.TLS}}
}

// settled is a mailbox, and a second account with servers of its own, one of them pinned and one in the clear.
func settled(t *testing.T) func(s *viewtest.Service) {
	return func(s *viewtest.Service) {
		mailbox(s)
		id := s.SignedIn(dana, "Dana")
		v := itsServers()
		v.POP3.Pin, v.SMTP.Security = fingerprint, api.Plain
		if _, err := s.Configure(t.Context(), api.Settings{Account: id, Servers: v, Identities: []api.Identity{{Name: "Dana", Addr: dana, Signature: "Dana"}, {Addr: "d@example.org"}}}); err != nil {
			t.Fatal(err)
		}
	}
}

func locked(s *viewtest.Service) {
	mailbox(s)
	s.Lock("open")
}

func distrusted(reason string) *api.Problem {
	return &api.Problem{Code: api.CodeCertificate, Detail: "pop.example.org", Certificate: &api.Certificate{Protocol: api.POP3, Host: "pop.example.org", Reason: reason, Issuer: "CN=Own", Fingerprint: fingerprint, Pinned: strings.Repeat("00", 32)}}
}

func byHand(s *screen) {
	s.typeIn("signin-email", dana)
	s.typeIn("signin-password", "secret")
	s.click("setup-manual")
}

var serverHooks = map[string]string{"setup-pop3-host": "textbox", "setup-pop3-port": "textbox", "setup-pop3-security": "combobox", "setup-smtp-host": "textbox", "setup-smtp-port": "textbox",
	"setup-smtp-security": "combobox", "setup-user": "textbox"}

func TestAccountHooks(t *testing.T) {
	plus := func(more ...string) map[string]string {
		out := map[string]string{}
		for k, v := range serverHooks {
			out[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	for _, c := range []struct {
		name, at string
		setup    func(*viewtest.Service)
		do       func(*screen)
		want     map[string]string
	}{
		{"by hand", "/", nobody, byHand, plus("setup-name", "textbox", "signin-form", "form", "signin-submit", "button", "setup-manual", "button", "setup-more", "button")},
		{"by hand, all of it", "/", nobody, func(s *screen) { byHand(s); s.click("setup-more") }, plus("setup-pop3-auth", "combobox", "setup-smtp-auth", "combobox", "setup-smtp-user", "textbox")},
		{"found nothing", "/", nobody, func(s *screen) {
			s.typeIn("signin-email", dana)
			s.typeIn("signin-password", "secret")
			s.fire("signin-form", "submit", nil)
		}, plus("signin-error", "status")},
		{"found", "/", func(s *viewtest.Service) {
			s.Announce("example.org", api.Discovery{Candidates: []api.Candidate{{Origin: api.OriginGuess, Servers: itsServers()}}})
		}, func(s *screen) {
			s.typeIn("signin-email", dana)
			s.typeIn("signin-password", "no")
			s.fire("signin-form", "submit", nil)
		}, map[string]string{"setup-found": "status", "signin-error": "alert"}},
		{"certificate", "/", nobody, func(s *screen) { s.Do(func() { s.Trust.Look("", distrusted("expired").Certificate) }) }, map[string]string{"certificate": "dialog", "trust-certificate": "button", "certificate-cancel": "button"}},
		{"certificate changed", "/inbox", mailbox, func(s *screen) { s.Do(func() { s.Trust.Look(alice, distrusted("pin-changed").Certificate) }) }, map[string]string{"certificate-sure": "checkbox", "trust-certificate": "button"}},
		{"account", "/inbox?account=" + dana, settled(t), func(s *screen) { s.click("account-menu") }, map[string]string{"account-settings": "button", "account-seal": "", "account-add": "button", "sign-out": "button", "sign-out-erase": "button"}},
		{"erase", "/inbox", mailbox, func(s *screen) {
			s.click("account-menu")
			s.click("sign-out-erase")
		}, map[string]string{"question": "alertdialog", "question-no": "button", "question-yes": "button"}},
		{"settings", "/settings?account=" + dana, settled(t), nil, plus("settings-form", "form", "settings-label", "textbox", "settings-leave", "combobox", "settings-most", "textbox", "identity-0-name", "textbox",
			"identity-1-addr", "textbox", "identity-0-signature", "textbox", "identity-add", "button", "identity-1-first", "button", "identity-1-remove", "button", "unpin-pop3", "button", "settings-keep", "checkbox",
			"settings-password", "", "settings-password-set", "button", "passphrase-new", "", "passphrase-set", "button", "account-remove-keep", "button", "account-remove-erase", "button",
			"settings-save", "button", "settings-close", "button")},
		{"settings of the gateway's own", "/settings", mailbox, nil, map[string]string{"settings-own": "checkbox", "settings-save": "button"}},
		{"locked", "/inbox", locked, nil, map[string]string{"unlock-form": "form", "unlock-passphrase": "", "unlock-submit": "button", "message-list": "grid"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			show(t, c.at, c.setup, func(t *testing.T, s *screen) {
				if c.do != nil {
					c.do(s)
				}
				doc := s.draw()
				for id, want := range c.want {
					n := s.hook(doc, id)
					got := role(n)
					if n.Data == "select" {
						got = "combobox"
					}
					if want != "" && got != want {
						t.Errorf("%s: role %q, want %q", id, got, want)
					}
					if want != "status" && want != "alert" && name(doc, n) == "" {
						t.Errorf("%s has no accessible name", id)
					}
				}
				everyControlHasAName(t, doc)
				seen := map[string]bool{}
				for _, n := range all(doc, func(n *html.Node) bool { return attr(n, "id") != "" }) {
					if id := attr(n, "id"); seen[id] {
						t.Errorf("%s is there twice", id)
					} else {
						seen[id] = true
					}
				}
				for _, n := range all(doc, func(n *html.Node) bool { return attr(n, "aria-describedby") != "" }) {
					if !seen[attr(n, "aria-describedby")] && attr(n, "aria-describedby") != "compose-to-wrong" {
						t.Errorf("%s is described by nothing", attr(n, "data-testid"))
					}
				}
			})
		})
	}
}

func TestSetUpByHandOnThePage(t *testing.T) {
	show(t, "/", func(*viewtest.Service) {}, func(t *testing.T, s *screen) {
		byHand(s)
		s.typeIn("setup-pop3-host", "pop.example.org")
		s.typeIn("setup-smtp-host", "smtp.example.org")
		s.fire("setup-smtp-security", "change", map[string]any{"target.value": "starttls"})
		doc := s.draw()
		equal(t, "port", attr(s.hook(doc, "setup-smtp-port"), "prop-value"), "587")
		chosen := all(s.hook(doc, "setup-smtp-security"), func(n *html.Node) bool { return attr(n, "prop-selected") == "true" })
		equal(t, "chosen", len(chosen), 1)
		equal(t, "chosen", attr(chosen[0], "value"), "starttls")
		s.fire("setup-pop3-security", "change", map[string]any{"target.value": "plain"})
		if w := text(s.hook(s.draw(), "signin-form")); !strings.Contains(w, "Everybody on the way can read the password") {
			t.Error(w)
		}
		s.click("setup-more")
		s.fire("setup-pop3-auth", "change", map[string]any{"target.value": "APOP"})
		s.fire("signin-form", "submit", nil)
		r := s.svc.SignIns()
		if len(r) != 1 {
			t.Fatalf("%d sign-ins", len(r))
		}
		equal(t, "said", r[0].Servers.POP3, api.Server{Host: "pop.example.org", Port: 110, Security: api.Plain, Auth: "APOP"})
		equal(t, "said", r[0].Servers.SMTP, api.Server{Host: "smtp.example.org", Port: 587, Security: api.STARTTLS})
		s.fire("signin-keep", "change", map[string]any{"target.checked": false})
		equal(t, "kept", s.Session.Keep, false)
	})
}

func TestTrustOnThePage(t *testing.T) {
	show(t, "/inbox?account="+dana, settled(t), func(t *testing.T, s *screen) {
		s.svc.Change(func(st *api.Status) {
			st.Accounts[1].Sync = api.Sync{State: api.SyncError, Problem: distrusted("pin-changed")}
		})
		doc := s.draw()
		if w := text(s.hook(doc, "banner")); !strings.Contains(w, dana+": The certificate of pop.example.org is not the one you trusted") || !strings.Contains(w, "Look at it") {
			t.Error(w)
		}
		s.click("banner-certificate")
		doc = s.draw()
		sheet := text(s.hook(doc, "certificate"))
		for _, want := range []string{"is not the one you trusted", "Trusted so far 0000 0000", "Now AA11 BB22", "Issued by CN=Own"} {
			if !strings.Contains(sheet, want) {
				t.Errorf("no %q in %s", want, sheet)
			}
		}
		inert := func(n *html.Node) bool {
			return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "inert" })
		}
		equal(t, "the page behind is inert", len(all(doc, inert)), 1)
		disabled := func() bool {
			return slices.ContainsFunc(s.hook(s.draw(), "trust-certificate").Attr, func(a html.Attribute) bool { return a.Key == "disabled" })
		}
		equal(t, "not yet", disabled(), true)
		s.fire("certificate-sure", "change", map[string]any{"target.checked": true})
		equal(t, "now", disabled(), false)
		s.svc.Change(func(st *api.Status) { st.Accounts[1].Sync = api.Sync{} })
		s.click("trust-certificate")
		equal(t, "closed", len(hooks(s.draw(), "certificate")), 0)
		equal(t, "pinned", s.Accounts[1].Servers.POP3.Pin, fingerprint)
	})
}

// A message that waits for a certificate leads to it.
func TestTrustFromTheOutbox(t *testing.T) {
	show(t, "/outbox/40", func(s *viewtest.Service) {
		settled(t)(s)
		c := *distrusted("expired").Certificate
		c.Protocol, c.Host, c.Pinned = api.SMTP, "smtp.example.org", ""
		s.Add(api.Message{Row: api.Row{ID: 40, Folder: api.Outbox, State: api.StateDeferred, Problem: &api.Problem{Code: api.CodeCertificate, Certificate: &c}}})
	}, func(t *testing.T, s *screen) {
		s.click("outbox-certificate")
		if w := text(s.hook(s.draw(), "certificate")); !strings.Contains(w, "smtp.example.org could not prove who it is") {
			t.Error(w)
		}
		s.click("trust-certificate")
		equal(t, "pinned", s.Accounts[0].Servers.SMTP.Pin, fingerprint)
	})
}

func TestSettingsOnThePage(t *testing.T) {
	show(t, "/inbox?account="+dana, settled(t), func(t *testing.T, s *screen) {
		s.click("account-menu")
		seal := s.hook(s.draw(), "account-seal")
		equal(t, "seal", text(seal), "Not sealed")
		if !strings.Contains(attr(seal, "class"), "seal-open") || !strings.Contains(attr(seal, "title"), "can read the password") {
			t.Error(attr(seal, "class"), attr(seal, "title"))
		}
		s.click("account-settings")
		equal(t, "place", s.Browser.Location(), "/settings?account="+dana)
		equal(t, "pane", attr(all(s.draw(), func(n *html.Node) bool { return attr(n, "data-pane") != "" })[0], "data-pane"), "settings")
		s.fire("setup-smtp-security", "change", map[string]any{"target.value": "tls"})
		equal(t, "state", text(s.hook(s.draw(), "settings-state")), "Not saved yet")
		s.click("settings-close")
		equal(t, "asked", text(s.hook(s.draw(), "settings-discard")), "Leave without saving")
		release := s.svc.Hold("Configure")
		s.fire("settings-form", "submit", nil)
		equal(t, "state", text(s.hook(s.draw(), "settings-state")), "Signing in at the servers…")
		release()
		synctest.Wait()
		doc := s.draw()
		equal(t, "state", text(s.hook(doc, "settings-state")), "Saved")
		equal(t, "no question is left", len(hooks(doc, "settings-discard")), 0)
		s.svc.Trouble("pop.example.org", &api.Problem{Code: api.CodeServerTimeout, Detail: "pop.example.org", Means: "It sleeps.", Technical: "i/o timeout"})
		s.typeIn("setup-user", "dana1")
		s.fire("settings-form", "submit", nil)
		w := text(s.hook(s.draw(), "settings-error"))
		for _, want := range []string{"The mail server is not answering", "pop.example.org stopped", "It sleeps.", "Technical details", "i/o timeout"} {
			if !strings.Contains(w, want) {
				t.Errorf("no %q in %s", want, w)
			}
		}
		s.click("account-menu")
		equal(t, "seal", text(s.hook(s.draw(), "account-seal")), "Sealed")
	})
}

func TestUnlockOnThePage(t *testing.T) {
	show(t, "/inbox", locked, func(t *testing.T, s *screen) {
		s.typeIn("unlock-passphrase", "shut")
		s.fire("unlock-form", "submit", nil)
		doc := s.draw()
		if w := text(s.hook(doc, "unlock-form")); !strings.Contains(w, "That is not the passphrase") {
			t.Error(w)
		}
		equal(t, "mail is there to read", len(hooks(doc, "message-row")), 3)
		s.typeIn("unlock-passphrase", "open")
		s.fire("unlock-form", "submit", nil)
		equal(t, "gone", len(hooks(s.draw(), "unlock-form")), 0)
	})
}
