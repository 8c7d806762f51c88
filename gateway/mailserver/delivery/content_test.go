package delivery

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/postern-mail/postern/shared/mailtest"
)

// TestForms: in what form a message goes to servers that lack something, or why it does not. RFC 6152 section 3, RFC 6531 section 3.2.
func TestForms(t *testing.T) {
	eight := "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße an alle\r\n"
	seven := "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe an alle\r\n"
	long := "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("a", 1000) + "\r\n"
	broken := "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	const width = encodedLine - 4
	for left := 1000; left > 0; left -= width {
		if broken += strings.Repeat("a", min(left, width)); left > width {
			broken += "=\r\n"
		}
	}
	broken += "\r\n"
	wide := "Subject: Grüße\r\n\r\nplain\r\n"
	signed := "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n%s\r\n--b--\r\n"
	no8 := func(s *mailtest.SMTP) { s.No8Bit = true }
	noUTF8 := func(s *mailtest.SMTP) { s.NoUTF8 = true }
	chunking := func(s *mailtest.SMTP) { s.Chunking = true }
	all := func(*mailtest.SMTP) {}
	for _, c := range []struct {
		name     string
		server   func(*mailtest.SMTP)
		content  string
		from, to string
		utf8     bool
		outcome  string
		sent     string // "" for the content as it is
		params   string // is in MAIL
		absent   string // is not
		rcpt     string
		raw      bool // the peer is right to complain
	}{
		{name: "8-bit to who takes it", server: all, content: eight, outcome: "delivered", params: "BODY=8BITMIME", absent: "SMTPUTF8"},
		{name: "8-bit to who does not", server: no8, content: eight, outcome: "delivered", sent: seven, absent: "BODY"},
		{name: "7-bit", server: no8, content: hello, outcome: "delivered", absent: "BODY"},
		{name: "signed 8-bit", server: no8, content: strings.ReplaceAll(signed, "%s", "ü"), outcome: "failed 554 5.6.3"},
		{name: "long lines", server: all, content: long, outcome: "delivered", sent: broken},
		{name: "long lines in chunks", server: chunking, content: long, outcome: "delivered"},
		{name: "long lines, signed", server: all, content: strings.ReplaceAll(signed, "%s", strings.Repeat("a", 1500)), outcome: "delivered"},
		{name: "the flag alone", server: noUTF8, content: hello, utf8: true, outcome: "delivered", absent: "SMTPUTF8"},
		{name: "a header in UTF-8", server: all, content: wide, utf8: true, outcome: "delivered", params: "SMTPUTF8"},
		{name: "a header in UTF-8 to who does not take it", server: noUTF8, content: wide, utf8: true, outcome: "failed 553 5.6.7"},
		{name: "a header that nobody said is UTF-8", server: noUTF8, content: wide, outcome: "delivered", params: "BODY=8BITMIME", absent: "SMTPUTF8", raw: true},
		{name: "such a header over 7 bits", server: no8, content: wide, outcome: "failed 553 5.6.7"},
		{name: "the header of a part", server: no8, content: "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: ü\r\n\r\nx\r\n--b--\r\n", outcome: "failed 553 5.6.7"},
		{name: "a domain beyond ASCII", server: noUTF8, content: hello, to: "b@bücher.example", utf8: true, outcome: "delivered", absent: "SMTPUTF8", rcpt: "b@xn--bcher-kva.example"},
		{name: "a sender's domain beyond ASCII", server: noUTF8, content: hello, from: "a@bücher.example", utf8: true, outcome: "delivered", absent: "SMTPUTF8"},
		{name: "a local part beyond ASCII", server: all, content: hello, to: "büro@example.org", utf8: true, outcome: "delivered", params: "SMTPUTF8", rcpt: "büro@example.org"},
		{name: "a local part beyond ASCII to who does not take it", server: noUTF8, content: hello, to: "büro@example.org", utf8: true, outcome: "failed 553 5.6.7"},
		{name: "a sender beyond ASCII to who does not take it", server: noUTF8, content: hello, from: "büro@postern.test", utf8: true, outcome: "failed 553 5.6.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, peer := one(t, c.server)
				m := message(c.content, "b@example.org")
				m.UTF8 = c.utf8
				if c.to != "" {
					m.Recipients[0].Address = c.to
				}
				if c.from != "" {
					m.From = c.from
				}
				results, transcript := w.deliverer().Deliver(t.Context(), "example.org", m)
				want(t, results[0], c.outcome, transcript)
				got := peer.Received()
				if c.outcome != "delivered" {
					if len(got) > 0 || !results[0].Local || results[0].Server == "" {
						t.Errorf("%+v; %d received", results[0], len(got))
					}
					return
				}
				if c.sent == "" {
					c.sent = c.content
				}
				if len(got) != 1 {
					t.Fatalf("%d messages", len(got))
				}
				if string(got[0].Content) != c.sent {
					t.Errorf("%q\nwant %q", got[0].Content, c.sent)
				}
				if p := got[0].Params; !strings.Contains(p, c.params) || c.absent != "" && strings.Contains(p, c.absent) {
					t.Errorf("MAIL with %q", p)
				}
				if c.rcpt != "" && got[0].To[0] != c.rcpt {
					t.Errorf("RCPT %q", got[0].To)
				}
				if !c.raw {
					checkPeers(t, peer)
				}
			})
		})
	}
}

// One recipient who cannot be told to a server is no reason for the others not to get the message.
func TestOneWideRecipient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, peer := one(t, func(s *mailtest.SMTP) { s.NoUTF8 = true })
		results, transcript := w.deliverer().Deliver(t.Context(), "example.org", message(hello, "b@example.org", "büro@example.org", "c@example.org"))
		for i, outcome := range []string{"delivered", "failed 5.6.7", "delivered"} {
			want(t, results[i], outcome, transcript)
		}
		checkPeers(t, peer)
	})
}

// A server that knows EHLO not at all is one of 1982: seven bits, nothing else.
func TestHELO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.domain("example.org", "10 mx.example.org 192.0.2.1")
		w.serve("192.0.2.1", mailtest.Script(t, mailtest.Say("220 hello\r\n"), mailtest.Converse(
			"EHLO mail.postern.test", "502 what?", "HELO mail.postern.test", "250 hello", "MAIL FROM:<a@postern.test>", "250 ok",
			"RCPT TO:<b@example.org>", "250 ok", "DATA", "354 go"),
			mailtest.Converse("Subject: x"), mailtest.Converse("MIME-Version: 1.0"), mailtest.Converse("Content-Type: text/plain; charset=utf-8"),
			mailtest.Converse("Content-Transfer-Encoding: quoted-printable"), mailtest.Converse(""), mailtest.Converse("=C3=BC und mehr"), mailtest.Converse(".", "250 thanks"),
			mailtest.Converse("QUIT", "221 bye")))
		d := w.deliverer()
		results, transcript := d.Deliver(t.Context(), "example.org", message("Subject: x\r\n\r\nü und mehr\r\n", "b@example.org"))
		d.Close()
		want(t, results[0], "relayed", transcript)
		if results[0].Text != "thanks" {
			t.Errorf("%+v", results[0])
		}
	})
}
