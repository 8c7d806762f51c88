package engine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/tunnel"
)

// What a mail server takes is known from signing in on, over restarts, and changes with what it says and refuses.
func TestLargestMail(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		restart := func() { w.halt(); w.fs = w.fs.Restart(nil); w.start() }
		want := func(when string, octets int64) {
			t.Helper()
			synctest.Wait()
			if got := w.accountNow(a.ID).LargestMail; got != octets {
				t.Errorf("%s: %d octets", when, got)
			}
			told := int64(0)
			for _, e := range w.seen.all() {
				if e.Account != nil {
					told = e.Account.LargestMail
				}
			}
			if told != octets {
				t.Errorf("%s: the page was told of %d octets", when, told)
			}
		}
		send := func(octets int, reply string) api.Row {
			t.Helper()
			if reply != "" {
				w.post.failOnce("MAIL", reply)
			}
			at, err := w.Upload(t.Context(), api.Upload{Account: a.ID, Name: "a.bin"}, noise(octets, uint64(octets)))
			if err != nil {
				t.Fatal(err)
			}
			id := w.send(api.Draft{Account: a.ID, To: to(bob), Attachments: []api.DraftAttachment{at}})
			synctest.Wait()
			return w.row(a.ID, id)
		}
		want("after signing in to the gateway's own server", 0)
		send(100, "")
		want("after the first mail", 30_000_000)
		restart()
		want("after a restart", 30_000_000)

		w.post.mu.Lock()
		w.post.extensions = []string{"SIZE 2000000"}
		w.post.mu.Unlock()
		if r := send(100, ""); r.State != api.StateSent {
			t.Errorf("%+v", r)
		}
		want("when it announces less", 2_000_000)
		if r := send(1_600_000, ""); r.State != api.StateFailed || problemCode(r.Problem) != api.CodeTooLarge || r.Problem.Detail == "" {
			t.Errorf("%+v, %v", r, r.Problem)
		}
		restart()
		want("after a restart", 2_000_000)

		if r := send(400_000, "552 5.2.2 mailbox full"); r.State != api.StateFailed || problemCode(r.Problem) != api.CodeMessageRefused {
			t.Errorf("%+v, %v", r, r.Problem)
		}
		want("when there is no room", 2_000_000)
		if r := send(500_000, "552 5.3.4 too big for us"); r.State != api.StateFailed || problemCode(r.Problem) != api.CodeTooLarge {
			t.Errorf("%+v, %v", r, r.Problem)
		}
		synctest.Wait()
		refused := w.accountNow(a.ID).LargestMail
		if predicted := api.MailSize(500_000, 0); refused >= predicted || refused < predicted-6000 {
			t.Errorf("%d octets, and %d were foretold", refused, predicted)
		}
		send(200_000, "")
		want("when less is taken", refused)
		send(600_000, "452 4.3.4 too big for now")
		want("when it is refused for now", refused)
		send(700_000, "")
		want("when more is taken", 2_000_000)
	})
}

// Servers elsewhere say it when they are asked whether they take the password.
func TestLargestMailOfAServerElsewhere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.gateway.serveAt("pop.example.org:110", w.pop, nil)
		w.gateway.serveAt("smtp.example.org:587", w.post, nil)
		a, err := w.SignIn(t.Context(), api.SignIn{Email: alice, Password: alicePW, Keep: true, Servers: &api.Servers{
			POP3: api.Server{Host: "pop.example.org", Port: 110, Security: api.Plain},
			SMTP: api.Server{Host: "smtp.example.org", Port: 587, Security: api.Plain},
		}})
		if err != nil || a.LargestMail != 30_000_000 {
			t.Fatalf("%+v, %v", a, err)
		}
		w.halt()
		w.fs = w.fs.Restart(nil)
		w.start()
		if got := w.accountNow(a.ID).LargestMail; got != 30_000_000 {
			t.Errorf("after a restart: %d octets", got)
		}
	})
}

// What a page reckons is no less than what a mail becomes, and hardly more.
func TestMailSize(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		for _, octets := range []int{0, 1, 56, 57, 58, 1_000_000} {
			at, err := w.Upload(t.Context(), api.Upload{Account: a.ID, Name: "a.bin"}, noise(octets, 1))
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf("%0*d", 1000, octets)
			w.send(api.Draft{Account: a.ID, To: to(bob), Text: text, Attachments: []api.DraftAttachment{at}})
			synctest.Wait()
			letters := w.post.letters()
			is, reckoned := int64(len(letters[len(letters)-1].content)), api.MailSize(int64(octets), int64(len(text)))
			if is > reckoned || reckoned > is+5000 {
				t.Errorf("%d octets make %d, and %d were reckoned", octets, is, reckoned)
			}
		}
	})
}

func TestTooLarge(t *testing.T) {
	for _, c := range []struct {
		e    smtp.Error
		want bool
	}{
		{smtp.Error{Code: 552}, true}, {smtp.Error{Code: 552, Enhanced: "5.3.4"}, true}, {smtp.Error{Code: 554, Enhanced: "5.3.4"}, true},
		{smtp.Error{Code: 552, Enhanced: "5.2.3"}, true}, {smtp.Error{Code: 552, Enhanced: "5.2.2"}, false}, {smtp.Error{Code: 554}, false},
	} {
		if got := isTooLarge(&c.e); got != c.want {
			t.Errorf("%+v: %v", c.e, got)
		}
	}
	known := mailSize{Announced: 100, Refused: 50}
	if m := known.after(20, errors.New("cut")); m != known {
		t.Errorf("%+v", m)
	}
	for m, want := range map[mailSize]int64{{}: 0, {100, 0}: 100, {100, 50}: 49, {100, 100}: 99, {100, 200}: 100, {0, 50}: 49} {
		if got := m.largest(); got != want {
			t.Errorf("%+v: %d", m, got)
		}
	}
}

// An attachment of a draft that is too large for the mail is put on a file server from where it is kept, over a cut and a restart.
func TestAttachmentIsSavedFromItsDraft(t *testing.T) {
	inFiles(t, func(t *testing.T, w *filesWorld) {
		a := w.signIn(alice)
		data := noise(3<<20, 3)
		at, err := w.Upload(t.Context(), api.Upload{Account: a.ID, Name: "film.mp4", Type: "video/mp4"}, data)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.SaveDraft(t.Context(), api.Draft{Account: a.ID, To: to(bob), Attachments: []api.DraftAttachment{at}}); err != nil {
			t.Fatal(err)
		}
		save := api.SavePart{Part: api.PartRef{MessageRef: api.MessageRef{Account: a.ID}}, Attachment: &at, Site: w.site.ID, Folder: "/"}
		w.cutAfter(2<<20, time.Minute)
		s, err := w.SavePart(t.Context(), save)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.restart()
		w.gateway.set(tunnel.Online)
		time.Sleep(time.Minute)
		s = w.until(s.ID, api.TransferDone, api.TransferFailed)
		if got, _ := w.ftp.Files.Get("/film.mp4"); s.URL != "ftp://ftp.example.org/film.mp4" || !bytes.Equal(got, data) {
			t.Errorf("%+v, %v", s, s.Problem)
		}
		if _, err := w.SavePart(t.Context(), save); code(err) != api.CodeFileExists {
			t.Errorf("%v", err)
		}
		at.Name = "../../" + strings.Repeat("ü", 200) + ".mp4"
		if s, err = w.SavePart(t.Context(), save); err != nil || len(s.Name) > maxFileName || !strings.HasSuffix(string(s.Path), "üü.mp4") || s.Folder != "/" {
			t.Errorf("%+v, %v", s, err)
		}
		w.until(s.ID, api.TransferDone)
		at.Blob = "0000"
		if _, err := w.SavePart(t.Context(), save); code(err) != api.CodeNoSuchMessage {
			t.Errorf("%v", err)
		}
		save.Part.Account = "nobody"
		if _, err := w.SavePart(t.Context(), save); err == nil {
			t.Error("an attachment of nobody's")
		}
	})
}
