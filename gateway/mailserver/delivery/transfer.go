package delivery

import (
	"bytes"
	"strings"
)

// wrapped breaks base64 into lines of 76 characters: RFC 2045 section 6.8. What it writes ends within a line.
type wrapped struct {
	out  *bytes.Buffer
	line int
}

const encodedLine = 76

func (w *wrapped) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if w.line == encodedLine {
			w.out.WriteString("\r\n")
			w.line = 0
		}
		n := min(len(rest), encodedLine-w.line)
		w.out.Write(rest[:n])
		w.line += n
		rest = rest[n:]
	}
	return len(p), nil
}

// quoted writes quoted-printable: RFC 2045 section 6.7. What is fresh is encoded; what is not is quoted-printable already, and
// gets its lines broken, and the octets encoded that should not be in it. No line that was none before begins with a hyphen:
// it could be a boundary.
type quoted struct {
	out   *bytes.Buffer
	fresh bool
	line  int
	code  int  // characters that may belong to the "=" before
	blank byte // one that is held, for at the end of a line it is to be encoded; 0 for none
}

const hexDigits = "0123456789ABCDEF"

func (q *quoted) Write(p []byte) (int, error) {
	if string(p) == "\r\n" {
		q.Close()
		q.out.Write(p)
		q.line, q.code = 0, 0
		return len(p), nil
	}
	for _, c := range p {
		if !q.fresh {
			q.put(c, c >= 0x80)
			continue
		}
		if q.blank != 0 {
			q.put(q.blank, false)
			q.blank = 0
		}
		if c == ' ' || c == '\t' {
			q.blank = c
			continue
		}
		q.put(c, c < ' ' || c == '=' || c > '~')
	}
	return len(p), nil
}

func (q *quoted) put(c byte, encode bool) {
	// Blanks at a line's end mean nothing in what is quoted-printable already. Before a break they would, so it waits for more.
	room := encodedLine - 4
	if q.code > 0 && !strings.ContainsRune(hexDigits+"abcdef", rune(c)) {
		q.code = 0 // it was none
	}
	if !q.fresh && (c == ' ' || c == '\t') {
		room = maxTextLine - 4
	}
	if q.code == 0 && q.line >= room {
		q.out.WriteString("=\r\n")
		q.line = 0
		encode = encode || c == '-'
	}
	if encode {
		q.out.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
		q.line += 3
		q.code = 0
		return
	}
	q.out.WriteByte(c)
	q.line++
	switch {
	case c == '=':
		q.code = 2
	case q.code > 0:
		q.code--
	}
}

// Close ends a line.
func (q *quoted) Close() error {
	if q.blank != 0 {
		q.put(q.blank, true)
		q.blank = 0
	}
	return nil
}

// mendBase64 breaks the lines of what is base64 already, and puts asterisks for the octets that should not be in it: who decodes
// it passes over them, and they are of no boundary.
type mendBase64 struct {
	out  *bytes.Buffer
	line int
}

func (b *mendBase64) Write(p []byte) (int, error) {
	if string(p) == "\r\n" {
		b.out.Write(p)
		b.line = 0
		return len(p), nil
	}
	for _, c := range p {
		first := b.line == maxTextLine
		if first {
			b.out.WriteString("\r\n")
			b.line = 0
		}
		if c >= 0x80 || first && c == '-' {
			c = '*'
		}
		b.out.WriteByte(c)
		b.line++
	}
	return len(p), nil
}

func (b *mendBase64) Close() error { return nil }
