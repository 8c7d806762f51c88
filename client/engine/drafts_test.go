package engine

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-mail/postern/client/api"
)

func TestDraftIsSavedUnderOneNumber(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		d := api.Draft{Account: a.ID, To: to("half-writ"), Subject: "s", Text: "one two"}
		saved, err := w.SaveDraft(t.Context(), d)
		if err != nil || saved.ID == 0 {
			t.Fatalf("saved %+v, %v", saved, err)
		}
		saved.Text = "three  four\n\nfive"
		saved.Answers = 3
		again, err := w.SaveDraft(t.Context(), saved)
		if err != nil || again.ID != saved.ID {
			t.Fatalf("saved again %+v, %v", again, err)
		}
		r := w.only(a.ID, api.Drafts)
		if r.ID != saved.ID || r.State != api.StateDraft || r.Snippet != "three four five" || r.To[0].Addr != "half-writ" || r.Unread {
			t.Errorf("row %+v", r)
		}
		w.halt()
		w.start()
		opened, err := w.OpenDraft(t.Context(), api.MessageRef{Account: a.ID, ID: saved.ID})
		if err != nil || cmp.Diff(saved, opened) != "" {
			t.Errorf("after a restart: %v %s", err, cmp.Diff(saved, opened))
		}
		m, err := w.Message(t.Context(), api.MessageRef{Account: a.ID, ID: saved.ID})
		if err != nil || m.Text != saved.Text {
			t.Errorf("read as a message: %+v, %v", m, err)
		}
		if err := w.Move(t.Context(), api.Move{Account: a.ID, IDs: []api.MessageID{saved.ID}, To: api.Trash}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.SaveDraft(t.Context(), saved); err != nil { // still open in a composer
			t.Fatal(err)
		}
		w.only(a.ID, api.Drafts)
		if err := w.Erase(t.Context(), api.Erase{Account: a.ID, IDs: []api.MessageID{saved.ID}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.SaveDraft(t.Context(), saved); code(err) != api.CodeNoSuchMessage {
			t.Errorf("an erased draft: %v", err)
		}
	})
}

func TestOnlyDraftsOpenAsDrafts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver(letter("x", "y"))
		a := w.signIn(alice)
		id := w.only(a.ID, api.Inbox).ID
		if _, err := w.OpenDraft(t.Context(), api.MessageRef{Account: a.ID, ID: id}); code(err) != api.CodeBadRequest {
			t.Errorf("opening: %v", err)
		}
		if _, err := w.SaveDraft(t.Context(), api.Draft{Account: a.ID, ID: id}); code(err) != api.CodeNoSuchMessage {
			t.Errorf("saving over it: %v", err)
		}
		if w.only(a.ID, api.Inbox).Subject != "x" {
			t.Error("the message is changed")
		}
	})
}

func TestAttachmentsTravel(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pop.Maildrop[alice].Deliver([]byte(rich))
		a := w.signIn(alice)
		image := bytes.Repeat([]byte{0, 1, 2, 255}, 1000)
		up, err := w.Upload(t.Context(), api.Upload{Account: a.ID, Name: "bild.png", Type: "image/png"}, image)
		if err != nil || up.Size != 4000 {
			t.Fatalf("upload %+v, %v", up, err)
		}
		forward, err := w.Forwardable(t.Context(), api.MessageRef{Account: a.ID, ID: w.only(a.ID, api.Inbox).ID})
		if err != nil || len(forward) != 1 || forward[0].Name != "report.pdf" || forward[0].Size != 5 {
			t.Fatalf("forwardable %+v, %v", forward, err)
		}
		d, err := w.SaveDraft(t.Context(), api.Draft{Account: a.ID, To: to(bob), Subject: "s", Attachments: append(forward, up)})
		if err != nil {
			t.Fatal(err)
		}
		m, err := w.Message(t.Context(), api.MessageRef{Account: a.ID, ID: d.ID})
		if err != nil || len(m.Parts) != 2 {
			t.Fatalf("the draft read: %+v, %v", m, err)
		}
		_, data, err := w.Attachment(t.Context(), api.PartRef{MessageRef: api.MessageRef{Account: a.ID, ID: d.ID}, Index: 1})
		if err != nil || !bytes.Equal(data, image) {
			t.Errorf("a part of the draft: %d octets, %v", len(data), err)
		}
		id := w.send(d)
		synctest.Wait()
		if len(w.post.letters()) != 1 {
			t.Fatal("not sent")
		}
		_, data, err = w.Attachment(t.Context(), api.PartRef{MessageRef: api.MessageRef{Account: a.ID, ID: id}, Index: 1})
		if err != nil || !bytes.Equal(data, image) {
			t.Errorf("a part of the sent message: %d octets, %v", len(data), err)
		}
		if r := w.only(a.ID, api.Sent); r.Attachments != 2 {
			t.Errorf("row %+v", r)
		}
	})
}

func TestAttachmentsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.limits.Attachments = 10_000
		w.start()
		defer w.halt()
		a := w.signIn(alice)
		if _, err := w.Upload(t.Context(), api.Upload{Account: a.ID, Name: "x"}, make([]byte, 10_001)); code(err) != api.CodeTooLarge {
			t.Errorf("one too large: %v", err)
		}
		up, err := w.Upload(t.Context(), api.Upload{Account: a.ID, Name: "x"}, make([]byte, 6000))
		if err != nil {
			t.Fatal(err)
		}
		d := api.Draft{Account: a.ID, To: to(bob), Attachments: []api.DraftAttachment{up, up}}
		if _, err := w.SaveDraft(t.Context(), d); code(err) != api.CodeTooLarge {
			t.Errorf("together too large, saved: %v", err)
		}
		d.Attachments[0].Size, d.Attachments[1].Size = 0, 0 // whatever it says
		if _, err := w.Send(t.Context(), d); code(err) != api.CodeTooLarge {
			t.Errorf("together too large, sent: %v", err)
		}
		d.Attachments[0].Size, d.Attachments[1].Size = 1<<62, 1<<62
		if _, err := w.SaveDraft(t.Context(), d); code(err) != api.CodeTooLarge {
			t.Errorf("sizes that overflow: %v", err)
		}
	})
}

func TestSnippet(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		" a\t b\r\n\n c ":         "a b c",
		strings.Repeat("é", 1000): strings.Repeat("é", 200),
	} {
		if got := snippet(in); got != want {
			t.Errorf("snippet(%.20q) = %q", in, got)
		}
	}
}
