package mail

import (
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/postern-mail/postern/shared/idn"
)

// writer builds a message. All that it is given has passed cleanLine or is its own.
type writer struct{ b []byte }

func (w *writer) line(s string) {
	w.b = append(w.b, s...)
	w.b = append(w.b, "\r\n"...)
}

// field writes a field that is short or folded already.
func (w *writer) field(name, value string) { w.line(name + ": " + value) }

// words writes a field of words, folded between them so that lines have at most 76 octets where words allow.
func (w *writer) words(name string, words []string) {
	w.b = append(w.b, name+":"...)
	col := len(name) + 1
	for i, s := range words {
		if col+1+len(s) > 76 && i > 0 {
			w.b = append(w.b, "\r\n"...)
			col = 0
		}
		w.b = append(w.b, ' ')
		w.b = append(w.b, s...)
		col += 1 + len(s)
	}
	w.b = append(w.b, "\r\n"...)
}

// unstructured writes a text field, RFC 5322 section 3.2.5. Blanks within the text stay as they are.
func (w *writer) unstructured(name, text string) {
	text = cleanLine(text)
	if !isPlainText(text) {
		text = encodeWords(text)
	}
	w.words(name, strings.Split(text, " "))
}

// isPlainText says whether text can stand in a field as it is: visible ASCII, words that fit a line, single blanks (two
// could be folded to a line of blanks), nothing that would be taken for an encoded word.
func isPlainText(text string) bool {
	run := 0
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c >= 127 {
			return false
		}
		if c == ' ' {
			if run == 0 && i > 0 {
				return false
			}
			run = 0
		} else if run++; run > 70 {
			return false
		}
	}
	return !strings.Contains(text, "=?")
}

// encodeWords writes text as encoded words, RFC 2047, none longer than 75; the shorter of the two encodings.
func encodeWords(text string) string {
	high := 0
	for i := range len(text) {
		if text[i] >= 128 {
			high++
		}
	}
	if high > len(text)/3 {
		return encodeWith(mime.BEncoding, text)
	}
	return encodeWith(mime.QEncoding, text)
}

// encodeWith encodes also what is ASCII, which the encoder would leave as it is.
func encodeWith(e mime.WordEncoder, text string) string {
	if s := e.Encode("utf-8", text); s != text {
		return s
	}
	var out []string
	for len(text) > 0 {
		n := min(len(text), 20)
		s := "=?utf-8?q?"
		for _, c := range []byte(text[:n]) {
			switch {
			case c == ' ':
				s += "_"
			case c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
				s += string(rune(c))
			default:
				s += "=" + string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15])
			}
		}
		out = append(out, s+"?=")
		text = text[n:]
	}
	return strings.Join(out, " ")
}

// addresses writes an address field, RFC 5322 section 3.4.
func (w *writer) addresses(name string, l []Address) error {
	var words []string
	for i, a := range l {
		addr, err := a.wire()
		if err != nil {
			return err
		}
		if n := displayName(a.Name); n != "" {
			words = append(words, strings.Split(n, " ")...)
			addr = "<" + addr + ">"
		}
		if i < len(l)-1 {
			addr += ","
		}
		words = append(words, addr)
	}
	w.words(name, words)
	return nil
}

// displayName writes a name as atoms, a quoted string or encoded words, whichever holds it. Within an encoded word of a
// phrase only letters, digits and few others may stand (RFC 2047 section 5); the standard's B form has no others.
func displayName(name string) string {
	name = strings.Join(strings.Fields(cleanLine(name)), " ")
	if name == "" {
		return ""
	}
	if !isPlainText(name) || !utf8.ValidString(name) {
		s := mime.BEncoding.Encode("utf-8", name)
		if s == name {
			s = encodeWith(mime.QEncoding, name)
		}
		return s
	}
	for _, c := range []byte(name) {
		if c != ' ' && !isAtext(c) {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
		}
	}
	return name
}

func isAtext(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// wire answers the address as it goes into a field. A domain beyond ASCII is written as DNS has it, for every server takes
// that. A local part beyond ASCII has no other form: it goes as it is, and its domain with it (RFC 6532 section 3.2).
func (a Address) wire() (string, error) {
	if err := a.check(); err != nil {
		return "", err
	}
	i := strings.LastIndexByte(a.Addr, '@')
	local, domain := a.Addr[:i], a.Addr[i+1:]
	ascii, ok := idn.ToASCII(domain)
	switch {
	case !ok:
		return "", &AddressError{a.Addr, "has no valid domain"}
	case !idn.IsASCII(local):
		return a.Addr, nil
	}
	return local + "@" + ascii, nil
}
