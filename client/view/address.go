package view

import (
	"strings"
	"unicode/utf8"

	"github.com/postern-mail/postern/client/api"
)

// NoSubject is shown for an empty subject.
const NoSubject = "(no subject)"

// SenderName is a short name for an address: its display name, or the address. A display name that looks like another
// address is not believed: the true address is shown.
func SenderName(x api.Address) string {
	name := clean(x.Name)
	switch {
	case name == "" && x.Addr == "":
		return "(unknown sender)"
	case name == "" || Disguised(x):
		return x.Addr
	}
	return name
}

// Disguised says that a display name looks like an address that is not the true one.
func Disguised(x api.Address) bool {
	name := strings.Trim(clean(x.Name), `"'<> `)
	return x.Addr != "" && strings.Contains(name, "@") && !strings.EqualFold(name, x.Addr)
}

// clean takes control and direction characters out of a name: they can make one address look like another.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r < ' ', r == 0x7f, r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0xFEFF:
			return -1
		}
		return r
	}, s))
}

// Names is a short list of names: "Bob, Carol and 3 others".
func Names(list []api.Address, most int) string {
	var b strings.Builder
	for i, x := range list {
		if i == most && len(list) > most+1 {
			b.WriteString(" and " + Number(len(list)-most) + " others")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(SenderName(x))
	}
	return b.String()
}

// Initials are one or two letters for an address's badge.
func Initials(x api.Address) string {
	words := strings.Fields(strings.Map(func(r rune) rune {
		if strings.ContainsRune(`"'<>()[],.`, r) {
			return ' '
		}
		return r
	}, SenderName(x)))
	if len(words) == 0 {
		return "?"
	}
	first, _ := utf8.DecodeRuneInString(words[0])
	out := strings.ToUpper(string(first))
	if first < 0x2E80 && len(words) > 1 && !strings.Contains(words[0], "@") { // one character says enough in Chinese, Japanese and Korean
		last, _ := utf8.DecodeRuneInString(words[len(words)-1])
		out += strings.ToUpper(string(last))
	}
	return out
}

// FormatAddress writes an address as it is typed: `Bob Smith <bob@example.org>`, quoted where RFC 5322 section 3.2.4
// wants it.
func FormatAddress(x api.Address) string {
	name := clean(x.Name)
	if name == "" || strings.EqualFold(name, x.Addr) {
		return x.Addr
	}
	if strings.ContainsAny(name, `()<>[]:;@\,."`) {
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name + " <" + x.Addr + ">"
}

// FormatList writes addresses with commas between them.
func FormatList(list []api.Address) string {
	parts := make([]string, len(list))
	for i, x := range list {
		parts[i] = FormatAddress(x)
	}
	return strings.Join(parts, ", ")
}

// ReadList reads addresses as people type and paste them: separated by commas, semicolons or line ends, with or without
// a name, quoted or not. What is no address is an Address all the same, with the text as its Addr; wrongIn names it.
func ReadList(s string) []api.Address {
	var out []api.Address
	for _, part := range splitList(s) {
		out = append(out, readAddress(part))
	}
	return out
}

// splitList cuts at separators outside quotes, angle brackets and comments.
func splitList(s string) []string {
	var out []string
	var b strings.Builder
	quoted, angle, escaped := false, false, false
	flush := func() {
		if p := strings.TrimSpace(b.String()); p != "" {
			out = append(out, p)
		}
		b.Reset()
		angle = false
	}
	for _, r := range s {
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '<':
			angle = true
		case r == '>':
			angle = false
		case r == '\n', r == ';', r == ',' && !angle:
			flush()
			continue
		}
		b.WriteRune(r)
	}
	flush()
	return out
}

func readAddress(s string) api.Address {
	if i := strings.LastIndexByte(s, '<'); i >= 0 {
		if j := strings.IndexByte(s[i:], '>'); j > 0 {
			addr := strings.TrimSpace(s[i+1 : i+j])
			return api.Address{Name: unquote(strings.TrimSpace(s[:i])), Addr: strings.TrimPrefix(addr, "mailto:")}
		}
	}
	return api.Address{Addr: strings.TrimPrefix(strings.TrimSpace(s), "mailto:")}
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	escaped := false
	for _, r := range s[1 : len(s)-1] {
		if r == '\\' && !escaped {
			escaped = true
			continue
		}
		escaped = false
		b.WriteRune(r)
	}
	return b.String()
}

// wrongIn says what is wrong with a field of addresses, "" for nothing.
func wrongIn(s string) string {
	for _, x := range ReadList(s) {
		if !ValidAddress(x.Addr) {
			if x.Addr == "" {
				return "“" + x.Name + "” has no address"
			}
			return "“" + x.Addr + "” is not an e-mail address"
		}
	}
	return ""
}

// ValidAddress says whether s can be an addr-spec of RFC 5322 section 3.4.1 (with RFC 6531's characters): one @ outside
// quotes, a local part and a domain that are not empty, no blanks or brackets, dots where they may be. It is lenient;
// the mail server has the last word.
func ValidAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || len(s) > 320 || !utf8.ValidString(s) || hasControl(s) {
		return false
	}
	local, domain := s[:at], s[at+1:]
	if !(len(local) > 2 && local[0] == '"' && local[len(local)-1] == '"') {
		if strings.ContainsAny(local, "()<>[]:;,\\\"@ \t") || badDots(local) {
			return false
		}
	}
	if domain[0] == '[' {
		return domain[len(domain)-1] == ']'
	}
	return !strings.ContainsAny(domain, "()<>[]:;,\\\"@ \t_/") && !badDots(domain) && domain[0] != '-' && domain[len(domain)-1] != '-'
}

func badDots(s string) bool {
	return strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..")
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u00a0' || r == '\u3000' })
}
