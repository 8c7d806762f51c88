package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
)

func (b *browser) size(w, h int64, mobile bool) {
	s := 1.0
	b.run(emulation.SetDeviceMetricsOverride(w, h, s, mobile))
}

func zzMail(from, subject string, age time.Duration, headers, body string) []byte {
	return []byte(fmt.Sprintf("From: %s\r\nTo: Alice <alice@postern.test>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <zz-%d@x.example>\r\nMIME-Version: 1.0\r\n%s\r\n%s", from, subject, time.Now().Add(-age).Format(time.RFC1123Z), time.Now().UnixNano(), headers, body))
}

const zzPNG = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC"

func zzDeliver(t *testing.T, g *gateway) {
	a := func(m []byte) { send(t, g.Addr("smtp"), "stranger@x.example", "alice@postern.test", m) }
	a(zzMail(`"Inline Ida" <ida@x.example>`, "With an inline picture", time.Minute, "Content-Type: multipart/related; boundary=r\r\n",
		"--r\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Here: <img src=\"cid:pic@x\" width=100 height=100 alt=\"a red square\"> and remote <img src=\"https://x.example/a.png\" alt=\"remote picture\" width=200 height=100></p><p><a href=\"https://evil.example/\">https://bank.example/</a></p>\r\n--r\r\nContent-Type: image/png\r\nContent-ID: <pic@x>\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: inline; filename=pic.png\r\n\r\n"+zzPNG+"\r\n--r--\r\n"))
	wide := "<table border=1><tr>" + strings.Repeat("<td>column of words</td>", 30) + "</tr></table><pre>" + strings.Repeat("x", 400) + "</pre>"
	a(zzMail(`Wide Wanda <w@x.example>`, "A wide table", 2*time.Minute, "Content-Type: text/html; charset=utf-8\r\n", wide))
	var big strings.Builder
	big.WriteString("<html><head><style>p{color:#234}</style></head><body><h1>Newsletter</h1>")
	for i := 0; big.Len() < 3<<20; i++ {
		fmt.Fprintf(&big, "<table width=600 align=center><tr><td><h2>Story %d</h2><p style=\"font:14px Georgia\">Some words of a story that goes on for a line or two and then stops, as stories do.</p></td></tr></table>\r\n", i)
	}
	a(zzMail(`Big News <n@x.example>`, "Three megabytes of news", 3*time.Minute, "Content-Type: text/html; charset=utf-8\r\n", big.String()))
	a(zzMail(`"service@bank.example" <thief@x.example>`, "Spoofed sender", 4*time.Minute, "Content-Type: text/plain\r\n", "Trust me.\r\n"))
	a(zzMail(`Long <l@x.example>`, strings.Repeat("a very long subject that goes on ", 12), 5*time.Minute, "Content-Type: text/plain\r\n", "Look at "+strings.Repeat("https://x.example/verylongurl", 12)+"\r\n"))
	a(zzMail(`Odd <o@x.example>`, "Cannot be parsed", 6*time.Minute, "Content-Type: multipart/mixed; boundary=\"\r\nContent-Transfer-Encoding: nonsense\r\n", "--\r\nfoo\r\n"))
	a([]byte("this is not a message at all\r\n\x00\x01\x02 binary \xff\xfe\r\n"))
	a(zzMail(`No Subject <o@x.example>`, "", 7*time.Minute, "Content-Type: text/plain\r\n", "no subject\r\n"))
	data := make([]byte, 200_000)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	var enc bytes.Buffer
	s := base64.StdEncoding.EncodeToString(data)
	for len(s) > 76 {
		enc.WriteString(s[:76] + "\r\n")
		s = s[76:]
	}
	enc.WriteString(s + "\r\n")
	a(zzMail(`Files <f@x.example>`, "Several files", 8*time.Minute, "Content-Type: multipart/mixed; boundary=r\r\n",
		"--r\r\nContent-Type: text/plain\r\n\r\nSee the files.\r\n--r\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename*=utf-8''R%C3%A9sum%C3%A9%20%E6%97%A5%E6%9C%AC.pdf\r\n\r\n"+enc.String()+"--r\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=pic.png\r\n\r\n"+zzPNG+"\r\n--r\r\nContent-Type: application/zip\r\nContent-Disposition: attachment; filename=\"../../etc/passwd a very long name that goes on and on and on and on for ever.tar.gz\"\r\n\r\nzip\r\n--r--\r\n"))
	a(zzMail(`"HTML Only" <h@x.example>`, "HTML only question", 9*time.Minute, "Content-Type: text/html; charset=utf-8\r\nCc: Bob <bob@postern.test>, Carl <carl@x.example>\r\n", "<div>Hello <b>Alice</b>,<br>shall we <i>go</i>?<ul><li>one</li><li>two</li></ul></div>\r\n"))
	a(zzMail(`=?iso-2022-jp?B?GyRCOjRGIxsoQg==?= <s@x.example>`, "=?shift_jis?B?k/qWe4zqgsyMj5a8?=", 10*time.Minute, "Content-Type: text/plain; charset=iso-2022-jp\r\n", "\x1b$B$3$s$K$A$O@$3&\x1b(B\r\n"))
}

func TestZZRead(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.size(1440, 900, false)
	b.Type("signin-email", "nobody")
	b.Click("signin-submit")
	b.Eval(`new Promise(r => setTimeout(r, 500))`, nil)
	b.shot("a1-empty-fields")
	b.Eval(`(e => { e.focus(); e.select() })(`+q("signin-email")+`)`, nil)
	b.Type("signin-email", "x@nowhere.example")
	b.Type("signin-password", "pw")
	b.Press(enter)
	b.Until("err", q("signin-error")+`?.textContent.trim().length > 0`)
	b.shot("a2-unknown-domain")
	b.Eval(`(e => { e.focus(); e.select() })(`+q("signin-email")+`)`, nil)
	b.Type("signin-email", "alice@postern.test")
	b.Eval(`(e => { e.focus(); e.select() })(`+q("signin-password")+`)`, nil)
	b.Type("signin-password", "wrong")
	b.Press(enter)
	b.Until("err", q("signin-error")+`?.textContent.includes("password was not")`)
	b.shot("a3-wrong")
	b.Eval(`(e => { e.focus(); e.select() })(`+q("signin-password")+`)`, nil)
	b.Type("signin-password", g.password("alice"))
	b.Press(enter)
	b.Until("in", q("folder-inbox")+` !== null`)
	b.shot("a4-in")
	zzDeliver(t, g)
	start := time.Now()
	b.Until("delivered", `+`+q("message-list")+`.dataset.total >= 12`)
	t.Log("arrived by itself after", time.Since(start))
	b.shot("b0-inbox")
	names := []string{}
	b.Eval(`[...document.querySelectorAll('[data-testid="message-row"]')].map(r=>r.dataset.subject)`, &names)
	for i := range names {
		start := time.Now()
		b.Eval(fmt.Sprintf(`document.querySelectorAll('[data-testid="message-row"]')[%d].click()`, i), nil)
		b.Until("body", q("message-body")+` !== null`)
		d := time.Since(start)
		b.Eval(`new Promise(r => setTimeout(r, 700))`, nil)
		var txt string
		b.Eval(`(`+q("message-view")+`).innerText.slice(0,300)`, &txt)
		t.Logf("%d %v %s", i, d, strings.ReplaceAll(txt, "\n", " | "))
		b.shot(fmt.Sprintf("b%02d-desk", i))
		b.size(390, 844, true)
		b.Eval(`new Promise(r => setTimeout(r, 300))`, nil)
		b.shot(fmt.Sprintf("b%02d-phone", i))
		b.size(1440, 900, false)
	}
}

func TestZZGatewayDown(t *testing.T) {
	g := startGateway(t)
	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.Until("the page can start offline", `navigator.serviceWorker.ready.then(r => !!r.active)`)
	g.Kill()
	b.Reload()
	b.Eval(`new Promise(r => setTimeout(r, 1500))`, nil)
	b.shot("a5-gateway-down")
	b.Type("signin-email", "alice@postern.test")
	b.Type("signin-password", "x")
	b.Press(enter)
	b.Eval(`new Promise(r => setTimeout(r, 3000))`, nil)
	b.shot("a6-gateway-down-signin")
	g.Start()
	b.Until("demo", q("demo-alice")+` !== null`)
	b.shot("a7-gateway-back")
}
