package smtpd

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postern-mail/postern/gateway/mailserver/internal/linetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	aliceLogin = "AUTH PLAIN AGFsaWNlQHBvc3Rlcm4udGVzdABzZWNyZXQ=\r\n"
	envelope   = "MAIL FROM:<carol@elsewhere.test>\r\nRCPT TO:<bob@postern.test>\r\n"
)

// TestCommands sends whole dialogues, pipelined and line by line, and knows
// each answer's beginning.
func TestCommands(t *testing.T) {
	for _, c := range []struct {
		name   string
		role   func(*Config)
		secure bool
		send   string
		expect string // separated by "|"
	}{
		{"before hello", nil, false, "MAIL FROM:<a@b.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nVRFY x\r\nNOOP\r\nRSET\r\nFOO\r\n",
			"503 5.5.1|503|503|252|250|250|503"},
		{"nonsense", nil, false, "EHLO x\r\nFOO\r\nMAIL\r\nMAIL TO:<a@b.test>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\nEHLO\r\nMAIL FROM:<a@b.test> FOO=1\r\n",
			"250|501|501|501|502|502|501|500"},
		{"not a line", nil, false, "EHLO x\r\nFOO\r250 forged\r\nNOOP\x00\r\nMAIL FROM:<a@b.test>\rRCPT TO:<x>\r\nNOOP\r\r\nNOOP\r\n", "250|500 5.5.2 a command|500 5.5.2|500 5.5.2|500 5.5.2|250"},
		{"sequence", nil, false, "EHLO x\r\nDATA\r\nMAIL FROM:<a@b.test>\r\nMAIL FROM:<c@d.test>\r\nDATA\r\nRCPT TO:<bob@postern.test>\r\nRSET\r\nDATA\r\n",
			"250|502|250|503 5.5.1 MAIL was said|502|250|250|502"},
		{"no relay", nil, false, "EHLO x\r\nMAIL FROM:<alice@postern.test>\r\nRCPT TO:<x@elsewhere.test>\r\nRCPT TO:<@postern.test:x@elsewhere.test>\r\nRCPT TO:<\"x@elsewhere.test\"@postern.test>\r\nRCPT TO:<x%elsewhere.test@postern.test>\r\nRCPT TO:<x!y@postern.test>\r\nRCPT TO:<alice@[127.0.0.1]>\r\nRCPT TO:<alice@postern.test.>\r\nDATA\r\n",
			"250|250|550 5.7.1|550 5.7.1|550 5.1.1|550 5.1.1|550 5.1.1|550 5.7.1|553|502"},
		{"recipients", nil, false, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@postern.test>\r\nRCPT TO:<BOB@Postern.Test>\r\nRCPT TO:<broken@postern.test>\r\nRCPT TO:<postmaster>\r\nRCPT TO:<PostMaster@postern.test>\r\n",
			"250|250|550 5.1.1|250|451 4.3.0|250|250"},
		{"malformed addresses", nil, false, "EHLO x\r\nMAIL FROM:<a@>\r\nMAIL FROM:<@b>\r\nMAIL FROM:<a\x01@b.test>\r\nMAIL FROM:<a@b\x7f.test>\r\nMAIL FROM:<a@b..test>\r\nMAIL FROM:<" + strings.Repeat("a", 65) + "@b.test>\r\nMAIL FROM:<a@-b.test>\r\n",
			"250|501|501|553 5.1.7|553|553|553|553"},
		{"utf8 without SMTPUTF8", nil, false, "EHLO x\r\nMAIL FROM:<jörg@b.test>\r\nMAIL FROM:<jörg@b.test> SMTPUTF8\r\nRCPT TO:<bob@postern.test>\r\nRSET\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bøb@postern.test>\r\n",
			"250|550 5.6.7|250|250|250|250|553 5.6.7"},
		{"sizes", nil, false, "EHLO x\r\nMAIL FROM:<a@b.test> SIZE=50000001\r\nMAIL FROM:<a@b.test> SIZE=99999999999\r\nMAIL FROM:<a@b.test> SIZE=50000000\r\nMAIL FROM:<a@b.test> SIZE=48999999 BODY=8BITMIME\r\n", "250|552 5.3.4|501|452 4.3.1|250"},
		{"no login on the mx", nil, true, aliceLogin + "AUTH LOGIN\r\n", "503 5.5.1|503"},
		{"no login in the clear on the mx", nil, false, "EHLO x\r\n" + aliceLogin, "250|503"},
		{"lines too long", nil, false, "EHLO x\r\nNOOP " + strings.Repeat("x", 3000) + "\r\nNOOP " + strings.Repeat("x", 20000) + "\r\nNOOP\r\n", "250|500 5.5.2|500 5.5.2|250"},
		{"not TLS yet", submission, false, "EHLO x\r\nMAIL FROM:<alice@postern.test>\r\n" + aliceLogin + "AUTH LOGIN\r\nRCPT TO:<a@b.test>\r\nDATA\r\nNOOP\r\n", "250|530 5.7.0|530|530|530|530|250"},
		{"not logged in", submission, true, "MAIL FROM:<alice@postern.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n", "530 5.7.0|502|502"},
		{"as oneself only", submission, true, aliceLogin + "MAIL FROM:<bob@postern.test>\r\nMAIL FROM:<alice@elsewhere.test>\r\nMAIL FROM:<Alice@Postern.test>\r\nRCPT TO:<x@elsewhere.test>\r\nRCPT TO:<nobody@postern.test>\r\n",
			"235|553 5.7.1|553 5.7.1|250|250|550 5.1.1"},
		{"as an alias", submission, true, aliceLogin + "MAIL FROM:<Alias-of-alice@postern.test>\r\nRSET\r\nMAIL FROM:<alias-of-bob@postern.test>\r\n", "235|250|250|553 5.7.1"},
		{"full", nil, false, "EHLO x\r\nMAIL FROM:<a@b.test> SIZE=1001\r\nRCPT TO:<full@postern.test>\r\nRCPT TO:<alice@postern.test>\r\nRCPT TO:<all@postern.test>\r\nRCPT TO:<bob@postern.test>\r\nRSET\r\nMAIL FROM:<a@b.test> SIZE=1000\r\nRCPT TO:<all@postern.test>\r\n",
			"250|250|452 4.2.2|452 4.2.2|452 4.2.2|250|250|250|250"},
		{"scram malformed", submission, true, "AUTH SCRAM-SHA-256 cD14LCxuPXUscj14\r\nAUTH SCRAM-SHA-256 biwsbj11LHI9eA==\r\nYz1iaXdzLHI9eCxwPUFBQUE=\r\nAUTH SCRAM-SHA-256\r\n*\r\nAUTH SCRAM-SHA-256 biwsbj1icm9rZW4scj14\r\n", "501 5.5.2|334 cj14|501 5.5.2|334|501|454 4.7.0"},
		{"login", submission, true, "AUTH LOGIN\r\nYWxpY2VAcG9zdGVybi50ZXN0\r\nc2VjcmV0\r\nAUTH PLAIN x\r\n", "334 VXNlcm5hbWU6|334 UGFzc3dvcmQ6|235 2.0.0|503"},
		{"login with the name", submission, true, "AUTH LOGIN YWxpY2VAcG9zdGVybi50ZXN0\r\nc2VjcmV0\r\n", "334 UGFzc3dvcmQ6|235"},
		{"plain in two steps", submission, true, "AUTH PLAIN\r\nAGFsaWNlQHBvc3Rlcm4udGVzdABzZWNyZXQ=\r\n", "334|235"},
		{"malformed logins", submission, true, "AUTH PLAIN !\r\nAUTH PLAIN =\r\nAUTH PLAIN YQ==\r\nAUTH CRAM-MD5\r\nAUTH PLAIN\r\n*\r\nAUTH\r\n", "454|501 5.5.2|501 5.5.2|504|334|501|502"},
		{"for another", submission, true, "AUTH PLAIN Ym9iAGFsaWNlQHBvc3Rlcm4udGVzdABzZWNyZXQ=\r\n", "535 5.7.8"},
		{"starttls inside a SASL response", submission, true, "AUTH PLAIN\r\nSTARTTLS\r\n", "334|501 5.5.2"},
		{"tls twice", nil, true, "STARTTLS\r\nSTARTTLS now\r\n", "503 5.5.1|501"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, pipelined := range []bool{true, false} {
				addr, _ := start(t, &fakePost{}, c.role)
				conn := dial(t, addr)
				if c.secure {
					conn.starttls()
				}
				answers := strings.Split(c.expect, "|")
				sends := []string{c.send}
				if !pipelined {
					sends = strings.SplitAfter(c.send, "\n")
				}
				for i, s := range sends {
					conn.Send(s)
					if !pipelined && i < len(answers) {
						conn.expect(answers[i])
					}
				}
				if pipelined {
					for _, a := range answers {
						conn.expect(a)
					}
				}
				conn.Send("QUIT\r\nNOOP\r\n") // what follows QUIT is not answered
				conn.expect("221")
				conn.End()
			}
		})
	}
}

// An alias of several is delivered to each, and to nobody twice.
func TestAliasOfSeveral(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, nil)
	c := dial(t, addr)
	c.Send("EHLO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<all@postern.test>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\n")
	for _, a := range []string{"250", "250", "250", "250", "354"} {
		c.expect(a)
	}
	c.Send("Subject: x\r\n\r\nx\r\n.\r\n")
	c.expect("250 2.0.0 OK ")
	if len(p.delivered) != 1 || !slices.Equal(p.delivered[0].Mailboxes(), []string{"alice@postern.test", "bob@postern.test"}) || !strings.Contains(p.delivered[0].text, "for <all@postern.test>") {
		t.Errorf("%+v", p.delivered)
	}
}

func TestMessage(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, nil)
	c := dial(t, addr)
	c.Send("EHLO client.test\r\nMAIL FROM:<Carol@Elsewhere.test> SIZE=100\r\nRCPT TO:<bob@postern.test>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\n")
	for _, a := range []string{"250", "250", "250", "250", "354"} {
		c.expect(a)
	}
	c.Send("Return-Path: <forged@x.test>\r\nSubject: x\r\nBcc: kept, it was not submitted here\r\n\r\n..\r\n...two\r\n8 bit: \xff\x00\r\n.\r\nNOOP\r\n")
	c.expect("250 2.0.0 OK ")
	c.expect("250")
	got := p.all()
	if len(got) != 1 {
		t.Fatal(got)
	}
	if e := got[0].Envelope; e.From != "Carol@elsewhere.test" || len(e.Local) != 1 || e.Local[0].Address != "bob@postern.test" || e.Remote != nil || e.UTF8 || e.Trace != "Return-Path: <Carol@elsewhere.test>\r\n" {
		t.Errorf("envelope %+v", e)
	}
	head, rest, _ := strings.Cut(got[0].text, "Subject: x\r\n")
	if rest != "Bcc: kept, it was not submitted here\r\n\r\n.\r\n..two\r\n8 bit: \xff\x00\r\n" {
		t.Errorf("text %q", rest)
	}
	want := "Received: from client.test ([127.0.0.1])\r\n\tby mail.postern.test with ESMTP\r\n\tid ID for <bob@postern.test>;\r\n\tMon, 23 Nov 2026 01:02:03 +0000\r\n"
	before, after, _ := strings.Cut(head, "\tid ")
	if before+"\tid ID"+after[16:] != want {
		t.Errorf("trace %q", head)
	}
}

func TestReceivedProtocol(t *testing.T) {
	for _, c := range []struct{ send, want string }{
		{"HELO x\r\nMAIL FROM:<a@b.test>\r\n", "from x ([127.0.0.1])\r\n\tby mail.postern.test with SMTP\r\n"},
		{"EHLO [127.0.0.1]\r\nMAIL FROM:<a@b.test>\r\n", "from [127.0.0.1] ([127.0.0.1])\r\n\tby mail.postern.test with ESMTP\r\n"},
		{"EHLO (evil)\r\nMAIL FROM:<a@b.test> SMTPUTF8\r\n", "from unknown ([127.0.0.1])\r\n\tby mail.postern.test with UTF8SMTP\r\n"},
	} {
		p := &fakePost{}
		addr, _ := start(t, p, nil)
		conn := dial(t, addr)
		conn.Send(c.send + "RCPT TO:<bob@postern.test>\r\nRCPT TO:<alice@postern.test>\r\nDATA\r\n")
		for _, a := range []string{"250", "250", "250", "250", "354"} {
			conn.expect(a)
		}
		conn.Send("x: y\r\n\r\n.\r\n")
		conn.expect("250")
		if got := p.all()[0].text; !strings.HasPrefix(got, "Received: "+c.want) || strings.Contains(got, " for <") {
			t.Errorf("%q: %q", c.send, got)
		}
	}
}

func TestSubmission(t *testing.T) {
	for _, implicit := range []bool{false, true} {
		p := &fakePost{}
		addr, _ := start(t, p, func(c *Config) { c.Submission, c.Implicit = true, implicit })
		var c *client
		if implicit {
			conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c = &client{linetest.New(t, conn)}
			c.expect("220")
			c.Send("EHLO client.test\r\n")
			if caps := c.expect("250"); strings.Contains(caps, "STARTTLS") || !strings.Contains(caps, "AUTH SCRAM-SHA-256 PLAIN LOGIN") {
				t.Errorf("capabilities over TLS: %q", caps)
			}
		} else {
			c = dial(t, addr)
			c.Send("EHLO client.test\r\n")
			caps := c.expect("250")
			for _, want := range []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "SMTPUTF8", "SIZE 50000000", "STARTTLS", "LIMITS RCPTMAX=100"} {
				if !strings.Contains(caps, want+"\r\n") {
					t.Errorf("capabilities %q without %s", caps, want)
				}
			}
			if strings.Contains(caps, "AUTH") {
				t.Errorf("AUTH is offered in the clear: %q", caps)
			}
			c.starttls()
		}
		c.Send(aliceLogin + "MAIL FROM:<alice@postern.test>\r\nRCPT TO:<bob@postern.test>\r\nRCPT TO:<carol@elsewhere.test>\r\nDATA\r\n")
		for _, a := range []string{"235", "250", "250", "250", "354"} {
			c.expect(a)
		}
		c.Send("From: alice@postern.test\r\nBcc: carol@elsewhere.test,\r\n dan@elsewhere.test\r\nTo: bob@postern.test\r\nResent-Bcc : x\r\n\r\nBcc: of the body\r\n.\r\n")
		c.expect("250")
		got := p.all()[0]
		if len(got.Local) != 1 || len(got.Remote) != 1 || got.Remote[0].Address != "carol@elsewhere.test" {
			t.Errorf("envelope %+v", got.Envelope)
		}
		head, rest, _ := strings.Cut(got.text, "From: ")
		if rest != "alice@postern.test\r\nTo: bob@postern.test\r\n\r\nBcc: of the body\r\n" {
			t.Errorf("text %q", rest)
		}
		for _, want := range []string{"with ESMTPSA tls TLS_", "\r\nMessage-ID: <", "@postern.test>\r\n", "\r\nDate: Mon, 23 Nov 2026 01:02:03 +0000\r\n"} {
			if !strings.Contains(head, want) {
				t.Errorf("header %q without %q", head, want)
			}
		}
	}
}

func TestHeaderMending(t *testing.T) {
	for _, c := range []struct{ send, want string }{
		{"Date: now\r\nMessage-Id: <1@x>\r\n\r\nbody\r\n", "From: alice@postern.test\r\nDate: now\r\nMessage-Id: <1@x>\r\n\r\nbody\r\n"},
		{"Date: now\r\nMessage-Id: <1@x>\r\n", "From: alice@postern.test\r\nDate: now\r\nMessage-Id: <1@x>\r\n"},
		{"Date: now\r\nMESSAGE-ID: <1@x>\r\nbody without an empty line\r\n", "From: alice@postern.test\r\nDate: now\r\nMESSAGE-ID: <1@x>\r\n\r\nbody without an empty line\r\n"},
		{"From alice Mon Nov 23 01:02:03 2026\r\nDate: now\r\nMessage-Id: <1@x>\r\n\r\nb\r\n", "From: alice@postern.test\r\nDate: now\r\nMessage-Id: <1@x>\r\n\r\nb\r\n"},
		{"Date: now\nMessage-Id: <1@x>\nBcc: x\n\nlf only\n", "From: alice@postern.test\r\nDate: now\r\nMessage-Id: <1@x>\r\n\r\nlf only\r\n"},
	} {
		p := &fakePost{}
		addr, _ := start(t, p, submission)
		conn := dial(t, addr)
		conn.starttls()
		conn.Send(aliceLogin + "MAIL FROM:<alice@postern.test>\r\nRCPT TO:<bob@postern.test>\r\n")
		for _, a := range []string{"235", "250", "250"} {
			conn.expect(a)
		}
		conn.Send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(c.send), c.send))
		conn.expect("250")
		conn.Send("MAIL FROM:<alice@postern.test>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\n")
		conn.expect("250")
		conn.expect("250")
		conn.expect("354")
		conn.Send(c.send + "\r\n.\r\n")
		conn.expect("250")
		for i, d := range p.all() {
			want := c.want
			if i == 1 {
				want += "\r\n" // the line end before the period
			}
			if _, rest, _ := strings.Cut(d.text, "+0000\r\n"); rest != want {
				t.Errorf("%q became %q, want %q", c.send, rest, want)
			}
		}
	}
}

func TestFoldedFirstLineIsNoPartOfTheTrace(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, nil)
	c := dial(t, addr)
	c.Send("EHLO x\r\n" + envelope + "DATA\r\n")
	for _, a := range []string{"250", "250", "250", "354"} {
		c.expect(a)
	}
	c.Send(" forged: by a fold\r\n.\r\n")
	c.expect("250")
	if got := p.all()[0].text; !strings.Contains(got, "+0000\r\n\r\n forged") {
		t.Errorf("the client's first line continues the trace header: %q", got)
	}
}

func TestLoop(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, nil)
	c := dial(t, addr)
	for hops, want := range map[int]string{100: "250", 101: "554 5.4.6"} {
		c.Send("EHLO x\r\n" + envelope + "DATA\r\n")
		for _, a := range []string{"250", "250", "250", "354"} {
			c.expect(a)
		}
		c.Send(strings.Repeat("Received: x\r\n", hops) + "\r\n.\r\n")
		c.expect(want)
	}
}
