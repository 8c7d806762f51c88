package ui

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view/viewtest"
)

// What tests from outside rely on: each hook is there in its state, with its role and an accessible name.
func TestHooks(t *testing.T) {
	demo := func(s *viewtest.Service) {
		s.Change(func(st *api.Status) {
			st.Gateway.Demo = []api.DemoAccount{{Name: "Alice", Email: alice, Password: "secret"}, {Name: "Bob", Email: "bob@postern.test", Password: "x"}}
		})
	}
	for _, c := range []struct {
		name, at string
		setup    func(*viewtest.Service)
		do       func(*screen)
		want     map[string]string // hook → role; "" any
	}{
		{"signed out", "/", demo, nil, map[string]string{"signin-form": "form", "signin-email": "textbox", "signin-password": "", "signin-submit": "button",
			"demo-alice": "button", "demo-bob": "button", "connection-state": "status"}},
		{"sign-in error", "/", demo, func(s *screen) {
			s.typeIn("signin-email", alice)
			s.typeIn("signin-password", "no")
			s.fire("signin-form", "submit", nil)
		}, map[string]string{"signin-error": "alert", "signin-form": "form"}},
		{"inbox", "/inbox", mailbox, nil, map[string]string{"folder-list": "list", "folder-inbox": "link", "folder-sent": "link", "folder-drafts": "link", "folder-outbox": "link",
			"folder-trash": "link", "message-list": "grid", "message-row": "row", "compose": "button", "search-input": "searchbox", "sync-now": "button",
			"connection-state": "status", "sync-state": "status", "account-menu": "button"}},
		{"message", "/inbox/2", mailbox, nil, map[string]string{"message-view": "main", "message-subject": "heading", "message-from": "", "message-date": "", "message-body": "",
			"attachment": "button", "reply": "button", "forward": "button", "delete": "button"}},
		{"message to several", "/inbox/1", mailbox, nil, map[string]string{"reply": "button", "reply-all": "button", "forward": "button"}},
		{"html message", "/inbox/3", mailbox, nil, map[string]string{"message-body": "", "remote-note": "note"}},
		{"composer", "/inbox", mailbox, func(s *screen) { s.click("compose") }, map[string]string{"compose-form": "form", "compose-to": "textbox", "compose-cc": "textbox",
			"compose-bcc": "textbox", "compose-subject": "textbox", "compose-body": "textbox", "compose-attach": "", "compose-send": "button", "compose-close": "button"}},
		{"outbox", "/outbox", mailbox, nil, map[string]string{"outbox-row": "row", "message-list": "grid"}},
		{"several accounts", "/all", twoAccounts, nil, map[string]string{"folder-unified": "link", "account-tree": "button", "folder-inbox": "link", "folder-list": "list", "message-row": "row", "banner": "alert", "wire-link": "button"}},
		{"wire", "/wire", talk, nil, map[string]string{"wire-view": "region", "wire-lines": "log", "wire-line": "", "wire-session": "button", "wire-pause": "button", "wire-save": "button"}},
		{"mail server", "/server", queue, nil, map[string]string{"admin-view": "region", "admin-filter": "searchbox", "admin-state": "button", "admin-list": "list", "admin-row": "button", "admin-choose-page": "checkbox", "admin-world": ""}},
		{"message at the server", "/server/2", queue, nil, map[string]string{"admin-item": "region", "admin-title": "heading", "admin-why": "", "admin-transcript": "region", "admin-retry": "button", "admin-hold": "button", "admin-return": "button", "admin-drop": "button", "admin-close": "button"}},
		{"administrator", "/inbox", queue, func(s *screen) { s.click("account-menu") }, map[string]string{"admin-open": "button"}},
		{"composer of several", "/inbox", twoAccounts, func(s *screen) { s.click("compose") }, map[string]string{"compose-from": "combobox", "compose-receipt": "button"}},
		{"beginning", "/inbox/20", partial, nil, map[string]string{"partial": "note", "fetch-rest": "button"}},
		{"junk", "/junk/40", doubtful, nil, map[string]string{"folder-junk": "link", "junk-reason": "note", "not-junk": "button"}},
		{"not sent", "/outbox/30", fates, nil, map[string]string{"message-state": "status", "recipient": "", "wire-link": "button", "outbox-retry": "button"}},
		{"account", "/inbox", mailbox, func(s *screen) { s.click("account-menu") }, map[string]string{"account-menu": "button", "sign-out": "button"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			show(t, c.at, c.setup, func(t *testing.T, s *screen) {
				if c.do != nil {
					c.do(s)
				}
				doc := s.draw()
				equal(t, "data-ready", len(all(doc, func(n *html.Node) bool { return attr(n, "data-ready") == "true" })), 1)
				for id, want := range c.want {
					n := s.hook(doc, id)
					if got := role(n); want != "" && got != want {
						t.Errorf("%s: role %q, want %q", id, got, want)
					}
					if id != "message-body" && id != "message-from" && id != "message-date" && name(doc, n) == "" {
						t.Errorf("%s has no accessible name", id)
					}
				}
				everyControlHasAName(t, doc)
				for _, n := range all(doc, func(*html.Node) bool { return true }) {
					for _, a := range n.Attr {
						if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
							t.Errorf("<%s %s=%q>: the page's CSP forbids it", n.Data, a.Key, a.Val)
						}
					}
				}
			})
		})
	}
}

func TestHookAttributes(t *testing.T) {
	show(t, "/inbox/1", mailbox, func(t *testing.T, s *screen) {
		time.Sleep(time.Second) // the list may have been asked for before the message was marked as read, and is asked again in a moment
		synctest.Wait()
		doc := s.draw()
		list := s.hook(doc, "message-list")
		equal(t, "data-total", attr(list, "data-total"), "3")
		rows := hooks(list, "message-row")
		equal(t, "rows", len(rows), 3)
		equal(t, "data-id", attr(rows[0], "data-id"), "1")
		equal(t, "data-subject", attr(rows[0], "data-subject"), "Lunch & <script>")
		equal(t, "data-unread", attr(rows[0], "data-unread"), "false") // it is open
		equal(t, "aria-selected", attr(rows[0], "aria-selected"), "true")
		equal(t, "tab stops", len(all(list, func(n *html.Node) bool { return attr(n, "tabindex") == "0" })), 1)
		equal(t, "the open folder", attr(s.hook(doc, "folder-inbox"), "aria-current"), "page")
		equal(t, "another folder", attr(s.hook(doc, "folder-sent"), "aria-current"), "")
		equal(t, "connection", attr(s.hook(doc, "connection-state"), "data-state"), "online")
		equal(t, "sync", attr(s.hook(doc, "sync-state"), "data-state"), "idle")
		equal(t, "from", text(s.hook(doc, "message-from")), "Bob bob@postern.test")
		body := s.hook(doc, "message-body")
		equal(t, "markup in a text stays text", len(all(body, func(n *html.Node) bool { return n.Data == "script" })), 0)
		links := all(body, func(n *html.Node) bool { return n.Data == "a" })
		equal(t, "link", attr(links[0], "href")+" "+attr(links[0], "rel"), "https://x.org/?a=1&b=2 noopener noreferrer")
	})
	show(t, "/inbox/2", mailbox, func(t *testing.T, s *screen) {
		doc := s.draw()
		file := s.hook(doc, "attachment")
		equal(t, "attachment", attr(file, "data-name")+" "+attr(file, "data-size"), "plan.pdf 1200")
		equal(t, "the true sender", text(s.hook(doc, "message-from")), "x@evil.example")
		s.click("attachment")
		equal(t, "saved", s.Browser.Saved[0].Name, "plan.pdf")
	})
	show(t, "/inbox/3", mailbox, func(t *testing.T, s *screen) {
		frame := s.hook(s.draw(), "message-body")
		equal(t, "element", frame.Data, "iframe")
		if sandbox := attr(frame, "sandbox"); strings.Contains(sandbox, "allow-scripts") || sandbox == "" {
			t.Errorf("sandbox %q", sandbox)
		}
	})
	show(t, "/outbox", mailbox, func(t *testing.T, s *screen) {
		words := map[string]string{"queued": "Queued", "sending": "Sending 45 %", "deferred": "Deferred until 14:30", "failed": "Failed", "unknown": "Maybe sent"}
		for _, n := range hooks(s.draw(), "outbox-row") {
			st := attr(n, "data-state")
			if !strings.Contains(text(n), words[st]) || !strings.Contains(attr(n, "aria-label"), words[st]) {
				t.Errorf("%s: %q %q", st, text(n), attr(n, "aria-label"))
			}
			delete(words, st)
		}
		equal(t, "states missing", len(words), 0)
	})
}

func TestManyRowsFewElements(t *testing.T) {
	show(t, "/inbox", func(s *viewtest.Service) {
		s.SignedIn(alice, "")
		var list []api.Message
		for i := range 10_000 {
			list = append(list, api.Message{Row: api.Row{ID: api.MessageID(i + 1), Folder: api.Inbox, Date: time.Unix(int64(i), 0), Subject: "x"}})
		}
		s.Add(list...)
	}, func(t *testing.T, s *screen) {
		for _, first := range []int{0, 1, 17, 5000, 9990} {
			s.Do(func() { s.List.SetWindow(first, 12) })
			time.Sleep(time.Second)
			list := s.hook(s.draw(), "message-list")
			equal(t, "data-total", attr(list, "data-total"), "10000")
			rows := hooks(list, "message-row")
			if len(rows) > 24 || len(rows) < 12 {
				t.Errorf("%d rows at %d", len(rows), first)
			}
		}
		// Scrolling by one row changes one row: the others keep their element and their message.
		at := func(first int) map[int]string {
			s.Do(func() { s.List.SetWindow(first, 12) })
			time.Sleep(time.Second)
			out := map[int]string{}
			for i, n := range hooks(s.draw(), "message-row") {
				out[i] = attr(n, "data-id")
			}
			return out
		}
		before, after := at(5000), at(5001)
		changed := 0
		for i := range before {
			if before[i] != after[i] {
				changed++
			}
		}
		equal(t, "rows changed", changed, 1)
	})
}

// role is an element's ARIA role, given or its own.
func role(n *html.Node) string {
	if r := attr(n, "role"); r != "" {
		return r
	}
	switch n.Data {
	case "input":
		switch attr(n, "type") {
		case "email", "text":
			return "textbox"
		case "search":
			return "searchbox"
		}
		return attr(n, "type")
	case "h1", "h2", "h3":
		return "heading"
	case "ul":
		return "list"
	}
	return map[string]string{"a": "link", "textarea": "textbox", "button": "button", "form": "form", "main": "main", "nav": "navigation", "select": "combobox", "section": "region"}[n.Data]
}

// name is an element's accessible name, simplified from the accname computation.
func name(doc, n *html.Node) string {
	if v := attr(n, "aria-label"); v != "" {
		return v
	}
	if id := attr(n, "aria-labelledby"); id != "" {
		for _, x := range all(doc, func(n *html.Node) bool { return attr(n, "id") == id }) {
			return text(x)
		}
	}
	if id := attr(n, "id"); id != "" {
		for _, x := range all(doc, func(n *html.Node) bool { return n.Data == "label" && attr(n, "for") == id }) {
			return text(x)
		}
	}
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == "label" {
			return text(p)
		}
	}
	for p := n.Parent; p != nil && n.Data == "ul"; p = p.Parent {
		if p.Data == "nav" {
			return attr(p, "aria-label")
		}
	}
	if t := text(n); t != "" {
		return t
	}
	return attr(n, "title")
}

func everyControlHasAName(t *testing.T, doc *html.Node) {
	t.Helper()
	for _, n := range all(doc, func(n *html.Node) bool {
		return n.Data == "button" || n.Data == "a" || n.Data == "input" || n.Data == "textarea" || n.Data == "select" || n.Data == "iframe" || strings.HasSuffix(attr(n, "role"), "dialog")
	}) {
		if name(doc, n) == "" {
			t.Errorf("<%s class=%q data-testid=%q> has no name", n.Data, attr(n, "class"), attr(n, "data-testid"))
		}
	}
}
