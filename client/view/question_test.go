package view_test

import (
	"testing"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// What cannot be taken back is asked about, in figures; not to do it is what Enter and Esc do.
func TestErasingIsAskedAbout(t *testing.T) {
	n := func(n int) *int { return &n }
	for _, c := range []struct {
		name                string
		in, sent, out, rest int
		onServer            *int
		want                string
	}{
		{"all on the server", 1200, 0, 0, 4, n(1204), "1,204 messages will be gone from this device. The server had all of them too at the last look, and keeps them."},
		{"some", 900, 300, 0, 4, n(904), "1,204 messages will be gone from this device. 300 of them are nowhere else."},
		{"removed there", 10, 0, 0, 0, n(9), "10 messages will be gone from this device. 1 of them is nowhere else."},
		{"one, and it is there", 1, 0, 0, 0, n(1), "1 message will be gone from this device. The server had it too at the last look, and keeps it."},
		{"removed there, and own", 10, 2, 0, 0, n(7), "12 messages will be gone from this device. 5 of them are nowhere else."},
		{"nothing there", 10, 1, 2, 0, n(0), "13 messages will be gone from this device. They are nowhere else. What waits in the Outbox is not sent: 2 messages."},
		{"one", 0, 1, 0, 0, nil, "1 message will be gone from this device. It is nowhere else."},
		{"not known", 5, 0, 0, 0, nil, "5 messages will be gone from this device. Whether the server still has them is not known until mail is fetched again."},
		{"not known, and own", 5, 2, 0, 0, nil, "7 messages will be gone from this device. The 2 written here are nowhere else. Whether the server still has the others is not known until mail is fetched again."},
		{"not known, and one of each", 1, 1, 0, 0, nil, "2 messages will be gone from this device. The one written here is nowhere else. Whether the server still has the other is not known until mail is fetched again."},
		{"not known of one", 1, 0, 0, 0, nil, "1 message will be gone from this device. Whether the server still has it is not known until mail is fetched again."},
	} {
		settled(t, func(t *testing.T, p *page) {
			p.svc.Change(func(s *api.Status) {
				s.Accounts[1].Folders = []api.Folder{{ID: api.Inbox, Total: c.in}, {ID: api.Sent, Total: c.sent}, {ID: api.Outbox, Total: c.out}, {ID: api.Trash, Total: c.rest}}
				s.Accounts[1].Sync.OnServer = c.onServer
			})
			p.act(func() { p.Session.SignOut(true) })
			equal(t, c.name, p.Question.Means, c.want)
			equal(t, "focus", p.Browser.Focused, `[data-testid="question-no"]`)
			p.act(func() { equal(t, "keys of the page mean nothing", p.Key(view.Key{Name: "j"}), false) })
			p.act(func() { p.Key(view.Key{Name: "Escape"}) })
			equal(t, "closed", p.Question.Asked(), false)
			equal(t, "still there", len(p.Accounts), 2)
			equal(t, "nothing was done", len(p.svc.SignedOut()), 0)
			equal(t, "focus", p.Browser.Focused, `[data-testid="account-menu"]`)
			p.act(func() { p.Session.SignOut(true) })
			p.act(func() { p.Question.Agree() })
			equal(t, "erased", p.svc.SignedOut()[0].Erase, true)
			equal(t, "gone", len(p.Accounts), 1)
		})
	}
}

// There is nothing to lose where there is no mail.
func TestErasingNothingIsNotAskedAbout(t *testing.T) {
	settled(t, func(t *testing.T, p *page) {
		p.act(func() { p.Session.SignOut(true) })
		equal(t, "gone", len(p.Accounts), 1)
	})
}
