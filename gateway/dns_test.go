package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The records are the same before the first start, beside a running gateway, and after it; and every line is a comment or
// a record.
func TestDNS(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	args := []string{"--data", data, "--hostname", "mx.mail.example", "--domain", "mail.example", "--domain", "other.example"}
	print := func() string {
		p := start(t, "", append([]string{"dns"}, args...)...)
		<-p.ended
		if p.code != 0 {
			t.Fatalf("dns ended with %d: %s", p.code, p.stderr)
		}
		return p.stdout.String()
	}
	first := print()
	serveOn(t, args...)
	if again := print(); again != first {
		t.Errorf("%s\nbecame\n%s", first, again)
	}
	record := regexp.MustCompile(`^[a-z0-9_.-]+\.\t3600\tIN\t(MX\t10 mx\.mail\.example\.|TXT\t"[^"]+"( "[^"]+")*)$`)
	for line := range strings.SplitSeq(strings.TrimSuffix(first, "\n"), "\n") {
		if !strings.HasPrefix(line, "; ") && !record.MatchString(line) {
			t.Errorf("line %q", line)
		}
	}
	for _, want := range []string{"mail.example.\t3600\tIN\tMX", "other.example.\t3600\tIN\tMX", "\n_dmarc.other.example.\t", "._domainkey.mail.example.\t3600\tIN\tTXT\t\"v=DKIM1; k=rsa; p="} {
		if !strings.Contains("\n"+first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	p := start(t, "", "dns", "--data", filepath.Join(data, "lock"))
	if <-p.ended; p.code != 1 {
		t.Errorf("dns with a file for a folder ended with %d", p.code)
	}
	p = start(t, "", "dns", "nonsense")
	if <-p.ended; p.code != 2 {
		t.Errorf("dns with an argument ended with %d", p.code)
	}
}
