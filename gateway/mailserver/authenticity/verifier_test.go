package authenticity

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-msgauth/authres"
)

// world is a zone with domains of each kind: what they are is in their names.
func world(t testing.TB) *zone {
	z := &zone{txt: map[string][]string{
		"pass.example":                 {"unrelated", "v=spf1 ip4:192.0.2.1 -all"},
		"fail.example":                 {"v=spf1 -all"},
		"soft.example":                 {"v=spf1 ~all"},
		"neutral.example":              {"v=spf1 ?all"},
		"two.example":                  {"v=spf1 -all", "v=spf1 +all"},
		"broken.example":               {"v=spf1 ip4:nonsense"},
		"temp.example":                 {"!temp"},
		"odd.example":                  {"!odd"},
		"slow.example":                 {"!slow"},
		"mx.example":                   {"v=spf1 mx -all"},
		"a.example":                    {"v=spf1 a:host.a.example -all"},
		"include.example":              {"v=spf1 include:pass.example -all"},
		"redirect.example":             {"v=spf1 redirect=pass.example"},
		"loop.example":                 {"v=spf1 include:loop.example -all"},
		"ring.example":                 {"v=spf1 redirect=ring.example"},
		"void.example":                 {"v=spf1 a:1.void.example a:2.void.example a:3.void.example a:4.void.example +all"},
		"huge.example":                 {"v=spf1 " + strings.Repeat("ip4:198.51.100.1 ", 4000) + "+all"},
		"macro.example":                {"v=spf1 exists:%{l}.%{d}.%{i} -all"},
		"_dmarc.pass.example":          {"v=DMARC1; p=reject"},
		"_dmarc.fail.example":          {"v=DMARC1; p=reject"},
		"_dmarc.soft.example":          {"v=DMARC1; p=quarantine; sp=none"},
		"_dmarc.neutral.example":       {"v=DMARC1; p=none; sp=reject"},
		"_dmarc.strict.example":        {"v=DMARC1; p=reject; aspf=s; adkim=s"},
		"_dmarc.temp.example":          {"!temp"},
		"_dmarc.slow.example":          {"!slow"},
		"sub.strict.example":           {"v=spf1 ip4:192.0.2.1 -all"},
		"sub.pass.example":             {"v=spf1 ip4:192.0.2.1 -all"},
		"client.example":               {"v=spf1 ip4:192.0.2.1 -all"},
		"_dmarc.client.example":        {"v=DMARC1; p=reject"},
		"_dmarc.test0.example":         {"v=DMARC1; p=reject; pct=0"},
		"_dmarc.half.example":          {"v=DMARC1; p=reject; pct=50"},
		"_dmarc.testing.example":       {"v=DMARC1; p=quarantine; t=y"},
		"_dmarc.keytemp.example":       {"v=DMARC1; p=reject"},
		"x._domainkey.keytemp.example": {"!temp"},
	}, mx: map[string][]string{"mx.example": {"host.a.example"}}, addr: map[string][]string{"host.a.example": {"192.0.2.1"}, "someone.macro.example.192.0.2.1": {"127.0.0.2"}}}
	for _, d := range []string{"pass.example", "fail.example", "strict.example", "sub.strict.example", "neutral.example", "other.example"} {
		z.publish(t, d, rsaKey(), edKey())
	}
	return z
}

func TestSPF(t *testing.T) {
	for from, want := range map[string]SPF{
		"someone@pass.example": {Pass, "pass.example", false}, "someone@PASS.Example": {Pass, "pass.example", false}, "a@fail.example": {Fail, "fail.example", false},
		"a@soft.example": {SoftFail, "soft.example", false}, "a@neutral.example": {Neutral, "neutral.example", false}, "a@missing.example": {None, "missing.example", false},
		"a@two.example": {PermError, "two.example", false}, "a@broken.example": {PermError, "broken.example", false}, "a@temp.example": {TempError, "temp.example", false},
		"a@odd.example": {TempError, "odd.example", false}, "a@mx.example": {Pass, "mx.example", false}, "a@a.example": {Pass, "a.example", false},
		"a@include.example": {Pass, "include.example", false}, "a@redirect.example": {Pass, "redirect.example", false},
		// Circles end, and are the record's fault.
		"a@loop.example": {PermError, "loop.example", false}, "a@ring.example": {PermError, "ring.example", false},
		// RFC 7208 §4.6.4: two look-ups that find nothing, and no more.
		"a@void.example": {PermError, "void.example", false},
		// A record larger than any honest one is none.
		"a@huge.example":        {None, "huge.example", false},
		"someone@macro.example": {Pass, "macro.example", false}, "other@macro.example": {Fail, "macro.example", false},
		// What a reader that takes the first "@" would take for the domain.
		`"a@pass.example"@fail.example`: {Fail, "fail.example", false},
		// The null sender: the name of EHLO.
		"": {Pass, "client.example", true},
		// No names of the DNS.
		"a@[192.0.2.1]": {Result: None}, "a@localhost": {Result: None}, "a@" + strings.Repeat("a.", 200) + "example": {Result: None}, "a@192.0.2.1": {Result: None},
	} {
		v := New(Options{Resolver: world(t)})
		if got := v.Sender(sending, "client.example", from).SPF(t.Context()); got != want {
			t.Errorf("%s: %+v, want %+v", from, got, want)
		}
	}
	v := New(Options{Resolver: world(t)})
	if got := v.Sender(netip.MustParseAddr("::ffff:192.0.2.1"), "x", "a@pass.example").SPF(t.Context()); got.Result != Pass {
		t.Errorf("an IPv4 address written as IPv6: %+v", got)
	}
	if got := v.Sender(sending, "[192.0.2.1]", "").SPF(t.Context()); got.Result != None || !got.Helo {
		t.Errorf("a client that gives an address for a name: %+v", got)
	}
}

func message(from string) string {
	return "From: " + from + "\r\nTo: bob@postern.test\r\nSubject: hello\r\n\r\nfirst line \r\n\r\n.second\r\n\r\n\r\n"
}

// TestDMARC has the examples of RFC 7489 appendix B.1 (identifiers in and out of
// alignment), and what policies say.
func TestDMARC(t *testing.T) {
	for _, c := range []struct {
		name, sender, from, signs string
		want                      DMARC
		junk, refuse              bool
	}{
		{"B.1.1 example 1: SPF in alignment", "a@pass.example", "a@pass.example", "", DMARC{Pass, "pass.example", "reject", ""}, false, false},
		{"B.1.1 example 2: SPF of a parent", "a@pass.example", "a@sub.pass.example", "", DMARC{Pass, "sub.pass.example", "reject", ""}, false, false},
		{"B.1.1 example 2, strict", "a@sub.strict.example", "a@strict.example", "", DMARC{Fail, "strict.example", "reject", ""}, true, true},
		{"B.1.1 example 3: SPF of another", "a@pass.example", "a@fail.example", "", DMARC{Fail, "fail.example", "reject", ""}, true, true},
		{"B.1.2 example 1: DKIM in alignment", "a@other.example", "a@fail.example", "fail.example", DMARC{Pass, "fail.example", "reject", ""}, false, false},
		{"DKIM in alignment, SPF fails", "a@fail.example", "a@fail.example", "fail.example", DMARC{Pass, "fail.example", "reject", ""}, false, false},
		{"null sender, name of EHLO in alignment", "", "a@client.example", "", DMARC{Pass, "client.example", "reject", ""}, false, false},
		{"softfail is no pass", "a@soft.example", "a@soft.example", "", DMARC{Fail, "soft.example", "quarantine", ""}, true, false},
		{"sp of the organizational domain", "a@soft.example", "a@x.y.soft.example", "", DMARC{Fail, "x.y.soft.example", "none", ""}, false, false},
		{"sp stricter", "a@neutral.example", "a@x.neutral.example", "", DMARC{Fail, "x.neutral.example", "reject", ""}, true, true},
		{"policy none", "a@neutral.example", "a@neutral.example", "", DMARC{Fail, "neutral.example", "none", ""}, false, false},
		{"no policy", "a@pass.example", "a@missing.example", "", DMARC{None, "missing.example", "", ""}, false, false},
		{"policy not to be had", "a@pass.example", "a@temp.example", "", DMARC{TempError, "temp.example", "", ""}, false, false},
		{"pct=0", "a@pass.example", "a@test0.example", "", DMARC{Fail, "test0.example", "quarantine", ""}, true, false},
		{"pct=50", "a@pass.example", "a@half.example", "", DMARC{Fail, "half.example", "reject", ""}, true, true},
		{"t=y", "a@pass.example", "a@testing.example", "", DMARC{Fail, "testing.example", "none", ""}, false, false},
		{"name in the comment", "a@pass.example", `"ceo@fail.example" <a@pass.example>`, "", DMARC{Pass, "pass.example", "reject", ""}, false, false},
		{"two authors, one not in alignment", "a@pass.example", "a@pass.example, b@fail.example", "", DMARC{Fail, "fail.example", "reject", ""}, true, true},
		{"two authors, both", "a@pass.example", "a@pass.example, b@sub.pass.example", "", DMARC{Pass, "pass.example", "reject", ""}, false, false},
		{"too many authors", "a@pass.example", "a@1.example, a@2.example, a@3.example, a@4.example, a@5.example, a@6.example", "", DMARC{PermError, "", "", "too many authors"}, true, false},
		{"two From fields", "a@pass.example", "a@pass.example\r\nFrom: ceo@fail.example", "", DMARC{PermError, "", "", "more than one From field"}, true, false},
		{"a From field with nothing", "", "MAILER-DAEMON", "", DMARC{PermError, "", "", "no address in the From field"}, false, false},
		{"a From field that cannot be read", "a@pass.example", "a@@b, <@", "", DMARC{PermError, "", "", "the From field cannot be read"}, true, false},
		{"a name with its period", "a@pass.example", "<a@pass.example.>", "", DMARC{PermError, "", "", "the From field cannot be read"}, true, false},
	} {
		m := message(c.from)
		if c.signs != "" {
			m = sign(t, m, c.signs, rsaKey())
		}
		got := check(t, Options{Resolver: world(t)}, c.sender, m)
		if got.DMARC != c.want || (got.Junk != "") != c.junk || got.Refuse != c.refuse {
			t.Errorf("%s: %+v, junk %q, refuse %v", c.name, got.DMARC, got.Junk, got.Refuse)
		}
	}
}

// A signature of another domain, good as it may be, says nothing of the author;
// nor does one of a public suffix.
func TestSignatureOfAnother(t *testing.T) {
	z := world(t)
	z.publish(t, "example", rsaKey())
	m := sign(t, message("a@other.example"), "other.example", rsaKey())
	// Its words and its From are another's now: the From was signed, so it breaks.
	if got := check(t, Options{Resolver: z}, "a@x.test", strings.Replace(m, "a@other.example", "a@fail.example", 1)); got.DKIM[0].Result != Fail || got.DMARC.Result != Fail {
		t.Errorf("%+v", got)
	}
	if got := check(t, Options{Resolver: z}, "a@x.test", m); got.DKIM[0] != (DKIM{Pass, "other.example", "one", ""}) || got.DMARC.Result != None {
		t.Errorf("%+v", got)
	}
	if aligned("example", "fail.example", false) || aligned("", "fail.example", false) || aligned("co.uk", "a.co.uk", false) || !aligned("a.b.co.uk", "b.co.uk", false) {
		t.Error("alignment by a public suffix")
	}
}

func TestBrokenSignatures(t *testing.T) {
	plain := message("a@fail.example")
	whole := sign(t, plain, "fail.example", rsaKey())
	replace := func(from, to string) string {
		if !strings.Contains(whole, from) {
			t.Fatalf("%q is not in %q", from, whole)
		}
		return strings.Replace(whole, from, to, 1)
	}
	for name, c := range map[string]struct {
		message string
		want    Result
	}{
		"whole":                  {whole, Pass},
		"relaxed: blanks":        {replace("Subject: hello", "SUBJECT:\t hello "), Pass},
		"relaxed: ends of lines": {replace("first line \r\n", "first  line\t\r\n"), Pass},
		"relaxed: empty lines":   {whole + "\r\n\r\n", Pass},
		"body":                   {replace("second", "2nd"), Fail},
		"subject":                {replace("hello", "hallo"), Fail},
		"added subject":          {"Subject: buy\r\n" + whole, Fail},
		"added below":            {replace("Subject: hello\r\n", "Subject: hello\r\nSubject: buy\r\n"), Fail},
		"added reply-to":         {"Reply-To: evil@x.test\r\n" + whole, Fail},
		"added received":         {"Received: from x\r\n" + whole, Pass},
		"added list fields":      {"List-Id: <x.y>\r\nSender: x@y.test\r\n" + whole, Pass},
		"no such key":            {replace("s=one", "s=none"), PermError},
		"another's domain":       {replace("d=fail.example", "d=pass.example"), Fail},
		"key not to be had":      {strings.Replace(replace("d=fail.example", "d=keytemp.example"), "s=one", "s=x", 1), TempError},
		"nonsense":               {"DKIM-Signature: v=1; nonsense\r\n" + plain, PermError},
		"empty":                  {"DKIM-Signature:\r\n" + plain, PermError},
		"sha1":                   {replace("rsa-sha256", "rsa-sha1"), PermError},
		"expired":                {replace("c=relaxed", "x=1; c=relaxed"), PermError},
		"a part of the body":     {replace("c=relaxed", "l=0; c=relaxed"), Fail},
		"domain is no name":      {replace("d=fail.example", "d=fail\x01\".example"), PermError},
	} {
		got := check(t, Options{Resolver: world(t)}, "a@other.example", c.message)
		if len(got.DKIM) != 1 || got.DKIM[0].Result != c.want {
			t.Errorf("%s: %+v, want %s", name, got.DKIM, c.want)
		}
		if want := map[Result]Result{Pass: Pass}[c.want]; name != "key not to be had" && (got.DMARC.Result == Pass) != (want == Pass) && !strings.HasPrefix(name, "another") {
			t.Errorf("%s: %+v", name, got.DMARC)
		}
	}
	// An identifier in alignment that could not be checked: nothing is known.
	m := strings.Replace(strings.Replace(sign(t, message("a@fail.example"), "fail.example", rsaKey()), "d=fail", "d=keytemp", 1), "s=one", "s=x", 1)
	m = strings.Replace(m, "From: a@fail.", "From: a@keytemp.", 1)
	if got := check(t, Options{Resolver: world(t)}, "a@other.example", m); got.DMARC.Result != TempError || got.Junk != "" {
		t.Errorf("%+v", got)
	}
}

func TestManySignatures(t *testing.T) {
	z := world(t)
	m := message("a@fail.example")
	for i := range 300 {
		m = fmt.Sprintf("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=%d.attacker.example; s=x; h=from; bh=YQ==; b=YQ==\r\n", i) + m
	}
	got := check(t, Options{Resolver: z}, "a@fail.example", m)
	if len(got.DKIM) != 6 || got.DKIM[5].Result != Policy || !strings.Contains(got.DKIM[5].Reason, "295 more") {
		t.Errorf("%+v", got.DKIM)
	}
	if z.asked() > 15 {
		t.Errorf("%d look-ups: %q", z.asked(), z.ask)
	}
}

// However much of it there is to ask, there is a bound for one message.
func TestLookupsAreBounded(t *testing.T) {
	z := world(t)
	var hosts []string
	for i := range 10 {
		hosts = append(hosts, fmt.Sprintf("h%d.many.example", i))
	}
	z.mx["many.example"] = hosts
	z.txt["many.example"] = []string{"v=spf1 mx mx mx mx mx mx mx mx mx -all"}
	for _, h := range hosts {
		z.addr[h] = []string{"198.51.100.7"}
	}
	v := New(Options{Resolver: z})
	if got := v.Sender(sending, "x.example", "a@many.example").SPF(t.Context()); got.Result == Pass || z.asked() > 60 {
		t.Errorf("%+v after %d look-ups", got, z.asked())
	}
}

// A resolver that does not answer holds a message up for so long and no longer,
// and what was not learned is told as such.
func TestSlowResolver(t *testing.T) {
	m := strings.Replace(strings.Replace(sign(t, message("a@fail.example"), "fail.example", rsaKey()), "d=fail.example", "d=slow.example", 1), "s=one", "s=y", 1)
	m = strings.Replace(m, "From: a@fail.example", "From: a@slow.example", 1)
	synctest.Test(t, func(t *testing.T) {
		z := world(t)
		z.txt["y._domainkey.slow.example"] = []string{"!slow"}
		began := time.Now()
		got := check(t, Options{Resolver: z, Timeout: 3 * time.Second}, "a@slow.example", m)
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		if got.SPF.Result != TempError || got.DKIM[0].Result != TempError || got.DMARC.Result != TempError || got.Junk != "" {
			t.Errorf("%+v", got)
		}
	})
}

// A message that does not come whole leaves nothing behind (see TestMain).
func TestAbandon(t *testing.T) {
	m := sign(t, sign(t, message("a@fail.example"), "fail.example", rsaKey()), "fail.example", edKey())
	z := world(t)
	z.txt["two._domainkey.fail.example"] = []string{"!slow"}
	v := New(Options{Resolver: z, Timeout: time.Hour})
	header, _ := split(m)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	c := v.Begin(ctx, v.Sender(sending, "x", "a@slow.example"), header)
	c.Write([]byte("half"))
	c.Abandon()
	c.Abandon()
}

func TestField(t *testing.T) {
	m := sign(t, message("a@pass.example"), "pass.example", rsaKey(), edKey())
	got := check(t, Options{Resolver: world(t)}, "a@pass.example", m)
	want := "Authentication-Results: mail.postern.test;\r\n\tspf=pass smtp.mailfrom=pass.example;\r\n\tdkim=pass header.d=pass.example header.s=one;\r\n" +
		"\tdkim=pass header.d=pass.example header.s=two;\r\n\tdmarc=pass header.from=pass.example policy.dmarc=reject\r\n"
	if got.Field != want || got.Junk != "" {
		t.Errorf("%s", got.Field)
	}
	if got := check(t, Options{Resolver: world(t)}, "", "Subject: x\r\n\r\n").Field; got != "Authentication-Results: mail.postern.test;\r\n\tspf=pass smtp.helo=client.example;\r\n\tdkim=none;\r\n\tdmarc=permerror reason=\"no From field\"\r\n" {
		t.Errorf("%s", got)
	}
	if got := Submitted("mail.postern.test", "alice@postern.test"); got != "Authentication-Results: mail.postern.test;\r\n\tauth=pass smtp.auth=alice@postern.test\r\n" {
		t.Errorf("%s", got)
	}
}

// Whatever a peer puts into its signature, the field stays what RFC 8601 says.
func FuzzField(f *testing.F) {
	f.Add("v=1; a=rsa-sha256; d=x.example; s=y; h=from; bh=YQ==; b=YQ==", "a@b.example", "v=DKIM1; p=YQ==", "v=spf1 a -all", "v=DMARC1; p=reject")
	f.Add("v=1; a=rsa-sha256; d=x\";\r\n dmarc=pass; s=y; h=from; bh=YQ==; b=YQ==", "\"x@y\" <a@b.example>", "v=DKIM1; k=ed25519; p=\"", "v=spf1 + - exp= ptr ptr: redirect=%{", "v=DMARC1;p")
	f.Add("i=@", "<", "p=", "v=spf1 exists:%{ir}.%{v}.%{l1r-}.x mx:%{d}/0//129 ip6:::/0", "v=DMARC1; pct=0; rua=mailto:")
	f.Fuzz(func(t *testing.T, signature, from, key, spf, dmarc string) {
		one := strings.NewReplacer("\r", "", "\n", "")
		anything := map[string][]string{}
		z := &every{zone{txt: anything}, key, spf, dmarc}
		m := "DKIM-Signature: " + one.Replace(signature) + "\r\nFrom: " + one.Replace(from) + "\r\n\r\nx\r\n"
		got := check(t, Options{Resolver: z, Timeout: time.Second}, "a@b.example", m)
		value, ok := strings.CutPrefix(got.Field, "Authentication-Results: ")
		if !ok || !strings.HasSuffix(value, "\r\n") || strings.ContainsFunc(strings.ReplaceAll(value, "\r\n\t", ""), func(r rune) bool { return r >= 0x7f || r < ' ' && r != '\r' && r != '\n' }) {
			t.Fatalf("field %q", got.Field)
		}
		host, results, err := authres.Parse(strings.NewReplacer("\r\n", "").Replace(value))
		if err != nil || host != "mail.postern.test" || len(results) != 3 {
			t.Fatalf("field %q: %q %v %v", got.Field, host, results, err)
		}
	})
}

// every answers any name.
type every struct {
	zone
	key, spf, dmarc string
}

func (z *every) LookupTXT(_ context.Context, name string) ([]string, error) {
	switch {
	case strings.Contains(name, "._domainkey."):
		return []string{z.key}, nil
	case strings.HasPrefix(name, "_dmarc."):
		return []string{z.dmarc}, nil
	}
	return []string{z.spf}, nil
}
