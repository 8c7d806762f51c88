package e2e

import (
	"bytes"
	"fmt"
	"mime/quotedprintable"
	"testing"
	"time"
)

// sample is a message of an ordinary inbox, written for these tests.
type sample struct {
	name, addr, subject, text, html string
	attachment                      string
	age                             time.Duration
}

var samples = []sample{
	{name: "Ingrid Vaughan", addr: "ingrid@harbour.example", subject: "Notes from the harbour walk", age: 8 * time.Minute,
		text: "Hello Alice,\n\nhere are the notes that I promised. The old customs house opens on Sundays at ten, and the keeper lets one climb to the lantern if one asks before noon.\n\nThings to bring:\n\n- the tide table (https://tides.example/2026/november)\n- something warm; the wind there does not joke\n- the good camera\n\n> Shall we take the early ferry?\n\nYes. The 8:40, so that there is time for coffee.\n\nIngrid"},
	{name: "The Corner Bakery", addr: "letters@bakery.example", subject: "Your weekly letter from the bakery", age: 50 * time.Minute,
		html: `<table width="100%" bgcolor="#f7efe2" cellpadding="24"><tr><td align="center"><table width="560" bgcolor="#ffffff" cellpadding="28"><tr><td><h1 style="font-family:Georgia,serif;color:#6b3f1d;margin:0 0 12px">This week: sourdough</h1><p style="font-family:Georgia,serif;font-size:16px;line-height:1.6;color:#333">Three days of patience, one hour of heat. On Thursday the first loaves of the new rye come out at seven.</p><p><a href="https://bakery.example/order" style="background:#6b3f1d;color:#fff;padding:10px 18px;text-decoration:none">Keep one for me</a></p><img src="https://bakery.example/pixel.gif" width="1" height="1"></td></tr></table></td></tr></table>`},
	{name: "佐藤 健", addr: "sato@example.jp", subject: "来週の打ち合わせについて", age: 3 * time.Hour, text: "アリス様\n\n来週火曜日の打ち合わせは午後二時からでよろしいでしょうか。資料は前日までにお送りします。\n\n佐藤"},
	{name: "Bob", addr: "bob@postern.test", subject: "Re: The wall needs a gate", age: 5 * time.Hour, text: "Small, and at the back, where nobody looks. I have drawn one.\n\nBob", attachment: "gate.txt"},
	{name: "Library of the Old Town", addr: "desk@library.example", subject: "Two books are due on Friday", age: 26 * time.Hour, text: "The books below are due on Friday. You can keep both for another two weeks: answer this message with the word keep."},
	{name: "Mira Okafor", addr: "mira@okafor.example", subject: "Photographs from the summer house, and a long subject that has to be cut somewhere near here", age: 30 * time.Hour, text: "I found them at last.", attachment: "summer.txt"},
	{name: "Railway Tickets", addr: "noreply@railway.example", subject: "Your journey on 28 November", age: 2 * 24 * time.Hour, text: "Coach 4, seat 51, window. Platform 7. The train leaves at 09:12."},
	{name: "Tomás Herrera", addr: "tomas@herrera.example", subject: "¿Vienes el sábado?", age: 3 * 24 * time.Hour, text: "Traemos pan y queso. Trae tú el vino."},
	{name: "Accounts", addr: "accounts@studio.example", subject: "Invoice 2026-1107", age: 5 * 24 * time.Hour, text: "Please find the invoice attached. It is payable within thirty days.", attachment: "invoice-2026-1107.txt"},
	{name: "Dr. Lena Brandt", addr: "lena@uni.example", subject: "Comments on chapter three", age: 9 * 24 * time.Hour, text: "I have marked two places where the argument turns too quickly. Otherwise: yes."},
	{name: "", addr: "alarm@nas.example", subject: "Disk 2: all checks passed", age: 20 * 24 * time.Hour, text: "ok"},
}

// deliverSamples fills Alice's inbox with an ordinary week.
func deliverSamples(t testing.TB, g *gateway) {
	t.Helper()
	now := time.Now()
	for i, s := range samples {
		send(t, g.Addr("smtp"), s.addr, "alice@postern.test", s.message(now.Add(-s.age), i))
	}
}

func (s sample) message(date time.Time, n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: =?utf-8?q?%s?= <%s>\r\nTo: Alice <alice@postern.test>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <sample-%d@%s>\r\nMIME-Version: 1.0\r\n",
		qword(s.name), s.addr, "=?utf-8?q?"+qword(s.subject)+"?=", date.Format(time.RFC1123Z), n, "samples.example")
	body := func(kind, text string) {
		fmt.Fprintf(&b, "Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", kind)
		w := quotedprintable.NewWriter(&b)
		w.Write([]byte(text))
		w.Close()
		b.WriteString("\r\n")
	}
	kind, text := "plain", s.text
	if s.html != "" {
		kind, text = "html", s.html
	}
	if s.attachment == "" {
		body(kind, text)
		return b.Bytes()
	}
	b.WriteString("Content-Type: multipart/mixed; boundary=sample\r\n\r\n--sample\r\n")
	body(kind, text)
	fmt.Fprintf(&b, "--sample\r\nContent-Type: text/plain; name=%[1]q\r\nContent-Disposition: attachment; filename=%[1]q\r\n\r\nThe content of %[1]s.\r\n--sample--\r\n", s.attachment)
	return b.Bytes()
}

// qword is the inside of an RFC 2047 Q-encoded word.
func qword(s string) string {
	var b bytes.Buffer
	for _, c := range []byte(s) {
		switch {
		case c == ' ':
			b.WriteByte('_')
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}
