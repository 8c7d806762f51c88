package mail

import (
	"bytes"
	"sort"
	"strconv"
	"strings"
)

// parameters of a Content-Type or Content-Disposition, keys in lower case, values decoded.
type parameters map[string]string

// parseParameterized reads "value; key=value; ...": RFC 2045 section 5.1 with the extensions of RFC 2231, and as people
// write it: without quotes around blanks, without semicolons, with comments, with encoded words.
func parseParameterized(b []byte, d decoder) (value string, p parameters) {
	i := bytes.IndexAny(b, "; \t\r\n")
	if i < 0 {
		i = len(b)
	}
	value = strings.ToLower(string(bytes.Trim(b[:i], "\"'")))
	rest := b[i:]
	pieces := map[string][]piece{}
	p = parameters{}
	for n := 0; len(rest) > 0 && n < maxParams; n++ {
		rest = bytes.TrimLeft(rest, "; \t\r\n")
		if len(rest) > 0 && rest[0] == '(' {
			rest = skipComment(rest)
			continue
		}
		j := bytes.IndexAny(rest, "=;")
		if j < 0 {
			break
		}
		key := strings.ToLower(string(bytes.TrimSpace(rest[:j])))
		if rest[j] == ';' {
			rest = rest[j:]
			continue
		}
		if k := strings.LastIndexAny(key, " \t"); k >= 0 {
			key = key[k+1:]
		}
		var v []byte
		v, rest = cutParamValue(bytes.TrimLeft(rest[j+1:], " \t\r\n"))
		if name, section, star := strings.Cut(key, "*"); star {
			pieces[name] = append(pieces[name], newPiece(section, v))
		} else if _, twice := p[key]; !twice && key != "" {
			p[key] = decodeWords(v, d)
		}
	}
	for name, l := range pieces {
		p[name] = join2231(l, d)
	}
	return value, p
}

// skipComment answers what follows a comment, RFC 5322 section 3.2.2; nil if it does not end.
func skipComment(b []byte) []byte {
	depth := 0
	for i := 0; i < len(b) && i < maxToken; i++ {
		switch b[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return b[i+1:]
			}
		}
	}
	return nil
}

// cutParamValue takes a quoted string or what goes up to the next semicolon.
func cutParamValue(b []byte) (v, rest []byte) {
	if len(b) == 0 || b[0] != '"' {
		i := bytes.IndexByte(b, ';')
		if i < 0 {
			i = len(b)
		}
		v, rest = bytes.TrimSpace(b[:i]), b[i:]
		if j := bytes.Index(v, []byte(" (")); j >= 0 {
			v = bytes.TrimSpace(v[:j])
		}
		if j := bytes.IndexByte(v, '='); j > 0 { // a semicolon was forgotten before the next key
			if k := bytes.LastIndexAny(v[:j], " \t"); k > 0 && !bytes.HasPrefix(v[k+1:], []byte("=?")) && isToken(v[k+1:j]) {
				return bytes.TrimSpace(v[:k]), b[k:]
			}
		}
		return v, rest
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			// QUIRK: only these two are escaped; a Windows path has its backslashes otherwise.
			if i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\') {
				i++
			}
			v = append(v, b[i])
		case '"':
			return v, b[i+1:]
		default:
			v = append(v, b[i])
		}
	}
	// No closing quote: up to the next semicolon, then.
	i := bytes.IndexByte(b, ';')
	if i < 0 {
		i = len(b)
	}
	return bytes.TrimSpace(b[1:i]), b[i:]
}

func isToken(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 127 || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return len(b) > 0
}

// piece is a part of a value, RFC 2231 section 3, or all of it.
type piece struct {
	n        int
	extended bool
	v        []byte
}

func newPiece(section string, v []byte) piece {
	if section == "" {
		return piece{0, true, v}
	}
	num, extended := strings.CutSuffix(section, "*")
	n, err := strconv.Atoi(num)
	if err != nil {
		n = maxParams
	}
	return piece{n, extended, v}
}

// join2231 puts the pieces of a value together in the order of their numbers. The first says the charset.
func join2231(l []piece, d decoder) string {
	sort.SliceStable(l, func(i, j int) bool { return l[i].n < l[j].n })
	var raw []byte
	cs, plain := d.hint, true
	for i, p := range l {
		v := p.v
		if p.extended {
			if i == 0 {
				if parts := bytes.SplitN(v, []byte("'"), 3); len(parts) == 3 {
					cs, v = string(parts[0]), parts[2]
				}
			}
			v, plain = percentDecode(v), false
		}
		raw = append(raw, v...)
	}
	if plain { // QUIRK: pieces of encoded words, which RFC 2231 did away with
		return decodeWords(raw, d)
	}
	return d.text(cs, raw)
}

func percentDecode(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]) {
			out = append(out, unhex(b[i+1])<<4|unhex(b[i+2]))
			i += 2
		} else {
			out = append(out, b[i])
		}
	}
	return out
}
