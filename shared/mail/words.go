package mail

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// word is an encoded word of RFC 2047 section 2, its text still encoded.
type word struct {
	charset string
	enc     byte // 'B' or 'Q'
	text    []byte
}

// cutWord takes an encoded word off the front of b, which begins with "=?". QUIRK: the text may hold blanks and octets
// above 127, and the closing "?=" may be missing at the end of b; real mail has all three.
func cutWord(b []byte) (w word, rest []byte, ok bool) {
	i := bytes.IndexByte(b[2:min(len(b), 64)], '?')
	if i <= 0 {
		return word{}, b, false
	}
	cs := b[2 : 2+i]
	if bytes.ContainsAny(cs, " \t=<>\"") {
		return word{}, b, false
	}
	t := b[2+i+1:]
	if len(t) < 2 || t[1] != '?' {
		return word{}, b, false
	}
	enc := t[0] &^ 0x20
	if enc != 'B' && enc != 'Q' {
		return word{}, b, false
	}
	t = t[2:]
	name, _, _ := strings.Cut(string(cs), "*") // RFC 2231 section 5: a language after it
	end := bytes.Index(t[:min(len(t), maxToken)], []byte("?="))
	if end < 0 {
		if len(t) > maxToken || bytes.ContainsAny(t, " \t?") {
			return word{}, b, false
		}
		return word{name, enc, t}, nil, true
	}
	return word{name, enc, t[:end]}, t[end+2:], true
}

func (w word) octets() []byte {
	if w.enc == 'B' {
		return decodeBase64(w.text)
	}
	return decodeQ(w.text)
}

// decodeQ reads the "Q" encoding, RFC 2047 section 4.2.
func decodeQ(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]):
			out = append(out, unhex(b[i+1])<<4|unhex(b[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// decodeWords reads an unstructured value: encoded words decoded, blanks between two of them dropped, other text as it
// is. Neighbours of one charset are joined before they are decoded, for software cuts characters in two. Raw octets
// above 127 are read as the decoder's hint says where they are not UTF-8.
func decodeWords(b []byte, d decoder) string {
	if !bytes.Contains(b, []byte("=?")) {
		return decodeRaw(b, d)
	}
	var out strings.Builder
	var run []byte // octets of neighbouring words
	var runCharset string
	flush := func() {
		if run != nil {
			out.WriteString(d.text(runCharset, run))
			run = nil
		}
	}
	for len(b) > 0 {
		i := bytes.Index(b, []byte("=?"))
		if i < 0 {
			break
		}
		w, rest, ok := cutWord(b[i:])
		if !ok {
			flush()
			out.WriteString(decodeRaw(b[:i+2], d))
			b = b[i+2:]
			continue
		}
		if i > 0 && (run == nil || len(bytes.TrimSpace(b[:i])) > 0) {
			flush()
			out.WriteString(decodeRaw(b[:i], d))
		}
		if run != nil && !strings.EqualFold(runCharset, w.charset) {
			flush()
		}
		if run == nil {
			run, runCharset = []byte{}, w.charset
		}
		run = append(run, w.octets()...)
		b = rest
	}
	flush()
	out.WriteString(decodeRaw(b, d))
	return out.String()
}

func decodeRaw(b []byte, d decoder) string {
	if utf8.Valid(b) && !bytes.Contains(b, []byte("\x1b$")) {
		return string(b)
	}
	return d.text(d.hint, b)
}

// decodeLine is decodeWords for one line that people read: no control characters, no blanks around it.
func decodeLine(b []byte, d decoder) string { return cleanLine(decodeWords(b, d)) }

// cleanLine takes out what does not belong into one line of text: line ends and tabs become blanks, other control
// characters and the marks that turn the direction of text around (a way to disguise names) go.
func cleanLine(s string) string {
	if plainASCII(s) { // most are
		return strings.TrimSpace(s)
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r) || isBidi(r) || r == '\ufeff':
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// plainASCII says that s has visible ASCII and blanks alone.
func plainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// clip answers the first n octets of s at most, whole characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// isBidi says whether r overrides or embeds a direction; the plain marks of right-to-left text are not among them.
func isBidi(r rune) bool { return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' }
