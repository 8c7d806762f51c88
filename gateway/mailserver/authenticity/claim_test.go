package authenticity

import (
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/authres"
)

func TestForged(t *testing.T) {
	for field, want := range map[string]bool{
		"Authentication-Results: mail.postern.test; spf=pass":                                true,
		"authentication-results: MAIL.Postern.TEST; spf=pass":                                true,
		"AUTHENTICATION-RESULTS : mail.postern.test 1; spf=pass":                             true,
		"Authentication-Results:mail.postern.test/1; none":                                   true, // RFC 8601 has no such version; a reader may
		"Authentication-Results:\r\n\tmail.postern.test\r\n\t1;\r\n\tspf=pass":               true,
		"Authentication-Results: \"mail.postern.test\"; spf=pass":                            true,
		"Authentication-Results: \"mail.post\\ern.test\" 1; spf=pass":                        true,
		"Authentication-Results: (a (nested) \\) comment) mail.postern.test (another); none": true,
		"Authentication-Results: mail.postern.test(comment); none":                           true,
		"Authentication-Results: mail.(hidden)postern.test; none":                            true,
		"Authentication-Results: mail.postern.test.; none":                                   true,
		"Authentication-Results: mail.postern.test":                                          true,
		"Authentication-Results: \"mail.postern.test":                                        true, // no end
		"Authentication-Results: (mail.postern.test":                                         true,
		"Authentication-Results:":                                                            true,
		"Authentication-Results: ; spf=pass":                                                 true,
		"Authentication-Results: mx.example.org; spf=pass":                                   false,
		"Authentication-Results: mx.example.org; spf=pass (mail.postern.test)":               false,
		"Authentication-Results: mail.postern.test-x; spf=pass":                              false,
		"Authentication-Results: xmail.postern.test; spf=pass":                               false,
		"ARC-Authentication-Results: i=1; mail.postern.test; spf=pass":                       false,
		"X-Postern-Junk: no":                   true,
		"x-postern-JUNK \t: no":                true,
		"Subject: mail.postern.test; spf=pass": false,
	} {
		if got := Forged([]byte(field+"\r\n"), "mail.postern.test"); got != want {
			t.Errorf("%q: %v, want %v", field, got, want)
		}
	}
	if !Forged([]byte("Authentication-Results: xn--bcher-kva.example; spf=pass\r\n"), "bücher.example") || !Forged([]byte("Authentication-Results: BÜCHER.example; spf=pass\r\n"), "xn--bcher-kva.example") {
		t.Error("a name in its other form is let through")
	}
}

// What another reader takes for our word is never let through.
func FuzzForged(f *testing.F) {
	for _, seed := range []string{"mail.postern.test; x=pass", "\"mail.postern.test\" 1; x=y", "(c)mail.postern.test\t;", "mail\\.postern.test;", "MAIL.postern.test\r\n 1", "\".mAil.postern.test\"", "\"mAil.postern.test\"\v0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\r\n") {
			value = strings.NewReplacer("\r", "", "\n", "\r\n\t").Replace(value)
		}
		forged := Forged([]byte("Authentication-Results:"+value+"\r\n"), "mail.postern.test")
		if forged {
			return
		}
		unfolded := strings.NewReplacer("\r\n", "").Replace(value)
		if id, _, err := authres.Parse(unfolded); err == nil && strings.EqualFold(strings.TrimSpace(id), "mail.postern.test") {
			t.Fatalf("%q claims to be ours and is let through", value)
		}
		first, _, _ := strings.Cut(unfolded, ";")
		if fields := strings.Fields(first); len(fields) > 0 && strings.EqualFold(strings.Trim(fields[0], `".`), "mail.postern.test") {
			t.Fatalf("%q begins with our name and is let through", value)
		}
	})
}
