package ui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view/viewtest"
)

var scenesDir = flag.String("scenes", "", "write each scene as a page into this directory, to be looked at beside public/")

const bob = "bob@work.test"

// scene is a page to be looked at.
type scene struct {
	name, at string
	setup    func(*viewtest.Service)
	do       func(*screen)
}

// scenes are pages that are rare in a real mailbox and have to look right all the same.
var scenes = []scene{
	{"all", "/all/1", twoAccounts, nil},
	{"all-folded", "/inbox?account=" + bob, twoAccounts, func(s *screen) { s.click("account-tree") }},
	{"all-selected", "/all", twoAccounts, func(s *screen) { s.fire("message-row", "click", map[string]any{"ctrlKey": true}) }},
	{"compose", "/inbox/1", twoAccounts, func(s *screen) {
		s.click("compose")
		s.click("compose-receipt")
	}},
	{"wire", "/wire", talk, nil},
	{"wire-failed", "/wire?session=2", talk, nil},
	{"wire-empty", "/wire", mailbox, nil},
	{"partial", "/inbox/20", partial, nil},
	{"partial-problem", "/inbox/20", partial, func(s *screen) {
		s.svc.Fail("FetchRest", &api.Problem{Code: api.CodeServerClosed, Detail: "pop.work.test"})
		s.click("fetch-rest")
	}},
	{"junk", "/junk/40", doubtful, nil},
	{"failed", "/outbox/30", fates, nil},
	{"unknown", "/outbox/31", fates, func(s *screen) { s.click("outbox-retry") }},
	{"sent-in-part", "/sent/32", fates, nil},
	{"mail-server", "/server", queue, nil},
	{"mail-server-item", "/server/2", queue, nil},
}

// twoAccounts is the mailbox and an account for work, with two identities, in trouble.
func twoAccounts(s *viewtest.Service) {
	mailbox(s)
	s.SignedIn(bob, "Robert Work")
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, subject := range []string{"Quarterly figures", "Minutes of Tuesday", "Re: the new press"} {
		s.Add(api.Message{Row: api.Row{Account: bob, ID: api.MessageID(i + 1), Folder: api.Inbox, From: api.Address{Name: "Carol Díaz", Addr: "carol@work.test"}, To: []api.Address{{Addr: bob}},
			Subject: subject, Snippet: "Please have a look before the meeting on Thursday, there are two open points", Unread: i == 0, Date: at.Add(-time.Duration(i*70+30) * time.Minute)}, Text: "Please have a look."})
	}
	s.Change(func(st *api.Status) {
		st.Accounts[0].Identities = []api.Identity{{Name: "Alice Postern", Addr: alice, Signature: "Alice\nPostern, at the small gate"}, {Name: "A. Postern", Addr: "shop@postern.test"}}
		b := &st.Accounts[1]
		b.Label = "Work"
		b.Identities = []api.Identity{{Name: "Robert Work", Addr: bob, Signature: "Robert Work\nWork Ltd."}}
		b.Sync = api.Sync{State: api.SyncError, Last: at.Add(-3 * time.Hour), Problem: &api.Problem{Code: api.CodeServerTimeout, Detail: "pop.work.test", Session: 2}}
	})
}

// talk is a transcript: a fetch, and a message that was refused.
func talk(s *viewtest.Service) {
	mailbox(s)
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-10 * time.Minute)
	say := func(seconds int, who api.Speaker, state, text string) api.WireLine {
		return api.WireLine{At: at.Add(time.Duration(seconds) * 137 * time.Millisecond), Who: who, State: state, Text: text}
	}
	c, v, n := api.ClientSays, api.ServerSays, api.Remark
	s.Say(alice, api.WireSession{ID: 1, Protocol: api.POP3, Server: "pop.postern.test:995", Began: at, Ended: at.Add(time.Second), TLS: "TLS 1.3, TLS_AES_128_GCM_SHA256"},
		say(0, n, "", "Connected through the gateway; TLS 1.3, certificate of pop.postern.test by Example CA"),
		say(1, v, "AUTHORIZATION", "+OK Dovecot ready. <1896.697170952@pop.postern.test>"), say(2, c, "AUTHORIZATION", "CAPA"), say(2, v, "AUTHORIZATION", "+OK"), say(2, v, "AUTHORIZATION", "SASL PLAIN SCRAM-SHA-256"),
		say(3, c, "AUTHORIZATION", "AUTH SCRAM-SHA-256 ****"), say(3, v, "AUTHORIZATION", "+OK Logged in."), say(4, c, "TRANSACTION", "UIDL"), say(4, v, "TRANSACTION", "+OK"),
		say(5, c, "TRANSACTION", "RETR 1"), say(5, v, "TRANSACTION", "+OK 2041 octets"), say(5, v, "TRANSACTION", "... 2041 octets"), say(6, c, "UPDATE", "QUIT"), say(6, v, "UPDATE", "+OK Logging out, messages deleted."))
	at = at.Add(5 * time.Minute)
	s.Say(alice, api.WireSession{ID: 2, Protocol: api.SMTP, Server: "mail.postern.test:465", Began: at, Ended: at.Add(time.Second), TLS: "TLS 1.3, TLS_AES_128_GCM_SHA256",
		Problem: &api.Problem{Code: api.CodeRecipientRefused, Detail: "gone@example.org", Means: "There is no mailbox of that name there (5.1.1).", Technical: "RCPT: 550 5.1.1 User unknown", Session: 2, Line: 23}},
		say(1, v, "HELLO", "220 mail.postern.test ESMTP Postfix"), say(2, c, "HELLO", "EHLO localhost"), say(2, v, "HELLO", "250-SIZE 10240000"), say(3, c, "AUTH", "AUTH PLAIN ****"), say(3, v, "AUTH", "235 2.7.0 Authentication successful"),
		say(4, c, "MAIL", "MAIL FROM:<alice@postern.test> SIZE=1203 BODY=8BITMIME RET=HDRS ENVID=4f1c9a7e-and-a-rather-long-identifier-that-wraps-on-narrow-pages"), say(4, v, "MAIL", "250 2.1.0 Ok"),
		say(5, c, "RCPT", "RCPT TO:<gone@example.org> NOTIFY=SUCCESS,FAILURE,DELAY"), say(5, v, "RCPT", "550 5.1.1 <gone@example.org>: Recipient address rejected: User unknown in local recipient table"), say(6, c, "QUIT", "QUIT"))
}

// partial is a message of which only the beginning is here.
func partial(s *viewtest.Service) {
	mailbox(s)
	s.Add(api.Message{Row: api.Row{ID: 20, Folder: api.Inbox, From: api.Address{Name: "Bob", Addr: "bob@postern.test"}, Subject: "The plans", Date: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Size: 480_000, Partial: true}, Text: "Here are the plans. " + strings.Repeat("They are long. ", 700)})
}

// doubtful is a message that the mail server does not believe.
func doubtful(s *viewtest.Service) {
	mailbox(s)
	s.Add(api.Message{Row: api.Row{ID: 40, Folder: api.Junk, From: api.Address{Name: "Your bank", Addr: "service@bank.example"}, Subject: "Confirm your password", Date: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Size: 2000}, Text: "At once.",
		Junk: "DMARC: bank.example asks to reject what it neither sent nor signed"})
}

// fates are messages on their way of which the recipients fared differently.
func fates(s *viewtest.Service) {
	mailbox(s)
	fatesOnly(s)
}

func fatesOnly(s *viewtest.Service) {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	self := api.Address{Name: "Alice", Addr: alice}
	refused := &api.Problem{Code: api.CodeRecipientRefused, Detail: "gone@example.org", Means: "There is no mailbox of that name there (5.1.1).", Technical: "RCPT: 550 5.1.1 User unknown", Session: 2, Line: 23}
	list := []api.Recipient{{Addr: "carol@example.org", State: api.StateSent}, {Addr: "gone@example.org", State: api.StateFailed, Problem: refused},
		{Addr: "full@example.org", State: api.StateDeferred, Problem: &api.Problem{Code: api.CodeServerRefused, Detail: "452 4.2.2 Mailbox full", Means: "The mailbox there is full (4.2.2)."}}}
	s.Add(
		api.Message{Row: api.Row{ID: 30, Folder: api.Outbox, State: api.StateFailed, From: self, To: []api.Address{{Addr: "gone@example.org"}}, Subject: "Invitation", Date: at, Problem: refused, RetryAt: at.Add(time.Hour), Session: 2}, Text: "Come at five.", Recipients: list},
		api.Message{Row: api.Row{ID: 31, Folder: api.Outbox, State: api.StateUnknown, From: self, To: []api.Address{{Addr: "carol@example.org"}}, Subject: "The order", Date: at, Problem: &api.Problem{Code: api.CodeServerClosed}, Session: 3}, Text: "Ten, please.",
			Recipients: []api.Recipient{{Addr: "carol@example.org", State: api.StateUnknown}}},
		api.Message{Row: api.Row{ID: 32, Folder: api.Sent, State: api.StateSent, From: self, To: []api.Address{{Addr: "carol@example.org"}}, Subject: "To three", Date: at}, Text: "Hello.", Recipients: list})
}

// Every scene keeps the rules of the page; with -scenes they are written to be looked at.
func TestScenes(t *testing.T) {
	if *scenesDir != "" {
		if err := os.WriteFile(filepath.Join(*scenesDir, "app.css"), []byte(sheet(t)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range slices.Concat(scenes, accountScenes, fileScenes) {
		scene := func(t *testing.T, name string, phone bool) {
			show(t, c.at, c.setup, func(t *testing.T, s *screen) {
				s.Do(func() { s.Browser.OnePane = phone })
				if c.do != nil {
					c.do(s)
				}
				doc := s.draw()
				everyControlHasAName(t, doc)
				if *scenesDir == "" {
					return
				}
				for _, n := range all(doc, func(*html.Node) bool { return true }) {
					live(n)
				}
				var b strings.Builder
				html.Render(&b, all(doc, func(n *html.Node) bool { return n.Data == "body" })[0].FirstChild)
				page := fmt.Sprintf(`<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="stylesheet" href="app.css"><script>document.documentElement.dataset.theme=location.hash.slice(1)</script><div id="app">%s</div>`, b.String())
				if err := os.WriteFile(filepath.Join(*scenesDir, name+".html"), []byte(page), 0o644); err != nil {
					t.Fatal(err)
				}
			})
		}
		t.Run(c.name, func(t *testing.T) { scene(t, c.name, false) })
		t.Run(c.name+"-phone", func(t *testing.T) { scene(t, c.name+"-phone", true) })
	}
}

// live makes of a property what a browser would show of it.
func live(n *html.Node) {
	for _, a := range n.Attr {
		name, ok := strings.CutPrefix(a.Key, "prop-")
		switch {
		case !ok:
		case name == "value" && n.Data == "textarea":
			n.AppendChild(&html.Node{Type: html.TextNode, Data: "\n" + a.Val})
		case name == "value" && n.Data == "select":
			for _, o := range all(n, func(o *html.Node) bool { return attr(o, "value") == a.Val }) {
				o.Attr = append(o.Attr, html.Attribute{Key: "selected"})
			}
		case a.Val == "false" && (name == "checked" || name == "selected"):
		default:
			n.Attr = append(n.Attr, html.Attribute{Key: name, Val: a.Val})
		}
	}
}
