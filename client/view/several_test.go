package view_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
	"github.com/postern-mail/postern/client/view/viewtest"
)

const bob = "bob@work.test"

// both runs fn with a page of two accounts, whose messages have the same numbers: 1 to n of Alice's, and of Bob's, each
// half a minute older.
func both(t *testing.T, location string, n int, fn func(t *testing.T, p *page)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		svc := viewtest.NewService(map[string]string{alice: "secret", bob: "secret"})
		svc.SignedIn(alice, "Alice")
		svc.SignedIn(bob, "Bob")
		svc.Change(func(s *api.Status) { s.Accounts[1].Label = "Work" })
		svc.Add(inbox(n)...)
		for _, m := range inbox(n) {
			m.Account, m.Subject, m.Date, m.To = bob, fmt.Sprintf("Work %d", m.ID), m.Date.Add(-30*time.Second), []api.Address{{Addr: bob}}
			svc.Add(m)
		}
		run(t, svc, location, fn)
	})
}

func ref(acc api.AccountID, id api.MessageID) api.MessageRef {
	return api.MessageRef{Account: acc, ID: id}
}

func (p *page) stored(acc api.AccountID, id api.MessageID) api.Message {
	m, _ := p.svc.StoredIn(acc, id)
	return m
}

func TestAllInboxes(t *testing.T) {
	both(t, "/all", 3, func(t *testing.T, p *page) {
		equal(t, "all", strings.Join(p.subjects(0, 6), ","), "Message 3,Work 3,Message 2,Work 2,Message 1,Work 1")
		equal(t, "total", p.List.Total, 6)
		equal(t, "unread", p.List.Unread(), 6)
		equal(t, "title", p.Browser.Title, "All inboxes – Postern")
		equal(t, "unread on the icon", p.Browser.Unread, 6)

		p.act(func() { p.OpenMessage(ref(bob, 3)) })
		equal(t, "place", p.Browser.Location(), "/all/3?account="+bob)
		equal(t, "the other's message of that number", p.Reader.Message.Subject, "Work 3")
		equal(t, "marked read", p.stored(bob, 3).Unread, false)
		equal(t, "and no other", p.stored(alice, 3).Unread, true)
		equal(t, "the account shown stays", string(p.Account), alice)

		p.act(func() { p.Key(view.Key{Name: "j"}) })
		p.pass(time.Second)
		equal(t, "the next is the first account's", p.Browser.Location(), "/all/2")
		equal(t, "cursor", p.List.Cursor, ref(alice, 2))
		equal(t, "focus", p.Browser.Focused, `[data-row="2@`+alice+`"]`)
		p.act(func() { p.Key(view.Key{Name: "#"}) })
		equal(t, "deleted", p.stored(alice, 2).Folder, api.Trash)
		equal(t, "the other's is not", p.stored(bob, 2).Folder, api.Inbox)
		equal(t, "the next is open", p.Reader.MessageRef, ref(bob, 2))
		p.act(p.UndoLast)
		equal(t, "undone", p.stored(alice, 2).Folder, api.Inbox)
		equal(t, "order", strings.Join(p.subjects(0, 6), ","), "Message 3,Work 3,Message 2,Work 2,Message 1,Work 1")

		p.act(func() { p.Key(view.Key{Name: "u"}) })
		p.act(p.Browser.Back)
		equal(t, "back", p.Browser.Location(), "/all")
		equal(t, "nothing open", p.Open.ID, api.MessageID(0))
	})
}

// What is selected over two accounts is deleted in each, told of by one note, and comes back by one Undo.
func TestDeleteOverAccounts(t *testing.T) {
	both(t, "/all", 2, func(t *testing.T, p *page) {
		p.act(func() { p.List.Toggle(ref(alice, 2), false) })
		p.act(func() { p.List.Toggle(ref(alice, 1), true) })
		equal(t, "range", len(p.List.Selected), 3)
		equal(t, "not selected", p.List.Selected[ref(bob, 1)], false)
		p.act(func() { p.Delete(p.List.Targets()) })
		equal(t, "left", strings.Join(p.subjects(0, 4), ","), "Work 1")
		equal(t, "said", p.toasts(), "3 messages moved to Trash")
		equal(t, "counted", p.AllUnread(), 1)
		equal(t, "where", p.stored(bob, 2).Folder+p.stored(alice, 1).Folder, "trashtrash")
		p.act(p.UndoLast)
		p.pass(time.Second)
		equal(t, "all back", strings.Join(p.subjects(0, 4), ","), "Message 2,Work 2,Message 1,Work 1")
		equal(t, "where", p.stored(bob, 2).Folder+p.stored(alice, 1).Folder, "inboxinbox")

		p.act(func() { p.List.Toggle(ref(alice, 2), false); p.List.Toggle(ref(bob, 2), false) })
		p.act(func() { p.Key(view.Key{Name: "u"}) })
		equal(t, "both read", p.stored(alice, 2).Unread || p.stored(bob, 2).Unread, false)
		equal(t, "no other", p.stored(alice, 1).Unread && p.stored(bob, 1).Unread, true)
	})
}

// One account's refusal brings its messages back, and leaves the others where they went.
func TestDeleteOverAccountsRefused(t *testing.T) {
	both(t, "/all", 2, func(t *testing.T, p *page) {
		p.svc.Refuse("Move", bob, &api.Problem{Code: api.CodeStorageFull})
		p.act(func() { p.Delete([]api.MessageRef{ref(alice, 2), ref(bob, 2)}) })
		p.pass(time.Second)
		equal(t, "left", strings.Join(p.subjects(0, 4), ","), "Work 2,Message 1,Work 1")
		equal(t, "said", p.toasts(), "1 message moved to Trash | The message could not be moved.")
		equal(t, "counted", p.AllUnread(), 3)
	})
}

func TestQuickDeletesAreOneNote(t *testing.T) {
	in(t, "/inbox", 5, func(t *testing.T, p *page) {
		for range 3 {
			p.act(func() { p.Key(view.Key{Name: "#"}) })
			p.pass(2 * time.Second)
		}
		equal(t, "said", p.toasts(), "3 messages moved to Trash")
		p.pass(5 * time.Second)
		equal(t, "the time counts from the last", p.toasts(), "3 messages moved to Trash")
		p.act(p.UndoLast)
		p.pass(time.Second)
		equal(t, "order", strings.Join(p.subjects(0, 5), ","), "Message 5,Message 4,Message 3,Message 2,Message 1")
		equal(t, "count", p.folder(api.Inbox).Total*10+p.folder(api.Trash).Total, 50)
		p.act(func() { p.Delete(of(1)) })
		equal(t, "another note", p.toasts(), "1 message moved to Trash")
		p.pass(9 * time.Second)
		p.act(func() { p.Delete(of(2)) })
		equal(t, "and another when that one went", p.toasts(), "1 message moved to Trash")
	})
}

func TestSearchInAllInboxes(t *testing.T) {
	both(t, "/all", 3, func(t *testing.T, p *page) {
		p.act(func() { p.SetSearch("work"); p.SubmitSearch() })
		equal(t, "place", p.Browser.Location(), "/search?q=work&in=all")
		equal(t, "found", strings.Join(p.subjects(0, 6), ","), "Work 3,Work 2,Work 1")
		p.act(func() { p.OpenMessage(ref(bob, 2)) })
		equal(t, "place", p.Browser.Location(), "/search/2?q=work&in=all&account="+bob)
		equal(t, "shown", p.Reader.Message.Subject, "Work 2")
		run(t, p.svc, p.Browser.Location(), func(t *testing.T, p *page) {
			equal(t, "a reload shows it again", p.Reader.Message.Subject, "Work 2")
			equal(t, "and what was found", p.List.Total, 3)
		})
	})
}

// Events of either account refresh the list, and only then.
func TestAllInboxesFollow(t *testing.T) {
	both(t, "/all", 1, func(t *testing.T, p *page) {
		m := inbox(1)[0]
		m.ID, m.Subject, m.Date = 9, "Fresh", time.Now().Add(time.Minute)
		p.svc.Arrive(bob, m)
		p.pass(time.Second)
		equal(t, "first", p.subjects(0, 1)[0], "Fresh")
		equal(t, "said with the account", strings.TrimRight(p.Voice.Polite, "\u00a0"), "New message for Work from Bob: Fresh")
		lists := func() (n int) {
			for _, c := range p.svc.Calls() {
				if c == "List" {
					n++
				}
			}
			return n
		}
		before := lists()
		p.svc.Change(func(s *api.Status) { s.Accounts[0].Sync.State = api.Syncing })
		p.pass(time.Second)
		equal(t, "an event that changes no folder asks nothing", lists(), before)
	})
}

func TestPlacesOfSeveralAccounts(t *testing.T) {
	both(t, "/", 1, func(t *testing.T, p *page) {
		equal(t, "without a memory the first account's inbox", p.Browser.Location(), "/inbox")
		p.act(func() { p.Key(view.Key{Name: "g"}); p.Key(view.Key{Name: "a"}) })
		equal(t, "g a", p.Browser.Location(), "/all")
		p.act(func() { p.OpenFolderOf(bob, api.Sent) })
		equal(t, "another's folder", p.Browser.Location(), "/sent?account="+bob)
		equal(t, "is its account's", string(p.Account), bob)
		equal(t, "empty as it is, its link has the focus", p.Browser.Focused, ".folder[aria-current]")
		p.act(p.Browser.Back)
		equal(t, "back", p.Browser.Location(), "/all")
		equal(t, "listed", p.List.Total, 2)
		equal(t, "the account stays the last one", string(p.Account), bob)
		p.act(p.OpenAll)
		p.act(func() { p.Settings.Fold(bob); p.Settings.Fold(alice); p.Settings.Fold(alice) })
		q := &page{viewtest.NewPage(t, p.svc, "/"), p.svc}
		q.Browser.Kept = p.Browser.Kept
		q.Start(t.Context())
		synctest.Wait()
		equal(t, "remembered", q.Browser.Location(), "/all")
		equal(t, "folded", q.Settings.Folded(bob) && !q.Settings.Folded(alice), true)

		p.act(func() { p.OpenMessage(ref(bob, 1)) })
		p.act(func() { p.Session.SignOut(true) }) // bob's
		p.act(func() { p.Question.Agree() })
		equal(t, "with one account there is no place for all", p.Browser.Location(), "/inbox")
		equal(t, "nothing of the other is open", p.Reader.ID, api.MessageID(0))
		equal(t, "title", p.Browser.Title, "Inbox – "+alice+" – Postern")
	})
	in(t, "/all", 2, func(t *testing.T, p *page) {
		equal(t, "one account", p.Browser.Location(), "/inbox")
		equal(t, "total", p.List.Total, 2)
	})
	both(t, "/all/1?account=gone@x", 1, func(t *testing.T, p *page) {
		equal(t, "of an account that is gone", p.Browser.Location(), "/all")
	})
}

func TestNotificationOfAnotherAccount(t *testing.T) {
	both(t, "/sent", 1, func(t *testing.T, p *page) {
		p.Browser.Allow = true
		p.act(p.Settings.ToggleNotify)
		m := inbox(1)[0]
		m.ID, m.Subject = 7, "Fresh"
		p.svc.Arrive(bob, m)
		p.pass(time.Second)
		equal(t, "notified", strings.Join(p.Browser.Notified, ","), "Bob for Work: Fresh")
		p.act(p.Browser.ClickNotification)
		equal(t, "place", p.Browser.Location(), "/inbox/7?account="+bob)
		equal(t, "shown", p.Reader.Message.Subject, "Fresh")
	})
}

// A message that another account sends is followed, wherever the page is.
func TestOutboxOfAnotherAccount(t *testing.T) {
	both(t, "/inbox", 1, func(t *testing.T, p *page) {
		p.act(p.Compose)
		p.act(func() { p.Composer.SetSender(1); p.Composer.SetTo("x@example.org"); p.Composer.Send() })
		equal(t, "in its outbox", p.stored(bob, 2).Folder, api.Outbox)
		p.svc.Outgoing(bob, 2, func(r *api.Row) { r.State, r.Folder = api.StateSent, api.Sent })
		synctest.Wait()
		equal(t, "said", p.toasts(), "Message sent")
		p.act(func() { p.Toasts.Act(p.Toasts.Shown[0].ID) })
		equal(t, "shown", p.Browser.Location(), "/sent/2?account="+bob)
	})
}
