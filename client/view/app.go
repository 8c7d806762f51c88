package view

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// App is the state of the whole page. Its methods and those of its parts are called, and its fields read, with the
// Scheduler's lock held; New, Start and Receive are for the program that composes the page and take the lock themselves.
type App struct {
	Session  Session
	Gateway  api.Gateway
	Accounts []api.Account // in the order of sign-in
	Account  api.AccountID // the one shown
	Route    Route
	Open     api.MessageRef // the message that the place is about, also while the composer is before it; ID 0 for none

	List     List
	Reader   Reader
	Composer Composer
	Wire     Wire
	Desk     Desk
	Toasts   Toasts
	Menu     Menu
	Settings Settings
	Voice    Voice

	Gate        Gate
	Vault       Vault
	Trust       Trust
	Question    Question
	AccountForm AccountForm

	Sites     []api.Site // in the order in which they were added
	Files     Files
	Picker    Picker
	Transfers Transfers
	SiteForm  SiteForm

	Version string // the engine's

	svc      api.Service
	platform Platform
	sched    Scheduler
	ctx      context.Context
	depth    int    // entries of the history that this page pushed
	attached int    // counts Attach, so that an answer of a former engine is known
	back     Route  // the place behind /compose
	offering bool   // files are being opened beside a mail account
	batch    *batch // what the newest Undo is about
}

// New makes the page's state over svc, which may be nil until Attach. Nothing is asked of svc before Start.
func New(svc api.Service, p Platform, s Scheduler) *App {
	a := &App{svc: svc, platform: p, sched: s, ctx: context.Background()}
	a.Session.app, a.List.app, a.Reader.app, a.Composer.app = a, a, a, a
	a.Toasts.app, a.Menu.app, a.Settings.app, a.Voice.app, a.Wire.app = a, a, a, a, a
	a.Desk.app, a.Desk.World.app = a, a
	a.Gate.app, a.Vault.app, a.Trust.app, a.Question.app, a.AccountForm.app = a, a, a, a, a
	a.Files.app, a.Picker.app, a.Transfers.app, a.SiteForm.app = a, a, a, a
	a.Files.list, a.Picker.list = "file-list", "picker-list"
	a.Transfers.held, a.Transfers.mine = map[api.TransferID]*upload{}, map[api.TransferID]bool{}
	a.Transfers.handed, a.Transfers.linked = map[api.TransferID]bool{}, map[api.TransferID]link{}
	a.Gateway.State = api.Connecting
	a.Session.Keep = true
	return a
}

// Start reads the address and the settings and asks the engine for its state. Calls are made under ctx.
func (a *App) Start(ctx context.Context) {
	a.sched.Update(func() {
		a.ctx = ctx
		a.Settings.load()
		a.Route = ParseRoute(a.platform.Location())
		a.Account = a.Route.Account
		a.Session.Phase = Starting
		if a.svc != nil {
			a.loadStatus()
		}
		time.AfterFunc(100*time.Millisecond, func() {
			a.sched.Update(func() { a.Session.Slow = a.Session.Phase == Starting })
		})
	})
}

// Attach takes the engine's new address: the first one, or another tab's engine after this tab's or that tab's engine
// went away. What is shown stays and everything is asked anew.
func (a *App) Attach(svc api.Service) {
	a.svc = svc
	a.attached++
	a.List.forgetCalls()
	a.loadStatus()
	if a.Reader.Loading {
		a.Reader.load()
	}
	a.Composer.resave()
	a.Wire.again()
	a.Desk.again()
	a.Transfers.anew()
	for _, f := range []*Folder{&a.Files.Folder, &a.Picker.Folder} {
		if f.forgetCalls(); f.rows != nil {
			f.Refresh()
		}
	}
	if a.AccountForm.Account != "" && !a.AccountForm.Ready() {
		a.AccountForm.load()
	}
}

// Receive takes an event of the engine. Unlike most methods it takes the lock itself.
func (a *App) Receive(e api.Event) {
	draw := a.sched.Update
	if e.Transfer != nil || e.TransferGone != 0 || e.Files != nil {
		draw = a.sched.Later
	}
	draw(func() { a.handle(e) })
}

// Ready says that what is on the page comes from the store: the account's first rows, or that there is no account.
func (a *App) Ready() bool {
	switch a.Session.Phase {
	case SignedOut:
		return true
	case SignedIn:
		return a.List.Loaded || a.List.Problem != nil
	}
	return false
}

// Do changes the state from outside a DOM handler, and has it drawn.
func (a *App) Do(fn func()) { a.sched.Update(fn) }

// Current is the account shown, the zero Account when there is none.
func (a *App) Current() api.Account { return a.AccountOf(a.Account) }

// ask runs call in a goroutine with the engine of now and then done, locked, with its problem or nil. An answer of an
// engine that was replaced meanwhile comes as CodeCanceled.
func (a *App) ask(call func(ctx context.Context, svc api.Service) error, done func(p *api.Problem)) {
	a.askThen(a.sched.Update, call, done)
}

// askThen is ask with the Scheduler's Later, perhaps.
func (a *App) askThen(draw func(func()), call func(ctx context.Context, svc api.Service) error, done func(p *api.Problem)) {
	if a.svc == nil {
		done(&api.Problem{Code: api.CodeInternal, Technical: "the mail engine has not started"})
		return
	}
	svc, ctx := a.svc, a.ctx
	go func() {
		err := call(ctx, svc)
		draw(func() { done(problemOf(err)) })
	}()
}

func (a *App) loadStatus() {
	turn := a.attached
	var st api.Status
	a.ask(func(ctx context.Context, svc api.Service) (err error) {
		st, err = svc.Status(ctx)
		return err
	}, func(p *api.Problem) {
		if turn != a.attached {
			return
		}
		if p != nil {
			a.Session.broken(p)
			return
		}
		asked := a.Gate.Asked()
		a.Version, a.Gateway = st.Version, st.Gateway
		a.Vault.set(st.Vault)
		a.Accounts = slices.DeleteFunc(slices.Clone(st.Accounts), a.Session.away)
		for i := range a.Accounts {
			a.recountPending(a.Accounts[i].ID)
		}
		a.Sites = slices.Clone(st.Sites)
		a.Transfers.set(st.Transfers)
		if len(a.Accounts) == 0 {
			a.Session.signedOut()
			if a.AtFiles() {
				a.arrive(a.Route)
			}
			a.Gate.changed(asked)
			return
		}
		a.Gate.changed(asked)
		if a.Current().ID == "" {
			a.Account = a.startAccount()
			if a.Route.Account == "" {
				a.Route.Account = a.Account
			}
		}
		a.Route = a.full(a.Route)
		if a.Session.Phase != SignedIn {
			a.Session.Phase = SignedIn
			a.swap(a.Route) // an address that means nothing, or no place yet, becomes the one that it leads to
			return
		}
		a.List.Refresh()
		a.title()
	})
}

// startAccount is the account that an address without an account means: of a place the first one, as Route.String has it,
// and of no place in particular the one shown last. A message of an account that is gone is no other account's.
func (a *App) startAccount() api.AccountID {
	path, _, _ := strings.Cut(a.platform.Location(), "?")
	if a.Route.Account != "" {
		a.Route = Route{All: a.Route.All, Folder: a.Route.Folder, Page: PageList}
	} else if path != "/" && !a.Route.All {
		return a.Accounts[0].ID
	}
	kept := api.AccountID(a.platform.Preference("account"))
	if path == "/" && a.platform.Preference("all") == "yes" {
		a.Route.All = true
	}
	if slices.ContainsFunc(a.Accounts, func(x api.Account) bool { return x.ID == kept }) {
		return kept
	}
	return a.Accounts[0].ID
}

func (a *App) handle(e api.Event) {
	switch {
	case e.Gateway != nil:
		was, asked := a.Gateway.State, a.Gate.Asked()
		a.Gateway = *e.Gateway
		a.Gate.changed(asked)
		if was != api.Online && a.Gateway.State == api.Online && a.Files.rows != nil && a.Files.Problem != nil {
			a.Files.Refresh()
		}
		if was != a.Gateway.State && a.Gateway.State != api.Connecting && a.Session.Phase == SignedIn && was != "" {
			a.Voice.Say(a.ConnectionWords())
		}
	case e.Account != nil:
		a.accountChanged(*e.Account)
	case e.Removed != "":
		a.accountGone(e.Removed)
	case e.NewMail != nil:
		a.newMail(*e.NewMail)
	case e.Outbox != nil:
		a.outboxChanged(*e.Outbox)
	case e.Vault != nil:
		a.Vault.set(*e.Vault)
	case e.Site != nil:
		a.siteChanged(*e.Site)
	case e.SiteGone != "":
		a.siteGone(e.SiteGone)
	case e.Transfer != nil:
		a.Transfers.put(*e.Transfer)
	case e.TransferGone != 0:
		a.Transfers.gone(e.TransferGone)
	case e.Files != nil:
		a.Files.changed(*e.Files)
		a.Picker.changed(*e.Files)
	}
}

func (a *App) accountChanged(acc api.Account) {
	i := slices.IndexFunc(a.Accounts, func(x api.Account) bool { return x.ID == acc.ID })
	if a.Session.away(acc) {
		if i >= 0 { // signed out of in another tab
			a.accountGone(acc.ID)
		}
		return
	}
	if i < 0 {
		a.Accounts = append(a.Accounts, acc)
		if a.Session.Phase == SignedOut && !a.Session.Adding { // another tab signed in
			a.Account = acc.ID
			a.Session.arrived()
		}
		return
	}
	a.Accounts[i] = acc
	a.recountPending(acc.ID)
	a.AccountForm.elsewhere(acc)
	a.List.revised(acc)
	a.title()
}

func (a *App) accountGone(id api.AccountID) {
	a.Accounts = slices.DeleteFunc(a.Accounts, func(x api.Account) bool { return x.ID == id })
	if a.Composer.draft.Account == id {
		a.Composer.discardView()
	}
	if a.Account != id {
		if a.List.place.All && (len(a.Accounts) < 2 || a.Open.Account == id) {
			a.Go(Route{Folder: api.Inbox, All: true})
		}
		a.List.Refresh()
		return
	}
	a.Reader.close()
	if len(a.Accounts) == 0 {
		a.Account = ""
		a.Session.signedOut()
		if a.AtFiles() {
			a.swap(Route{})
		}
		return
	}
	a.Account = a.Accounts[0].ID
	a.Go(Route{Folder: api.Inbox, All: a.List.place.All})
}

// newMail announces arrivals: to a screen reader once, and by a notification of the system.
func (a *App) newMail(n api.NewMail) {
	if n.Count <= 0 {
		return
	}
	title, body := SenderName(n.First.From), n.First.Subject
	if body == "" {
		body = NoSubject
	}
	where := ""
	if len(a.Accounts) > 1 {
		where = " for " + Label(a.AccountOf(n.Account))
	}
	if n.Count == 1 {
		a.Voice.Say("New message" + where + " from " + title + ": " + body)
	} else {
		a.Voice.Say(Count(n.Count, "new message") + where + ", the newest from " + title)
		title = Count(n.Count, "new message")
	}
	if a.Settings.Notify {
		at := Route{Folder: api.Inbox, All: a.List.place.All, Account: n.Account, ID: n.First.ID}
		a.platform.Notify(title+where, body, func() { a.Go(at) })
	}
}

func (a *App) title() {
	acc := a.Current()
	t := FolderName(a.Route.Folder)
	switch {
	case a.Route.Page == PageSettings:
		t = "Settings"
	case a.Route.Page == PageServer:
		t = "Mail server"
	case a.Route.Page == PageFiles:
		t = a.Files.Title()
	case a.AtFiles():
		t = "File server"
	case a.Route.Query != "":
		t = "Search: " + a.Route.Query
	case a.Route.All:
		t = AllInboxes
	}
	switch {
	case a.AtFiles():
	case acc.Email == "":
		t = "Sign in"
	case !a.Route.All:
		t += " – " + acc.Email
	}
	a.platform.SetTitle(t+" – Postern", a.folder(Route{Folder: api.Inbox, All: true}).Unread)
}

// Now is the present in the user's zone.
func (a *App) Now() time.Time { return a.platform.Now() }
