package view

import (
	"context"
	"strconv"

	"github.com/postern-mail/postern/client/api"
)

// ConnectionWords says how the page stands with the gateway.
func (a *App) ConnectionWords() string {
	switch a.Gateway.State {
	case api.Online:
		return "Online"
	case api.Offline:
		return "Offline"
	}
	return "Connecting…"
}

// ConnectionDetail says more, for the tip: when the next attempt is made, and why the last one failed.
func (a *App) ConnectionDetail() string {
	g := a.Gateway
	switch {
	case g.State == api.Online:
		return "Connected to the gateway."
	case g.State != api.Offline:
		return "Connecting to the gateway."
	}
	s := "Your mail is here to read and write; what you send waits in the Outbox."
	if !g.RetryAt.IsZero() {
		s += " Next attempt at " + Clock(a.platform.Local(g.RetryAt)) + "."
	}
	return s
}

// SyncWords says what fetching is doing, and Progress how far it is: 0 to 1, or -1 when that is not known.
func (a *App) SyncWords() (text string, progress float64) { return a.SyncWordsOf(a.Speaking()) }

// Speaking is the account of which the status line speaks: the one shown, and of all together the one that there is most
// to say of.
func (a *App) Speaking() api.Account {
	if a.InAll() {
		for _, st := range []api.SyncState{api.Syncing, api.SyncError} {
			for i := range a.Accounts {
				if a.Accounts[i].Sync.State == st {
					return a.Accounts[i]
				}
			}
		}
	}
	return a.Current()
}

// SyncWordsOf are SyncWords of an account.
func (a *App) SyncWordsOf(acc api.Account) (text string, progress float64) {
	s := acc.Sync
	offline := a.Gateway.State == api.Offline // the chip says that: here is how old the mail is
	switch {
	case s.State == api.Syncing && s.Total > 0:
		return "Fetching " + Number(s.Done) + " of " + Number(s.Total), float64(s.Done) / float64(s.Total)
	case s.State == api.SyncRemoving && s.Total > 0:
		return "Removing " + Number(s.Total) + " from the server", float64(s.Done) / float64(s.Total)
	case s.State == api.Syncing:
		return "Checking for mail…", -1
	case s.State == api.SyncError && s.Problem != nil && (!offline || s.Problem.Code != api.CodeGatewayOffline):
		return a.Words(s.Problem).Title, -1
	case s.State == api.SyncError && !offline:
		return "Mail could not be fetched", -1
	case s.Last.IsZero():
		return "Not checked yet", -1
	}
	last, now := a.platform.Local(s.Last), a.platform.Now()
	switch d := now.Sub(last); {
	case d.Seconds() < 60 && !offline:
		return "Up to date", -1
	case sameDay(last, now):
		return "Checked at " + Clock(last), -1
	}
	return "Checked " + ListDate(last, now), -1
}

// Alert is a problem that keeps an account from working; Account is empty where it keeps all.
type Alert struct {
	Account api.AccountID
	Problem *api.Problem
}

// Banner is the one problem that the whole page should know of: of the account shown, or, where all are shown together,
// of the first that has one; nil when there is none. A gateway that is away is no banner but the quiet chip of the status
// line.
func (a *App) Banner() *Alert {
	if a.Gateway.State == api.Offline && a.Gateway.Problem != nil && a.Gateway.Problem.Code != api.CodeGatewayOffline {
		return &Alert{Problem: a.Gateway.Problem}
	}
	for i := range a.Accounts {
		acc := &a.Accounts[i]
		if !a.InAll() && acc.ID != a.Account {
			continue
		}
		if p := trouble(acc); p != nil {
			return &Alert{acc.ID, p}
		}
	}
	return nil
}

func trouble(acc *api.Account) *api.Problem {
	if !acc.HasPassword {
		return &api.Problem{Code: api.CodePasswordNeeded, Detail: acc.Email}
	}
	if p := acc.Sync.Problem; acc.Sync.State == api.SyncError && p != nil && p.Code != api.CodeGatewayOffline && p.Code != api.CodeCanceled {
		return p
	}
	return nil
}

// AlertWords put an alert into words, and name the account where there are several.
func (a *App) AlertWords(x *Alert) Words {
	w := a.Words(x.Problem)
	if x.Problem.Certificate != nil {
		w.Do = "" // the sheet says it
	}
	if a.Several() && x.Account != "" {
		w.Title = Label(a.AccountOf(x.Account)) + ": " + w.Title
	}
	return w
}

// SyncNow fetches new mail now, of the account shown, or of all.
func (a *App) SyncNow() {
	id := a.Account
	if a.InAll() {
		id = ""
	}
	if a.Gateway.State == api.Offline {
		a.Reconnect()
	}
	for i := range a.Accounts { // the effect at once; the engine's event follows
		if (id == "" || a.Accounts[i].ID == id) && a.Gateway.State == api.Online && a.Accounts[i].HasPassword && a.Accounts[i].Sync.State != api.Syncing {
			a.Accounts[i].Sync = api.Sync{State: api.Syncing, Last: a.Accounts[i].Sync.Last}
		}
	}
	a.ask(func(ctx context.Context, svc api.Service) error { return svc.SyncNow(ctx, id) }, func(p *api.Problem) {
		if p == nil {
			return
		}
		for i := range a.Accounts {
			if (id == "" || a.Accounts[i].ID == id) && a.Accounts[i].Sync.State == api.Syncing {
				a.Accounts[i].Sync.State, a.Accounts[i].Sync.Problem = api.SyncError, p
			}
		}
		if p.Code != api.CodeGatewayOffline {
			a.Toasts.Trouble("Mail could not be fetched", p)
		}
	})
}

// Reconnect tries the gateway now.
func (a *App) Reconnect() {
	if a.Gateway.State == api.Offline {
		a.Gateway.State = api.Connecting
	}
	a.ask(func(ctx context.Context, svc api.Service) error { return svc.Reconnect(ctx) }, func(*api.Problem) {})
}

// FolderName is a folder's name for people.
func FolderName(f api.FolderID) string {
	switch f {
	case api.Inbox:
		return "Inbox"
	case api.Drafts:
		return "Drafts"
	case api.Outbox:
		return "Outbox"
	case api.Sent:
		return "Sent"
	case api.Trash:
		return "Trash"
	case Archive:
		return "Archive"
	case Junk:
		return "Junk"
	}
	return string(f)
}

// FolderCount is the number beside a folder's name: unread mail in the inbox, waiting mail in the outbox, drafts.
func FolderCount(f api.Folder) int {
	switch f.ID {
	case api.Drafts, api.Outbox:
		return f.Total
	case api.Sent, api.Trash:
		return 0
	}
	return f.Unread
}

// FolderLabel is a folder's name with its count, for a screen reader.
func FolderLabel(f api.Folder) string {
	n := FolderCount(f)
	switch {
	case n == 0:
		return FolderName(f.ID)
	case f.ID == api.Outbox:
		return FolderName(f.ID) + ", " + Number(n) + " waiting"
	case f.ID == api.Drafts:
		return FolderName(f.ID) + ", " + Number(n)
	}
	return FolderName(f.ID) + ", " + Number(n) + " unread"
}

func idText(id api.MessageID) string { return strconv.FormatUint(uint64(id), 10) }
