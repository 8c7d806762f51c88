package view_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

func signing(s *api.Status) {
	s.Accounts[0].Identities = []api.Identity{{Name: "Alice", Addr: alice, Signature: "Alice\nPostern"}, {Name: "Shop", Addr: "shop@postern.test", Signature: "The shop"}, {Addr: "bare@postern.test"}}
}

func TestSignature(t *testing.T) {
	both(t, "/inbox", 1, func(t *testing.T, p *page) {
		p.svc.Change(signing)
		p.act(p.Compose)
		c := &p.Composer
		equal(t, "new", c.Text, "\n\n-- \nAlice\nPostern\n")
		p.act(c.Leave)
		p.pass(3 * time.Second)
		equal(t, "nothing was written", slices.Contains(p.svc.Calls(), "SaveDraft"), false)

		p.act(p.Compose)
		equal(t, "who", len(c.Senders()), 4)
		p.act(func() { c.SetText("Hello" + c.Text); c.SetSender(1) })
		equal(t, "another's", c.Text, "Hello\n\n-- \nThe shop\n")
		p.act(func() { c.SetSender(2) })
		equal(t, "one without", c.Text, "Hello\n\n")
		p.act(func() { c.SetSender(0) })
		equal(t, "one with again", c.Text, "Hello\n\n-- \nAlice\nPostern\n")
		p.act(func() { c.SetText("Hello\n\n-- \nAl\n"); c.SetSender(1) })
		equal(t, "one that somebody changed stays", c.Text, "Hello\n\n-- \nAl\n")
		p.act(func() { c.SetTo("x@y.org"); c.ToggleReceipt(); c.Send() })
		m := p.svc.Draft(alice, 2)
		equal(t, "from", m.Identity, "shop@postern.test")
		equal(t, "receipt", m.Receipt, true)
	})
}

func TestReplyIsFromTheAddressee(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		p.svc.Change(signing)
		m := inbox(1)[0]
		m.To, m.Cc, m.Text = []api.Address{{Addr: "Shop@postern.test"}}, []api.Address{{Addr: alice}}, "Open?"
		p.svc.Add(m)
		p.act(func() { p.Go(view.Route{Folder: api.Inbox, ID: 1}) })
		equal(t, "all of one's own are no others", p.CanReplyAll(), false)
		p.act(p.Reply)
		c := &p.Composer
		equal(t, "from", c.Senders()[c.Sender()].Addr, "shop@postern.test")
		if !strings.HasPrefix(c.Text, "\n\n-- \nThe shop\n\nOn ") {
			t.Errorf("above the quotation: %q", c.Text)
		}
		p.act(func() { c.SetSender(2) })
		if !strings.HasPrefix(c.Text, "\n\nOn ") {
			t.Errorf("taken away: %q", c.Text)
		}
		p.act(func() { c.SetSender(0) })
		if !strings.HasPrefix(c.Text, "\n\n-- \nAlice\nPostern\n\nOn ") {
			t.Errorf("put above the quotation: %q", c.Text)
		}
	})
}

// Another account's identity takes the draft and its files along.
func TestSenderOfAnotherAccount(t *testing.T) {
	both(t, "/inbox", 1, func(t *testing.T, p *page) {
		p.act(p.Compose)
		c := &p.Composer
		p.act(func() { c.SetText("Hello"); c.Attach("a.txt", "text/plain", []byte("abc")) })
		p.pass(2 * time.Second)
		equal(t, "saved", p.stored(alice, 2).Text, "Hello")
		p.act(func() { c.SetSender(1) })
		p.pass(2 * time.Second)
		equal(t, "there", p.stored(bob, 2).Text, "Hello")
		equal(t, "with its file", p.stored(bob, 2).Attachments, 1)
		_, here := p.svc.StoredIn(alice, 2)
		equal(t, "and not here any more", here, false)
		equal(t, "place", p.Browser.Location(), "/compose/2?account="+bob)
		run(t, p.svc, p.Browser.Location(), func(t *testing.T, p *page) {
			equal(t, "a reload opens it again", p.Composer.Text, "Hello")
			equal(t, "from", p.Composer.Senders()[p.Composer.Sender()].Addr, bob)
		})

		release := p.svc.Hold("SaveDraft")
		p.act(func() { c.SetText("Hello again") })
		p.pass(2 * time.Second)
		p.act(func() { c.SetSender(0) })
		release()
		p.pass(5 * time.Second)
		equal(t, "one draft, though it was being saved", p.stored(alice, 3).Text, "Hello again")
		n := 0
		for _, acc := range p.Accounts {
			for _, f := range acc.Folders {
				if f.ID == api.Drafts {
					n += f.Total
				}
			}
		}
		equal(t, "in all", n, 1)
	})
}

func TestAnswerInAllInboxes(t *testing.T) {
	both(t, "/all/1?account="+bob, 1, func(t *testing.T, p *page) {
		p.act(p.Reply)
		equal(t, "place", p.Browser.Location(), "/compose?account="+bob)
		equal(t, "behind it the list is the same", p.List.Total, 2)
		equal(t, "from", p.Composer.Senders()[p.Composer.Sender()].Addr, bob)
		p.act(func() { p.Composer.SetText("Yes."); p.Composer.Send() })
		equal(t, "place", p.Browser.Location(), "/all/1?account="+bob)
		equal(t, "sent there", p.stored(bob, 2).Folder, api.Outbox)
		equal(t, "answers", p.svc.Draft(bob, 2).Answers, api.MessageID(1))
	})
}
