package mail

import "bytes"

// field is one header field: its name in lower case, and its value unfolded but not decoded.
type field struct {
	name  string
	value []byte
}

type header []field

// get answers the first field of that name.
func (h header) get(name string) []byte {
	for _, f := range h {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// readHeader takes the header off the front of b and answers the rest. Lines of any end are taken. A line that is no
// field and no continuation is passed over if fields follow it, and begins the body if none do: both come from
// software that forgot something, a fold or the empty line.
func readHeader(b []byte) (h header, body []byte) {
	rest := b
	folded := false // the value of the last field is a copy and may be appended to
	for len(rest) > 0 {
		if len(b)-len(rest) > maxHeader || len(h) >= maxFields {
			return h, rest
		}
		line, after := cutLine(rest)
		if len(line) == 0 {
			return h, after
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(bytes.TrimSpace(line)) == 0 && len(h) > 0 && !fieldFollows(after) {
				return h, after // a line of blanks where the empty line should be
			}
			if n := len(h); n > 0 {
				if !folded {
					h[n-1].value = append(make([]byte, 0, 2*len(h[n-1].value)+len(line)), h[n-1].value...)
					folded = true
				}
				h[n-1].value = append(h[n-1].value, line...)
			}
			rest = after
			continue
		}
		if name, value, ok := cutField(line); ok {
			h = append(h, field{name, value})
			folded = false
		} else if !fieldFollows(after) {
			return h, rest
		}
		rest = after
	}
	return h, nil
}

// cutLine answers the first line without its end, and what follows.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return bytes.TrimSuffix(b, []byte{'\r'}), nil
	}
	return bytes.TrimRight(b[:i], "\r"), b[i+1:]
}

// cutField splits a line at its colon. A name is of visible ASCII; QUIRK: blanks before the colon are taken (RFC 5322
// section 4.5.3, the obsolete syntax).
func cutField(line []byte) (name string, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 || i > 200 {
		return "", nil, false
	}
	n := bytes.TrimRight(line[:i], " \t")
	for _, c := range n {
		if c <= ' ' || c >= 127 {
			return "", nil, false
		}
	}
	return string(bytes.ToLower(n)), bytes.Trim(line[i+1:], " \t"), true
}

// fieldFollows says whether the next line that is not folded is a field; it looks a few lines ahead.
func fieldFollows(b []byte) bool {
	for range 5 {
		line, rest := cutLine(b)
		if len(line) == 0 {
			return false
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, _, ok := cutField(line)
			return ok && likelyField(name)
		}
		b = rest
	}
	return false
}

// likelyField tells the name of a field from a word before a colon in a text ("Note: ...", "http://...").
func likelyField(name string) bool {
	switch name {
	case "from", "to", "cc", "bcc", "date", "subject", "sender", "received", "reply-to", "return-path", "references",
		"message-id", "in-reply-to", "mime-version", "content-type", "precedence", "comments", "keywords", "lines", "status":
		return true
	}
	return bytes.IndexByte([]byte(name), '-') > 0
}

// trimEnvelope takes off the front what stands before a header though it is none of it: a byte order mark, empty lines,
// the "From " line of an mbox file (RFC 4155), also one that was quoted by another program.
func trimEnvelope(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if t := bytes.TrimLeft(b, "\r\n"); len(t) < len(b) {
		line, _ := cutLine(t)
		if _, _, ok := cutField(line); ok || isFromLine(line) {
			b = t
		}
	}
	for range 3 {
		line, rest := cutLine(b)
		if !isFromLine(line) {
			break
		}
		b = rest
	}
	return b
}

func isFromLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}
