package pop3d

import (
	"bytes"
	"io"
)

// stuffer sends the lines of a multi-line response: it doubles the period that
// a line begins with, and ends with a line of one period (RFC 1939 §3).
type stuffer struct {
	w   io.Writer
	bol bool // at the beginning of a line; true at first
}

func (s *stuffer) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if s.bol && p[0] == '.' {
			if _, err := s.w.Write([]byte{'.'}); err != nil {
				return 0, err
			}
		}
		line := len(p)
		if i := bytes.Index(p, []byte("\n.")); i >= 0 {
			line = i + 1
		}
		if _, err := s.w.Write(p[:line]); err != nil {
			return 0, err
		}
		s.bol = p[line-1] == '\n'
		p = p[line:]
	}
	return total, nil
}

func (s *stuffer) end() error {
	last := ".\r\n"
	if !s.bol {
		last = "\r\n.\r\n"
	}
	_, err := io.WriteString(s.w, last)
	return err
}
