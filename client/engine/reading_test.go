package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/postern-mail/postern/client/api"
)

const rich = "From: Carol <carol@example.org>\r\nTo: <alice@postern.test>\r\nCc: <dave@example.org>\r\nReply-To: <list@example.org>\r\n" +
	"Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\nDate: Thu, 1 Jan 2026 10:00:00 +0000\r\nMessage-ID: <rich@example.org>\r\nReferences: <first@example.org>\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n" +
	"--m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n" +
	"--r\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" +
	"<p onclick=\"x()\">Hello <b>world</b><script>evil()</script></p><img src=\"cid:dot\"><img src=\"https://track.example/p.gif\">\r\n" +
	"--r\r\nContent-Type: image/png\r\nContent-ID: <dot>\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n" +
	"--r--\r\n" +
	"--m\r\nContent-Type: application/pdf; name=\"../report.pdf\"\r\nContent-Disposition: attachment; filename=\"../report.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n" +
	"--m--\r\n"

func TestMessageIsReadSafely(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver([]byte(rich))
		a := w.signIn(alice)
		row := w.only(a.ID, api.Inbox)
		ref := api.MessageRef{Account: a.ID, ID: row.ID}
		for range 2 { // the second time from the cache
			m, err := w.Message(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != "Grüße" || m.MessageID != "<rich@example.org>" || len(m.References) != 1 || len(m.Cc) != 1 || len(m.ReplyTo) != 1 || !m.Unread {
				t.Errorf("message %+v", m)
			}
			if strings.Contains(m.HTML, "script") || strings.Contains(m.HTML, "onclick") || strings.Contains(m.HTML, "track.example") || m.Remote != 1 {
				t.Errorf("unsafe HTML, %d remote: %s", m.Remote, m.HTML)
			}
			if !strings.Contains(m.HTML, "data:image/png;base64,iVBORw0KGgo=") {
				t.Errorf("the inline image is missing: %s", m.HTML)
			}
			if len(m.Parts) != 1 || m.Parts[0].Name != "report.pdf" || m.Parts[0].Type != "application/pdf" || m.Parts[0].Size != 5 {
				t.Fatalf("parts %+v", m.Parts)
			}
			p, data, err := w.Attachment(t.Context(), api.PartRef{MessageRef: ref, Index: m.Parts[0].Index})
			if err != nil || string(data) != "%PDF-" || p.Name != "report.pdf" {
				t.Errorf("attachment %+v %q %v", p, data, err)
			}
			clear(data) // the caller's to do with as it likes
		}
		if _, _, err := w.Attachment(t.Context(), api.PartRef{MessageRef: ref, Index: 7}); code(err) != api.CodeBadRequest {
			t.Errorf("no such part: %v", err)
		}
		if _, err := w.Message(t.Context(), api.MessageRef{Account: a.ID, ID: 99}); code(err) != api.CodeNoSuchMessage {
			t.Errorf("no such message: %v", err)
		}
	})
}

func TestMessageThatIsNoMessageIsStoredAndShown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const nonsense = "\x00\xff not a message at all"
		w.pop.Maildrop[alice].Deliver([]byte(nonsense + "\r\n"))
		a := w.signIn(alice)
		m, err := w.Message(t.Context(), api.MessageRef{Account: a.ID, ID: w.only(a.ID, api.Inbox).ID})
		if err != nil || m.Note == "" || !strings.Contains(m.Text, "not a message at all") {
			t.Errorf("message %+v, %v", m, err)
		}
		source, err := w.Source(t.Context(), api.MessageRef{Account: a.ID, ID: m.ID})
		if err != nil || string(source) != nonsense+"\r\n" {
			t.Errorf("source %q, %v", source, err)
		}
	})
}

func TestAnEndlessTextIsCutForThePage(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver([]byte("Subject: long\r\n\r\n" + strings.Repeat("0123456789 é\r\n", 1<<20)))
		a := w.signIn(alice)
		m, err := w.Message(t.Context(), api.MessageRef{Account: a.ID, ID: w.only(a.ID, api.Inbox).ID})
		if err != nil || len(m.Text) > shownText+100 || !strings.HasSuffix(m.Text, "the message.]\n") || !utf8.ValidString(m.Text) {
			t.Errorf("%d octets, which end in %q, %v", len(m.Text), m.Text[max(0, len(m.Text)-60):], err)
		}
	})
}

func TestMarkAndMove(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver(letter("x", "y"))
		a := w.signIn(alice)
		r := w.only(a.ID, api.Inbox)
		ids := []api.MessageID{r.ID, 999} // one that somebody else erased meanwhile
		no, yes := false, true
		before := w.accountNow(a.ID).Folders[0]
		if err := w.Mark(t.Context(), api.Mark{Account: a.ID, IDs: ids, Unread: &no, Flagged: &yes}); err != nil {
			t.Fatal(err)
		}
		if r = w.only(a.ID, api.Inbox); r.Unread || !r.Flagged || r.Answered {
			t.Errorf("row %+v", r)
		}
		if now := w.accountNow(a.ID).Folders[0]; now.Unread != 0 || now.Revision <= before.Revision {
			t.Errorf("folder %+v, was %+v", now, before)
		}
		for _, test := range []struct {
			to   api.FolderID
			want api.Code
		}{{api.Trash, ""}, {api.Inbox, ""}, {api.Drafts, api.CodeBadRequest}, {api.Outbox, api.CodeBadRequest}, {"nowhere", api.CodeBadRequest}} {
			if err := w.Move(t.Context(), api.Move{Account: a.ID, IDs: ids, To: test.to}); code(err) != test.want {
				t.Errorf("moving to %s: %v", test.to, err)
			}
		}
		last := w.seen.all()
		if e := last[len(last)-1]; e.Account == nil || e.Account.Folders[0].Total != 1 {
			t.Errorf("the last event: %+v", e)
		}
	})
}

func TestListWindows(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for i := range 30 {
			w.pop.Maildrop[alice].Deliver(letter(string(rune('A'+i)), "x"))
		}
		a := w.signIn(alice)
		p, err := w.List(t.Context(), api.ListQuery{Account: a.ID, Folder: api.Inbox, Offset: 25, Limit: 10})
		if err != nil || p.Total != 30 || p.Unread != 30 || p.Offset != 25 || len(p.Rows) != 5 {
			t.Errorf("page %+v, %v", p, err)
		}
		p, err = w.List(t.Context(), api.ListQuery{Account: a.ID, Folder: api.Inbox, Offset: -5, Limit: 1 << 40})
		if err != nil || len(p.Rows) != 30 || p.Offset != 0 {
			t.Errorf("odd numbers: %d rows, %v", len(p.Rows), err)
		}
		if _, err := w.List(t.Context(), api.ListQuery{Account: a.ID, Folder: "nowhere"}); code(err) != api.CodeBadRequest {
			t.Errorf("no such folder: %v", err)
		}
	})
}

// The page's Client over a Pipe sees the same engine.
func TestThroughThePipe(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver(letter("x", "y"))
		page, port := api.Pipe()
		var seen recorder
		client := api.NewClient(page, seen.record)
		go func() { _ = client.Run(t.Context()) }()
		go func() { _ = api.Serve(t.Context(), port, w.Engine, w.Engine) }()
		defer synctest.Wait()
		defer client.Close()
		a, err := client.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p, err := client.List(t.Context(), api.ListQuery{Account: a.ID, Folder: api.Inbox, Limit: 10})
		if err != nil || p.Total != 1 || p.Rows[0].Subject != "x" {
			t.Fatalf("page %+v, %v", p, err)
		}
		if _, err := client.SignIn(t.Context(), api.SignIn{Email: alice, Password: "no"}); code(err) != api.CodeWrongPassword {
			t.Errorf("wrong password: %v", err)
		}
		if all := seen.all(); len(all) == 0 || all[len(all)-1].Account == nil {
			t.Errorf("events %v", all)
		}
	})
}
