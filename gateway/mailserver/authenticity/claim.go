package authenticity

import (
	"strings"
	"unicode"
)

// JunkField is the field by which the server tells its own users' programs that
// a message is junk, and why. It stands among the trace fields of the final
// delivery, above the first Received; one that comes from outside is removed.
const JunkField = "X-Postern-Junk"

// Junk writes the field.
func Junk(reason string) string { return JunkField + ": yes; reason=\"" + plain(reason) + "\"\r\n" }

// Forged says whether a header field of an incoming message claims to be this
// server's word: an Authentication-Results field with its authserv-id, or a
// junk field. RFC 8601 §5 wants such removed. A field that cannot be read is
// nobody's, and removed too, because others may read it differently.
func Forged(field []byte, hostname string) bool {
	name, value, _ := strings.Cut(string(field), ":")
	switch name = strings.TrimRight(name, " \t"); {
	case strings.EqualFold(name, JunkField):
		return true
	case !strings.EqualFold(name, "Authentication-Results"):
		return false
	}
	id, ok := authservID(value)
	own := asciiDomain(hostname)
	return !ok || asciiDomain(strings.Trim(id, ".")) == own || asciiDomain(firstName(value)) == own
}

// firstName is what a reader finds who looks for a name alone, and knows nothing
// of strings and comments.
func firstName(value string) string {
	names := strings.FieldsFunc(value, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && r != '-' && r != '_' && r != '.' && (r < 0x80 || unicode.IsSpace(r) || unicode.IsControl(r))
	})
	for _, name := range names {
		if name = strings.Trim(name, "."); name != "" {
			return name
		}
	}
	return ""
}

// authservID reads the first word of an Authentication-Results field (RFC 8601
// §2.2), a token or a quoted string between comments, without its version.
func authservID(value string) (id string, ok bool) {
	var b strings.Builder
	quoted, comments := false, 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\\' && (quoted || comments > 0):
			if i++; i < len(value) && comments == 0 {
				b.WriteByte(value[i])
			}
		case comments > 0:
			switch c {
			case '(':
				comments++
			case ')':
				comments--
			}
		case c == '"':
			quoted = !quoted
		case quoted && c != '\r' && c != '\n':
			b.WriteByte(c)
		case c == '(':
			comments++
		case c == ';':
			return strings.TrimSpace(b.String()), b.Len() > 0
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			if b.Len() > 0 { // what follows is a version, or no part of the name
				return strings.TrimSpace(b.String()), !quoted
			}
		default:
			b.WriteByte(c)
		}
	}
	return strings.TrimSpace(b.String()), b.Len() > 0 && !quoted && comments == 0
}
