package ui

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view/viewtest"
)

// of is the elements with a hook that are an account's.
func of(doc *html.Node, id, account string) []*html.Node {
	var out []*html.Node
	for _, n := range hooks(doc, id) {
		if attr(n, "data-account") == account {
			out = append(out, n)
		}
	}
	return out
}

// Whoever knows one account finds its folders first; the others' have the same names and say whose they are.
func TestTrees(t *testing.T) {
	show(t, "/inbox", twoAccounts, func(t *testing.T, s *screen) {
		doc := s.draw()
		equal(t, "the account shown comes first", attr(s.hook(doc, "folder-inbox"), "data-account"), alice)
		equal(t, "the other's is there", len(of(doc, "folder-inbox", bob)), 1)
		equal(t, "open", attr(s.hook(doc, "folder-inbox"), "aria-current")+attr(of(doc, "folder-inbox", bob)[0], "aria-current"), "page")
		equal(t, "address", attr(of(doc, "folder-sent", bob)[0], "href"), "/sent?account="+bob)
		if w := attr(of(doc, "account-tree", bob)[0], "aria-label"); !strings.HasPrefix(w, "Work, bob@work.test, ") || !strings.HasSuffix(w, ", The mail server is not answering") {
			t.Error(w)
		}
		s.Do(func() { s.OpenFolderOf(bob, api.Sent) })
		synctest.Wait()
		doc = s.draw()
		equal(t, "the account shown comes first", attr(s.hook(doc, "folder-inbox"), "data-account"), bob)
		places := map[string]string{}
		for _, n := range all(doc, func(n *html.Node) bool { return attr(n, "class") == "tree" }) {
			places[attr(hooks(n, "account-tree")[0], "data-account")] = attr(n, "prop-style")
		}
		equal(t, "on the page they stay where they were", places[alice]+" "+places[bob], "order:1 order:2")
		s.click("account-tree")
		doc = s.draw()
		equal(t, "put away", len(of(doc, "folder-inbox", bob)), 0)
		equal(t, "says so", attr(of(doc, "account-tree", bob)[0], "aria-expanded"), "false")
		equal(t, "the other's is not", len(of(doc, "folder-inbox", alice)), 1)
	})
	show(t, "/inbox", mailbox, func(t *testing.T, s *screen) {
		doc := s.draw()
		equal(t, "one account has no tree", len(hooks(doc, "account-tree"))+len(hooks(doc, "folder-unified")), 0)
	})
}

func TestAllInboxesByHand(t *testing.T) {
	show(t, "/inbox", twoAccounts, func(t *testing.T, s *screen) {
		equal(t, "a click goes there", s.click("folder-unified").prevented, true)
		doc := s.draw()
		equal(t, "place", s.Browser.Location(), "/all")
		equal(t, "open", attr(s.hook(doc, "folder-unified"), "aria-current"), "page")
		rows := hooks(doc, "message-row")
		equal(t, "rows", len(rows), 6)
		equal(t, "whose", attr(rows[0], "data-account"), bob)
		if !strings.Contains(text(rows[0]), "Work") || !strings.Contains(attr(rows[0], "aria-label"), ", Work") {
			t.Errorf("%s, %s", text(rows[0]), attr(rows[0], "aria-label"))
		}
		keys := map[string]bool{}
		for _, r := range rows {
			keys[attr(r, "data-row")] = true
		}
		equal(t, "each row has its own key", len(keys), 6)
		s.click("message-row")
		equal(t, "one row is open", len(all(s.draw(), func(n *html.Node) bool { return strings.Contains(attr(n, "class"), "row-open") })), 1)
	})
}

func TestWireByHand(t *testing.T) {
	show(t, "/outbox/30", func(s *viewtest.Service) { talk(s); fatesOnly(s) }, func(t *testing.T, s *screen) {
		s.click("wire-link")
		time.Sleep(time.Second)
		synctest.Wait()
		doc := s.draw()
		equal(t, "place", s.Browser.Location(), "/wire?session=2&line=23")
		lines := hooks(doc, "wire-line")
		equal(t, "its lines alone", len(lines), 10)
		equal(t, "who and state", attr(lines[1], "data-who")+" "+attr(lines[1], "data-state"), "client HELLO")
		if w := text(lines[1]); w != "HELLO 23:55:00.274 Client EHLO localhost" {
			t.Error(w)
		}
		marked := all(doc, func(n *html.Node) bool {
			return attr(n, "data-testid") == "wire-line" && attr(n, "aria-current") == "true"
		})
		if len(marked) != 1 || !strings.Contains(text(marked[0]), "550 5.1.1 <gone@example.org>") {
			t.Errorf("%d lines are marked", len(marked))
		}
		if w := text(s.hook(doc, "wire-problem")); !strings.Contains(w, "An address was refused") || !strings.Contains(w, "no mailbox of that name") {
			t.Error(w)
		}
		s.click("wire-session") // all
		time.Sleep(time.Second)
		synctest.Wait()
		doc = s.draw()
		equal(t, "all", len(hooks(doc, "wire-line")), 24)
		equal(t, "of all together none is marked", len(all(hooks(doc, "wire-lines")[0], func(n *html.Node) bool { return attr(n, "aria-current") != "" })), 0)
		s.click("wire-pause")
		equal(t, "paused", attr(s.hook(s.draw(), "wire-pause"), "aria-pressed"), "true")
		s.click("wire-save")
		if f := s.Browser.Saved[0]; !strings.HasSuffix(f.Name, ".txt") || !strings.Contains(string(f.Data), "S: 550 5.1.1") {
			t.Errorf("%s: %s", f.Name, f.Data)
		}
	})
	show(t, "/wire", func(s *viewtest.Service) {
		mailbox(s)
		var lines []api.WireLine
		for i := range 1900 {
			lines = append(lines, api.WireLine{Who: api.ServerSays, State: "TRANSACTION", Text: fmt.Sprint("+OK ", i)})
		}
		s.Say(alice, api.WireSession{ID: 1}, lines...)
	}, func(t *testing.T, s *screen) {
		time.Sleep(5 * time.Second)
		synctest.Wait()
		doc := s.draw()
		equal(t, "few elements", len(hooks(doc, "wire-line")), 300)
		if w := text(s.hook(doc, "wire-lines")); !strings.HasPrefix(w, "Earlier: 1,600 lines") || !strings.HasSuffix(w, "+OK 1899") {
			t.Errorf("%.40s … %s", w, w[len(w)-20:])
		}
	})
}

func TestSendersByHand(t *testing.T) {
	show(t, "/inbox/1", twoAccounts, func(t *testing.T, s *screen) {
		s.click("reply")
		from := s.hook(s.draw(), "compose-from")
		equal(t, "choices", len(all(from, func(n *html.Node) bool { return n.Data == "option" })), 3)
		equal(t, "the one it was sent to", attr(from, "prop-value"), "0")
		s.fire("compose-from", "change", map[string]any{"target.value": "2"})
		equal(t, "another", attr(s.hook(s.draw(), "compose-from"), "prop-value"), "2")
		if w := attr(s.hook(s.draw(), "compose-body"), "prop-value"); !strings.Contains(w, "\n-- \nRobert Work\nWork Ltd.\n") {
			t.Errorf("%q", w)
		}
		s.click("compose-receipt")
		doc := s.draw()
		equal(t, "asked", attr(s.hook(doc, "compose-receipt"), "aria-pressed"), "true")
		if w := text(s.hook(doc, "compose-form")); !strings.Contains(w, "not every server on the way takes part") {
			t.Error(w)
		}
	})
	show(t, "/inbox", mailbox, func(t *testing.T, s *screen) {
		s.click("compose")
		equal(t, "who has one address chooses none", len(hooks(s.draw(), "compose-from")), 0)
	})
}

func TestFatesByHand(t *testing.T) {
	show(t, "/outbox/30", fates, func(t *testing.T, s *screen) {
		var got []string
		for _, n := range hooks(s.draw(), "recipient") {
			got = append(got, attr(n, "data-state")+": "+text(n))
		}
		equal(t, "each", strings.Join(got, "\n"), `sent: Accepted carol@example.org
failed: Refused gone@example.org There is no mailbox of that name there (5.1.1). RCPT: 550 5.1.1 User unknown
deferred: Deferred until 01:00 full@example.org The mailbox there is full (4.2.2). 452 4.2.2 Mailbox full`)
	})
	show(t, "/outbox/31", fates, func(t *testing.T, s *screen) {
		s.click("outbox-retry")
		m, _ := s.svc.Stored(31)
		equal(t, "not before a warning", m.State, api.StateUnknown)
		if w := text(s.hook(s.draw(), "unknown-warning")); !strings.HasPrefix(w, "It may arrive twice.") {
			t.Error(w)
		}
		s.click("outbox-anyway")
		m, _ = s.svc.Stored(31)
		equal(t, "after it", m.State, api.StateQueued)
	})
	show(t, "/junk/40", doubtful, func(t *testing.T, s *screen) {
		if w := text(s.hook(s.draw(), "junk-reason")); !strings.Contains(w, "This is probably junk") || !strings.Contains(w, "bank.example asks to reject") {
			t.Error(w)
		}
		s.click("not-junk")
		m, _ := s.svc.Stored(40)
		equal(t, "moved", m.Folder, api.Inbox)
	})
	show(t, "/inbox/20", partial, func(t *testing.T, s *screen) {
		if w := text(s.hook(s.draw(), "partial")); w != "Only the beginning is here: 11 of 480 KB. Fetch the rest" {
			t.Error(w)
		}
		s.click("fetch-rest")
		equal(t, "whole", len(hooks(s.draw(), "partial")), 0)
	})
}
