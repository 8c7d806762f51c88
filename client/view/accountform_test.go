package view_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
)

// settled is the settings of dana's account, the second of two.
func settled(t *testing.T, fn func(t *testing.T, p *page)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(map[string]string{alice: "secret", dana: "secret"})
		svc.SignedIn(alice, "Alice")
		id := svc.SignedIn(dana, "Dana")
		servers := at("pop.example.org", "smtp.example.org")
		servers.POP3.Pin = strings.Repeat("ab12", 16)
		if _, err := svc.Configure(t.Context(), api.Settings{Account: id, Servers: servers, SizeCap: 1500000, Identities: []api.Identity{{Name: "Dana", Addr: dana}, {Name: "D.", Addr: "d@example.org"}}}); err != nil {
			t.Fatal(err)
		}
		run(t, svc, "/settings?account="+dana, func(t *testing.T, p *page) {
			equal(t, "account", p.AccountForm.Account, id)
			equal(t, "pane", p.Pane(), view.PageSettings)
			fn(t, p)
		})
	})
}

func (p *page) now(id api.AccountID) api.Settings {
	p.T.Helper()
	s, err := p.svc.Settings(p.T.Context(), id)
	if err != nil {
		p.T.Fatal(err)
	}
	return s
}

func (p *page) setIn(id, value string) {
	p.T.Helper()
	p.Do(func() { set(p.T, p.AccountForm.Sections(), id, value) })
}

func (p *page) pressIn(id string) {
	p.T.Helper()
	p.act(func() { press(p.T, p.AccountForm.Sections(), id) })
}

func TestSettingsAreSaved(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		equal(t, "changed", p.AccountForm.Changed(), false)
		before := p.now(dana)
		p.setIn("settings-label", "Work")
		equal(t, "state", p.AccountForm.State(), "Not saved yet")
		p.act(func() { p.AccountForm.Save() })
		before.Label = "Work"
		got := p.now(dana)
		equal(t, "what nobody touched stays to the octet", got.SizeCap, int64(1500000))
		equal(t, "servers", got.Servers, before.Servers)
		equal(t, "label", got.Label, "Work")
		equal(t, "state", p.AccountForm.State(), "Saved")
		equal(t, "shown", view.Label(p.Current()), "Work")

		p.setIn("settings-leave", "days")
		p.setIn("settings-days", "14")
		p.setIn("settings-most", "5")
		p.act(func() { p.AccountForm.Save() })
		got = p.now(dana)
		equal(t, "leave", got.Leave, api.LeaveDays)
		equal(t, "days", got.LeaveDays, 14)
		equal(t, "size", got.SizeCap, int64(5<<20))
		p.setIn("settings-most", "")
		p.act(func() { p.AccountForm.Save() })
		equal(t, "size", p.now(dana).SizeCap, int64(0))
	})
}

func TestSettingsThatCannotBe(t *testing.T) {
	for _, c := range []struct{ id, value string }{{"settings-days", "0"}, {"settings-days", "3651"}, {"settings-days", "soon"}, {"settings-most", "0"}, {"settings-most", "-5"}, {"settings-most", "x"},
		{"identity-1-addr", "nobody"}, {"identity-0-addr", ""}, {"setup-smtp-host", ""}, {"setup-pop3-port", "70000"}} {
		settled(t, func(t *testing.T, p *page) {
			p.setIn("settings-leave", "days")
			p.setIn(c.id, c.value)
			p.act(func() { p.AccountForm.Save() })
			p.Do(func() {
				f := field(t, p.AccountForm.Sections(), c.id)
				equal(t, c.id+" marked", f.Wrong && f.Loud && f.Hint != "", true)
			})
			equal(t, "focus", p.Browser.Focused, `[data-testid="`+c.id+`"]`)
			equal(t, "leave", p.now(dana).Leave, api.LeaveAlways)
		})
	}
}

func TestSettingsRefusedByTheServer(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		down(p.svc, "new.example.org")
		p.setIn("setup-pop3-host", "new.example.org")
		release := p.svc.Hold("Configure")
		p.act(func() { p.AccountForm.Save() })
		equal(t, "state", p.AccountForm.State(), "Signing in at the servers…")
		release()
		synctest.Wait()
		equal(t, "problem", p.AccountForm.Problem.Code, api.CodeServerUnreachable)
		equal(t, "typed", p.AccountForm.Changed(), true)
		p.svc.Trouble("new.example.org", distrusted(certificate("new.example.org", "unknown-authority")))
		p.act(func() { p.AccountForm.Save() })
		p.act(func() { p.Trust.Believe() })
		equal(t, "state", p.AccountForm.State(), "Saved")
		equal(t, "host", p.now(dana).Servers.POP3.Host, "new.example.org")
		equal(t, "pinned", p.now(dana).Servers.POP3.Pin, strings.Repeat("ab12", 16))
	})
}

func TestIdentities(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		p.pressIn("identity-add")
		equal(t, "focus", p.Browser.Focused, `[data-testid="identity-2-addr"]`)
		p.setIn("identity-2-addr", "info@example.org")
		p.setIn("identity-2-signature", "Info\n")
		p.pressIn("identity-2-first")
		p.act(func() { p.AccountForm.Save() })
		addrs := func() string {
			var list []string
			for _, id := range p.now(dana).Identities {
				list = append(list, id.Name+" "+id.Addr)
			}
			return strings.Join(list, ", ")
		}
		equal(t, "order", addrs(), "Dana info@example.org, Dana dana@example.org, D. d@example.org")
		p.pressIn("identity-1-remove")
		p.act(func() { p.AccountForm.Save() })
		equal(t, "removed", addrs(), "Dana info@example.org, D. d@example.org")
	})
}

func TestUnsavedSettingsAreNotLost(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		p.setIn("settings-label", "Work")
		p.act(func() { p.Key(view.Key{Name: "Escape", Typing: true}) })
		equal(t, "still there", p.Route.Page, view.PageSettings)
		equal(t, "asked", p.AccountForm.State(), "There are changes that are not saved.")
		p.act(func() { p.OpenFolder(api.Sent) }) // elsewhere, and back
		p.act(func() { p.OpenSettings(dana) })
		p.Do(func() { equal(t, "kept", *field(t, p.AccountForm.Sections(), "settings-label").Value, "Work") })
		p.act(func() { p.AccountForm.Discard() })
		if p.Route.Page == view.PageSettings {
			t.Error("still there")
		}
		p.act(func() { p.OpenSettings(dana) })
		p.Do(func() { equal(t, "thrown away", *field(t, p.AccountForm.Sections(), "settings-label").Value, "") })
		p.act(func() { p.Key(view.Key{Name: "Escape"}) })
		if p.Route.Page == view.PageSettings {
			t.Error("nothing to ask, and still there")
		}
		equal(t, "saved", p.now(dana).Label, "")
	})
}

func TestKeysOfTheListDoNothingInSettings(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		p.svc.Add(inbox(3)...)
		for _, k := range []string{"#", "j", "u", "e", "c"} {
			p.act(func() { equal(t, k, p.Key(view.Key{Name: k}), false) })
		}
	})
}

func TestUnpin(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		p.setIn("settings-label", "Work")
		p.pressIn("unpin-pop3")
		equal(t, "pin", p.now(dana).Servers.POP3.Pin, "")
		equal(t, "label is not saved by it", p.now(dana).Label, "")
		p.act(func() { p.AccountForm.Save() })
		equal(t, "nor does saving bring it back", p.now(dana).Servers.POP3.Pin, "")
		equal(t, "label", p.now(dana).Label, "Work")
	})
}

// Trust that is given while the settings are open, beside them or in another tab, is not taken away by saving them.
func TestSettingsFollowWhatIsTrustedMeanwhile(t *testing.T) {
	for _, dirty := range []bool{false, true} {
		settled(t, func(t *testing.T, p *page) {
			if dirty {
				p.setIn("settings-label", "Work")
			}
			c := certificate("pop.example.org", "pin-changed")
			c.Fingerprint = strings.Repeat("ef56", 16)
			p.act(func() {
				p.Trust.Look(dana, c)
				p.Trust.Sure = true
				p.Trust.Believe()
			})
			equal(t, "not a change of somebody's", p.AccountForm.Changed(), dirty)
			p.setIn("settings-most", "7")
			p.act(func() { p.AccountForm.Save() })
			got := p.now(dana)
			equal(t, "pinned", got.Servers.POP3.Pin, c.Fingerprint)
			equal(t, "saved", got.SizeCap, int64(7<<20))
			equal(t, "label", got.Label == "Work", dirty)
		})
	}
}

func TestSettingsAfterAnotherTabTookOver(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		p.act(func() { p.AccountForm.Discard() })
		p.svc.Fail("Settings", &api.Problem{Code: api.CodeCanceled})
		p.act(func() { p.OpenSettings(dana) })
		equal(t, "ready", p.AccountForm.Ready(), false)
		p.svc.Fail("Settings", nil)
		p.act(func() { p.Attach(p.svc) })
		equal(t, "ready", p.AccountForm.Ready(), true)
		equal(t, "problem", p.AccountForm.Problem == nil, true)
	})
}

func TestPasswordInSettings(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		p.pressIn("settings-password-set")
		equal(t, "asked", len(p.svc.SignIns()), 0)
		p.setIn("settings-password", "no")
		p.pressIn("settings-password-set")
		equal(t, "problem", p.AccountForm.Problem.Code, api.CodeWrongPassword)
		p.Do(func() { field(t, p.AccountForm.Sections(), "settings-keep").Switch(false) })
		p.setIn("settings-password", "secret")
		p.act(func() { p.AccountForm.Save() }) // Enter
		r := p.svc.SignIns()[1]
		equal(t, "kept", r.Keep, false)
		equal(t, "address", r.Email, dana)
		equal(t, "forgotten", p.AccountForm.Password, "")
		equal(t, "said", p.AccountForm.State(), "The password is forgotten when the page closes")
	})
}

func TestRemoveAnAccount(t *testing.T) {
	for _, c := range []struct {
		id    string
		erase bool
	}{{"account-remove-keep", false}, {"account-remove-erase", true}} {
		settled(t, func(t *testing.T, p *page) {
			onServer := 1
			p.svc.Change(func(s *api.Status) {
				s.Accounts[1].Folders, s.Accounts[1].Sync.OnServer = []api.Folder{{ID: api.Inbox, Total: 3}, {ID: api.Outbox, Total: 1}}, &onServer
			})
			p.act(func() { p.OpenFolderOf(alice, api.Inbox) }) // the place to which leaving the settings leads back
			p.act(func() { p.OpenSettings(dana) })
			p.setIn("settings-label", "Work")
			p.pressIn(c.id)
			if c.erase {
				equal(t, "asked first", p.Question.Asked() && len(p.Accounts) == 2, true)
				p.act(func() { p.Question.Agree() })
			}
			equal(t, "accounts", len(p.Accounts), 1)
			equal(t, "shown", p.Account, api.AccountID(alice))
			equal(t, "page", p.Route.Page, view.PageList)
			equal(t, "erased", p.svc.SignedOut()[0].Erase, c.erase)
			equal(t, "whose", p.svc.SignedOut()[0].Account, api.AccountID(dana))
		})
	}
}

func TestPassphrase(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		phrase := func(old, now, again, button string) string {
			t.Helper()
			if p.Vault.State != api.VaultOpen {
				p.setIn("passphrase-old", old)
			}
			p.setIn("passphrase-new", now)
			p.setIn("passphrase-again", again)
			p.pressIn(button)
			if p.AccountForm.Problem != nil {
				return string(p.AccountForm.Problem.Code)
			}
			var why string
			p.Do(func() {
				for _, s := range p.AccountForm.Sections() {
					for _, f := range s.Fields {
						if f.Wrong {
							why = f.ID
						}
					}
				}
			})
			if why == "" {
				why = p.AccountForm.State()
			}
			return why
		}
		equal(t, "none", phrase("", "", "", "passphrase-set"), "passphrase-new")
		equal(t, "two", phrase("", "a", "b", "passphrase-set"), "passphrase-again")
		equal(t, "set", phrase("", "a b", "a b", "passphrase-set"), "The passphrase is set")
		equal(t, "state", p.Vault.State, api.VaultSealed)
		p.Do(func() {
			equal(t, "gone from the form", *field(t, p.AccountForm.Sections(), "passphrase-new").Value, "")
		})
		equal(t, "without the old one", phrase("", "c", "c", "passphrase-set"), "passphrase-old")
		equal(t, "wrong", phrase("x", "c", "c", "passphrase-set"), string(api.CodeWrongPassphrase))
		equal(t, "an empty new one removes nothing", phrase("a b", "", "", "passphrase-set"), "passphrase-new")
		equal(t, "changed", phrase("a b", "c", "c", "passphrase-set"), "The passphrase is set")
		equal(t, "removed", phrase("c", "", "", "passphrase-remove"), "The passphrase is removed")
		equal(t, "state", p.Vault.State, api.VaultOpen)
	})
}

func TestUnlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(nil)
		svc.SignedIn(alice, "Alice")
		svc.Add(inbox(3)...)
		svc.Lock("open")
		run(t, svc, "/inbox", func(t *testing.T, p *page) {
			equal(t, "locked", p.Vault.Locked(), true)
			equal(t, "focus", p.Browser.Focused, `[data-testid="unlock-passphrase"]`)
			equal(t, "mail is there to read", len(p.subjects(0, 3)), 3)
			try := func(phrase string) {
				p.act(func() { p.Vault.Phrase = phrase; p.Vault.Unlock() })
			}
			try("")
			try("shut")
			equal(t, "problem", p.Vault.Problem.Code, api.CodeWrongPassphrase)
			equal(t, "typed", p.Vault.Phrase, "shut")
			try("open")
			equal(t, "state", p.Vault.State, api.VaultSealed)
			equal(t, "not kept", p.Vault.Phrase, "")
		})
	})
}

func TestTypedPasswordsAreNotLost(t *testing.T) {
	for _, id := range []string{"settings-password", "passphrase-new"} {
		settled(t, func(t *testing.T, p *page) {
			p.setIn(id, "typed")
			equal(t, "state", p.AccountForm.State(), "A password was typed and is not in use yet")
			p.act(func() { p.Key(view.Key{Name: "Escape", Typing: true}) })
			equal(t, "asked", p.AccountForm.State(), "There are changes that are not saved.")
			p.act(func() { p.AccountForm.Discard() })
			p.act(func() { p.OpenSettings(dana) })
			p.Do(func() { equal(t, "gone", *field(t, p.AccountForm.Sections(), id).Value, "") })
		})
	}
}

// Whether the password is kept changes without it being typed again.
func TestKeepInSettings(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		equal(t, "as it is", p.AccountForm.Keep, false)
		turn := func(on bool) {
			t.Helper()
			p.act(func() { field(t, p.AccountForm.Sections(), "settings-keep").Switch(on) })
		}
		turn(true)
		equal(t, "kept", p.AccountOf(dana).Kept, true)
		equal(t, "said", p.AccountForm.State(), "The password is kept on this device")
		p.svc.Fail("SignIn", &api.Problem{Code: api.CodeLocked})
		turn(false)
		equal(t, "problem", p.AccountForm.Problem.Code, api.CodeLocked)
		equal(t, "turned back", p.AccountForm.Keep, true)
		p.svc.Fail("SignIn", nil)
		p.setIn("settings-password", "secret")
		turn(false)
		equal(t, "goes with what is typed", p.AccountOf(dana).Kept, true)
		p.pressIn("settings-password-set")
		all := p.svc.SignIns()
		equal(t, "not kept", all[len(all)-1].Keep, false)
	})
}
