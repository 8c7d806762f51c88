package mail

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AddressError says which address is none, and why.
type AddressError struct {
	Address string
	Reason  string
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("mail: address %q: %s", e.Address, e.Reason)
}

// ParseAddressList reads the addresses of a header field (RFC 5322 section 3.4) or of what a person typed: separated by
// commas, semicolons or line ends, with groups, comments and encoded words. It answers all that it can read; if one of
// them cannot be written to, the error is an *AddressError that names the first such.
func ParseAddressList(s string) ([]Address, error) {
	l := parseAddresses([]byte(strings.NewReplacer("\r", "", "\n", ",").Replace(s)), decoder{hint: "utf-8"})
	for _, a := range l {
		if err := a.check(); err != nil {
			return l, err
		}
	}
	return l, nil
}

// FormatAddress writes an address for people: Name <addr>, the name in quotes where it needs them.
func FormatAddress(a Address) string {
	name := cleanLine(a.Name)
	if name == "" {
		return a.Addr
	}
	if strings.ContainsAny(name, `()<>[]:;@\,."`) {
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name + " <" + a.Addr + ">"
}

// Valid says whether mail can be addressed to a: it has a local part and a domain (RFC 5321 section 4.1.2, and RFC 6531
// for characters above ASCII), of lengths that servers take, and nothing that could end an envelope or a header field.
func (a Address) Valid() bool { return a.check() == nil }

func (a Address) check() error {
	bad := func(reason string) error { return &AddressError{a.Addr, reason} }
	i := strings.LastIndexByte(a.Addr, '@')
	if a.Addr == "" {
		return &AddressError{a.Name, "has no address"}
	}
	if i < 0 {
		return bad("has no @")
	}
	local, domain := a.Addr[:i], a.Addr[i+1:]
	switch {
	case !utf8.ValidString(a.Addr):
		return bad("is not UTF-8")
	case local == "":
		return bad("has nothing before the @")
	case domain == "":
		return bad("has nothing after the @")
	case len(local) > 64:
		return bad("is too long before the @ (64 at most)")
	case len(domain) > 255:
		return bad("is too long after the @ (255 at most)")
	}
	if local[0] == '"' {
		if !validQuoted(local) {
			return bad("is badly quoted")
		}
	} else if !validDotAtom(local) {
		return bad("has a character that may not be there")
	}
	if !validDomain(domain) {
		return bad("has no valid domain")
	}
	return nil
}

func validDotAtom(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" {
			return false
		}
		for _, r := range part {
			if r <= ' ' || r == 127 || strings.ContainsRune(`()<>[]:;@\,."`, r) || r >= 128 && !visible(r) {
				return false
			}
		}
	}
	return true
}

func validQuoted(s string) bool {
	if len(s) < 3 || s[len(s)-1] != '"' {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		switch c := s[i]; {
		case c == '\\':
			if i++; i >= len(s)-1 || s[i] < ' ' || s[i] >= 127 {
				return false
			}
		case c == '"' || c < ' ' || c >= 127:
			return false
		}
	}
	return true
}

func validDomain(s string) bool {
	if s[0] == '[' {
		ip, ok := strings.CutSuffix(s[1:], "]")
		if !ok {
			return false
		}
		if v6, ok := strings.CutPrefix(strings.ToLower(ip), "ipv6:"); ok {
			a, err := netip.ParseAddr(v6)
			return err == nil && a.Is6() && a.Zone() == ""
		}
		a, err := netip.ParseAddr(ip)
		return err == nil && a.Is4()
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			switch {
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			case r < 128 || !visible(r):
				return false
			}
		}
	}
	return true
}

// visible says whether a character above ASCII may be in an address: letters and the like, not blanks, not controls, not
// marks of direction.
func visible(r rune) bool { return unicode.IsPrint(r) && !unicode.IsSpace(r) && !isBidi(r) }

// parseAddresses reads the value of an address field, leniently.
func parseAddresses(b []byte, d decoder) []Address {
	var l []Address
	octets := 0
	for len(b) > 0 && len(l) < maxAddresses {
		var one []byte
		one, b = cutMailbox(b)
		if a, ok := parseMailbox(one, d); ok {
			a.Name, a.Addr = clip(a.Name, maxLine), clip(a.Addr, maxLine)
			if octets += len(a.Name) + len(a.Addr); octets > maxList {
				break
			}
			l = append(l, a)
		}
	}
	return l
}

// cutMailbox takes what stands before the next separator: a comma or semicolon outside of quotes, comments, angle
// brackets and encoded words, or the colon after a group's name, which is dropped with the name.
func cutMailbox(b []byte) (one, rest []byte) {
	angle := false
	var e endings
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			if !angle {
				i += e.quoted(b[i:])
			}
		case '(':
			i += e.comment(b[i:])
		case '<':
			angle = bytes.IndexByte(b[i:min(len(b), i+maxToken)], '>') > 0
		case '>':
			angle = false
		case '=':
			if i+1 < len(b) && b[i+1] == '?' {
				if _, r, ok := cutWord(b[i:]); ok {
					i = len(b) - len(r) - 1
				}
			}
		case ',', ';':
			if !angle {
				return b[:i], b[i+1:]
			}
		case ':':
			if !angle && !bytes.EqualFold(bytes.TrimSpace(b[:i]), []byte("mailto")) && bytes.IndexByte(b[:i], '@') < 0 {
				return nil, b[i+1:]
			}
		}
	}
	return b, nil
}

// closing answers the index of the next unescaped c after b[0], or -1.
func closing(b []byte, c byte) int {
	for i := 1; i < len(b) && i < maxToken; i++ {
		if b[i] == '\\' {
			i++
		} else if b[i] == c {
			return i
		}
	}
	return -1
}

// endings finds the ends of quoted strings and comments in a field. Once one has no end, those that follow are not
// looked for either.
type endings struct{ noQuote, noComment bool }

// quoted answers how far the end of the quoted string lies that begins b; 0 if it has none.
func (e *endings) quoted(b []byte) int {
	if e.noQuote {
		return 0
	}
	j := closing(b, '"')
	e.noQuote = j < 0
	return max(j, 0)
}

// comment does the same for a comment.
func (e *endings) comment(b []byte) int {
	if e.noComment {
		return 0
	}
	r := skipComment(b)
	if e.noComment = r == nil; e.noComment {
		return 0
	}
	return len(b) - len(r) - 1
}

// parseMailbox reads one mailbox; ok is false if there is nothing.
func parseMailbox(b []byte, d decoder) (a Address, ok bool) {
	text, comment := splitComments(b)
	if i, j := angles(text); i >= 0 {
		a.Addr = cleanAddr(text[i+1:j], d)
		if a.Name = decodePhrase(text[:i], d); a.Name == "" && j < len(text) {
			a.Name = decodePhrase(text[j+1:], d) // <a@b> Name
		}
	} else if bytes.IndexByte(text, '@') >= 0 {
		// The word with the @ is the address, words around it are the name.
		a.Addr = cleanAddr(bytes.TrimSpace(text), d)
		if f := bytes.Fields(text); len(f) > 1 && text[0] != '"' {
			for i, w := range f {
				if j := bytes.IndexByte(w, '@'); j > 0 && j < len(w)-1 {
					a.Addr = cleanAddr(w, d)
					a.Name = decodePhrase(bytes.Join(append(append([][]byte{}, f[:i]...), f[i+1:]...), []byte(" ")), d)
					break
				}
			}
		}
	} else if s := decodePhrase(text, d); strings.IndexByte(s, '@') > 0 && !strings.ContainsAny(s, " \t") {
		a.Addr = s // all of it in an encoded word
	} else {
		a.Name = s // an account of the machine the mail was written on: QUIRK: root, MAILER-DAEMON
	}
	if a.Name == "" && comment != nil {
		a.Name = decodePhrase(comment, d) // RFC 822's way: a@b (Name)
	}
	if a.Name == a.Addr {
		a.Name = ""
	}
	return a, a.Name != "" || a.Addr != ""
}

// angles answers where the angle brackets of the address are, outside of quotes: the first pair with an @ in it, or else
// the last; one that is not closed goes to the end. Of several addresses that no comma parts, the first one counts, as
// for most readers.
func angles(b []byte) (open, shut int) {
	open, shut = -1, -1
	var e endings
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += e.quoted(b[i:])
		case '=':
			if i+1 < len(b) && b[i+1] == '?' {
				if _, r, ok := cutWord(b[i:]); ok {
					i = len(b) - len(r) - 1
				}
			}
		case '<':
			open, shut = i, len(b)
			if j := bytes.IndexAny(b[i+1:], "<>"); j >= 0 && b[i+1+j] == '>' {
				if shut = i + 1 + j; bytes.IndexByte(b[i:shut], '@') >= 0 {
					return open, shut
				}
			}
		}
	}
	return open, shut
}

// splitComments takes comments out of b and answers the last of them without its parentheses.
func splitComments(b []byte) (text, comment []byte) {
	if bytes.IndexByte(b, '(') < 0 {
		return b, nil
	}
	var e endings
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			if j := e.quoted(b[i:]); j > 0 {
				text = append(text, b[i:i+j]...)
				i += j
			}
		case '(':
			if j := e.comment(b[i:]); j > 0 {
				comment = b[i+1 : i+j]
				i += j
				continue
			}
		}
		text = append(text, b[i])
	}
	return text, comment
}

// decodePhrase reads a display name: quoted strings, atoms, encoded words (QUIRK: within quotes too).
func decodePhrase(b []byte, d decoder) string {
	b = bytes.TrimSpace(b)
	var out []byte
	var e endings
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			j := e.quoted(b[i:])
			if j == 0 {
				continue
			}
			for k := i + 1; k < i+j; k++ {
				if b[k] == '\\' && k+1 < i+j {
					k++
				}
				out = append(out, b[k])
			}
			i += j
		case c == '\\' && i+1 < len(b):
			i++
			out = append(out, b[i])
		default:
			out = append(out, c)
		}
	}
	s := decodeLine(out, d)
	if len(s) > 1 && s[0] == '\'' && s[len(s)-1] == '\'' { // QUIRK: Outlook quotes a second time
		s = s[1 : len(s)-1]
	}
	s = strings.Join(strings.Fields(s), " ")
	if strings.Trim(s, `\,;:.`) == "" {
		return "" // what stood between two addresses
	}
	return s
}

// cleanAddr reads an addr-spec: no blanks, no controls, no route (RFC 5322 section 4.4).
func cleanAddr(b []byte, d decoder) string {
	if b = bytes.TrimSpace(b); bytes.HasPrefix(b, []byte("@")) {
		if i := bytes.IndexByte(b, ':'); i >= 0 {
			b = b[i+1:]
		}
	}
	if len(b) > 7 && bytes.EqualFold(b[:7], []byte("mailto:")) {
		b = b[7:]
	}
	s := decodeLine(b, d)
	if !strings.HasPrefix(s, `"`) {
		s = strings.Join(strings.Fields(s), "")
		s = strings.Trim(s, "<>,;")
		if n := len(s); n > 2 && s[0] == '\'' && s[n-1] == '\'' { // QUIRK: Outlook again; alone, it is a letter like others
			s = s[1 : n-1]
		}
	}
	return s
}
