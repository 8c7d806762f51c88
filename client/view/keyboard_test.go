package view_test

import (
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

func (p *page) press(keys ...string) {
	p.T.Helper()
	for _, k := range keys {
		p.act(func() { p.Key(view.Key{Name: k, InList: true}) })
	}
}

func TestKeys(t *testing.T) {
	in(t, "/inbox", 30, func(t *testing.T, p *page) {
		p.press("j", "j")
		p.pass(time.Second)
		equal(t, "j moves and opens", p.Browser.Location(), "/inbox/28")
		equal(t, "focus", p.Browser.Focused, `[data-row="28"]`)
		p.press("k", "ArrowUp")
		p.pass(time.Second)
		equal(t, "k", p.Browser.Location(), "/inbox/30")
		equal(t, "moving is no history", len(p.Browser.History), 2)
		p.press("End")
		p.pass(time.Second)
		equal(t, "End", p.List.Cursor.ID, api.MessageID(1))
		p.press("Home")
		p.pass(time.Second)

		p.press("o")
		equal(t, "o goes into the message", p.Browser.Focused, `[data-testid="message-subject"]`)
		p.press("u")
		m, _ := p.svc.Stored(30)
		equal(t, "u", m.Unread, true)
		p.press("s")
		m, _ = p.svc.Stored(30)
		equal(t, "s", m.Flagged, true)
		p.press("#")
		equal(t, "#", p.List.Total, 29)
		p.press("z")
		p.pass(time.Second)
		equal(t, "z", p.List.Total, 30)

		for key, subject := range map[string]string{"r": "Re: Message 30", "a": "Re: Message 30", "f": "Fwd: Message 30"} {
			p.act(func() { p.OpenMessage(of(30)[0]) })
			p.press(key)
			equal(t, key, p.Composer.Subject, subject)
			p.press("Escape")
			equal(t, "Esc closes the composer", p.Composer.Open, false)
		}
		p.press("c")
		equal(t, "c", p.Composer.Open, true)
		p.press("Escape")

		for key, want := range map[string]string{"i": "/inbox", "d": "/drafts", "o": "/outbox", "s": "/sent", "t": "/trash"} {
			p.press("g", key)
			equal(t, "g "+key, p.Browser.Location(), want)
		}
		p.press("g", "i", "/")
		equal(t, "/", p.Browser.Focused, `[data-testid="search-input"]`)
		p.press("?")
		equal(t, "?", p.Menu.Open, view.MenuShortcuts)
		equal(t, "the keys", p.Shortcuts()[0].Title, "Reading")
		p.press("j")
		equal(t, "nothing moves beneath", p.List.Cursor.ID, api.MessageID(30))
		p.press("Escape")
		equal(t, "Esc", p.Menu.Open, view.MenuNone)

		p.press("x", "j", "x")
		equal(t, "x", len(p.List.Selected), 2)
		p.press("Escape")
		equal(t, "Esc", len(p.List.Selected), 0)

		was := p.Browser.Location()
		p.act(func() {
			for _, k := range []string{"j", "c", "#", "?", "e"} {
				if p.Key(view.Key{Name: k, Typing: true}) {
					t.Errorf("%s meant something while typing", k)
				}
			}
			if p.Key(view.Key{Name: "c", Ctrl: true}) {
				t.Error("Ctrl+C is the browser's")
			}
			if p.Key(view.Key{Name: "e"}) {
				t.Error("e without an archive")
			}
		})
		equal(t, "place", p.Browser.Location(), was)
	})
}

func TestShiftSelects(t *testing.T) {
	in(t, "/inbox", 10, func(t *testing.T, p *page) {
		for range 3 {
			p.act(func() { p.Key(view.Key{Name: "ArrowDown", Shift: true, InList: true}) })
		}
		equal(t, "selected", len(p.List.Selected), 4)
	})
}

// Where one pane is shown at a time, opening and deleting move between panes, and Back works.
func TestNarrow(t *testing.T) {
	in(t, "/inbox", 3, func(t *testing.T, p *page) {
		p.Browser.OnePane = true
		equal(t, "pane", p.Pane(), view.PageList)
		p.act(func() { p.OpenMessage(of(2)[0]) })
		equal(t, "pane", p.Pane(), view.PageReader)
		equal(t, "focus", p.Browser.Focused, `[data-testid="message-subject"]`)
		p.act(p.Browser.Back)
		equal(t, "pane", p.Pane(), view.PageList)
		p.act(func() { p.OpenMessage(of(2)[0]); p.Delete(of(2)) })
		equal(t, "back in the list", p.Pane(), view.PageList)
		equal(t, "focus on the next", p.Browser.Focused, `[data-row="1"]`)
		p.act(p.OpenAccounts)
		equal(t, "pane", p.Pane(), view.PageAccounts)
		p.act(func() { p.OpenFolder(api.Sent) })
		equal(t, "pane", p.Pane(), view.PageList)
		p.act(p.Compose)
		equal(t, "pane", p.Pane(), view.PageComposer)
		p.act(p.Browser.Back)
		equal(t, "place", p.Browser.Location(), "/sent")
	})
}

func TestReader(t *testing.T) {
	in(t, "/inbox", 2, func(t *testing.T, p *page) {
		m := inbox(1)[0]
		m.ID, m.Parts = 7, []api.Part{{Index: 3, Name: "a.pdf", Type: "application/pdf", Size: 20}}
		m.Date = time.Now()
		p.svc.Arrive(alice, m)
		p.pass(time.Second)
		release := p.svc.Hold("Message")
		p.act(func() { p.OpenMessage(of(7)[0]) })
		r, ok := p.Reader.Row()
		equal(t, "what the list knows is there at once", ok && r.Subject == "Message 1", true)
		p.pass(200 * time.Millisecond)
		equal(t, "slow", p.Reader.Slow, true)
		p.act(func() { p.OpenMessage(of(2)[0]) }) // the answer for 7 comes later, and must not be shown
		release()
		p.pass(time.Second)
		equal(t, "shown", p.Reader.Message.ID, api.MessageID(2))

		p.act(func() { p.OpenMessage(of(7)[0]) })
		p.act(func() { p.Reader.SaveAttachment(3) })
		equal(t, "saved", p.Browser.Saved[0].Name+string(p.Browser.Saved[0].Data), "a.pdfthe bytes of a.pdf")
		p.act(p.Reader.ShowSource)
		if !strings.Contains(p.Reader.Source, "Subject: Message 1") {
			t.Error(p.Reader.Source)
		}
		p.act(p.Reader.SaveSource)
		equal(t, "file", p.Browser.Saved[1].Name, "Message 1.eml")

		p.svc.Fail("Message", &api.Problem{Code: api.CodeNoSuchMessage})
		p.act(func() { p.OpenMessage(of(1)[0]) })
		equal(t, "problem", p.Reader.Problem.Code, api.CodeNoSuchMessage)
		p.svc.Fail("Message", nil)
		p.act(p.Reader.Retry)
		equal(t, "then", p.Reader.Message.ID, api.MessageID(1))
	})
}

// The last of many messages is reached when its row has come.
func TestEndOfALongList(t *testing.T) {
	in(t, "/inbox", 5000, func(t *testing.T, p *page) {
		p.press("End")
		p.pass(time.Second)
		equal(t, "cursor", p.List.Cursor.ID, api.MessageID(1))
		equal(t, "focus", p.Browser.Focused, `[data-row="1"]`)
		equal(t, "open", p.Browser.Location(), "/inbox/1")
	})
}

func TestStatusWords(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		set := func(s api.Sync) string {
			p.svc.Change(func(st *api.Status) { st.Accounts[0].Sync = s })
			p.pass(time.Millisecond)
			w, _ := p.SyncWords()
			return w
		}
		now := time.Now()
		equal(t, "never", set(api.Sync{State: api.SyncIdle}), "Not checked yet")
		equal(t, "just now", set(api.Sync{State: api.SyncIdle, Last: now}), "Up to date")
		equal(t, "progress", set(api.Sync{State: api.Syncing, Done: 1204, Total: 10000}), "Fetching 1,204 of 10,000")
		equal(t, "error", set(api.Sync{State: api.SyncError, Problem: &api.Problem{Code: api.CodeMaildropLocked}}), "The mailbox is in use")
		equal(t, "banner", p.Banner().Problem.Code, api.CodeMaildropLocked)
		set(api.Sync{State: api.SyncError, Problem: &api.Problem{Code: api.CodeGatewayOffline}})
		equal(t, "offline is no banner", p.Banner() == nil, true)
		p.svc.Change(func(st *api.Status) { st.Gateway.State = api.Offline })
		for _, s := range []api.Sync{
			{State: api.SyncIdle, Last: now},
			{State: api.SyncError, Last: now, Problem: &api.Problem{Code: api.CodeGatewayOffline}},
		} {
			equal(t, "offline it is as old as it is", set(s), "Checked at "+view.Clock(now))
		}
		p.svc.Change(func(st *api.Status) { st.Gateway.State = api.Online })
		set(api.Sync{State: api.SyncIdle, Last: now.Add(-time.Hour)})
		p.act(p.SyncNow)
		w, _ := p.SyncWords()
		equal(t, "at once", w, "Checking for mail…")
	})
}
