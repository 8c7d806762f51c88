package view_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
)

const alice = "alice@postern.test"

// page is a page over an engine in memory; act does something and waits until all that follows has happened.
type page struct {
	*viewtest.Page
	svc *viewtest.Service
}

func (p *page) act(fn func()) {
	p.T.Helper()
	p.Do(fn)
	synctest.Wait()
}

// pass lets time pass.
func (p *page) pass(d time.Duration) {
	p.Do(func() {}) // what the test has read so far comes before what happens now
	time.Sleep(d)   // the bubble's clock: it takes no time
	synctest.Wait()
}

// in runs fn with a page at a location, signed in as Alice with so many messages in the inbox.
func in(t *testing.T, location string, messages int, fn func(t *testing.T, p *page)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(map[string]string{alice: "secret"})
		svc.SignedIn(alice, "Alice")
		svc.Add(inbox(messages)...)
		run(t, svc, location, fn)
	})
}

func run(t *testing.T, svc *viewtest.Service, location string, fn func(t *testing.T, p *page)) {
	p := &page{viewtest.NewPage(t, svc, location), svc}
	svc.OnEvent(p.Receive)
	ctx, cancel := context.WithCancel(t.Context())
	p.Start(ctx)
	synctest.Wait()
	fn(t, p)
	cancel()
	p.pass(time.Minute) // timers run out inside the bubble
}

// inbox is n messages, the newest with the highest number.
func inbox(n int) []api.Message {
	var list []api.Message
	for i := 1; i <= n; i++ {
		list = append(list, api.Message{Row: api.Row{
			ID: api.MessageID(i), Folder: api.Inbox, From: api.Address{Name: "Bob", Addr: "bob@postern.test"}, To: []api.Address{{Addr: alice}},
			Subject: fmt.Sprintf("Message %d", i), Unread: true, Date: time.Now().Add(time.Duration(i-n) * time.Minute),
		}, Text: fmt.Sprintf("Text %d", i), MessageID: fmt.Sprintf("<%d@postern.test>", i)})
	}
	return list
}

// of names messages of Alice's.
func of(ids ...api.MessageID) []api.MessageRef {
	var list []api.MessageRef
	for _, id := range ids {
		list = append(list, api.MessageRef{Account: alice, ID: id})
	}
	return list
}

func (p *page) subjects(from, n int) []string {
	var out []string
	p.Do(func() {
		for i := from; i < from+n; i++ {
			if r, ok := p.List.Row(i); ok {
				out = append(out, r.Subject)
			}
		}
	})
	return out
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func (p *page) folder(id api.FolderID) api.Folder {
	for _, f := range p.Current().Folders {
		if f.ID == id {
			return f
		}
	}
	return api.Folder{}
}

func (p *page) toasts() string {
	var s []string
	for _, n := range p.Toasts.Shown {
		s = append(s, n.Text)
	}
	return strings.Join(s, " | ")
}

// Who begins to type an address will sign in: the engine is told, once.
func TestTypingPrepares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(map[string]string{alice: "secret"})
		run(t, svc, "/", func(t *testing.T, p *page) {
			prepared := func() (n int) {
				for _, c := range svc.Calls() {
					if c == "Prepare" {
						n++
					}
				}
				return n
			}
			equal(t, "before", prepared(), 0)
			for _, typed := range []string{"a", "al"} {
				p.act(func() {
					email := p.Session.Fields()[0].Fields[0]
					email.Set(typed)
				})
				equal(t, "calls", prepared(), 1)
			}
		})
	})
}

func TestSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(map[string]string{alice: "secret"})
		run(t, svc, "/", func(t *testing.T, p *page) {
			equal(t, "phase", p.Session.Phase, view.SignedOut)
			equal(t, "ready", p.Ready(), true)

			for _, c := range []struct{ email, password, words, focus string }{
				{"", "", "Enter the address", "signin-email"},
				{"alice", "x", "is not an e-mail address", "signin-email"},
				{alice, "", "Enter the password", "signin-password"},
			} {
				p.act(func() { p.Session.Email, p.Session.Password = c.email, c.password; p.Session.Submit() })
				if w := p.Session.ErrorWords().Title; !strings.Contains(w, c.words) || !strings.Contains(p.Browser.Focused, c.focus) {
					t.Errorf("%q %q: %q, focus %s", c.email, c.password, w, p.Browser.Focused)
				}
			}
			if slices.Contains(svc.Calls(), "SignIn") {
				t.Error("the engine was asked about a form that is not filled in")
			}

			p.act(func() { p.Session.Password = "wrong"; p.Session.Submit() })
			equal(t, "wrong password", p.Session.ErrorWords().Title, "The password was not accepted")
			equal(t, "the form is kept", p.Session.Email, alice)
			equal(t, "busy", p.Session.Busy, false)

			svc.Fail("SignIn", &api.Problem{Code: api.CodeGatewayOffline})
			p.act(func() { p.Session.Password = "secret"; p.Session.Submit() })
			if w := p.Session.ErrorWords(); !strings.Contains(w.Means, "signing in needs it") || strings.Contains(w.Means, "Your mail is here") {
				t.Errorf("offline: %q", w.Means)
			}
			svc.Fail("SignIn", nil)

			release := svc.Hold("SignIn")
			p.act(func() { p.Session.Password = "secret"; p.Session.Submit() })
			equal(t, "busy at once", p.Session.Busy, true)
			equal(t, "the old error goes", p.Session.Problem == nil, true)
			release()
			synctest.Wait()
			equal(t, "phase", p.Session.Phase, view.SignedIn)
			equal(t, "the keys are at the list, empty as it is", p.Browser.Focused, `[data-testid="message-list"]`)
			svc.Arrive(alice, inbox(1)[0])
			p.pass(time.Second)
			equal(t, "and at the first message when it comes", p.Browser.Focused, `[data-row="1"]`)
			equal(t, "password in memory", p.Session.Password, "")
			equal(t, "place", p.Browser.Location(), "/inbox")
			equal(t, "ready", p.Ready(), true)

			p.act(func() { p.Session.SignOut(false) })
			equal(t, "phase", p.Session.Phase, view.SignedOut)
			equal(t, "signed out is remembered", p.Browser.Kept["signed-out"], alice)
		})
	})
}

// An account whose password the engine lost in a restart shows its mail; one that somebody signed out of does not.
func TestAccountWithoutPassword(t *testing.T) {
	for _, out := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			svc := viewtest.NewService(nil)
			svc.SignedIn(alice, "Alice")
			svc.Change(func(s *api.Status) { s.Accounts[0].HasPassword = false })
			p := &page{viewtest.NewPage(t, svc, "/inbox"), svc}
			if out {
				p.Browser.Kept["signed-out"] = alice
			}
			p.Start(t.Context())
			synctest.Wait()
			if out {
				equal(t, "phase", p.Session.Phase, view.SignedOut)
				return
			}
			equal(t, "phase", p.Session.Phase, view.SignedIn)
			equal(t, "banner", p.Banner().Problem.Code, api.CodePasswordNeeded)
		})
	}
}

func TestEngineThatDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(nil)
		svc.Fail("Status", &api.Problem{Code: api.CodeStorage, Technical: "no OPFS"})
		run(t, svc, "/inbox", func(t *testing.T, p *page) {
			equal(t, "ready", p.Ready(), false)
			equal(t, "problem", p.Session.Problem.Code, api.CodeStorage)
			svc.Fail("Status", nil)
			svc.SignedIn(alice, "Alice")
			p.act(func() { p.Attach(svc) })
			equal(t, "after a new engine", p.Ready(), true)
		})
	})
}

// Another engine takes over (the tab that held it was closed): the page goes on where it was.
func TestAttach(t *testing.T) {
	in(t, "/inbox/3", 5, func(t *testing.T, p *page) {
		p.act(p.Compose)
		p.act(func() { p.Composer.SetTo("bob@postern.test"); p.Composer.SetText("half") })
		other := viewtest.NewService(nil)
		other.SignedIn(alice, "Alice")
		other.Add(inbox(7)...)
		other.OnEvent(p.Receive)
		p.act(func() { p.Attach(other) })
		equal(t, "total", p.List.Total, 7)
		equal(t, "the reader stays", p.Reader.Message.Subject, "Message 3")
		equal(t, "the composer stays", p.Composer.Text, "half")
		if !slices.Contains(other.Calls(), "SaveDraft") {
			t.Error("the draft was not saved with the new engine")
		}
	})
}

func TestNewMail(t *testing.T) {
	in(t, "/inbox", 2, func(t *testing.T, p *page) {
		p.Browser.Allow = true
		p.act(p.Settings.ToggleNotify)
		m := inbox(1)[0]
		m.ID, m.Subject, m.Date = 9, "Fresh", time.Now()
		p.svc.Arrive(alice, m)
		p.pass(time.Second)
		equal(t, "total", p.List.Total, 3)
		equal(t, "first", p.subjects(0, 1)[0], "Fresh")
		equal(t, "said", strings.TrimRight(p.Voice.Polite, "\u00a0"), "New message from Bob: Fresh")
		equal(t, "notified", strings.Join(p.Browser.Notified, ","), "Bob: Fresh")
		equal(t, "title", p.Browser.Unread, 3)
		p.act(p.Browser.ClickNotification)
		equal(t, "place", p.Browser.Location(), "/inbox/9")
	})
}

func TestSettings(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		equal(t, "theme", p.Browser.Theme, "system")
		p.act(func() { p.Settings.SetTheme("dark"); p.Settings.SetListWidth(9999, true) })
		equal(t, "theme", p.Browser.Theme, "dark")
		equal(t, "kept", p.Browser.Kept["theme"]+p.Browser.Kept["list-width"], "dark640")
		p.act(p.Settings.ToggleNotify)
		equal(t, "not allowed", p.Settings.Notify, false)
		equal(t, "says so", p.toasts(), "The browser does not allow notifications for this page")
	})
}

// An address names an account: that of a place always the same one, and "/" the one shown last.
func TestAccountOfAnAddress(t *testing.T) {
	const carol = "carol@postern.test"
	for _, c := range []struct{ at, account, place string }{
		{"/", carol, "/inbox?account=" + carol},
		{"/inbox/1", alice, "/inbox/1"},
		{"/nonsense", alice, "/inbox"},
		{"/inbox?account=" + carol, carol, "/inbox?account=" + carol},
		{"/sent/1?account=gone@postern.test", carol, "/sent?account=" + carol},
	} {
		synctest.Test(t, func(t *testing.T) {
			svc := viewtest.NewService(nil)
			svc.SignedIn(alice, "Alice")
			svc.SignedIn(carol, "Carol")
			svc.Add(inbox(1)...)
			p := &page{viewtest.NewPage(t, svc, c.at), svc}
			p.Browser.Kept["account"] = carol
			svc.OnEvent(p.Receive)
			ctx, cancel := context.WithCancel(t.Context())
			p.Start(ctx)
			synctest.Wait()
			equal(t, c.at, string(p.Account), c.account)
			equal(t, c.at, p.Browser.Location(), c.place)
			cancel()
			p.pass(time.Minute)
		})
	}
}
