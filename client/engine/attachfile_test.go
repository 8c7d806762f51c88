package engine

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/tunnel"
)

// attachment is the answer to AttachFile.
type attachment struct {
	api.DraftAttachment
	err error
}

// attach begins to attach /file, and answers the transfer that it is.
func (w *filesWorld) attach(ctx context.Context, a api.Account) (api.Transfer, chan attachment) {
	w.t.Helper()
	answer := make(chan attachment, 1)
	go func() {
		at, err := w.AttachFile(ctx, api.AttachFile{FileRef: api.FileRef{Site: w.site.ID, Path: "/file"}, Account: a.ID})
		answer <- attachment{at, err}
	}()
	synctest.Wait()
	for _, x := range w.transferList() {
		if x.Direction == api.Attaching {
			return x, answer
		}
	}
	w.t.Fatal("it is no transfer")
	return api.Transfer{}, nil
}

// A file for a draft is a transfer: with progress, in a lane of its own, and it can be paused and canceled. It goes when it is over.
func TestAttachingIsATransfer(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		a := w.signIn(alice)
		data := noise(5<<20, 1)
		w.ftp.Files.Put("/file", data)
		hold := func() (open func()) {
			gate := make(chan struct{})
			w.gateway.data.mu.Lock()
			defer w.gateway.data.mu.Unlock()
			w.gateway.data.gate = gate
			return func() { close(gate) }
		}
		open := hold()
		for range mostRunning + 1 {
			w.download("/file")
		}
		x, answer := w.attach(t.Context(), a)
		if x.State != api.TransferRunning || x.Name != "file" || x.Folder != "/" || x.Size != int64(len(data)) {
			t.Errorf("%+v", x)
		}
		if again, second := w.attach(t.Context(), a); again.ID != x.ID {
			t.Errorf("%+v", again)
		} else {
			defer func() { <-second }()
		}
		open()
		if at := <-answer; at.err != nil || at.Size != int64(len(data)) {
			t.Fatalf("%+v", at)
		}
		seen := false
		for _, e := range w.seen.all() {
			seen = seen || e.Transfer != nil && e.Transfer.ID == x.ID && e.Transfer.Done > 0 && e.Transfer.Done < e.Transfer.Size
		}
		if !seen {
			t.Error("no progress was told")
		}
		time.Sleep(time.Minute)
		if l := w.transferList(); len(l) != mostRunning+1 {
			t.Errorf("%+v", l)
		}

		// Paused and taken up again, over a file that is replaced.
		open = hold()
		x, answer = w.attach(t.Context(), a)
		if err := w.PauseTransfer(t.Context(), x.ID); err != nil {
			t.Fatal(err)
		}
		open()
		time.Sleep(time.Minute)
		if x = w.transfer(x.ID); x.State != api.TransferPaused {
			t.Errorf("%+v", x)
		}
		data = noise(4<<20, 2)
		w.ftp.Files.Put("/file", data)
		if _, err := w.ResumeTransfer(t.Context(), api.ResumeTransfer{ID: x.ID}); err != nil {
			t.Fatal(err)
		}
		at := <-answer
		if at.err != nil || at.Size != int64(len(data)) {
			t.Fatalf("%+v", at)
		}
		d, err := w.SaveDraft(t.Context(), api.Draft{Account: a.ID, To: to(bob), Attachments: []api.DraftAttachment{at.DraftAttachment}})
		if err != nil {
			t.Fatal(err)
		}
		if _, got, err := w.Attachment(t.Context(), api.PartRef{MessageRef: api.MessageRef{Account: a.ID, ID: d.ID}}); err != nil || !bytes.Equal(got, data) {
			t.Errorf("another file, %v", err)
		}
	})
}

// Canceled in each state, and left by its page: it ends, and is answered.
func TestAttachingIsCanceled(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		a := w.signIn(alice)
		w.ftp.Files.Put("/file", noise(5<<20, 1))
		ctx, leave := context.WithCancel(t.Context())
		for _, c := range []struct {
			name       string
			setUp, end func(x api.Transfer) error
		}{
			{"offline", func(api.Transfer) error { w.gateway.setTo(tunnel.Offline, errCut); return nil }, func(x api.Transfer) error { return w.CancelTransfer(t.Context(), x.ID) }},
			{"running", func(api.Transfer) error { return nil }, func(x api.Transfer) error { return w.CancelTransfer(t.Context(), x.ID) }},
			{"paused", func(x api.Transfer) error { return w.PauseTransfer(t.Context(), x.ID) }, func(x api.Transfer) error { return w.CancelTransfer(t.Context(), x.ID) }},
			{"left", func(api.Transfer) error { return nil }, func(x api.Transfer) error { leave(); return nil }},
			{"its site goes", func(api.Transfer) error { return nil }, func(x api.Transfer) error { return w.RemoveSite(t.Context(), x.Site) }},
		} {
			gate := make(chan struct{})
			w.gateway.data.gate = gate
			if c.name == "its site goes" {
				ctx = t.Context()
			}
			x, answer := w.attach(ctx, a)
			if err := c.setUp(x); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			time.AfterFunc(time.Second, func() { close(gate) })
			if err := c.end(x); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if at := <-answer; code(at.err) != api.CodeCanceled {
				t.Errorf("%s: %+v", c.name, at)
			}
			time.Sleep(2 * time.Second)
			if l := w.transferList(); len(l) != 0 {
				t.Errorf("%s: %+v", c.name, l)
			}
			w.gateway.set(tunnel.Online)
			synctest.Wait()
		}
	})
}

// What somebody has to do something about is answered at once: who attaches waits.
func TestAttachingWithoutPassword(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		a := w.signIn(alice)
		w.ftp.Files.Put("/file", noise(100, 1))
		w.addSite(api.AddSite{Site: w.site.ID, Server: w.site.Server})
		w.restart()
		_, err := w.AttachFile(t.Context(), api.AttachFile{FileRef: api.FileRef{Site: w.site.ID, Path: "/file"}, Account: a.ID})
		if code(err) != api.CodePasswordNeeded || len(w.transferList()) != 0 {
			t.Errorf("%v, %+v", err, w.transferList())
		}
	})
}
