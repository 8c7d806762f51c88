package mail

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseAddresses(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []Address
	}{
		{"a@b.example", []Address{{"", "a@b.example"}}},
		{"Bob <bob@b.example>", []Address{{"Bob", "bob@b.example"}}},
		{`"Doe, Jane" <j@b>, x@y`, []Address{{"Doe, Jane", "j@b"}, {"", "x@y"}}},
		{`"a \"q\" \\ b" <a@b>`, []Address{{`a "q" \ b`, "a@b"}}},
		{"=?utf-8?Q?Doe,_J=C3=B6rg?= <j@b>", []Address{{"Doe, Jörg", "j@b"}}},
		{`"=?utf-8?Q?J=C3=B6rg?=" <j@b>`, []Address{{"Jörg", "j@b"}}},
		{"j@b (Jörg D.)", []Address{{"Jörg D.", "j@b"}}},
		{"Bob (the builder (really)) <bob@b>", []Address{{"Bob", "bob@b"}}},
		{"Team: a@b, C <c@d>; e@f", []Address{{"", "a@b"}, {"C", "c@d"}, {"", "e@f"}}},
		{"undisclosed-recipients:;", nil},
		{"", nil}, {" , ,; ", nil},
		{"a@b; c@d", []Address{{"", "a@b"}, {"", "c@d"}}},
		{"<@relay,@other:a@b>", []Address{{"", "a@b"}}},
		{"<a@b", []Address{{"", "a@b"}}},
		{"Bob <bob@b", []Address{{"Bob", "bob@b"}}},
		{"<a@b> Bob", []Address{{"Bob", "a@b"}}},
		{"Bob bob@b", []Address{{"Bob", "bob@b"}}},
		{"MAILER-DAEMON", []Address{{"MAILER-DAEMON", ""}}},
		{"Mail Delivery System <MAILER-DAEMON>", []Address{{"Mail Delivery System", "MAILER-DAEMON"}}},
		{"<a@b>\\,<c@d>", []Address{{"", "a@b"}, {"", "c@d"}}[0:2]},
		{"One <a@b> Two <c@d>", []Address{{"One", "a@b"}}},
		{"< a @ b . example >", []Address{{"", "a@b.example"}}},
		{"mailto:a@b", []Address{{"", "a@b"}}},
		{"'Outlook' <a@b>", []Address{{"Outlook", "a@b"}}},
		{"a@b <a@b>", []Address{{"", "a@b"}}},
		{"=?utf-8?B?YUBi?=", []Address{{"", "a@b"}}},
		{"\"unclosed <a@b>, c@d", []Address{{"unclosed", "a@b"}, {"", "c@d"}}},
		{"caf\xe9 <a@b>", []Address{{"café", "a@b"}}},
		{"x\r\n <a@b>", []Address{{"x", "a@b"}}},
		{`"quoted local"@b`, []Address{{"", `"quoted local"@b`}}},
	} {
		got := parseAddresses([]byte(c.in), decoder{})
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q\n%s", c.in, d)
		}
	}
	if n := len(parseAddresses([]byte(strings.Repeat("a@b,", 2*maxAddresses)), decoder{})); n != maxAddresses {
		t.Errorf("%d addresses", n)
	}
}

func TestParseAddressList(t *testing.T) {
	l, err := ParseAddressList("Bob <bob@b.example>\nalice@a.example; Zoë <z@z.example>")
	if err != nil || len(l) != 3 || l[2].Name != "Zoë" {
		t.Error(l, err)
	}
	l, err = ParseAddressList("bob@b.example, nobody")
	var bad *AddressError
	if !errors.As(err, &bad) || len(l) != 2 {
		t.Error(l, err)
	}
}

func TestValid(t *testing.T) {
	for addr, want := range map[string]bool{
		"a@b": true, "a.b+c@x-y.example": true, `"a b"@c`: true, "a@[127.0.0.1]": true, "a@[IPv6:::1]": true, "ü@ü.example": true, "a_b@c_d": true,
		"": false, "a": false, "@b": false, "a@": false, "a b@c": false, "a@b c": false, "a..b@c": false, ".a@b": false, "a@b..c": false, "a@-b": false, "a@b-": false,
		"a@b\r\nRCPT TO:<x>": false, "a\x00@b": false, "a<@b": false, "a@b>": false, "a@[1.2.3]": false, "a@[::1": false, "\"a@b": false, "\"\"@b": false,
		"\"a\r\n\"@b": false, "a@\u202eb": false, "a\u00a0@b": false, "a@b\xff": false, "a@" + strings.Repeat("x", 64): false,
		strings.Repeat("x", 65) + "@b": false, "a@" + strings.Repeat("x.", 130) + "x": false,
	} {
		if got := (Address{Addr: addr}).Valid(); got != want {
			t.Errorf("%q: %v", addr, got)
		}
	}
}

func TestFormatAddress(t *testing.T) {
	for _, c := range []struct {
		a    Address
		want string
	}{
		{Address{"", "a@b"}, "a@b"}, {Address{"Bob", "a@b"}, "Bob <a@b>"}, {Address{"Doe, Jane", "a@b"}, `"Doe, Jane" <a@b>`}, {Address{`a"b\`, "a@b"}, `"a\"b\\" <a@b>`},
		{Address{"Zoë\r\n", "a@b"}, "Zoë <a@b>"},
	} {
		got := FormatAddress(c.a)
		if got != c.want {
			t.Errorf("%q", got)
		}
		if l, err := ParseAddressList(got); err != nil || len(l) != 1 || FormatAddress(l[0]) != got {
			t.Errorf("%q is read as %v, %v", got, l, err)
		}
	}
}

func TestParseDate(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Mon, 1 Jan 2024 10:00:00 +0100", "2024-01-01T10:00:00+01:00"},
		{"1 Jan 2024 10:00 +0000", "2024-01-01T10:00:00Z"},
		{"Mon, 01 Jan 24 10:00:00 GMT", "2024-01-01T10:00:00Z"},
		{"Mon, 01 Jan 99 10:00:00 EST (comment)", "1999-01-01T10:00:00-05:00"},
		{"Mon Jan  1 10:00:00 2024", "2024-01-01T10:00:00Z"},
		{"Mon Jan  1 10:00:00 PST 2024", "2024-01-01T10:00:00-08:00"},
		{"Monday, January 1, 2024 10:00 PM", "2024-01-01T22:00:00Z"},
		{"2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"},
		{"2024-01-01 10:00:00 +02:00", "2024-01-01T10:00:00+02:00"},
		{"2024-01-01T10:00:00.123-05:00", "2024-01-01T10:00:00-05:00"},
		{"Mon, 1-Jan-2024 10:00:00 -0330", "2024-01-01T10:00:00-03:30"},
		{"Mon,1 Jan 2024 10:00:00+0100", "2024-01-01T10:00:00+01:00"},
		{"1 Jan 2024", "2024-01-01T00:00:00Z"},
		{"1 Jan 2024 10:00:00 +9999", "2024-01-01T10:00:00Z"},
		{"", ""}, {"yesterday", ""}, {"1 Jan 99999 10:00:00 +0000", ""}, {"32 Jan 2024 10:00:00", ""}, {"1 Jan 2024 25:00:00", ""}, {"1 Jan 1900 10:00:00", ""}, {"::::", ""}, {"1:2:3:4", ""},
		{strings.Repeat("1 ", 200), ""},
	} {
		got := ""
		if d := parseDate([]byte(c.in)); !d.IsZero() {
			got = d.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%q is %s, want %s", c.in, got, c.want)
		}
	}
}
