package smtpd

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
)

// texts is a DNS with nothing but TXT records.
type texts map[string]string

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z texts) LookupTXT(_ context.Context, name string) ([]string, error) {
	if t, ok := z[strings.TrimSuffix(name, ".")]; ok {
		return []string{t}, nil
	}
	return nil, notFound(name)
}
func (texts) LookupMX(_ context.Context, name string) ([]*net.MX, error) { return nil, notFound(name) }
func (texts) LookupIPAddr(_ context.Context, name string) ([]net.IPAddr, error) {
	return nil, notFound(name)
}
func (texts) LookupAddr(_ context.Context, name string) ([]string, error) { return nil, notFound(name) }

// neighbours is a DNS with a domain that this machine may send for, one that
// nobody may, and ours, whose key it makes.
func neighbours() (texts, authenticity.Key) {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	return texts{
		"good.test": "v=spf1 ip4:127.0.0.1 -all", "_dmarc.good.test": "v=DMARC1; p=reject",
		"bad.test": "v=spf1 -all", "_dmarc.bad.test": "v=DMARC1; p=reject", "_dmarc.odd.test": "v=DMARC1; p=quarantine",
		"key._domainkey.postern.test": "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), "_dmarc.postern.test": "v=DMARC1; p=reject",
	}, authenticity.Key{Selector: "key", Signer: private}
}

func evaluating(c *Config) {
	z, _ := neighbours()
	c.Verifier = authenticity.New(authenticity.Options{Hostname: c.Hostname, Resolver: z})
}

// deliver sends a message to bob.
func (c *client) deliver(from, text string, chunks bool, want string) {
	c.T.Helper()
	c.Send("MAIL FROM:<" + from + ">\r\nRCPT TO:<bob@postern.test>\r\n")
	c.expect("250")
	c.expect("250")
	if chunks {
		half := len(text) / 2
		c.Send(fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%s", half, text[:half], len(text)-half, text[half:]))
		c.expect("250 2.0.0 Continue")
	} else {
		c.Send("DATA\r\n")
		c.expect("354")
		if !strings.HasSuffix(text, "\r\n") {
			text += "\r\n"
		}
		c.Send(strings.ReplaceAll(text, "\r\n.", "\r\n..") + ".\r\n")
	}
	c.expect(want)
}

func TestEvaluation(t *testing.T) {
	forged := "Authentication-Results: MAIL.postern.test 1; dmarc=pass\r\nX-Postern-Junk: no\r\nReturn-Path: <x@y.test>\r\n"
	for _, c := range []struct{ from, author, want, junk string }{
		{"a@good.test", "a@good.test", ";\r\n\tspf=pass smtp.mailfrom=good.test;\r\n\tdkim=none;\r\n\tdmarc=pass header.from=good.test policy.dmarc=reject\r\n", ""},
		{"a@good.test", "a@bad.test", ";\r\n\tspf=pass smtp.mailfrom=good.test;\r\n\tdkim=none;\r\n\tdmarc=fail header.from=bad.test policy.dmarc=reject\r\n", "X-Postern-Junk: yes; reason=\"DMARC: bad.test asks to reject what it neither sent nor signed\"\r\n"},
		{"a@bad.test", "a@odd.test", ";\r\n\tspf=fail smtp.mailfrom=bad.test;\r\n\tdkim=none;\r\n\tdmarc=fail header.from=odd.test policy.dmarc=quarantine\r\n", "X-Postern-Junk: yes; reason=\"DMARC: odd.test asks to quarantine what it neither sent nor signed\"\r\n"},
		{"", "a@none.test", ";\r\n\tspf=none;\r\n\tdkim=none;\r\n\tdmarc=none header.from=none.test\r\n", ""},
	} {
		for _, chunks := range []bool{false, true} {
			p := &fakePost{}
			addr, _ := start(t, p, evaluating)
			conn := hello(t, addr)
			conn.deliver(c.from, forged+"From: "+c.author+"\r\n\r\n.body\r\n", chunks, "250 2.0.0 OK")
			got := p.all()[0]
			if want := "Return-Path: <" + c.from + ">\r\nAuthentication-Results: mail.postern.test" + c.want + c.junk; got.Trace != want {
				t.Errorf("%+v, chunks %v: trace\n%s want\n%s", c, chunks, got.Trace, want)
			}
			if _, rest, _ := strings.Cut(got.text, "+0000\r\n"); rest != "From: "+c.author+"\r\n\r\n.body\r\n" {
				t.Errorf("text %q", got.text)
			}
		}
	}
}

func TestRefuseForged(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, func(c *Config) { evaluating(c); c.RefuseForged = true })
	c := hello(t, addr)
	for _, chunks := range []bool{false, true} {
		c.deliver("a@good.test", "From: a@bad.test\r\n\r\nx\r\n", chunks, "550 5.7.1 DMARC: bad.test asks to reject")
		c.deliver("a@good.test", "From: a@odd.test\r\n\r\nx\r\n", chunks, "250")
	}
	if n := len(p.all()); n != 2 {
		t.Errorf("%d delivered", n)
	}
}

// Whose connection it is, is who the gateway has it for.
func TestEvaluationOfTheClientBehindTheGateway(t *testing.T) {
	p := &fakePost{}
	who := netip.MustParseAddr("192.0.2.7")
	addr, _ := start(t, p, func(c *Config) {
		evaluating(c)
		c.Client = func(net.Addr) netip.Addr { return who }
	})
	c := hello(t, addr)
	c.deliver("a@good.test", "From: a@good.test\r\n\r\nx\r\n", false, "250")
	if got := p.all()[0]; !strings.Contains(got.Trace, "spf=fail") || !strings.Contains(got.text, "from x ([192.0.2.7])") {
		t.Errorf("%+v", got)
	}
	// And this machine's own mail is not evaluated.
	p = &fakePost{}
	addr, _ = start(t, p, func(c *Config) {
		z, _ := neighbours()
		c.Verifier = authenticity.New(authenticity.Options{Resolver: z, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	})
	c = hello(t, addr)
	c.deliver("a@bad.test", "From: a@bad.test\r\nAuthentication-Results: mail.postern.test; spf=pass\r\n\r\nx\r\n", false, "250")
	if got := p.all()[0]; got.Trace != "Return-Path: <a@bad.test>\r\n" || strings.Contains(got.text, "Authentication") {
		t.Errorf("%+v", got)
	}
}

// A message that is cut, or too large, in the midst of being checked ends
// nothing else; TestMain sees what is left running.
func TestCheckedMessageCutShort(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, func(c *Config) { evaluating(c); c.MessageSize = 10_000 })
	c := hello(t, addr)
	two := strings.Repeat("DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=postern.test; s=key; h=from; bh=YQ==; b=YQ==\r\n", 2)
	c.deliver("a@good.test", two+"From: a@good.test\r\n\r\n"+strings.Repeat("0123456789\r\n", 1000), false, "552 5.3.4")
	c.deliver("a@good.test", two+"From: a@good.test\r\n\r\nbare\nLF\r\n", false, "554 5.6.0")
	c.deliver("a@good.test", two+"From: a@good.test\r\n", false, "250") // no body at all
	c.begin("BDAT 1000\r\n" + (two + strings.Repeat("x", 1000))[:1000] + "RSET\r\n")
	c.expect("250")
	c.expect("250")
	c.begin("DATA\r\n")
	c.expect("354")
	c.Send(two + "\r\nhalf")
	c.Conn.Close()
	if got := p.all(); len(got) != 1 || !strings.Contains(got[0].Trace, "dkim=") || !strings.Contains(got[0].Trace, "dmarc=pass") {
		t.Errorf("%+v", got)
	}
}

func signing(dir string) (func(*Config), *authenticity.Verifier) {
	z, key := neighbours()
	return func(c *Config) {
		c.Submission, c.Spool = true, dir
		c.Signer = authenticity.NewSigner([]authenticity.Key{key}, []string{"postern.test"})
	}, authenticity.New(authenticity.Options{Hostname: "other.test", Resolver: z})
}

// check evaluates a delivered text as another server would.
func evaluated(t *testing.T, v *authenticity.Verifier, text string) authenticity.Verdict {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	var fields [][]byte
	for line := range strings.SplitAfterSeq(head+"\r\n\r\n", "\n") {
		if line != "" && (line[0] == ' ' || line[0] == '\t') {
			fields[len(fields)-1] = append(fields[len(fields)-1], line...)
		} else if line != "" {
			fields = append(fields, []byte(line))
		}
	}
	c := v.Begin(t.Context(), v.Sender(netip.MustParseAddr("192.0.2.1"), "x", "a@bad.test"), fields)
	c.Write([]byte(body))
	return c.End()
}

func TestSubmissionIsSigned(t *testing.T) {
	dir := t.TempDir()
	role, other := signing(dir)
	for name, text := range map[string]string{
		"whole":        "From: Alice <alice@postern.test>\r\nTo: b@c.test\r\nBcc: d@e.test\r\nSubject: x\r\n\r\n.body\r\n",
		"to be mended": "Subject: x\nReturn-Path: <x@y.test>\nAuthentication-Results: mail.postern.test; none\n\nlines\nof LF\n",
		"no body":      "Subject: x\r\n",
		"large":        "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 10_000),
		"from mbox":    "From alice Mon Nov 23 01:02:03 2026\r\nSubject: x\r\n\r\ny\r\n",
	} {
		for _, chunks := range []bool{false, true} {
			p := &fakePost{}
			addr, _ := start(t, p, role)
			c := dial(t, addr)
			c.starttls()
			c.Send(aliceLogin)
			c.expect("235")
			c.deliver("alice@postern.test", text, chunks, "250")
			got := p.all()[0]
			v := evaluated(t, other, got.text)
			if len(v.DKIM) != 1 || v.DKIM[0].Result != authenticity.Pass || v.DMARC.Result != authenticity.Pass {
				t.Errorf("%s: %+v", name, v)
			}
			if !strings.Contains(got.text, "+0000\r\nDKIM-Signature: ") || strings.Contains(got.text, "Bcc") || strings.Contains(got.text, "Authentication-Results") || strings.Count(got.text, "\r\nFrom: ") != 1 {
				t.Errorf("%s: %.1000q", name, got.text)
			}
			if want := "Return-Path: <alice@postern.test>\r\nAuthentication-Results: mail.postern.test;\r\n\tauth=pass smtp.auth=alice@postern.test\r\n"; got.Trace != want {
				t.Errorf("trace %q", got.Trace)
			}
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// Where there is no room to keep it, it is not taken.
	role, _ = signing(dir + "/missing")
	p := &fakePost{}
	addr, _ := start(t, p, role)
	c := dial(t, addr)
	c.starttls()
	c.Send(aliceLogin)
	c.expect("235")
	c.deliver("alice@postern.test", "Subject: x\r\n\r\n"+strings.Repeat("x\r\n", maxHeld), false, "451 4.3.0")
}

func TestAuthor(t *testing.T) {
	const own = "alice@postern.test"
	for _, c := range []struct{ fields, want string }{
		{"From: alice@postern.test", "250"},
		{"From: \"The boss\" <ALICE@Postern.test>", "250"},
		{"from : alias-of-alice@postern.test", "250"},
		{"From: alice@postern.test, alias-of-alice@postern.test", "250"},
		{"From: bob@postern.test", "550 5.7.1 you are logged in as alice@postern.test and may not write as bob@postern.test"},
		{"From: alice@postern.test, bob@postern.test", "550 5.7.1"},
		{"From: alice@postern.test <bob@postern.test>", "550 5.7.1"},
		{"From: bob@postern.test\r\nResent-From: alice@postern.test", "550 5.7.1"},
		{"From: bob@postern.test\r\nSender: alice@postern.test", "550 5.7.1"},
		{"From:\r\n bob@postern.test", "550 5.7.1"},
		{"From: bob@postern.test\r\nFrom: alice@postern.test", "550 5.6.0"},
		{"From: alice@postern.test\r\nFROM : alice@postern.test", "550 5.6.0"},
		{"From: =?utf-8?q?bob=40postern.test?=", "550 5.7.1"},
		{"From: nobody", "550 5.6.0"},
		{"From: @postern.test", "550 5.6.0"},
		{"From:", "550 5.6.0"},
		{"Subject: nobody says", "250"},
	} {
		p := &fakePost{}
		addr, _ := start(t, p, submission)
		conn := dial(t, addr)
		conn.starttls()
		conn.Send(aliceLogin)
		conn.expect("235")
		conn.deliver(own, c.fields+"\r\n\r\nx\r\n", false, c.want)
		conn.deliver("", c.fields+"\r\n\r\nx\r\n", true, c.want) // a receipt: it is his all the same
	}
	p := &fakePost{}
	addr, _ := start(t, p, func(c *Config) { c.Submission, c.AnyAuthor = true, true })
	conn := dial(t, addr)
	conn.starttls()
	conn.Send(aliceLogin)
	conn.expect("235")
	conn.deliver(own, "From: bob@postern.test\r\n\r\nx\r\n", false, "250")
}

func TestReportsAreAskedFor(t *testing.T) {
	p := &fakePost{}
	addr, _ := start(t, p, submission)
	c := dial(t, addr)
	c.starttls()
	c.Send(aliceLogin + "MAIL FROM:<alice@postern.test> RET=hdrs ENVID=QQ+2B314159\r\n" +
		"RCPT TO:<all@postern.test> NOTIFY=SUCCESS,delay ORCPT=rfc822;Some+2Bone@x.test\r\n" +
		"RCPT TO:<bob@postern.test> NOTIFY=NEVER\r\n" + // has it by the alias
		"RCPT TO:<c@elsewhere.test> NOTIFY=NEVER\r\nRCPT TO:<C@Elsewhere.test>\r\nRCPT TO:<c@elsewhere.test>\r\nDATA\r\n")
	for _, a := range []string{"235", "250", "250", "250", "250", "250", "250", "354"} {
		c.expect(a)
	}
	c.Send("From: alice@postern.test\r\n\r\nx\r\n.\r\n")
	c.expect("250")
	e := p.all()[0].Envelope
	want := Envelope{From: "alice@postern.test", Return: "HDRS", EnvelopeID: "QQ+314159", Trace: e.Trace,
		Local:  []Recipient{{"all@postern.test", []string{"alice@postern.test", "bob@postern.test"}, []string{"SUCCESS", "DELAY"}, "rfc822;Some+one@x.test"}},
		Remote: []Recipient{{"c@elsewhere.test", nil, []string{"NEVER"}, ""}, {"C@elsewhere.test", nil, nil, ""}}}
	if fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v, want %+v", e, want)
	}
	// What is not well written is refused, by an MX too, which knows DSN as well.
	addr, _ = start(t, p, nil)
	c = dial(t, addr)
	c.Send("EHLO x\r\n")
	if caps := c.expect("250"); !strings.Contains(caps, "DSN\r\n") {
		t.Errorf("capabilities %q", caps)
	}
	for _, bad := range []string{"RET=ALL", "RET", "ENVID=", "ENVID=+", "ENVID=+0A"} {
		c.Send("MAIL FROM:<a@b.test> " + bad + "\r\n")
		c.expect("501")
	}
	c.Send("MAIL FROM:<a@b.test> RET=FULL\r\n")
	c.expect("250")
	for _, bad := range []string{"NOTIFY=", "NOTIFY=NEVER,SUCCESS", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=SOON", "ORCPT=x", "ORCPT=;x", "ORCPT=rfc822;", "ORCPT=rfc822;a+0Ab"} {
		c.Send("RCPT TO:<bob@postern.test> " + bad + "\r\n")
		c.expect("501")
	}
}

func TestRatesOfSessions(t *testing.T) {
	rates, clock := newRates(RateLimits{ClientMessages: 2, ClientRecipients: 3, ClientUnknown: 2, UserMessages: 1, UserRecipients: 2})
	from := func(ip string) func(*Config) {
		return func(c *Config) {
			c.Rates = rates
			c.Client = func(net.Addr) netip.Addr { return netip.MustParseAddr(ip) }
		}
	}
	p := &fakePost{}
	addr, _ := start(t, p, from("192.0.2.1"))
	const mail, alice, bob, nobody = "MAIL FROM:<a@b.test>\r\n", "RCPT TO:<alice@postern.test>\r\n", "RCPT TO:<bob@postern.test>\r\n", "RCPT TO:<nobody@postern.test>\r\n"
	says := func(c *client, send string, answers ...string) {
		t.Helper()
		c.Send(send)
		for _, a := range answers {
			c.expect(a)
		}
	}
	says(hello(t, addr), mail+alice+bob+bob, "250", "250", "250", "250")
	c := hello(t, addr)
	says(c, mail+alice+bob, "250", "250", "451 4.7.1 too many recipients came from your address")
	says(c, "RSET\r\n"+mail, "250", "451 4.7.1 too many messages came from your address")
	clock.pass(30 * time.Minute)
	says(c, mail, "250")

	// A dictionary over many connections: and then not even who exists is told.
	addr, _ = start(t, p, from("192.0.2.2"))
	says(hello(t, addr), mail+nobody+nobody, "250", "550", "550")
	c = hello(t, addr)
	says(c, mail+alice, "250", "421 4.7.0")
	c.End()
	addr, _ = start(t, p, from("192.0.2.3"))
	says(hello(t, addr), mail+alice, "250", "250")

	// A user is counted wherever he is.
	for i, answer := range []string{"250", "451 4.7.1 you have sent too many messages"} {
		addr, _ = start(t, p, func(c *Config) { from(fmt.Sprintf("192.0.2.%d", 10+i))(c); c.Submission = true })
		c = dial(t, addr)
		c.starttls()
		says(c, aliceLogin+"MAIL FROM:<alice@postern.test>\r\n", "235", answer)
		if i == 0 {
			says(c, alice+"RCPT TO:<x@y.test>\r\nRCPT TO:<z@y.test>\r\n"+strings.Repeat(nobody, 3), "250", "250", "451 4.7.1 you have sent too many recipients", "550", "550", "550")
		}
	}
}

func TestGreylisting(t *testing.T) {
	list, clock := newGreylist(0)
	who := "198.51.100.1"
	p := &fakePost{}
	z := texts{"big.test": "v=spf1 ip4:198.51.100.0/24 -all"}
	addr, _ := start(t, p, func(c *Config) {
		c.Greylist = list
		c.Verifier = authenticity.New(authenticity.Options{Hostname: c.Hostname, Resolver: z, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		c.Client = func(net.Addr) netip.Addr { return netip.MustParseAddr(who) }
	})
	c := hello(t, addr)
	try := func(from, want string) {
		t.Helper()
		c.Send("MAIL FROM:<" + from + ">\r\nRCPT TO:<bob@postern.test>\r\nRSET\r\n")
		c.expect("250")
		c.expect(want)
		c.expect("250")
	}
	try("a@b.test", "451 4.7.1 we have not met before; your server is welcome in 5 minutes")
	try("a@big.test", "451 4.7.1")
	clock.pass(4*time.Minute + time.Second)
	try("a@b.test", "451 4.7.1 we have not met before; your server is welcome in 1 minutes")
	clock.pass(time.Minute)
	try("a@b.test", "250")
	try("a@big.test", "250")
	try("other@big.test", "250")
	try("other@b.test", "451 4.7.1")
	who = "127.0.0.1"
	try("yet@another.test", "250") // this machine
	if got := p.all(); slices.ContainsFunc(got, func(delivered) bool { return true }) {
		t.Errorf("%+v", got)
	}
}
