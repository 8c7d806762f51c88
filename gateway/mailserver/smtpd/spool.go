package smtpd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// spool keeps a message until what goes before it is known: its signature, which
// needs all of it. A text message stays in memory, a larger one is in a file
// that has no name any more.
type spool struct {
	dir  string // where; "" is the system's folder
	held []byte
	file *os.File
	name string // of the file, while it has one
	err  error
}

const maxHeld = 256 << 10 // for each user who is sending

func (s *spool) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if len(s.held)+len(p) > maxHeld && len(s.held) > 0 {
		s.flush()
	}
	if len(p) > maxHeld {
		s.held = p
		s.flush()
		s.held = nil
	} else {
		s.held = append(s.held, p...)
	}
	return len(p), s.err
}

func (s *spool) flush() {
	if s.file == nil && s.err == nil {
		if s.file, s.err = os.CreateTemp(s.dir, ".unsigned-*"); s.err == nil && os.Remove(s.file.Name()) != nil {
			s.name = s.file.Name() // Windows removes no open file
		}
	}
	if s.err == nil {
		_, s.err = s.file.Write(s.held)
	}
	if errors.Is(s.err, syscall.ENOSPC) || errors.Is(s.err, syscall.EDQUOT) {
		s.err = fmt.Errorf("%w: %w", ErrFull, s.err)
	}
	s.held = s.held[:0]
}

// WriteTo gives all that was written, once.
func (s *spool) WriteTo(w io.Writer) (n int64, err error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.file != nil {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		if n, err = io.Copy(w, s.file); err != nil {
			return n, err
		}
	}
	m, err := w.Write(s.held)
	return n + int64(m), err
}

// Close forgets it.
func (s *spool) Close() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
	if s.name != "" {
		os.Remove(s.name)
		s.name = ""
	}
	s.held = nil
}
