package dsn

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-mail/postern/shared/mail"
)

var noon = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

const original = "Message-ID: <one@postern.test>\r\nSubject: Lunch\r\nDate: Mon, 2 Nov 2026 09:00:00 +0000\r\nFrom: alice@postern.test\r\n\r\nsecret body\r\n"

// about is a report of one recipient.
func about(c Recipient, change func(*Report)) Report {
	r := Report{ReportingMTA: "mx.postern.test", From: "postmaster@postern.test", To: "alice@postern.test", Date: noon, Arrival: noon.Add(-time.Hour),
		Recipients: []Recipient{c}, Original: strings.NewReader(original)}
	if change != nil {
		change(&r)
	}
	return r
}

func compose(t testing.TB, r Report) string {
	t.Helper()
	b, err := Compose(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var refused = Recipient{Action: Failed, Address: "carol@elsewhere.test", Original: "rfc822;Carol@elsewhere.test", Code: 550, Status: "5.1.1", Text: "no such user; sorry",
	Server: "mx1.elsewhere.test (192.0.2.1)", LastAttempt: noon}

func TestWanted(t *testing.T) {
	for _, c := range []struct {
		notify string
		want   string // of failed, delayed, delivered, relayed
	}{
		{"", "yynn"}, {"NEVER", "nnnn"}, {"FAILURE", "ynnn"}, {"DELAY", "nynn"}, {"SUCCESS", "nnyy"}, {"SUCCESS,FAILURE,DELAY", "yyyy"},
	} {
		var notify []string
		if c.notify != "" {
			notify = strings.Split(c.notify, ",")
		}
		got := ""
		for _, a := range []Action{Failed, Delayed, Delivered, Relayed} {
			if Wanted(notify, a) {
				got += "y"
			} else {
				got += "n"
			}
		}
		if got != c.want {
			t.Errorf("NOTIFY=%s: %s, want %s", c.notify, got, c.want)
		}
	}
}

func TestNobodyIsToldOfTheNullSendersMail(t *testing.T) {
	for name, r := range map[string]Report{
		"null sender":   about(refused, func(r *Report) { r.To = "" }),
		"no recipients": about(refused, func(r *Report) { r.Recipients = nil }),
	} {
		if b, err := Compose(r); !errors.Is(err, ErrNobody) || b != nil {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	if _, err := Compose(about(refused, func(r *Report) { r.To = "a@b.test>\r\nBcc: <c@d.test" })); err == nil {
		t.Error("a header was let in by the sender's address")
	}
}

// What is written is what is read.
func TestReadBack(t *testing.T) {
	r := about(refused, func(r *Report) {
		r.EnvelopeID = "QQ314"
		r.Recipients = append(r.Recipients, Recipient{Action: Delayed, Address: "用户@例子.test", Text: "no server answered", Own: true, Status: "4.4.1", RetryUntil: noon.Add(time.Hour)})
	})
	got, ok := mail.Reader{}.Report([]byte(compose(t, r)))
	if !ok || got.ReportingMTA != "mx.postern.test" || got.EnvelopeID != "QQ314" || got.OriginalID != "<one@postern.test>" || !got.Arrival.Equal(r.Arrival) || len(got.Recipients) != 2 {
		t.Fatalf("report %+v %v", got, ok)
	}
	c := got.Recipients[0]
	if c.Action != "failed" || c.Final != refused.Address || c.Original != "Carol@elsewhere.test" || c.Status != "5.1.1" || c.Diagnostic != "550 5.1.1 no such user; sorry" ||
		c.RemoteMTA != "mx1.elsewhere.test" || !c.LastAttempt.Equal(noon) {
		t.Errorf("first %+v", c)
	}
	c = got.Recipients[1]
	if c.Action != "delayed" || c.Final != "用户@例子.test" || c.Diagnostic != "no server answered" || !c.RetryUntil.Equal(noon.Add(time.Hour)) {
		t.Errorf("second %+v", c)
	}
}

func TestHeader(t *testing.T) {
	text := compose(t, about(refused, nil))
	for _, want := range []string{"From: Mail delivery <postmaster@postern.test>\r\n", "To: <alice@postern.test>\r\n", "Subject: Not delivered: Lunch\r\n", "Auto-Submitted: auto-replied\r\n",
		"In-Reply-To: <one@postern.test>\r\n", "Content-Type: multipart/report; report-type=delivery-status;\r\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestPeopleAreTold(t *testing.T) {
	gaveUp := refused
	gaveUp.GaveUp = true
	for name, c := range map[string]struct {
		c    Recipient
		want string
	}{
		"failed":    {refused, "It could not be delivered"},
		"words":     {refused, "550 5.1.1 no such user; sorry"},
		"advice":    {refused, "spelled rightly"},
		"gave up":   {gaveUp, "the time for that is over"},
		"delayed":   {Recipient{Action: Delayed, Address: "c@d.test", RetryUntil: noon}, "need not send it again"},
		"delivered": {Recipient{Action: Delivered, Address: "c@d.test"}, "It was delivered to:"},
		"relayed":   {Recipient{Action: Relayed, Address: "c@d.test"}, "does not report"},
	} {
		if text := compose(t, about(c.c, nil)); !strings.Contains(text, c.want) {
			t.Errorf("%s: no %q in\n%s", name, c.want, text)
		}
	}
}

func TestReturn(t *testing.T) {
	delayed := Recipient{Action: Delayed, Address: "c@d.test"}
	long := original + strings.Repeat("0123456789\r\n", maxFullUnasked/12)
	for name, c := range map[string]struct {
		c         Recipient
		ret, text string
		full      bool
	}{
		"unasked":        {refused, "", original, true},
		"unasked, large": {refused, "", long, false},
		"FULL, large":    {refused, "FULL", long, true},
		"FULL, huge":     {refused, "FULL", original + strings.Repeat("0123456789\r\n", maxFull/12+1), false},
		"HDRS":           {refused, "HDRS", original, false},
		"FULL, delayed":  {delayed, "FULL", original, false},
	} {
		text := compose(t, about(c.c, func(r *Report) { r.Return, r.Original = c.ret, strings.NewReader(c.text) }))
		if got := strings.Contains(text, "secret body"); got != c.full || strings.Contains(text, "text/rfc822-headers") == c.full {
			t.Errorf("%s: whole message %v, want %v", name, got, c.full)
		}
		if report, ok := (mail.Reader{}).Report([]byte(text)); !ok || report.OriginalID != "<one@postern.test>" {
			t.Errorf("%s: report %+v", name, report)
		}
	}
	// What cannot be read is done without.
	for name, from := range map[string]io.Reader{"none": nil, "broken": io.MultiReader(&broken{})} {
		if report, ok := (mail.Reader{}).Report([]byte(compose(t, about(refused, func(r *Report) { r.Original = from })))); !ok || report.Recipients[0].Status != "5.1.1" {
			t.Errorf("%s: report %+v", name, report)
		}
	}
}

type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

func TestGlobal(t *testing.T) {
	c := Recipient{Action: Failed, Address: "用户@例子.test", Code: 550, Text: "nö"}
	for _, utf8 := range []bool{false, true} {
		text := compose(t, about(c, func(r *Report) { r.UTF8 = utf8 }))
		if got := strings.Contains(text, "message/global-delivery-status"); got != utf8 {
			t.Errorf("UTF8 %v: global %v", utf8, got)
		}
		if got := isASCII(text); got == utf8 {
			t.Errorf("UTF8 %v: ASCII %v in\n%s", utf8, got, text)
		}
		if report, ok := (mail.Reader{}).Report([]byte(text)); !ok || report.Recipients[0].Final != c.Address {
			t.Errorf("UTF8 %v: report %+v", utf8, report)
		}
	}
}

// Whatever another server says, a report has lines that SMTP takes, no bare CR or LF, and one recipient for each.
func TestAnyWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.String()
		n := rapid.IntRange(1, 4).Draw(t, "recipients")
		r := about(refused, nil)
		r.Recipients = nil
		for range n {
			r.Recipients = append(r.Recipients, Recipient{Action: rapid.SampledFrom(order).Draw(t, "action"), Address: "c@d.test", Code: rapid.IntRange(0, 599).Draw(t, "code"),
				Status: rapid.SampledFrom([]string{"", "5.1.1", "x\r\n\r\n", "4"}).Draw(t, "status"), Text: words.Draw(t, "text") + strings.Repeat("w", rapid.IntRange(0, 3000).Draw(t, "long")),
				Own: rapid.Bool().Draw(t, "own"), Server: words.Draw(t, "server"), Original: rapid.SampledFrom([]string{"", "rfc822;x@y.test", words.Draw(t, "original")}).Draw(t, "which")})
		}
		r.UTF8, r.EnvelopeID = rapid.Bool().Draw(t, "utf8"), words.Draw(t, "envid")
		b, err := Compose(r)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.SplitSeq(b, []byte("\r\n")) {
			if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("a line of %d octets: %q", len(line), line)
			}
		}
		report, ok := mail.Reader{}.Report(b)
		if !ok || len(report.Recipients) != n {
			t.Fatalf("read %+v, wrote %d in\n%s", report, n, b)
		}
		for i, c := range report.Recipients {
			if c.Final != "c@d.test" || c.Action != string(r.Recipients[i].Action) {
				t.Fatalf("recipient %+v, wrote %+v", c, r.Recipients[i])
			}
		}
	})
}
