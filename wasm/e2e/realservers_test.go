package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/mailtest/testbed"
	"github.com/postern-mail/postern/shared/trust"
)

// allow are the flags by which a gateway lets its streams reach a bed's servers.
func allow(b *testbed.Bed) (flags []string) {
	for _, port := range []int{b.POP3, b.POP3S, b.Submission, b.Submissions} {
		flags = append(flags, "--allow", b.Address(port))
	}
	return flags
}

// setUp fills in the form for an account at a bed by hand, and sends it off.
func (b *browser) setUp(bed *testbed.Bed, who, password string) {
	b.t.Helper()
	b.Type("signin-email", who+"@"+bed.Domain)
	b.Type("signin-password", password)
	b.Click("setup-manual")
	b.Fill("setup-pop3-host", bed.Host)
	b.Fill("setup-pop3-port", strconv.Itoa(bed.POP3S))
	b.Choose("setup-pop3-security", "tls")
	b.Fill("setup-smtp-host", bed.Host)
	b.Fill("setup-smtp-port", strconv.Itoa(bed.Submission))
	b.Choose("setup-smtp-security", "starttls")
	b.Fill("setup-user", who)
	b.Click("signin-submit")
}

// An account at a real Dovecot and a real Postfix, set up by hand; their certificate, which nobody knows vouches for, is
// looked at and trusted; mail is read, and the answer is found in the other's maildrop.
func TestRealServers(t *testing.T) {
	bed := testbed.Start(t)
	g := startGateway(t, allow(bed)...)
	b := startBrowser(t, "alice")
	deliverQuestion(t, bed)
	b.Go(g.URL())
	b.answers(bed, "real-server")
}

// deliverQuestion puts one of Bob's into Alice's maildrop.
func deliverQuestion(t testing.TB, bed *testbed.Bed) {
	t.Helper()
	bed.Deliver(t, "alice", []byte("From: Bob <bob@example.test>\r\nTo: alice@example.test\r\nSubject: From a real server\r\n"+
		"Message-ID: <real-1@example.test>\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nIs this thing on?\r\n"))
}

// answers is Alice, who sets her account at a bed up, reads the question and answers it.
func (b *browser) answers(bed *testbed.Bed, shot string) {
	b.t.Helper()
	b.setUp(bed, "alice", "alice-pw")
	// Two servers, two questions.
	for _, server := range []string{"POP3", "SMTP"} {
		b.Until("the certificate of the "+server+" server is shown", q("trust-certificate")+` !== null && !`+q("trust-certificate")+`.disabled`)
		if server == "POP3" {
			b.Until("with its fingerprint", fmt.Sprintf(`document.body.innerText.toLowerCase().replace(/[^0-9a-f]/g, "").includes(%s)`, js(trust.Fingerprint(bed.Certificate.Certificate[0]))))
			b.shot(shot + "-certificate")
		}
		b.Click("trust-certificate")
		if server == "POP3" {
			b.Until("that is settled", q("trust-certificate")+` === null || `+q("trust-certificate")+`.closest('[role="dialog"]').innerText.includes("SMTP")`)
		}
	}
	b.Open("From a real server")
	b.Until("the mail is read", body+`.includes("Is this thing on?")`)
	b.shot(shot)
	b.Click("reply")
	b.Type("compose-body", "It is. ")
	b.Click("compose-send")
	got := string(bed.Await(b.t, "bob", "Re: From a real server"))
	if !strings.Contains(got, "It is.") || !strings.Contains(got, "In-Reply-To: <real-1@example.test>") {
		b.t.Errorf("what arrived:\n%s", got)
	}
	b.Click("account-menu")
	b.Until("the account is sealed", q("account-seal")+`.textContent.includes("Sealed")`)
	b.shot(shot + "-account")
}

// A password that is not ASCII, and TLS that comes by STLS.
func TestRealServersByUpgrade(t *testing.T) {
	bed := testbed.Start(t)
	g := startGateway(t, allow(bed)...)
	bed.Deliver(t, "carol", []byte("From: Bob <bob@example.test>\r\nSubject: For Carol\r\n\r\nHello.\r\n"))
	b := startBrowser(t, "carol")
	b.Go(g.URL())
	b.Type("signin-email", "carol@"+bed.Domain)
	b.Type("signin-password", "pässwörd-carol")
	b.Click("setup-manual")
	b.Fill("setup-pop3-host", bed.Host)
	b.Choose("setup-pop3-security", "starttls")
	b.Fill("setup-pop3-port", strconv.Itoa(bed.POP3))
	b.Fill("setup-smtp-host", bed.Host)
	b.Choose("setup-smtp-security", "tls")
	b.Fill("setup-smtp-port", strconv.Itoa(bed.Submissions))
	b.Fill("setup-user", "carol")
	b.Click("signin-submit")
	for range 2 {
		b.Click("trust-certificate")
		b.Until("the next question, or the mail", q("trust-certificate")+` === null`)
	}
	b.Open("For Carol")
}
