// Package printable makes what a peer says fit to be shown, and to be logged, beside what this program says: a server's
// reply, a certificate's names, a provider's name for itself. Anybody can write those.
package printable

import (
	"strings"
	"unicode"
)

// Line answers s as one line of valid UTF-8. What is not seen, ends lines, or turns the direction of what is beside it
// (unicode.IsPrint has none of these) becomes a space, octets that are no UTF-8 become U+FFFD.
func Line(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Short is Line, and of more than most characters the first ones and an ellipsis.
func Short(s string, most int) string {
	n := 0
	for i := range s {
		if n++; n > most {
			return Line(s[:i]) + "…"
		}
	}
	return Line(s)
}
