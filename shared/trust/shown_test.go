package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// What a certificate says of itself cannot forge what stands beside it: anybody can write one.
func TestWhatACertificateSays(t *testing.T) {
	const forged = "pop.example.org\u202e\u2066\n\nTrusted so far: \u200bAA BB\x1b[2J\xff"
	leaf := &x509.Certificate{
		Subject:  pkix.Name{CommonName: forged, Organization: []string{strings.Repeat("long ", 10_000)}},
		Issuer:   pkix.Name{CommonName: forged},
		DNSNames: []string{forged, strings.Repeat("a.", 10_000)},
	}
	e := refuse(leaf, WrongHost, errors.New("x509: not "+strings.Repeat(forged, 1000)))
	for _, s := range append(e.Names, e.Subject, e.Issuer, e.Error()) {
		if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || utf8.RuneCountInString(s) > 4*maxText || !utf8.ValidString(s) {
			t.Errorf("%d octets, %.100q", len(s), s)
		}
	}
	if len(e.Names) != 2 || !strings.HasPrefix(e.Names[0], "pop.example.org") || shown("büro.example, 中文") != "büro.example, 中文" {
		t.Errorf("%q", e.Names)
	}
}
