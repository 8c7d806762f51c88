package idn

import (
	"strings"
	"testing"

	"golang.org/x/net/idna"
	"pgregory.net/rapid"
)

func TestToASCII(t *testing.T) {
	for in, want := range map[string]string{
		"example.org": "example.org", "exämple.org": "xn--exmple-cua.org", "BÜCHER.example": "xn--bcher-kva.example", "例え.テスト": "xn--r8jz45g.xn--zckzah",
		"mail。例え。jp": "mail.xn--r8jz45g.jp", "пример.рф": "xn--e1afmkfd.xn--p1ai", "ü": "xn--tda", "e\u0301.example": "e\u0301.example",
		strings.Repeat("ü", 100) + ".example": strings.Repeat("ü", 100) + ".example",
	} {
		if got, ok := ToASCII(in); got != want || ok != IsASCII(want) {
			t.Errorf("%q is %q, %v, want %q", in, got, ok, want)
		}
	}
}

// TestPunycodeAgainstAnother compares with an implementation that is not ours, and too large for the engine.
func TestPunycodeAgainstAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.StringOfN(rapid.RuneFrom([]rune("abz09äöüßéñçćžжщяλωשםع日本語한글𐍈😀")), 1, 20, -1).Draw(t, "label")
		want, err := idna.Punycode.ToASCII(label)
		if err != nil || len(want) > 63 {
			return
		}
		if got, _ := ToASCII(label); got != want {
			t.Fatalf("%q is %q, want %q", label, got, want)
		}
	})
}
