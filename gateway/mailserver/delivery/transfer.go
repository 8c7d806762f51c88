package delivery

import "bytes"

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

// mendQuoted breaks the lines of what is quoted-printable already, and encodes the octets that should not be in it.
type mendQuoted struct {
	out  *bytes.Buffer
	line int
	code int // characters that belong to the "=" before
}

const hexDigits = "0123456789ABCDEF"

func (q *mendQuoted) Write(p []byte) (int, error) {
	if string(p) == "\r\n" {
		q.out.Write(p)
		q.line, q.code = 0, 0
		return len(p), nil
	}
	for _, c := range p {
		if q.code == 0 && q.line >= encodedLine-4 {
			q.out.WriteString("=\r\n")
			q.line = 0
		}
		if c >= 0x80 {
			q.out.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
			q.line += 3
			q.code = 0
			continue
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
	return len(p), nil
}

func (q *mendQuoted) Close() error { return nil }

// mendBase64 leaves out the octets that should not be in base64; who decodes it passes over them.
type mendBase64 struct{ out *bytes.Buffer }

func (b mendBase64) Write(p []byte) (int, error) {
	for _, c := range p {
		if c < 0x80 {
			b.out.WriteByte(c)
		}
	}
	return len(p), nil
}

func (b mendBase64) Close() error { return nil }
