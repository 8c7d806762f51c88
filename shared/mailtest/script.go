package mailtest

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A Step is one thing that a scripted server does.
type Step func(s *Scripted) error

// Scripted is a conversation under way, for steps of a test's own made of other steps.
type Scripted struct {
	conn net.Conn
	buf  []byte
}

// Script is a server that follows steps and closes. A step that cannot be done ends it, and fails the test unless the
// client had closed the connection.
func Script(t testing.TB, steps ...Step) Server {
	return ServerFunc(func(c net.Conn) {
		s := &Scripted{conn: c}
		for i, step := range steps {
			if err := step(s); err != nil {
				t.Errorf("step %d of the script: %v", i+1, err)
				return
			}
		}
	})
}

// Say sends text as it is, line ends included. That the client is gone is no failure.
func Say(text string) Step {
	return func(s *Scripted) error {
		io.WriteString(s.conn, text)
		return nil
	}
}

// Repeat sends text again and again until the client closes.
func Repeat(text string) Step {
	return func(s *Scripted) error {
		block := []byte(strings.Repeat(text, 1+(64<<10)/len(text)))
		for {
			if _, err := s.conn.Write(block); err != nil {
				return nil
			}
		}
	}
}

// Hear reads a line and wants it to be this one, given without its CRLF.
func Hear(line string) Step {
	return func(s *Scripted) error {
		got, err := s.line()
		if err != nil {
			return fmt.Errorf("waiting for %q: %w", line, err)
		}
		if got != line+"\r\n" {
			return fmt.Errorf("heard %q, want %q", got, line+"\r\n")
		}
		return nil
	}
}

// HearLine reads a line, whatever it says.
func HearLine() Step {
	return func(s *Scripted) error {
		_, err := s.line()
		return err
	}
}

// Call calls f.
func Call(f func()) Step {
	return func(*Scripted) error {
		f()
		return nil
	}
}

// HearClose wants the client to say nothing more and to close.
func HearClose() Step {
	return func(s *Scripted) error {
		line, err := s.line()
		if err == nil || line != "" {
			return fmt.Errorf("heard %q, want the end of the connection", line)
		}
		return nil
	}
}

// Converse alternates Hear and Say: what is heard, what is answered (without CRLF), and so on.
func Converse(lines ...string) Step {
	return func(s *Scripted) error {
		for i, line := range lines {
			step := Hear(line)
			if i%2 == 1 {
				step = Say(line + "\r\n")
			}
			if err := step(s); err != nil {
				return err
			}
		}
		return nil
	}
}

func (s *Scripted) line() (string, error) {
	s.conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // a test that hangs says where
	for {
		if i := strings.IndexByte(string(s.buf), '\n'); i >= 0 {
			line := string(s.buf[:i+1])
			s.buf = s.buf[i+1:]
			return line, nil
		}
		p := make([]byte, 4096)
		n, err := s.conn.Read(p)
		s.buf = append(s.buf, p[:n]...)
		if n == 0 && err != nil {
			return string(s.buf), err
		}
	}
}
