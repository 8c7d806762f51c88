package html

import (
	"html"
	"testing"

	"pgregory.net/rapid"
)

func TestEscapeStringIsTheStandardLibrarys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("&<>'\"a;#\x00é")), 0, 20, -1)).Draw(t, "s")
		if got, want := EscapeString(s), html.EscapeString(s); got != want {
			t.Fatalf("%q becomes %q; want %q", s, got, want)
		}
	})
}
