package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/client/api"
)

const trace = "Return-Path: <a@b.test>\r\nAuthentication-Results: mail.postern.test;\r\n\tdmarc=fail\r\n"

// junkLetter is what the gateway's server hands out of a message that it does not believe.
func junkLetter(subject string) []byte {
	return []byte(trace + "X-Postern-Junk: yes; reason=\"DMARC: bank.test asks to reject what it neither sent nor signed\"\r\n" +
		"Received: from x ([192.0.2.1])\r\n\tby mail.postern.test with ESMTP\r\n\tid 1; now\r\n" + string(letter(subject, "buy")))
}

func TestJunkReason(t *testing.T) {
	const yes, received = "X-Postern-Junk: yes; reason=\"why\"\r\n", "Received: from by.by.test ([192.0.2.1])\r\n\tby MAIL.postern.test with ESMTP; now\r\n"
	for message, want := range map[string]string{
		trace + yes + received + "\r\n": "why",
		yes + received:                  "why",
		"x-postern-junk: YES ;\r\n reason=\"folded\r\n  twice\"\r\n" + received: "", // not as our server writes it
		"x-postern-junk: YES;\r\n reason=\"folded\r\n  twice\"\r\n" + received:  "folded  twice",
		"X-Postern-Junk: yes\r\n" + received:                                    "The mail server holds it for junk.",
		"X-Postern-Junk: no; reason=\"why\"\r\n" + received:                     "",
		"X-Postern-Junk: yes; reason=\"\x1b[1mbold\u202e\"\r\n" + received:      " [1mbold ",
		received + yes + "\r\n":                                                 "", // beneath: the sender's
		trace + yes + strings.Replace(received, "MAIL.postern", "x", 1) + yes:   "",
		yes + "Received: nonsense\r\n":                                          "",
		yes + "Subject: no trace\r\n\r\n" + received:                            "",
		"Subject: " + yes + received:                                            "",
		strings.Repeat("a: b\r\n", mostTrace/6+1) + yes + received:              "",
		"": "",
	} {
		if got := junkReason([]byte(message), "mail.postern.test"); got != want {
			t.Errorf("%.200q: %q, want %q", message, got, want)
		}
	}
}

func TestJunkArrivesInJunk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.signIn(alice)
		if n := len(w.accountNow(a.ID).Folders); n != len(api.Folders) {
			t.Errorf("%d folders before there was any junk", n)
		}
		w.pop.Maildrop[alice].Deliver(junkLetter("one"))
		time.Sleep(defaultPoll + time.Second)
		synctest.Wait()
		if news := w.seen.newMail(); news != nil {
			t.Errorf("news of junk: %v", news)
		}
		w.pop.Maildrop[alice].Deliver(junkLetter("two"))
		w.pop.Maildrop[alice].Deliver(letter("three", "x"))
		time.Sleep(defaultPoll + time.Second)
		synctest.Wait()
		if news := w.seen.newMail(); len(news) != 1 || news[0] != 1 {
			t.Errorf("news %v", news)
		}
		if rows := w.list(a.ID, api.Inbox); len(rows) != 1 || rows[0].Subject != "three" {
			t.Errorf("inbox %v", rows)
		}
		rows := w.list(a.ID, api.Junk)
		if len(rows) != 2 {
			t.Fatalf("junk %v", rows)
		}
		folders := w.accountNow(a.ID).Folders
		if last := folders[len(folders)-1]; last.ID != api.Junk || last.Total != 2 || last.Unread != 2 {
			t.Errorf("folders %+v", folders)
		}
		ref := api.MessageRef{Account: a.ID, ID: rows[0].ID}
		m, err := w.Message(t.Context(), ref)
		if err != nil || m.Junk != "DMARC: bank.test asks to reject what it neither sent nor signed" {
			t.Errorf("%+v %v", m, err)
		}
		// Not junk: it goes where it would have, and stays there.
		if err := w.Move(t.Context(), api.Move{Account: a.ID, IDs: []api.MessageID{ref.ID}, To: api.Inbox}); err != nil {
			t.Fatal(err)
		}
		if m, err := w.Message(t.Context(), ref); err != nil || m.Folder != api.Inbox || m.Junk != "" {
			t.Errorf("%+v %v", m, err)
		}
		w.halt()
		w.start()
		time.Sleep(2 * defaultPoll)
		synctest.Wait()
		if inbox, junk := w.list(a.ID, api.Inbox), w.list(a.ID, api.Junk); len(inbox) != 2 || len(junk) != 1 {
			t.Errorf("over a restart inbox %v, junk %v", inbox, junk)
		}
	})
}

// Of another server the field is the sender's.
func TestJunkIsTheOwnServersWord(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for host, want := range map[string]string{"": "junk", "mail.postern.test": "inbox"} {
			a := &account{e: w.Engine, email: alice}
			a.rec.Settings.Servers = api.Servers{POP3: api.Server{Host: host}}
			if got := a.arrivesIn(junkLetter("x")); string(got) != want {
				t.Errorf("from %q: %s, want %s", host, got, want)
			}
		}
	})
}
