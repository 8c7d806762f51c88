package smtpd

import "bytes"

// dots reads the text after 354 and finds its end: a period alone on a line,
// where a line ends in CRLF and in nothing else (RFC 5321 §4.1.1.4).
//
// A CR or LF by itself must not be sent (§2.3.8), and servers that differ about
// whether it ends a line can be made to see two messages where there is one
// ("SMTP smuggling"). dots passes on what every reader understands alike: each
// end of line as CRLF, a period after a bare one doubled so that it ends
// nothing. What it met it notes, and the session decides.
type dots struct {
	state  dotState
	found  newlines
	octets int64 // read
	ended  bool
}

// newlines are the bare ones that were met.
type newlines struct {
	lf, cr bool
	period bool // where a reader that takes them for the end of a line, or drops NUL, would see a period begin or end one
}

type dotState int

const (
	lineBegins dotState = iota // after CRLF, or at the very beginning
	bareBegins                 // after a bare CR or LF
	afterDot                   // "." at the beginning of a line, not passed on yet
	afterDotCR                 // ".\r"
	inLine
	afterCR // not passed on yet
)

// dotRoom is the most that one octet makes: a "." behind ".\r" is "..\r\n..".
const dotRoom = 6

// filter reads src and writes dst until either is used up or the text ends. It
// needs room for dotRoom octets in dst.
func (d *dots) filter(dst, src []byte) (nSrc, nDst int) {
	out := dst[:0:len(dst)]
	i := 0
	for i < len(src) && !d.ended && cap(out)-len(out) >= dotRoom {
		if d.state == inLine {
			// Up to the next end of line at once, which is most of a message.
			if n := lineLength(src[i:min(len(src), i+cap(out)-len(out)-dotRoom+1)]); n > 0 {
				out = append(out, src[i:i+n]...)
				i += n
				continue
			}
		}
		out = d.next(out, src[i])
		i++
	}
	d.octets += int64(i)
	return i, len(out)
}

// next takes one octet.
func (d *dots) next(out []byte, c byte) []byte {
	switch d.state {
	case afterCR:
		if c == '\n' {
			d.state = lineBegins
			return append(out, "\r\n"...)
		}
		d.found.cr = true
		out = append(out, "\r\n"...)
		d.state = bareBegins
	case afterDot:
		switch c {
		case '\r':
			d.state = afterDotCR
			return out
		case '\n':
			d.found.lf, d.found.period = true, true
			d.state = bareBegins
			return append(out, "..\r\n"...)
		}
		d.state = inLine
		return append(out, '.', c)
	case afterDotCR:
		if c == '\n' {
			d.ended = true
			return append(out, ".\r\n"...)
		}
		d.found.cr, d.found.period = true, true
		out = append(out, "..\r\n"...)
		d.state = bareBegins
	}
	// At the beginning of a line, or in one.
	switch {
	case c == '\r':
		d.state = afterCR
		return out
	case c == '\n':
		d.found.lf = true
		d.state = bareBegins
		return append(out, "\r\n"...)
	case c == '.' && d.state == lineBegins:
		d.state = afterDot
		return out
	case c == '.' && d.state == bareBegins:
		d.found.period = true
		d.state = inLine
		return append(out, ".."...)
	}
	d.state = inLine
	return append(out, c)
}

// lineLength counts the octets before the first CR or LF.
func lineLength(p []byte) int {
	if i := bytes.IndexByte(p, '\r'); i >= 0 {
		p = p[:i]
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return i
	}
	return len(p)
}

// lines passes text on with every end of line as CRLF, the last one included,
// and notes the bare ones. Text after 354 has been through dots; a chunk, whose
// end is known by its size, has not.
type lines struct {
	write func([]byte) error
	found newlines
	cr    bool // the last octet was CR, not passed on yet
	begin bool // of a line
	bare  bool // and what ended the former was bare
	nuls  bool // since it began there was nothing but NUL
}

func newLines(write func([]byte) error) *lines { return &lines{write: write, begin: true} }

func (l *lines) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if l.cr {
			l.cr = false
			end, bare := []byte("\r\n"), p[0] != '\n'
			if bare {
				l.found.cr = true
			} else {
				p = p[1:]
			}
			l.begin, l.bare = true, bare
			if err := l.write(end); err != nil {
				return 0, err
			}
			continue
		}
		if l.begin && l.bare && p[0] == '.' {
			l.found.period = true
		}
		if l.begin || l.nuls {
			rest := bytes.TrimLeft(p, "\x00")
			hides := l.nuls || len(rest) < len(p)
			l.found.period = l.found.period || hides && len(rest) > 0 && rest[0] == '.'
			l.nuls = hides && len(rest) == 0
		}
		i := lineLength(p)
		switch {
		case i == len(p):
			l.begin = false
			return total, l.write(p)
		case p[i] == '\r' && i+1 < len(p) && p[i+1] == '\n':
			if err := l.write(p[:i+2]); err != nil {
				return 0, err
			}
			l.begin, l.bare = true, false
			p = p[i+2:]
			continue
		}
		if i > 0 {
			l.begin = false
			if err := l.write(p[:i]); err != nil {
				return 0, err
			}
		}
		if p[i] == '\r' {
			l.cr = true
		} else {
			l.found.lf, l.begin, l.bare = true, true, true
			if err := l.write([]byte("\r\n")); err != nil {
				return 0, err
			}
		}
		p = p[i+1:]
	}
	return total, nil
}

// end completes the last line.
func (l *lines) end() error {
	if l.cr {
		l.found.cr = true
	} else if l.begin {
		return nil
	}
	l.begin, l.cr = true, false
	return l.write([]byte("\r\n"))
}
