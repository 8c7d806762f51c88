package view

import (
	"context"
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// Phase is how far the page has come.
type Phase int

// The phases.
const (
	Starting  Phase = iota // the engine has not answered yet
	SignedOut              // no account: the sign-in form
	SignedIn               // the mail
)

// Session is signing in and out.
type Session struct {
	Phase Phase
	Slow  bool // Starting has taken over 100 ms: show the skeleton

	Email, Password string
	prepared        bool // the engine knows that somebody types
	Keep            bool // keep the password on this device
	Busy            bool // the server is being asked
	Problem         *api.Problem
	Adding          bool // the form is shown for one more account, or for a password that is missing
	Setup

	app     *App
	attempt int
}

// Shown says whether the sign-in form is what the page shows. Who has file servers alone has no mail account to sign in to.
//
//go:noinline
func (s *Session) Shown() bool {
	return s.Phase == SignedOut && !s.app.AtFiles() || s.Phase == SignedIn && s.Adding
}

// Submit signs in with what stands in the form.
func (s *Session) Submit() {
	s.Email = strings.TrimSpace(s.Email)
	switch {
	case s.Busy:
		return
	case s.Email == "":
		s.refuse(`[data-testid="signin-email"]`, "Enter the address of your mailbox")
		return
	case !ValidAddress(s.Email):
		s.refuse(`[data-testid="signin-email"]`, "“"+s.Email+"” is not an e-mail address")
		return
	case s.Password == "":
		s.refuse(`[data-testid="signin-password"]`, "Enter the password")
		return
	}
	before := s.Problem
	s.Busy, s.Problem, s.wrong = true, nil, wrongField{}
	s.attempt++
	if s.asked && !s.servers.touched && domainOf(s.Email) != domainOf(s.email) { // the domain was mistyped
		s.Manual = false
	}
	switch {
	case s.Manual && s.CanSetUp():
		servers, wrong := s.servers.read()
		if wrong.why != "" {
			s.Busy, s.wrong = false, wrong
			s.refuse(`[data-testid="`+wrong.id+`"]`, wrong.why)
			return
		}
		s.doing("Signing in at " + servers.POP3.Host + "…")
		s.signIn(&servers)
	case s.Found != nil && s.email == s.Email && (before == nil || !tryAnother(s.Found, before)): // what was found answered
		s.tryFound()
	default:
		s.Found, s.Manual, s.Confirm, s.Doing, s.asked = nil, false, false, "", false
		s.signIn(nil)
	}
}

// signIn asks the servers, or those that the engine knows for the address.
func (s *Session) signIn(servers *api.Servers) {
	turn := s.attempt
	var acc api.Account
	r := api.SignIn{Email: s.Email, Password: s.Password, Keep: s.Keep, Name: strings.TrimSpace(s.Name), Servers: servers}
	s.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		acc, err = svc.SignIn(ctx, r)
		return err
	}, func(p *api.Problem) {
		if turn != s.attempt {
			return
		}
		if p != nil {
			s.failed(servers, p)
			return
		}
		s.Password = ""
		s.remember(acc.ID, false)
		s.app.accountChanged(acc)
		s.app.Account = acc.ID
		s.app.platform.SetPreference("account", string(acc.ID))
		s.arrived()
	})
}

// say ends an attempt with what was wrong.
func (s *Session) say(p *api.Problem) {
	s.Busy, s.Doing, s.Problem = false, "", p
	s.app.Voice.Cry(s.ErrorWords().Title)
	if p.Code == api.CodeWrongPassword {
		s.app.platform.Focus(`[data-testid="signin-password"]`)
	}
}

// Demo signs in as one of the demo accounts.
func (s *Session) Demo(d api.DemoAccount) {
	if s.Busy {
		return
	}
	s.Email, s.Password, s.Keep, s.Setup = d.Email, d.Password, true, Setup{}
	s.Submit()
}

// refuse says what is missing in the form itself.
func (s *Session) refuse(field, why string) {
	s.Problem = &api.Problem{Code: badForm, Detail: why}
	s.app.Voice.Cry(why)
	s.app.platform.Focus(field)
}

// badForm is a problem of the form that the engine was not asked about.
const badForm api.Code = "form"

// Fields are the form.
func (s *Session) Fields() []Section {
	wrong := s.Problem != nil && s.Problem.Code == api.CodeWrongPassword
	example := "you@example.org"
	if d := s.app.Gateway.Domains; len(d) > 0 {
		example = "you@" + d[0]
	}
	list := []Section{{ID: "who", Fields: []Field{
		{ID: "signin-email", Label: "E-mail address", Kind: EmailField, Auto: "username", Value: &s.Email, Example: example, Wrong: wrong, Changed: func(string) { s.prepare() }},
		{ID: "signin-password", Label: "Password", Kind: PasswordField, Auto: "current-password", Value: &s.Password, Wrong: wrong},
		{ID: "signin-keep", Label: "Keep the password on this device, encrypted", Kind: ToggleField, On: &s.Keep},
	}}}
	if s.CanSetUp() && (s.Manual || s.elsewhere()) {
		list[0].Fields = append(list[0].Fields, Field{ID: "setup-name", Label: "Your name", Kind: TextField, Auto: "name", Value: &s.Name, Hint: "As those you write to see it"})
	}
	if s.Manual && s.CanSetUp() {
		list = append(list, s.servers.sections(s.app)...)
	}
	return s.wrong.marked(list)
}

// elsewhere says that an address was typed that is not at home at this gateway: of such a one, nobody knows whose it is.
func (s *Session) elsewhere() bool {
	email := strings.TrimSpace(s.Email)
	return ValidAddress(email) && !slices.ContainsFunc(s.app.Gateway.Domains, func(d string) bool { return strings.HasPrefix(d, domainOf(email)) })
}

// ErrorBelow says that the trouble is to be said at the end of the form: it is long by hand, and nobody sees its beginning
// who has just sent it off. What is mended at the beginning is said there.
func (s *Session) ErrorBelow() bool {
	if s.Problem == nil || !s.Manual {
		return false
	}
	switch s.Problem.Code {
	case badForm, notFound, notAllowed, api.CodeWrongPassword:
		return false
	}
	return true
}

// ErrorWords is what the form says about the last attempt.
func (s *Session) ErrorWords() Words {
	if s.Problem == nil {
		return Words{}
	}
	switch s.Problem.Code {
	case badForm:
		return Words{Title: s.Problem.Detail + "."}
	case notFound:
		return Words{Title: s.Problem.Detail, Do: "Say below which servers it uses: your provider’s help pages name them.", Technical: s.Problem.Technical, Waits: true}
	case notAllowed:
		return Words{Title: s.Problem.Detail, Do: "Ask whoever runs it to allow them (--allow). If your servers are others, which it does reach, say below which.", Technical: s.Problem.Technical, Waits: true}
	}
	w := s.app.Words(s.Problem)
	if s.Problem.Code == api.CodeGatewayOffline { // there is no mail here yet that one could read meanwhile
		w.Means = "Postern's gateway cannot be reached, and signing in needs it."
		w.Do = "It is tried again by itself: sign in when the word below says Online."
	}
	return w
}

// Add shows the form for one more account.
func (s *Session) Add() { s.form("") }

// AddPassword shows the form for an account's password.
func (s *Session) AddPassword(id api.AccountID) { s.form(s.app.AccountOf(id).Email) }

func (s *Session) form(email string) {
	s.app.Menu.Close()
	s.Adding, s.Problem, s.Password, s.Email, s.Setup = true, nil, "", email, Setup{}
	if email != "" {
		s.app.platform.Focus(`[data-testid="signin-password"]`)
	} else {
		s.app.platform.Focus(`[data-testid="signin-email"]`)
	}
}

// Cancel leaves the form for the mail.
func (s *Session) Cancel() {
	s.attempt++
	s.Adding, s.Busy, s.Problem, s.Password, s.Setup = false, false, nil, "", Setup{}
	s.app.List.focusCursor()
}

// SignOut forgets the present account's password; with erase, after a question, the mail on this device too. Without it
// the mail stays, and is shown again when somebody signs in.
func (s *Session) SignOut(erase bool) {
	id := s.app.Account
	if !erase {
		s.signOut(id, false)
		return
	}
	s.app.Menu.Close()
	s.app.askErase(id, `[data-testid="account-menu"]`, func() { s.signOut(id, true) })
}

func (s *Session) signOut(id api.AccountID, erase bool) {
	a := s.app
	a.Menu.Close()
	a.Composer.Close()
	s.remember(id, !erase)
	a.ask(func(ctx context.Context, svc api.Service) error {
		return svc.SignOut(ctx, api.SignOut{Account: id, Erase: erase})
	}, func(p *api.Problem) {
		if p != nil {
			s.remember(id, false)
			a.Toasts.Trouble("Signing out did not work", p)
			return
		}
		a.accountGone(id)
	})
}

// The accounts that somebody signed out of, their mail left here, are kept on this device under this name.
const signedOutKey = "signed-out"

// away says that somebody signed out of an account: the engine has its mail still, the page does not show it.
func (s *Session) away(acc api.Account) bool {
	return !acc.HasPassword && strings.Contains(","+s.app.platform.Preference(signedOutKey)+",", ","+string(acc.ID)+",")
}

// remember notes that somebody signed out of an account, or forgets it.
func (s *Session) remember(id api.AccountID, out bool) {
	var list []string
	for x := range strings.SplitSeq(s.app.platform.Preference(signedOutKey), ",") {
		if x != "" && x != string(id) {
			list = append(list, x)
		}
	}
	if out {
		list = append(list, string(id))
	}
	s.app.platform.SetPreference(signedOutKey, strings.Join(list, ","))
}

func (s *Session) arrived() {
	a := s.app
	s.Phase, s.Adding, s.Busy, s.Problem, s.Setup = SignedIn, false, false, nil, Setup{}
	r := a.Route
	if r.Page == "" || r.Page == PageAccounts || r.Account != "" && r.Account != a.Account {
		r = Route{Folder: api.Inbox, Page: PageList}
	}
	a.List.place, a.List.rows = Route{}, nil
	r.Account = ""
	a.swap(r)
	a.List.focusCursor()
}

func (s *Session) signedOut() {
	s.Phase, s.Busy, s.Adding, s.Setup = SignedOut, false, false, Setup{}
	s.app.Reader.close()
	s.app.List.place, s.app.List.rows, s.app.List.Loaded = Route{}, nil, false
	s.app.title()
	s.app.platform.Focus(`[data-testid="signin-email"]`)
}

// broken says that the engine itself does not answer.
func (s *Session) broken(p *api.Problem) {
	s.Slow, s.Problem = true, p
	s.app.Voice.Cry(WordsFor(p).Title)
}

// prepare tells the engine once that somebody is about to sign in.
func (s *Session) prepare() {
	if s.prepared {
		return
	}
	s.prepared = true
	s.app.ask(func(ctx context.Context, svc api.Service) error { return svc.Prepare(ctx) }, func(*api.Problem) {})
}
