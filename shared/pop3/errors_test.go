package pop3

import "testing"

// What a server says is shown beside what this program says: it is one line, and turns nothing around.
func TestPrintable(t *testing.T) {
	for said, want := range map[string]string{
		"no\r\nroom\x00": "no  room ", "gro.\u202elive\u2069\u200e": "gro. live  ", "\u061ca\u2028b\xff": " a b\uFFFD", "größer, مرحبا": "größer, مرحبا",
	} {
		if got := printable(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}
