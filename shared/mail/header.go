package mail

import (
	"bytes"
	"strings"
)

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

// traceOnly says that nobody wrote a header: all there is, if anything, is what servers put on top of any octets (RFC
// 5321 section 4.4).
func (h header) traceOnly() bool {
	for _, f := range h {
		switch f.name {
		case "return-path", "received", "delivered-to", "envelope-to":
		default:
			return false
		}
	}
	return true
}

// readHeader takes the header off the front of b and answers where the body begins. Lines of any end are taken. A line
// that is no field and no continuation is passed over if fields follow it, and begins the body if none do: both come
// from software that forgot something, a fold or the empty line. A line at which stop is true begins the body too.
func readHeader(b []byte, stop func(line []byte) bool) (h header, body int) {
	var folds []byte // the last field's value, once it has been copied to be appended to
	fold := func(line []byte) {
		last := &h[len(h)-1].value
		if folds == nil {
			folds = append(make([]byte, 0, 2*len(*last)+len(line)), *last...)
		}
		folds = append(folds, line...)
		*last = folds
	}
	add := func(name string, value []byte) {
		h = append(h, field{name, value})
		folds = nil
	}
	for rest := b; len(rest) > 0; {
		at := len(b) - len(rest)
		line, after := cutLine(rest)
		switch {
		case at > maxHeader || len(h) >= maxFields || stop(line):
			return h, at
		case len(line) == 0:
			return h, len(b) - len(after)
		}
		name, value, ok := cutField(line)
		switch blank := len(bytes.TrimSpace(line)) == 0; {
		case blank && len(h) > 0 && !fieldFollows(after):
			return h, len(b) - len(after) // a line of blanks where the empty line should be
		case line[0] != ' ' && line[0] != '\t' && ok:
			add(name, value)
		case line[0] == ' ' || line[0] == '\t':
			if len(h) > 0 {
				fold(line)
			} else if name, value, ok = cutField(bytes.TrimLeft(line, " \t")); ok {
				add(name, value)
			}
		default:
			// QUIRK: a fold between the name and its colon, which some readers take and so can carry a From.
			if next, behind := cutLine(after); isToken(line) && len(next) > 0 && (next[0] == ' ' || next[0] == '\t') {
				if value, ok := bytes.CutPrefix(bytes.TrimLeft(next, " \t"), []byte{':'}); ok {
					add(string(bytes.ToLower(line)), bytes.Trim(value, " \t"))
					after = behind
					break
				}
			}
			if !fieldFollows(after) {
				return h, at
			}
		}
		rest = after
	}
	return h, len(b)
}

func never([]byte) bool { return false }

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

// fieldFollows says whether a field is among the next lines, before an empty one; it looks a few lines ahead.
func fieldFollows(b []byte) bool {
	for range 8 {
		line, rest := cutLine(b)
		if len(line) == 0 {
			return false
		}
		if name, _, ok := cutField(line); ok && likelyField(name) {
			return true
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
	return strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "content-") || strings.HasPrefix(name, "list-") || strings.HasPrefix(name, "arc-") ||
		strings.HasPrefix(name, "dkim-") || strings.HasPrefix(name, "delivered-") || strings.HasPrefix(name, "envelope-") || strings.HasPrefix(name, "received-")
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
