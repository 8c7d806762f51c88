package smtp

import (
	"regexp"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		e    Error
		want string
	}{
		{Error{Code: 550, Enhanced: "5.1.1"}, "There is no such mailbox at that domain."},
		{Error{Code: 450, Enhanced: "4.2.2"}, "The mailbox is full."},
		{Error{Code: 550, Enhanced: "5.7.26"}, "The message passed neither SPF nor DKIM."},
		{Error{Code: 550, Enhanced: "5.1.99"}, "There is something wrong with an address."},
		{Error{Code: 550, Enhanced: "5.9.1"}, "There is no such mailbox, or the server's rules are against it."},
		{Error{Code: 554, Enhanced: "5.0.0"}, "The server refused, and does not say why."},
		{Error{Code: 535}, "The name or the password is wrong."},
		{Error{Code: 421}, "The server is going away, or has too much to do."},
		{Error{Code: 599}, ""},
		{Error{}, ""},
		{Error{Enhanced: "5"}, ""}, {Error{Enhanced: "5."}, ""}, {Error{Enhanced: "5.."}, ""}, {Error{Enhanced: "...."}, ""},
	} {
		if got := c.e.Explain(); got != c.want {
			t.Errorf("%d %s: %q, want %q", c.e.Code, c.e.Enhanced, got, c.want)
		}
	}
}

// The tables have one sentence for each code, in the form that is looked for.
func TestExplainTables(t *testing.T) {
	for table, form := range map[string]string{statusCodes: `^\.[1-7]\.\d{1,2} [A-Z].*\.$`, subjects: `^[1-7] [A-Z].*\.$`, replyCodes: `^[45]\d\d [A-Z].*\.$`} {
		seen := make(map[string]bool)
		for line := range strings.SplitSeq(table, "\n") {
			code, _, _ := strings.Cut(line, " ")
			if !regexp.MustCompile(form).MatchString(line) || seen[code] {
				t.Errorf("%q", line)
			}
			seen[code] = true
		}
	}
}
