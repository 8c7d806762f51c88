package view

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// AccountForm is the settings of one account, as they are being changed.
type AccountForm struct {
	Account  api.AccountID
	Busy     bool
	Problem  *api.Problem
	Said     string // what was done last
	Leaving  bool   // there are changes, and somebody wants to go: they are asked
	Password string
	Keep     bool

	label, leave, days, most string
	own                      bool // the gateway's own server
	servers                  ServersForm
	identities               []api.Identity
	phrase                   struct{ old, now, again string }
	wrong                    wrongField
	saved                    api.Settings
	app                      *App
	turn                     int
}

const megabyte = 1 << 20

// open shows the settings of an account. Changes that were not saved are still there.
func (f *AccountForm) open(id api.AccountID) {
	if f.Account == id && (f.Changed() || f.Busy) {
		return
	}
	*f = AccountForm{app: f.app, turn: f.turn, Account: id, Keep: f.app.keeps(id)}
	f.load()
	f.app.platform.Focus(`[data-testid="settings-close"]`)
}

func (f *AccountForm) load() {
	f.turn++
	id, turn := f.Account, f.turn
	var got api.Settings
	f.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		got, err = svc.Settings(ctx, id)
		return err
	}, func(p *api.Problem) {
		if turn != f.turn {
			return
		}
		f.Problem = p
		if p == nil {
			f.fill(got)
		}
	})
}

// elsewhere follows what was changed by another way, or in another tab. Where somebody is changing the settings here,
// only certificates are taken over: saving an old one would take the trust away that was given meanwhile.
func (f *AccountForm) elsewhere(acc api.Account) {
	if f.Account != acc.ID || !f.Ready() || f.Busy {
		return
	}
	if !f.Changed() {
		if f.saved.Servers != acc.Servers || f.saved.Label != acc.Label || !slices.Equal(f.saved.Identities, acc.Identities) {
			f.load()
		}
		return
	}
	for _, x := range []struct {
		now   api.Server
		saved *api.Server
		form  *serverForm
	}{{acc.Servers.POP3, &f.saved.Servers.POP3, &f.servers.pop3}, {acc.Servers.SMTP, &f.saved.Servers.SMTP, &f.servers.smtp}} {
		if x.now.Host == x.saved.Host {
			x.saved.Pin = x.now.Pin
		}
		if x.now.Host == x.form.was.Host {
			x.form.was.Pin = x.now.Pin
		}
	}
}

func (f *AccountForm) fill(s api.Settings) {
	f.saved = s
	f.label, f.leave, f.days, f.most = s.Label, string(s.Leave), "30", ""
	if s.LeaveDays > 0 {
		f.days = strconv.Itoa(s.LeaveDays)
	}
	if s.SizeCap > 0 {
		f.most = strconv.FormatInt(max(s.SizeCap/megabyte, 1), 10)
	}
	f.own = s.Servers.POP3.Host == "" && s.Servers.SMTP.Host == ""
	f.servers.fill(s.Servers)
	f.identities = slices.Clone(s.Identities)
}

// Title names the page.
func (f *AccountForm) Title() string { return "Settings of " + f.email() }

// Ready says that the settings are here.
func (f *AccountForm) Ready() bool { return f.saved.Account != "" }

// Changed says that there is something to lose: changes, or a password that was typed and not sent off.
func (f *AccountForm) Changed() bool { return f.Ready() && (f.typed() || f.edited()) }

// edited says that there is something to save.
func (f *AccountForm) edited() bool {
	now, wrong := f.read()
	was := f.saved
	return wrong.why != "" || now.Label != was.Label || now.Servers != was.Servers || now.Leave != was.Leave || now.LeaveDays != was.LeaveDays ||
		now.SizeCap != was.SizeCap || !slices.Equal(now.Identities, was.Identities)
}

// typed says that there is a password or a passphrase that was typed and not sent off.
func (f *AccountForm) typed() bool {
	return f.Password != "" || f.phrase.old != "" || f.phrase.now != "" || f.phrase.again != ""
}

// read is what the form says, or what is wrong with it. What nobody touched stays to the octet.
func (f *AccountForm) read() (s api.Settings, wrong wrongField) {
	s = f.saved
	s.Label, s.Leave, s.Identities = strings.TrimSpace(f.label), api.Leave(f.leave), slices.Clone(f.identities)
	for i := range s.Identities {
		id := &s.Identities[i]
		id.Name, id.Addr = strings.TrimSpace(id.Name), strings.TrimSpace(id.Addr)
		if !ValidAddress(id.Addr) {
			return s, wrongField{identityID(i, "addr"), "“" + id.Addr + "” is not an e-mail address"}
		}
	}
	if s.Leave == api.LeaveDays {
		n, err := strconv.Atoi(strings.TrimSpace(f.days))
		if err != nil || n < 1 || n > 3650 {
			return s, wrongField{"settings-days", "Enter a number of days from 1 to 3650"}
		}
		s.LeaveDays = n
	}
	switch n, err := strconv.ParseInt(strings.TrimSpace(f.most), 10, 32); {
	case strings.TrimSpace(f.most) == "":
		s.SizeCap = 0
	case err != nil || n < 1:
		return s, wrongField{"settings-most", "Enter a number of megabytes, or nothing"}
	case n != max(s.SizeCap/megabyte, 1) || s.SizeCap == 0:
		s.SizeCap = n * megabyte
	}
	if f.own {
		s.Servers = api.Servers{}
		if f.saved.Servers.POP3.Host == "" && f.saved.Servers.SMTP.Host == "" {
			s.Servers = f.saved.Servers
		}
		return s, wrong
	}
	s.Servers, wrong = f.servers.read()
	return s, wrong
}

// Save has the engine take the settings; other servers are signed in at first.
func (f *AccountForm) Save() {
	if f.Busy || !f.Ready() {
		return
	}
	switch { // Enter in a field of what is not saved but done
	case f.edited():
	case f.Password != "":
		f.setPassword()
		return
	case f.phrase.now != "":
		f.setPhrase(false)
		return
	}
	f.Said, f.Problem, f.Leaving = "", nil, false
	s, wrong := f.read()
	f.wrong = wrong
	if wrong.why != "" {
		f.app.Voice.Cry(wrong.why)
		f.app.platform.Focus(`[data-testid="` + wrong.id + `"]`)
		return
	}
	doing := "Saving…"
	if s.Servers != f.saved.Servers {
		doing = "Signing in at the servers…"
	}
	var got api.Settings
	f.do(doing, "Saved", func(ctx context.Context, svc api.Service) (err error) {
		got, err = svc.Configure(ctx, s)
		return err
	}, func(p *api.Problem) {
		switch {
		case p == nil:
			f.fill(got)
		case p.Certificate != nil:
			c := p.Certificate
			f.app.Trust.ask(c, func(fingerprint string) {
				f.servers.pin(c.Protocol, fingerprint)
				f.Save()
			})
		}
	})
}

// do has something done, and says so in place.
func (f *AccountForm) do(doing, done string, call func(ctx context.Context, svc api.Service) error, then func(p *api.Problem)) {
	f.Busy, f.Said, f.Problem = true, doing, nil
	turn := f.turn
	f.app.Voice.Say(doing)
	f.app.ask(call, func(p *api.Problem) {
		if turn != f.turn {
			return
		}
		f.Busy, f.Said, f.Problem = false, done, p
		if p != nil {
			f.Said = ""
			f.app.Voice.Cry(WordsFor(p).Title)
		} else {
			f.app.Voice.Say(done)
		}
		then(p)
	})
}

// Leave goes back to the mail; with changes that are not saved it asks first.
func (f *AccountForm) Leave() {
	if f.Changed() && !f.Leaving {
		f.Leaving = true
		f.app.Voice.Cry(unsaved)
		f.app.platform.Focus(`[data-testid="settings-save"]`)
		return
	}
	f.Discard()
}

const unsaved = "There are changes that are not saved"

// Discard goes back to the mail without the changes.
func (f *AccountForm) Discard() {
	*f = AccountForm{app: f.app, turn: f.turn + 1} // passwords too
	if f.app.Route.Page == PageSettings {
		f.app.leave(f.app.List.place)
		f.app.List.focusCursor()
	}
}

// State is what the foot of the form says.
func (f *AccountForm) State() string {
	switch {
	case f.Said != "" && (f.Busy || !f.Changed()):
		return f.Said
	case f.Leaving:
		return unsaved + "."
	case f.edited():
		return "Not saved yet"
	case f.typed():
		return "A password was typed and is not in use yet"
	}
	return ""
}

// keeps says whether an account's password is kept on this device; where there is none, that it will be.
func (a *App) keeps(id api.AccountID) bool {
	acc := a.AccountOf(id)
	return acc.Kept || !acc.HasPassword
}

// keep keeps the password that the account has, or not any longer: at once, as everything about passwords here.
func (f *AccountForm) keep() {
	if f.Password != "" || f.Busy || !f.app.AccountOf(f.Account).HasPassword {
		return // it goes with the password that is typed
	}
	f.signIn("Saving…", api.SignIn{Email: f.email(), Keep: f.Keep})
}

func (f *AccountForm) setPassword() {
	f.wrong, f.Problem = wrongField{}, nil
	if f.Password == "" {
		f.wrong = wrongField{"settings-password", "Enter the password"}
		f.app.platform.Focus(`[data-testid="settings-password"]`)
		return
	}
	f.signIn("Signing in…", api.SignIn{Email: f.email(), Password: f.Password, Keep: f.Keep})
}

func (f *AccountForm) signIn(doing string, r api.SignIn) {
	done := "The password is kept on this device"
	if !r.Keep {
		done = "The password is forgotten when the page closes"
	}
	f.do(doing, done, func(ctx context.Context, svc api.Service) error {
		_, err := svc.SignIn(ctx, r)
		return err
	}, func(p *api.Problem) {
		if p == nil {
			f.Password = ""
		} else if r.Password == "" {
			f.Keep = !r.Keep
		}
	})
}

func (f *AccountForm) setPhrase(none bool) {
	v := f.phrase
	f.wrong, f.Problem = wrongField{}, nil
	switch {
	case f.app.Vault.State != api.VaultOpen && v.old == "":
		f.wrong = wrongField{"passphrase-old", "Enter the present passphrase"}
	case !none && v.now == "":
		f.wrong = wrongField{"passphrase-new", "Enter a passphrase"}
	case !none && v.now != v.again:
		f.wrong = wrongField{"passphrase-again", "The two are not the same"}
	}
	if f.wrong.id != "" {
		f.app.Voice.Cry(f.wrong.why)
		f.app.platform.Focus(`[data-testid="` + f.wrong.id + `"]`)
		return
	}
	r, done, after := api.Passphrase{Old: v.old, New: v.now}, "The passphrase is set", api.VaultSealed
	if none {
		r.New, done, after = "", "The passphrase is removed", api.VaultOpen
	}
	f.do("Encrypting the passwords…", done, func(ctx context.Context, svc api.Service) error { return svc.SetPassphrase(ctx, r) }, func(p *api.Problem) {
		if p != nil {
			return
		}
		f.phrase.old, f.phrase.now, f.phrase.again = "", "", ""
		f.app.Vault.set(after)
	})
}

// remove takes the account off the page, and with erase its mail off this device.
func (f *AccountForm) remove(erase bool) {
	id := f.Account
	f.Discard()
	f.app.Session.signOut(id, erase)
}

// unpin takes a certificate's trust away at once: waiting for Save would be the less safe surprise.
func (f *AccountForm) unpin(p api.Protocol) {
	id := f.Account
	f.do("Saving…", "That certificate is not trusted any longer", func(ctx context.Context, svc api.Service) error {
		return svc.Trust(ctx, api.Trust{Account: id, Protocol: p})
	}, func(problem *api.Problem) {
		if problem != nil {
			return
		}
		s := &f.saved.Servers.POP3
		was := &f.servers.pop3.was
		if p == api.SMTP {
			s, was = &f.saved.Servers.SMTP, &f.servers.smtp.was
		}
		s.Pin, was.Pin = "", ""
	})
}

// trust pins a certificate of an account's server.
func (a *App) trust(id api.AccountID, p api.Protocol, fingerprint string, then func()) {
	a.ask(func(ctx context.Context, svc api.Service) error {
		return svc.Trust(ctx, api.Trust{Account: id, Protocol: p, Fingerprint: fingerprint})
	}, func(problem *api.Problem) {
		if problem != nil {
			a.Toasts.Trouble("The certificate could not be kept", problem)
			return
		}
		a.Toasts.Say("The certificate is trusted for this account")
		then()
	})
}
