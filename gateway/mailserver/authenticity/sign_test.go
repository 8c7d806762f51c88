package authenticity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"
)

// Whatever is signed here verifies, with the fields that a server adds above
// and without those it takes away.
func TestSignatureHolds(t *testing.T) {
	z := world(t)
	rapid.Check(t, func(r *rapid.T) {
		token := rapid.StringMatching(`[ -~]{0,60}`)
		var m strings.Builder
		for range rapid.IntRange(0, 5).Draw(r, "fields") {
			name := rapid.SampledFrom([]string{"Subject", "X-Thing", "Received", "To", "Reply-To", "subject", "Return-Path", "DKIM-Signature"}).Draw(r, "name")
			fmt.Fprintf(&m, "%s: %s\r\n", name, token.Draw(r, "value"))
			if rapid.Bool().Draw(r, "folded") {
				fmt.Fprintf(&m, "\t%s.\r\n", token.Draw(r, "more"))
			}
		}
		m.WriteString("From: Alice <a@pass.example>\r\n")
		if rapid.Bool().Draw(r, "has a body") {
			m.WriteString("\r\n")
			for range rapid.IntRange(0, 5).Draw(r, "lines") {
				m.WriteString(rapid.StringMatching(`[ -~\x80-\xff\t]{0,100}`).Draw(r, "line") + "\r\n")
			}
		}
		out := sign(t, m.String(), "pass.example", rsaKey(), edKey())
		if rapid.Bool().Draw(r, "simple") { // as strict as a sender can be
			var b strings.Builder
			options := &dkim.SignOptions{Domain: "pass.example", Selector: "one", Signer: rsaKey().Signer, HeaderKeys: []string{"From", "Subject", "To", "Subject"}}
			whole := m.String()
			if !strings.Contains(whole, "\r\n\r\n") {
				whole += "\r\n"
			}
			if err := dkim.Sign(&b, strings.NewReader(whole), options); err != nil {
				r.Fatal(err)
			}
			out = sign(t, b.String(), "pass.example", edKey())
		}
		header, body := split(out)
		kept := ""
		for _, f := range header { // as smtpd does
			if !Forged(f, "mail.postern.test") && !strings.HasPrefix(string(f), "Return-Path:") {
				kept += string(f)
			}
		}
		first := check(t, Options{Resolver: z, Signatures: 2}, "a@pass.example", out)
		added := "Return-Path: <a@pass.example>\r\n" + first.Field + Junk("for no reason") + "Received: from x\r\n\tby y; now\r\n" + kept + body
		for name, text := range map[string]string{"as sent": out, "as kept": added} {
			got := check(t, Options{Resolver: z, Signatures: 2}, "a@fail.example", text)
			if got.DKIM[0].Result != Pass || got.DKIM[1].Result != Pass || got.DMARC.Result != Pass {
				r.Fatalf("%s: %+v of %q", name, got.DKIM, text)
			}
		}
	})
}

func TestSignerKnowsItsDomains(t *testing.T) {
	s := NewSigner([]Key{rsaKey()}, []string{"Postern.test", "bücher.example"})
	for from, want := range map[string]bool{
		"a@postern.test": true, "A <a@POSTERN.TEST>": true, "a@bücher.example": true, "a@xn--bcher-kva.example": true,
		"a@sub.postern.test": false, "a@elsewhere.test": false, "a@postern.test, b@elsewhere.test": false, "nobody": false,
		"a@postern.test\r\nFrom: b@postern.test": false,
	} {
		header, _ := split("From: " + from + "\r\n\r\n")
		g, err := s.Begin(header)
		if err != nil || (g != nil) != want {
			t.Errorf("%q: signed %v, %v", from, g != nil, err)
		}
		if g != nil {
			g.Abandon()
			g.Abandon()
		}
	}
	header, _ := split("From: a@postern.test\r\n\r\n")
	if g, err := NewSigner(nil, []string{"postern.test"}).Begin(header); g != nil || err != nil {
		t.Errorf("without a key: %v %v", g, err)
	}
}

func TestSignatureField(t *testing.T) {
	out := sign(t, "From: a@postern.test\r\nTo: x\r\nTo: y\r\nSubject: z\r\n\r\nb\r\n", "postern.test", rsaKey())
	field, _ := split(out)
	text := strings.Join(strings.Fields(string(field[0])), "")
	for _, want := range []string{"a=rsa-sha256;", "c=relaxed/relaxed;", "d=postern.test;", "s=one;", "h=From:From:To:To:To:Cc:Subject:Subject:Date:Message-ID:"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q without %s", text, want)
		}
	}
	for line := range strings.SplitSeq(string(field[0]), "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

func TestKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dkim")
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	made, err := LoadKeys(dir, now)
	if err != nil || len(made) != 1 || made[0].Selector != "postern202611" {
		t.Fatalf("%+v %v", made, err)
	}
	if bits := made[0].Signer.(*rsa.PrivateKey).N.BitLen(); bits != 2048 {
		t.Errorf("a key of %d bits", bits)
	}
	name := filepath.Join(dir, "postern202611.pem")
	for path, want := range map[string]os.FileMode{name: 0o600, dir: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
	again, err := LoadKeys(dir, now.AddDate(1, 0, 0))
	if err != nil || len(again) != 1 || !again[0].Signer.(*rsa.PrivateKey).Equal(made[0].Signer) {
		t.Errorf("a year later: %+v %v", again, err)
	}

	// A second key, of the other kind.
	write := func(name string, key any) {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	write("next.pem", ed)
	both, err := LoadKeys(dir, now)
	if err != nil || len(both) != 2 || both[0].Selector != "next" {
		t.Fatalf("%+v %v", both, err)
	}
	z := world(t)
	z.publish(t, "pass.example", both...)
	got := check(t, Options{Resolver: z}, "a@x.test", sign(t, message("a@pass.example"), "pass.example", both...))
	if len(got.DKIM) != 2 || got.DKIM[0].Result != Pass || got.DKIM[1].Result != Pass {
		t.Errorf("%+v", got.DKIM)
	}

	// What cannot be used is not replaced.
	for name, make := range map[string]func(){
		"damaged.pem": func() { os.WriteFile(filepath.Join(dir, "damaged.pem"), []byte("x"), 0o600) },
		"ec.pem":      func() { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); write("ec.pem", k) },
		"a b.pem":     func() { write("a b.pem", ed) },
		"der.pem": func() {
			os.WriteFile(filepath.Join(dir, "der.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"}), 0o600)
		},
		"5 keys: many": func() { write("k1.pem", ed); write("k2.pem", ed); write("k3.pem", ed) },
	} {
		make()
		if _, err := LoadKeys(dir, now); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(name, ": many")[:1]) {
			t.Errorf("%s: %v", name, err)
		}
		os.Remove(filepath.Join(dir, name))
		for _, k := range []string{"k1.pem", "k2.pem", "k3.pem"} {
			os.Remove(filepath.Join(dir, k))
		}
	}
}

// Two programs that start at once, the server and the command that prints the
// records, have one key.
func TestKeysMadeAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dkim")
	var all [4][]Key
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i], _ = LoadKeys(dir, time.Now()) })
	}
	wg.Wait()
	for _, keys := range all {
		if len(keys) != 1 || !keys[0].Signer.(*rsa.PrivateKey).Equal(all[0][0].Signer) {
			t.Fatal("more than one key")
		}
	}
}

func TestRecords(t *testing.T) {
	key, _ := rsa.GenerateKey(rand.Reader, 2048)
	list, err := Records("Mail.Postern.test", []string{"postern.test", "bücher.example"}, []Key{{"s1", key}, edKey()})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range list {
		lines = append(lines, r.String())
	}
	text := strings.Join(lines, "\n") + "\n"
	for _, want := range []string{
		"postern.test.\t3600\tIN\tMX\t10 mail.postern.test.\n", "postern.test.\t3600\tIN\tTXT\t\"v=spf1 mx ~all\"\n",
		"s1._domainkey.postern.test.\t3600\tIN\tTXT\t\"v=DKIM1; k=rsa; p=MII", "two._domainkey.postern.test.\t3600\tIN\tTXT\t\"v=DKIM1; k=ed25519; p=",
		"_dmarc.postern.test.\t3600\tIN\tTXT\t\"v=DMARC1; p=quarantine\"\n", "xn--bcher-kva.example.\t3600\tIN\tMX\t10 mail.postern.test.\n",
		"mail.postern.test.\t3600\tIN\tTXT\t\"v=spf1 a -all\"\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nhas no %q", text, want)
		}
	}
	// Put together again, the strings are the record, and none is too long.
	for i, r := range list {
		if r.Type != "TXT" {
			continue
		}
		_, data, _ := strings.Cut(lines[i], "\tTXT\t")
		joined := ""
		for _, s := range strings.Split(strings.Trim(data, `"`), `" "`) {
			if len(s) > 255 {
				t.Errorf("a string of %d octets", len(s))
			}
			joined += s
		}
		if joined != r.Data {
			t.Errorf("%q became %q", r.Data, joined)
		}
	}
	list, _ = Records("postern.test", []string{"postern.test"}, nil)
	if len(list) != 3 || list[1].Data != "v=spf1 a mx ~all" {
		t.Errorf("a host that is the domain: %+v", list)
	}
	if got := (Record{"x.", "TXT", `a"b\c`}).String(); got != "x.\t3600\tIN\tTXT\t\"a\\\"b\\\\c\"" {
		t.Errorf("%s", got)
	}
	// What is published here passes here.
	z := &zone{txt: map[string][]string{}, mx: map[string][]string{}, addr: map[string][]string{"mail.pass.test": {sending.String()}}}
	list, _ = Records("mail.pass.test", []string{"pass.test"}, []Key{rsaKey()})
	for _, r := range list {
		name := strings.TrimSuffix(r.Name, ".")
		if r.Type == "MX" {
			z.mx[name] = []string{"mail.pass.test"}
		} else {
			z.txt[name] = append(z.txt[name], r.Data)
		}
	}
	if got := check(t, Options{Resolver: z}, "a@pass.test", sign(t, message("a@pass.test"), "pass.test", rsaKey())); got.SPF.Result != Pass || got.DKIM[0].Result != Pass || got.DMARC.Result != Pass {
		t.Errorf("%+v", got)
	}
}
