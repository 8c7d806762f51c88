package smtp

import (
	"bytes"
	"io"
)

// Content is what the way of sending a message depends on.
type Content struct {
	Size     int64 // octets as they leave: every line end CRLF, the last line included; dots not doubled
	EightBit bool  // there are octets above 127: RFC 6152
	UTF8     bool  // in the header: RFC 6532
	Longest  int   // octets of the longest line, without its end
}

// maxTextLine is what RFC 5321 section 4.5.3.1.6 lets a line of a message have, without its CRLF. A server may break a
// longer one, or refuse the message.
const maxTextLine = 998

// Survey reads a message to its end.
func Survey(r io.Reader) (Content, error) {
	var s surveyor
	_, err := copyLines(&s, r, nil)
	return s.Content, err
}

// surveyor is told a message as it leaves.
type surveyor struct {
	Content
	line int  // octets of the line under way
	body bool // the header has ended
}

// Write takes whole pieces of copyLines: no piece ends between CR and LF.
func (s *surveyor) Write(p []byte) (int, error) {
	s.Size += int64(len(p))
	for rest := p; len(rest) > 0; {
		line := rest
		i := bytes.IndexByte(rest, '\n')
		if i >= 0 {
			line = rest[:i-1] // without the CR
			rest = rest[i+1:]
		} else {
			rest = nil
		}
		s.line += len(line)
		s.Longest = max(s.Longest, s.line)
		if !isASCII(line) {
			s.EightBit = true
			s.UTF8 = s.UTF8 || !s.body
		}
		if i >= 0 {
			s.body = s.body || s.line == 0
			s.line = 0
		}
	}
	return len(p), nil
}

// isASCII reports whether there is nothing above 127.
func isASCII(p []byte) bool {
	for _, c := range p {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
