package e2e

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/mailtest/testbed"
)

// crossing passes connections on to an address that may change, as that of a name in the DNS may.
type crossing struct {
	Port int

	mu sync.Mutex
	to string
}

func startCrossing(t testing.TB, to string) *crossing {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &crossing{Port: l.Addr().(*net.TCPAddr).Port, to: to}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { c.pass(near) })
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
	return c
}

func (c *crossing) pass(near net.Conn) {
	defer near.Close()
	c.mu.Lock()
	to := c.to
	c.mu.Unlock()
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(far, near)
		far.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(near, far)
	near.Close()
	<-done
}

// Lead leads new connections elsewhere.
func (c *crossing) Lead(to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = to
}

// letter is a message from Bob.
func letter(subject, text string) []byte {
	return []byte("From: Bob Builder <bob@example.test>\r\nTo: alice@example.test\r\nSubject: " + subject + "\r\nMessage-ID: <" + strings.ReplaceAll(subject, " ", ".") +
		"@example.test>\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text + "\r\n")
}

// parcel is a message from Bob with a large file.
func parcel(subject string, octets int) []byte {
	var b strings.Builder
	b.WriteString("From: Bob Builder <bob@example.test>\r\nTo: alice@example.test\r\nSubject: " + subject + "\r\nDate: Mon, 02 Nov 2026 11:00:00 +0000\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nThe plans are attached.\r\n--b\r\nContent-Type: application/pdf; name=plans.pdf\r\n" +
		"Content-Disposition: attachment; filename=plans.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for text := base64.StdEncoding.EncodeToString(make([]byte, octets)); text != ""; {
		n := min(76, len(text))
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	b.WriteString("--b--\r\n")
	return []byte(b.String())
}

// gone waits until no message with marker is in a Maildir.
func gone(t testing.TB, bed *testbed.Bed, user, marker string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(bed.Messages(t, user, marker)) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("“%s” is in the Maildir of %s still", marker, user)
		}
		<-time.After(20 * time.Millisecond) // Maildirs give no event that is worth its code
	}
}

// startFull starts a server that takes Alice's password and then has no room to work in.
func startFull(t testing.TB, bed *testbed.Bed) (address string) {
	t.Helper()
	s := mailtest.NewPOP3()
	s.Password["alice"], s.Maildrop["alice"] = "alice-pw", new(mailtest.Maildrop)
	s.Fault = func(stage string, _ int) *mailtest.POP3Fault {
		if stage == "STAT" {
			return &mailtest.POP3Fault{Answer: "-ERR [SYS/TEMP] the disk is full\r\n"}
		}
		return nil
	}
	c := &tls.Config{Certificates: []tls.Certificate{bed.Certificate}}
	return mailtest.Listen(t, mailtest.ServerFunc(func(conn net.Conn) { s.ServeConn(tls.Server(conn, c)) }))
}

// untilFault waits until the line that a failure is about, a pattern, is marked and can be seen amid the others.
func (b *browser) untilFault(pattern string) {
	b.t.Helper()
	b.Until("the line that it is about", fmt.Sprintf(`(list => {
		if (list.length !== 1 || !new RegExp(%s).test(list[0].querySelector("code").textContent)) return false;
		const r = list[0].getBoundingClientRect(), l = %s.getBoundingClientRect();
		return r.top >= l.top && r.bottom <= l.bottom && r.bottom <= innerHeight;
	})(document.querySelectorAll('[data-testid="wire-line"][aria-current="true"]'))`, js(pattern), q("wire-lines")))
}

// trustBoth looks at the certificates of both servers, which nobody knows vouches for, and trusts them.
func (b *browser) trustBoth() {
	b.t.Helper()
	for _, server := range []string{"POP3", "SMTP"} {
		b.Until("the certificate of the "+server+" server is shown", fmt.Sprintf(`(%s?.innerText || "").includes("(%s)")`, q("certificate"), server))
		b.Click("trust-certificate")
	}
}

// settings opens the settings of the present account.
func (b *browser) settings() {
	b.t.Helper()
	b.Click("account-menu")
	b.Click("account-settings")
	b.Until("the settings are there", q("settings-label")+` !== null`)
}

// save saves them and goes back to the mail.
func (b *browser) save() {
	b.t.Helper()
	b.Click("settings-save")
	b.Until("they are saved", q("settings-state")+`.textContent === "Saved"`)
	b.Click("settings-close")
	b.Until("the mail is back", q("settings-form")+` === null`)
}

// An account elsewhere is lived with: what is said in its settings happens on the server, a large message is fetched when it
// is asked for, a failed send leads to what was said, the passphrase locks sending and fetching, another account on
// another server is in the same list, and another certificate stops everything.
func TestAccountElsewhere(t *testing.T) {
	bed := testbed.Start(t)
	pop3s := startCrossing(t, bed.Address(bed.POP3S))
	g := startGateway(t, append(allow(bed), "--allow", fmt.Sprintf("127.0.0.1:%d", pop3s.Port))...)
	bed.Deliver(t, "alice", letter("A short note", "Is this thing on?"))

	b := startBrowser(t, "alice")
	b.Go(g.URL())
	b.Type("signin-email", "alice@"+bed.Domain)
	b.Type("signin-password", "alice-pw")
	b.Click("setup-manual")
	b.Click("setup-offer")
	b.Until("the usual names are filled in", q("setup-pop3-host")+`?.value === "pop.`+bed.Domain+`"`)
	b.Type("setup-name", "Alice Adams")
	b.Fill("setup-pop3-host", bed.Host)
	b.Fill("setup-pop3-port", strconv.Itoa(pop3s.Port))
	b.Fill("setup-smtp-host", bed.Host)
	b.Choose("setup-smtp-security", "starttls")
	b.Fill("setup-smtp-port", strconv.Itoa(bed.Submission))
	b.Fill("setup-user", "alice")
	b.shot("elsewhere-setup")
	b.Click("signin-submit")
	b.trustBoth()
	b.Open("A short note")
	b.shot("elsewhere-mail")

	// A reload does not take what was not saved.
	b.settings()
	b.Fill("settings-label", "Home")
	asked := make(chan bool, 1)
	chromedp.ListenTarget(b.ctx, func(ev any) {
		if ev, ok := ev.(*page.EventJavascriptDialogOpening); ok && ev.Type == page.DialogTypeBeforeunload {
			go func() { chromedp.Run(b.ctx, page.HandleJavaScriptDialog(false)); asked <- true }()
		}
	})
	b.Eval(`setTimeout(() => location.reload())`, nil)
	select {
	case <-asked:
	case <-time.After(wait):
		t.Error("the browser did not ask")
	}
	b.Until("it is still there", q("settings-label")+`.value === "Home"`)
	b.save()

	// Of what is large, the beginning; the rest when it is asked for.
	b.settings()
	b.Until("nothing lies over what is said", `[...document.querySelectorAll(".settings-body .hint")].every(e => {
		e.scrollIntoView({block: "center"});
		const r = e.getBoundingClientRect();
		return [r.left + 4, r.right - 4].every(x => document.elementFromPoint(x, (r.top + r.bottom) / 2) === e);
	})`)
	b.shot("elsewhere-settings")
	b.Fill("settings-most", "1")
	b.save()
	bed.Deliver(t, "alice", parcel("Plans of the shed", 3<<20))
	b.Click("sync-now")
	b.Open("Plans of the shed")
	b.Until("only the beginning is here", q("partial")+` !== null && `+body+`.includes("The plans are attached.")`)
	b.shot("elsewhere-partial")
	b.Click("fetch-rest")
	b.Until("all of it is here", q("partial")+` === null && +`+q("attachment")+`.dataset.size === `+strconv.Itoa(3<<20))
	if n := len(bed.Messages(t, "alice", "Date: Mon, 02 Nov 2026")); n != 2 {
		t.Errorf("%d messages are on the server, which were to stay there", n)
	}

	// Deleted there when it is deleted here.
	b.settings()
	b.Choose("settings-leave", "until-deleted")
	b.save()
	bed.Deliver(t, "alice", letter("To be thrown away", "Read and forgotten."))
	b.Click("sync-now")
	b.Open("To be thrown away")
	b.Click("delete")
	b.Until("it is not in the list", row("To be thrown away")+` === undefined`)
	b.Click("sync-now")
	gone(t, bed, "alice", "To be thrown away")
	if n := len(bed.Messages(t, "alice", "A short note")); n != 1 {
		t.Errorf("%d of what was not deleted here are on the server", n)
	}

	// Deleted there as soon as it is safe here.
	b.settings()
	b.Choose("settings-leave", "never")
	b.shot("elsewhere-leave")
	b.save()
	b.Click("sync-now")
	gone(t, bed, "alice", "A short note")
	gone(t, bed, "alice", "Plans of the shed")
	b.Reload()
	b.Open("A short note")
	b.Until("and it is here after a reload", body+`.includes("Is this thing on?")`)

	// A failed send leads to what was said.
	b.Compose("nobody@example.test", "To nobody", "Is anybody there?")
	b.Click("folder-outbox")
	b.Until("it failed", q("outbox-row")+`?.dataset.state === "failed"`)
	b.Eval(q("outbox-row")+`.click()`, nil)
	b.shot("elsewhere-failed")
	b.Click("wire-link")
	b.Until("the server's No is there", `[...document.querySelectorAll('[data-testid="wire-line"][data-who="server"]')].some(e => e.dataset.state === "RCPT" && e.textContent.includes("550"))`)
	b.untilFault(`^550 `)
	b.Until("that connection alone", `document.querySelectorAll('[data-testid="wire-session"][aria-pressed="true"]').length === 1 && location.pathname.includes("wire") && new Set([...document.querySelectorAll('.wire-cut')]).size === 1`)
	b.Until("why it failed", `(`+q("wire-problem")+`?.textContent || "").includes("nobody@example.test")`)
	b.Until("no password", `!`+q("wire-view")+`.innerText.includes("alice-pw") && !`+q("wire-view")+`.innerText.includes(btoa("\0alice\0alice-pw"))`)
	b.Until("nor what would allow it to be found", `[...document.querySelectorAll('[data-testid="wire-line"][data-state="AUTH"] code')].every(e => !/^334 [^*]/.test(e.textContent))`)
	b.shot("elsewhere-wire")

	// Under a passphrase.
	b.Press("\u001b")
	b.settings()
	b.Fill("passphrase-new", "correct horse")
	b.Fill("passphrase-again", "correct horse")
	b.Click("passphrase-set")
	b.Until("it is set", q("settings-state")+`.textContent === "The passphrase is set"`)
	b.shot("elsewhere-passphrase")
	b.Click("settings-close")
	b.Reload()
	b.Until("it is asked for", q("unlock-passphrase")+` !== null`)
	b.shot("elsewhere-locked")
	b.Fill("unlock-passphrase", "wrong")
	b.Press(enter)
	b.Until("that was not it", q("unlock-form")+`.innerText.includes("not the passphrase")`)
	b.shot("elsewhere-locked-wrong")
	b.Fill("unlock-passphrase", "correct horse")
	b.Press(enter)
	b.Until("unlocked", q("unlock-form")+` === null`)
	b.Click("folder-inbox")
	bed.Deliver(t, "alice", letter("After the passphrase", "Open again."))
	b.Click("sync-now")
	b.Until("mail comes", row("After the passphrase")+` !== undefined`)
	gone(t, bed, "alice", "After the passphrase")

	// Another account, on the gateway's own server.
	b.Click("account-menu")
	b.Click("account-add")
	b.Click("demo-bob")
	b.Until("two accounts", `document.querySelectorAll('[data-testid="account-tree"]').length === 2`)
	b.Click("folder-unified")
	b.Until("in one list", `new Set([...document.querySelectorAll('[data-testid="message-row"]')].map(e => e.dataset.account)).size === 2`)
	b.Open("After the passphrase")
	b.Click("reply")
	b.Until("the answer is from the account that it came to", q("compose-from")+`?.selectedOptions[0].textContent.includes("Alice Adams <alice@example.test>")`)
	b.Type("compose-body", "It is. ")
	b.shot("elsewhere-reply")
	b.Click("compose-send")
	got := string(bed.Await(t, "bob", "Re: After the passphrase"))
	if !strings.Contains(got, "From: Alice Adams <alice@example.test>") {
		t.Errorf("the answer:\n%s", got)
	}

	// Another certificate is another server, until somebody says that it is not.
	pop3s.Lead(net.JoinHostPort(bed.SelfSigned.Host, strconv.Itoa(bed.SelfSigned.POP3S)))
	bed.Deliver(t, "alice", letter("Behind the other", "Not seen."))
	b.Click("sync-now")
	b.Until("it is said", `(`+q("banner")+`?.textContent || "").includes("is not the one you trusted")`)
	b.shot("elsewhere-changed")
	b.Click("banner-certificate")
	b.Until("loud, and not by one click", q("certificate")+`.classList.contains("certificate-changed") && `+q("trust-certificate")+`.disabled && document.activeElement === `+q("certificate-cancel"))
	b.shot("elsewhere-changed-sheet")
	b.Click("certificate-cancel")
	if len(bed.Messages(t, "alice", "Behind the other")) != 1 {
		t.Error("something was fetched behind another certificate")
	}
	pop3s.Lead(bed.Address(bed.POP3S))
	b.Click("sync-now")
	b.Until("with the old one it goes on", row("Behind the other")+` !== undefined`)

	// A failed fetch leads to what was said, too.
	pop3s.Lead(startFull(t, bed))
	b.Click("sync-now")
	b.Until("it is said", `(`+q("banner")+`?.textContent || "").includes("the disk is full")`)
	b.Click("wire-link")
	b.untilFault(`^-ERR \[SYS/TEMP\] the disk is full`)
	b.shot("elsewhere-fetch-failed")
	b.Phone()
	b.Reload()
	b.untilFault(`^-ERR \[SYS/TEMP\] the disk is full`)
	b.shot("elsewhere-fetch-failed-phone")
	b.Desktop()
}
