package ui

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vugu/vugu"
	"go.uber.org/goleak"
	"golang.org/x/net/html"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view/viewtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a person does on the page reaches the view, and what follows is shown.
func TestSignInByHand(t *testing.T) {
	show(t, "/", func(*viewtest.Service) {}, func(t *testing.T, s *screen) {
		s.typeIn("signin-email", alice)
		s.typeIn("signin-password", "no")
		e := s.fire("signin-form", "submit", nil)
		equal(t, "the browser does not submit", e.prevented, true)
		doc := s.draw()
		equal(t, "kept", attr(s.hook(doc, "signin-email"), "prop-value"), alice)
		if w := text(s.hook(doc, "signin-error")); !strings.Contains(w, "The password was not accepted") || !strings.Contains(w, "[AUTH] no") {
			t.Error(w)
		}
		release := s.svc.Hold("SignIn")
		s.typeIn("signin-password", "secret")
		s.fire("signin-form", "submit", nil)
		equal(t, "busy", text(s.hook(s.draw(), "signin-submit")), "Signing in…")
		release()
		synctest.Wait()
		s.hook(s.draw(), "message-list")
	})
}

func TestWriteByHand(t *testing.T) {
	show(t, "/inbox", mailbox, func(t *testing.T, s *screen) {
		s.click("compose")
		s.typeIn("compose-to", "bob")
		s.fire("compose-form", "submit", nil)
		doc := s.draw()
		equal(t, "marked", attr(s.hook(doc, "compose-to"), "aria-invalid"), "true")
		if !strings.Contains(text(s.hook(doc, "compose-form")), "“bob” is not an e-mail address") {
			t.Error(text(s.hook(doc, "compose-form")))
		}
		s.typeIn("compose-to", "bob@postern.test")
		s.typeIn("compose-cc", "carol@x.org")
		s.typeIn("compose-bcc", "dave@x.org")
		s.typeIn("compose-subject", "Hello")
		s.typeIn("compose-body", "Text")
		s.Do(func() { s.Composer.Attach("a.txt", "text/plain", []byte("x")) })
		synctest.Wait()
		if w := text(s.hook(s.draw(), "compose-form")); !strings.Contains(w, "a .txt 1 B") {
			t.Error(w)
		}
		s.fire("compose-form", "submit", nil)
		doc = s.draw()
		equal(t, "closed", len(hooks(doc, "compose-form")), 0)
		if w := text(s.hook(doc, "toast")); !strings.Contains(w, "Sending…") {
			t.Error(w)
		}
		m, _ := s.svc.Stored(21)
		equal(t, "sent", m.Subject+" "+m.To[0].Addr+" "+m.Cc[0].Addr+" "+m.Bcc[0].Addr, "Hello bob@postern.test carol@x.org dave@x.org")
	})
}

func TestReadAndDeleteByHand(t *testing.T) {
	show(t, "/inbox", mailbox, func(t *testing.T, s *screen) {
		s.click("message-row")
		equal(t, "place", s.Browser.Location(), "/inbox/1")
		equal(t, "shown", text(s.hook(s.draw(), "message-subject")), "Lunch & <script>")
		s.click("reply")
		equal(t, "subject", attr(s.hook(s.draw(), "compose-subject"), "prop-value"), `Re: Lunch & <script>`)
		s.click("compose-close")
		s.click("delete")
		doc := s.draw()
		equal(t, "total", attr(s.hook(doc, "message-list"), "data-total"), "2")
		undo := all(s.hook(doc, "toast"), func(n *html.Node) bool { return n.Data == "button" && text(n) == "Undo" })
		equal(t, "Undo is offered", len(undo), 1)
		s.fire("message-row", "click", map[string]any{"ctrlKey": true})
		equal(t, "selected", text(all(s.draw(), func(n *html.Node) bool { return attr(n, "class") == "list-title" })[0]), "1 selected")
		s.fire("search-input", "input", map[string]any{"target.value": "zebra"})
		time.Sleep(time.Second)
		synctest.Wait()
		doc = s.draw()
		equal(t, "total", attr(s.hook(doc, "message-list"), "data-total"), "0")
		if w := text(s.hook(doc, "message-list")); !strings.Contains(w, "Nothing found") || !strings.Contains(w, "zebra") {
			t.Error(w)
		}
	})
}

func TestFoldersByHand(t *testing.T) {
	show(t, "/inbox", mailbox, func(t *testing.T, s *screen) {
		e := s.fire("folder-sent", "click", map[string]any{"ctrlKey": true})
		equal(t, "Ctrl opens a new tab", e.prevented || s.Browser.Location() != "/inbox", false)
		e = s.click("folder-sent")
		equal(t, "a click goes there", e.prevented, true)
		equal(t, "place", s.Browser.Location(), "/sent")
		if w := text(s.hook(s.draw(), "message-list")); !strings.Contains(w, "Nothing sent yet") {
			t.Error(w)
		}
		s.click("account-menu")
		s.click("sign-out")
		s.hook(s.draw(), "signin-form")
	})
}

// A component keeps its instance, and so its element, when rows move.
func TestNewMessageNewFields(t *testing.T) {
	show(t, "/inbox/1", mailbox, func(t *testing.T, s *screen) {
		composer := func() (found vugu.Builder) {
			s.draw()
			for _, c := range s.built.Out.Components {
				if m, ok := c.(*Mail); ok {
					for _, x := range s.built.ResultFor(m).Components {
						if _, ok := x.(*Composer); ok {
							found = x
						}
					}
				}
			}
			return found
		}
		s.click("compose")
		first := composer()
		s.typeIn("compose-body", "a")
		equal(t, "typing keeps the fields", composer() == first, true)
		s.click("reply")
		equal(t, "another message has fields of its own", composer() != first, true)
	})
}

var update = flag.Bool("update", false, "write the golden files anew")

// The markup of rows and states, as it was when somebody last looked at it in a browser.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file, at, hook string
		setup          func(*viewtest.Service)
	}{
		{"row", "/inbox", "message-row", mailbox},
		{"row-outbox", "/outbox", "outbox-row", mailbox},
		{"text", "/inbox/1", "message-body", mailbox},
		{"sync", "/inbox", "sync-state", func(s *viewtest.Service) {
			mailbox(s)
			s.Change(func(st *api.Status) { st.Accounts[0].Sync = api.Sync{State: api.Syncing, Done: 3, Total: 12} })
		}},
		{"offline", "/inbox", "connection-state", func(s *viewtest.Service) {
			s.SignedIn(alice, "")
			s.Change(func(st *api.Status) {
				st.Gateway = api.Gateway{State: api.Offline, RetryAt: time.Date(2000, 1, 1, 9, 30, 0, 0, time.UTC)}
			})
		}},
		{"empty", "/drafts", "message-list", func(s *viewtest.Service) { s.SignedIn(alice, "") }},
		{"banner", "/inbox", "banner", func(s *viewtest.Service) {
			s.SignedIn(alice, "")
			s.Change(func(st *api.Status) { st.Accounts[0].HasPassword = false })
		}},
	} {
		show(t, c.at, c.setup, func(t *testing.T, s *screen) {
			var b strings.Builder
			for _, n := range hooks(s.draw(), c.hook) {
				html.Render(&b, n)
				b.WriteString("\n")
			}
			got := strings.ReplaceAll(b.String(), "><", ">\n<")
			path := filepath.Join("testdata", c.file+".html")
			if *update {
				os.MkdirAll("testdata", 0o755)
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs (run with -update after looking at it in a browser):\n%s", path, got)
			}
		})
	}
}
