package mail

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// The shapes in which servers report. All are written here for this test.
var reports = map[string]struct{ text, want string }{
	"Postfix": {`From: MAILER-DAEMON@mx.postern.test (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary="b/1"

--b/1
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

Could not be delivered.
--b/1
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.postern.test
X-Postfix-Queue-ID: 4ABC
X-Postfix-Sender: rfc822; alice@postern.test
Arrival-Date: Mon,  2 Nov 2026 10:00:00 +0000 (UTC)

Final-Recipient: rfc822; carol@elsewhere.test
Original-Recipient: rfc822;c@elsewhere.test
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.elsewhere.test
Diagnostic-Code: smtp; 550 5.1.1 <carol@elsewhere.test>: unknown;
    see the manual

--b/1
Content-Description: Undelivered Message
Content-Type: message/rfc822

Message-ID: <one@postern.test>
Subject: Lunch

text
--b/1--
`, `mx.postern.test <one@postern.test> [failed carol@elsewhere.test c@elsewhere.test 5.1.1 mx.elsewhere.test "550 5.1.1 <carol@elsewhere.test>: unknown; see the manual"]`},
	"Exim, for people alone": {`From: Mail Delivery System <Mailer-Daemon@mx.postern.test>
X-Failed-Recipients: carol@elsewhere.test,
 dave@elsewhere.test
In-Reply-To: <one@postern.test>
Content-Type: text/plain

A message that you sent could not be delivered.
`, ` <one@postern.test> [failed carol@elsewhere.test    ""] [failed dave@elsewhere.test    ""]`},
	"Exim": {`X-Failed-Recipients: carol@elsewhere.test
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-type: text/plain

text
--b
Content-type: message/delivery-status

Reporting-MTA: dns; mx.postern.test

Action: failed
Final-Recipient: rfc822;carol@elsewhere.test
Status: 5.0.0
Action: delayed
Final-Recipient: rfc822;dave@elsewhere.test
Status: 4.0.0

--b
Content-type: text/rfc822-headers

Message-ID: <one@postern.test>
--b--
`, `mx.postern.test <one@postern.test> [failed carol@elsewhere.test  5.0.0  ""] [delayed dave@elsewhere.test  4.0.0  ""]`},
	"Gmail": {`From: Mail Delivery Subsystem <mailer-daemon@big.test>
In-Reply-To: <one@postern.test>
Content-Type: multipart/report; boundary="outer"; report-type=delivery-status

--outer
Content-Type: multipart/related; boundary="inner"

--inner
Content-Type: multipart/alternative; boundary="innermost"

--innermost
Content-Type: text/plain; charset="UTF-8"

Address not found
--innermost--
--inner--
--outer
Content-Type: message/delivery-status

Reporting-MTA: dns; big.test
Arrival-Date: Mon, 02 Nov 2026 02:00:00 -0800 (PST)

Final-Recipient: rfc822; carol@elsewhere.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550-5.1.1 no such account.
 550 5.1.1 see the help

--outer--
`, `big.test <one@postern.test> [failed carol@elsewhere.test  5.1.1  "550-5.1.1 no such account. 550 5.1.1 see the help"]`},
	"Exchange": {`From: <postmaster@corp.test>
Content-Type: multipart/report; report-type=delivery-status; boundary="_x_"

--_x_
Content-Type: text/html; charset="us-ascii"

<p>No.</p>
--_x_
Content-Type: message/delivery-status

Reporting-MTA: dns;corp.test

Final-recipient: RFC822;<carol@elsewhere.test>
Action: Failed
Status: 5.7.1 (delivery not authorized)
Diagnostic-code: smtp;550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized
X-Display-Name: Carol

--_x_--
`, `corp.test  [failed carol@elsewhere.test  5.7.1  "550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized"]`},
	"addresses beyond ASCII, fields apart, mixed": {`Content-Type: multipart/mixed; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test

Final-Recipient: utf-8; \x{7528}\x{6237}@x.test

Status: 4.4.1

--b--
`, `mx.test  [delayed 用户@x.test  4.4.1  ""]`},
	"several, with and without a blank line between them": {`Content-Type: message/global-delivery-status

Final-Recipient: utf-8; 用户@例子.test
Status: 5.6.7
Final-Recipient: utf-8; J\x{f6}rg\x{41}\x{zz}\x{0000041}@elsewhere.test
Action: RELAYED (to a server that does not report)
Original-Recipient: nonsense

Final-Recipient:
Action: failed

a line that is no field
Original-Recipient: rfc822;dan@elsewhere.test
Status: 4.4.1
`, `  [failed 用户@例子.test  5.6.7  ""] [relayed JörgA\x{zz}\x{0000041}@elsewhere.test nonsense   ""] [delayed dan@elsewhere.test  4.4.1  ""]`},
	"nobody failed":   {"X-Failed-Recipients: \n\ntext\n", ""},
	"group of no one": {"X-Failed-Recipients: undisclosed:;, Carol\n\ntext\n", ""},
	"no report":       {"Subject: hello\n\nFinal-Recipient: rfc822; a@b.test\nAction: failed\n", ""},
	"about no one":    {"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x.test\n\nAction: failed\nStatus: 5.0.0\n", ""},
}

func TestReport(t *testing.T) {
	for name, c := range reports {
		report, ok := Reader{}.Report([]byte(strings.ReplaceAll(c.text, "\n", "\r\n")))
		got := ""
		if ok {
			got = report.ReportingMTA + " " + report.OriginalID
			for _, r := range report.Recipients {
				got += fmt.Sprintf(" [%s %s %s %s %s %q]", r.Action, r.Final, r.Original, r.Status, r.RemoteMTA, r.Diagnostic)
			}
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestReportOfTooMany(t *testing.T) {
	text := "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x.test\r\n\r\n" + strings.Repeat("Final-Recipient: rfc822; a@b.test\r\nAction: failed\r\n\r\n", maxReported+5)
	if report, ok := (Reader{}).Report([]byte(text)); !ok || len(report.Recipients) != maxReported {
		t.Errorf("%d recipients %v, want %d", len(report.Recipients), ok, maxReported)
	}
}

func FuzzReport(f *testing.F) {
	for _, c := range reports {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		report, ok := Reader{}.Report(raw)
		if ok != (len(report.Recipients) > 0) || len(report.Recipients) > maxReported {
			t.Fatalf("%d recipients, ok %v", len(report.Recipients), ok)
		}
		text := []string{report.ReportingMTA, report.EnvelopeID, report.OriginalID}
		for _, r := range report.Recipients {
			if r.Final == "" || r.Action == "" {
				t.Fatalf("about nobody: %+v", r)
			}
			text = append(text, r.Final, r.Original, r.Diagnostic, r.RemoteMTA, r.Status)
		}
		for _, s := range text {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
				t.Fatalf("text %q", s)
			}
		}
	})
}
