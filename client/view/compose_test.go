package view_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

func TestComposeAndSend(t *testing.T) {
	in(t, "/inbox", 1, func(t *testing.T, p *page) {
		p.act(p.Compose)
		equal(t, "place", p.Browser.Location(), "/compose")
		equal(t, "pane", p.Pane(), view.PageComposer)
		equal(t, "focus", p.Browser.Focused, `[data-testid="compose-to"]`)

		p.act(p.Composer.Send)
		equal(t, "without a recipient", p.Composer.Wrong.To, "Add at least one recipient")
		p.act(func() { p.Composer.SetTo("bob@postern.test, carol"); p.Composer.Left() })
		equal(t, "said when the field is left", p.Composer.Wrong.To, "“carol” is not an e-mail address")
		p.act(p.Composer.Send)
		equal(t, "still open", p.Composer.Open, true)

		p.act(func() {
			p.Composer.SetTo(`bob@postern.test; "Díaz, Carol" <carol@example.org>`)
			p.Composer.SetSubject("Lunch?")
			p.Composer.SetText("At noon.")
			p.Composer.Attach("menu.txt", "text/plain", []byte("soup"))
		})
		release := p.svc.Hold("Send")
		p.act(func() { p.Key(view.Key{Name: "Enter", Ctrl: true, Typing: true}) })
		equal(t, "closed at once", p.Composer.Open, false)
		equal(t, "place", p.Browser.Location(), "/inbox")
		equal(t, "said", p.toasts(), "Sending…")
		release()
		synctest.Wait()
		m, _ := p.svc.Stored(2)
		equal(t, "folder", m.Folder, api.Outbox)
		equal(t, "recipients", len(m.To), 2)
		equal(t, "name", m.To[1].Name, "Díaz, Carol")
		equal(t, "attachments", m.Attachments, 1)

		p.svc.Outgoing(alice, 2, func(r *api.Row) { r.State, r.Folder = api.StateSent, api.Sent })
		synctest.Wait()
		equal(t, "said", p.toasts(), "Message sent")
	})
}

func TestSendOffline(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		p.svc.Change(func(s *api.Status) { s.Gateway.State = api.Offline })
		synctest.Wait()
		equal(t, "words", p.ConnectionWords(), "Offline")
		p.act(p.Compose)
		p.act(func() { p.Composer.SetTo("bob@postern.test"); p.Composer.Send() })
		equal(t, "said", p.toasts(), "In the Outbox: it leaves when you are online")
	})
}

// A message that the engine does not take comes back as it was.
func TestSendRefused(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		p.svc.Fail("Send", &api.Problem{Code: api.CodeStorageFull})
		p.act(p.Compose)
		p.act(func() { p.Composer.SetTo("bob@postern.test"); p.Composer.SetText("keep me"); p.Composer.Send() })
		equal(t, "open again", p.Composer.Open, true)
		equal(t, "text", p.Composer.Text, "keep me")
		equal(t, "why", p.Composer.Problem.Code, api.CodeStorageFull)
		p.svc.Fail("Send", nil)
		p.act(p.Composer.Send)
		equal(t, "then it goes", p.Composer.Open, false)
	})
}

func TestFailedAfterwards(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		p.act(p.Compose)
		p.act(func() { p.Composer.SetTo("gone@postern.test"); p.Composer.SetSubject("Hi"); p.Composer.Send() })
		p.svc.Outgoing(alice, 1, func(r *api.Row) {
			r.State, r.Problem = api.StateFailed, &api.Problem{Code: api.CodeRecipientRefused, Detail: "gone@postern.test"}
		})
		synctest.Wait()
		equal(t, "said", p.toasts(), "“Hi” was not sent.")
		again := func() {
			p.act(func() { p.RetrySend(of(1)[0]) })
			p.svc.Outgoing(alice, 1, func(r *api.Row) {
				r.State, r.Problem = api.StateFailed, &api.Problem{Code: api.CodeRecipientRefused, Detail: "gone@postern.test"}
			})
			synctest.Wait()
		}
		again()
		equal(t, "said once, though it failed twice", p.toasts(), "“Hi” was not sent.")
		p.act(func() { p.Toasts.Act(p.Toasts.Shown[0].ID) })
		equal(t, "place", p.Browser.Location(), "/outbox/1")
		r, _ := p.Reader.Row()
		equal(t, "words", p.StateWordsFor(r).Short, "Failed")
		equal(t, "what to do", p.StateWordsFor(r).Do, "Check the address, then send again.")
		again()
		equal(t, "the open message says it itself", p.toasts(), "")
		p.act(func() { p.EditAgain(of(1)[0]) })
		equal(t, "back in the composer", p.Composer.To, "gone@postern.test")
		equal(t, "place", p.Browser.Location(), "/drafts/1")
		p.act(func() { p.Composer.SetTo("bob@postern.test"); p.Composer.Send() })
		m, _ := p.svc.Stored(1)
		equal(t, "sent from there", m.Folder, api.Outbox)
	})
}

// The address names the draft once it is saved, so that a reload opens it again; closing a message that was begun after
// another leads to the mail and not to the other.
func TestComposerOutlivesReload(t *testing.T) {
	in(t, "/inbox", 1, func(t *testing.T, p *page) {
		p.act(p.Compose)
		p.act(func() { p.Composer.SetText("One") })
		p.pass(2 * time.Second)
		equal(t, "place", p.Browser.Location(), "/compose/2")
		p.act(p.Compose)
		equal(t, "another message", p.Browser.Location(), "/compose")
		equal(t, "empty", p.Composer.Text, "")
		p.act(p.Composer.Leave)
		equal(t, "back at the mail", p.Browser.Location(), "/inbox")
		equal(t, "closed", p.Composer.Open, false)

		run(t, p.svc, "/compose/2", func(t *testing.T, p *page) {
			equal(t, "open", p.Composer.Open, true)
			equal(t, "text", p.Composer.Text, "One")
			equal(t, "pane", p.Pane(), view.PageComposer)
		})
	})
}

func TestRetryRollsBack(t *testing.T) {
	in(t, "/outbox", 0, func(t *testing.T, p *page) {
		p.svc.Arrive(alice, api.Message{Row: api.Row{ID: 1, Folder: api.Outbox, State: api.StateUnknown, Date: time.Now(), Problem: &api.Problem{Code: api.CodeServerClosed}}})
		p.pass(time.Second)
		p.svc.Fail("Retry", &api.Problem{Code: api.CodeStorage})
		release := p.svc.Hold("Retry")
		p.act(func() { p.RetrySend(of(1)[0]) })
		r, _ := p.List.Row(0)
		equal(t, "at once", r.State, api.StateQueued)
		release()
		synctest.Wait()
		r, _ = p.List.Row(0)
		equal(t, "rolled back", r.State, api.StateUnknown)
	})
}

func TestAutosaveAndClose(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		p.act(p.Compose)
		p.act(p.Composer.Leave)
		equal(t, "an empty message leaves nothing", slices.Contains(p.svc.Calls(), "SaveDraft"), false)
		equal(t, "place", p.Browser.Location(), "/inbox")

		p.act(p.Compose)
		p.act(func() { p.Composer.SetText("One") })
		p.pass(time.Second)
		equal(t, "while typing", slices.Contains(p.svc.Calls(), "SaveDraft"), false)
		p.pass(time.Second)
		m, ok := p.svc.Stored(1)
		equal(t, "after a pause", ok && m.Text == "One" && m.Folder == api.Drafts, true)
		if !strings.HasPrefix(p.Composer.SavedWords(), "Saved in Drafts at ") {
			t.Errorf("words: %q", p.Composer.SavedWords())
		}
		p.act(func() { p.Composer.SetText("One two") })
		p.act(p.Browser.Back)
		equal(t, "Back closes", p.Composer.Open, false)
		m, _ = p.svc.Stored(1)
		equal(t, "and keeps", m.Text, "One two")
		equal(t, "one draft", p.folder(api.Drafts).Total, 1)
		equal(t, "said", p.toasts(), "Saved in Drafts")

		p.act(func() { p.Go(view.Route{Folder: api.Drafts, ID: 1}) })
		equal(t, "opened", p.Composer.Text, "One two")
		p.act(p.Composer.Discard)
		m, _ = p.svc.Stored(1)
		equal(t, "thrown away", m.Folder, api.Trash)
		p.act(p.UndoLast)
		m, _ = p.svc.Stored(1)
		equal(t, "had back", m.Folder, api.Drafts)
		equal(t, "and open", p.Composer.Text, "One two")
	})
}

func TestSaveFails(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		p.svc.Fail("SaveDraft", &api.Problem{Code: api.CodeStorage})
		p.act(p.Compose)
		p.act(func() { p.Composer.SetText("dear") })
		p.pass(2 * time.Second)
		equal(t, "said in the sheet", p.Composer.Problem.Code, api.CodeStorage)
		p.act(p.Composer.Leave)
		equal(t, "said", p.toasts(), "The draft could not be saved.")
		p.act(func() { p.Toasts.Act(p.Toasts.Shown[0].ID) })
		equal(t, "the words are not lost", p.Composer.Text, "dear")
	})
}

func TestAttachments(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		p.act(p.Compose)
		release := p.svc.Hold("Upload")
		p.act(func() {
			p.Composer.SetTo("bob@postern.test")
			p.Composer.Attach("a.txt", "", []byte("abc"))
			p.Composer.Attach("big.iso", "", make([]byte, 26<<20))
		})
		equal(t, "being read", p.Composer.Attachments[0].Uploading, true)
		equal(t, "too large", p.Composer.Attachments[1].Problem.Code, api.CodeTooLarge)
		p.act(p.Composer.Send)
		equal(t, "not sent half", p.Composer.Open, true)
		release()
		synctest.Wait()
		equal(t, "read", p.Composer.Attachments[0].Uploading, false)
		p.act(func() { p.Composer.Unattach(1); p.Composer.Send() })
		m, _ := p.svc.Stored(1)
		equal(t, "sent with", m.Attachments, 1)
	})
}

func TestReplyAndForward(t *testing.T) {
	in(t, "/inbox", 0, func(t *testing.T, p *page) {
		m := inbox(1)[0]
		m.Subject, m.Text = "Tea", "Come at five.\n> When?\n\n-- \nBob"
		m.To = []api.Address{{Addr: "ALICE@postern.test"}, {Name: "Carol", Addr: "carol@example.org"}}
		m.Cc = []api.Address{{Addr: "dave@example.org"}}
		m.References = []string{"<0@x>"}
		m.Date = time.Date(2026, 2, 3, 10, 12, 0, 0, time.UTC)
		m.Parts = []api.Part{{Index: 1, Name: "map.png", Type: "image/png", Size: 9}}
		p.svc.Add(m)
		p.act(func() { p.Go(view.Route{Folder: api.Inbox, ID: 1}) })

		p.act(func() { p.Key(view.Key{Name: "r"}) })
		equal(t, "to", p.Composer.To, "Bob <bob@postern.test>")
		equal(t, "subject", p.Composer.Subject, "Re: Tea")
		equal(t, "text", p.Composer.Text, "\n\nOn 3 February 2026 at 10:12, Bob wrote:\n> Come at five.\n>> When?\n")
		p.act(func() { p.Composer.SetText("Gladly."); p.Composer.Send() })
		sent, _ := p.svc.Stored(2)
		equal(t, "references", strings.Join(sent.References, " "), "<0@x> <1@postern.test>")

		p.act(p.ReplyAll)
		equal(t, "cc", p.Composer.Cc, "Carol <carol@example.org>, dave@example.org")
		p.act(p.Composer.Leave)
		equal(t, "an answer with nothing written is not kept", p.folder(api.Drafts).Total, 0)

		p.act(p.Forward)
		equal(t, "subject", p.Composer.Subject, "Fwd: Tea")
		equal(t, "files", len(p.Composer.Attachments), 1)
		equal(t, "their bytes are there", p.Composer.Attachments[0].Blob != "", true)
		if !strings.Contains(p.Composer.Text, "From: Bob <bob@postern.test>") {
			t.Error(p.Composer.Text)
		}
	})
}

func TestReplyTo(t *testing.T) {
	self := "me@x.org"
	m := &api.Message{Row: api.Row{From: api.Address{Addr: self}, To: []api.Address{{Addr: "a@x.org"}}}}
	equal(t, "an answer to oneself goes to the recipients", view.ReplyTo(m, false, self).To[0].Addr, "a@x.org")
	m = &api.Message{Row: api.Row{From: api.Address{Addr: "list@x.org"}}, ReplyTo: []api.Address{{Addr: "a@x.org"}, {Addr: "A@X.org"}}}
	equal(t, "Reply-To, each once", len(view.ReplyTo(m, true, self).To), 1)
	equal(t, "prefix", view.ReplySubject("AW: x"), "AW: x")
	equal(t, "prefix", view.ForwardSubject("x"), "Fwd: x")
}
