package printable

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestLine(t *testing.T) {
	for said, want := range map[string]string{
		"no\r\nroom\x00":             "no  room ",
		"gro.\u202elive\u2069\u200e": "gro. live  ",
		"\u061ca\u2028b\xff":         " a b\uFFFD",
		"a\u200bb\x1b[2J":            "a b [2J",
		"größer, مرحبا, 中文":          "größer, مرحبا, 中文",
	} {
		if got := Line(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	for said, want := range map[string]string{"": "", "größer": "größer", "größere": "größer…", "\xff\xff": "\uFFFD", "größe\n\n": "größe …"} {
		if got := Short(said, 6); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

func TestAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		said := string(rapid.SliceOf(rapid.Byte()).Draw(t, "octets")) + rapid.String().Draw(t, "text")
		got := Short(said, 10)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 11 || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q", got)
		}
	})
}
