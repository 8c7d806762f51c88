package pop3d

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// total counts what is not marked as deleted.
func (s *session) total() (count int, octets int64) {
	for i, m := range s.messages {
		if !s.deleted[i] {
			count++
			octets += m.Size
		}
	}
	return count, octets
}

func (s *session) stat(string) error {
	count, octets := s.total()
	return s.ok("%d %d", count, octets) // a drop listing, RFC 1939 §5: nothing may follow
}

// message finds the message that arg numbers. If there is none, it has answered
// and ok is false.
func (s *session) message(arg string) (index int, ok bool) {
	n, err := strconv.Atoi(arg)
	switch {
	case err != nil || arg[0] == '+' || arg[0] == '-':
		s.bad("%.20q is not a message number", arg)
	case n < 1 || n > len(s.messages):
		s.bad("no such message, there are %d", len(s.messages))
	case s.deleted[n-1]:
		s.bad("message %d is marked as deleted", n)
	default:
		return n - 1, true
	}
	return 0, false
}

func (s *session) list(arg string) error {
	return s.listing(arg, func(m Message) string { return strconv.FormatInt(m.Size, 10) })
}

func (s *session) uidl(arg string) error {
	return s.listing(arg, func(m Message) string { return m.UID })
}

func (s *session) listing(arg string, show func(Message) string) error {
	if arg != "" {
		i, ok := s.message(arg)
		if !ok {
			return s.over()
		}
		return s.ok("%d %s", i+1, show(s.messages[i]))
	}
	s.ok("listing follows")
	for i, m := range s.messages {
		if !s.deleted[i] {
			if _, err := fmt.Fprintf(s.out, "%d %s\r\n", i+1, show(m)); err != nil {
				return err
			}
		}
	}
	_, err := s.out.WriteString(".\r\n")
	return err
}

// over ends a session that has made too many mistakes in a row.
func (s *session) over() error {
	if s.errors >= maxErrors {
		return errQuit
	}
	return nil
}

func (s *session) retr(arg string) error {
	i, ok := s.message(arg)
	if !ok {
		return s.over()
	}
	r, ok := s.open(i)
	if !ok {
		return nil
	}
	defer r.Close()
	s.ok("%d octets", s.messages[i].Size)
	w := stuffer{w: s.out, bol: true}
	n, err := io.CopyBuffer(&w, onlyReader{r}, make([]byte, min(copySize, s.messages[i].Size+1)))
	return s.end(&w, err, n == s.messages[i].Size)
}

const copySize = 32 << 10

type onlyReader struct{ io.Reader }

func (s *session) open(i int) (io.ReadCloser, bool) {
	r, err := s.drop.Open(i)
	if err != nil {
		s.log.Error("pop3: a message cannot be read", "unique-id", s.messages[i].UID, "error", err)
		if errors.Is(err, ErrDamaged) {
			s.err("[SYS/PERM] message %d is damaged on the server", i+1)
		} else {
			s.err("[SYS/TEMP] the server cannot read message %d now", i+1)
		}
		return nil, false
	}
	return r, true
}

// end finishes a message. One that could not be read to its end is not ended:
// the client must not take half of it for the whole.
func (s *session) end(w *stuffer, err error, whole bool) error {
	if err != nil {
		return err
	}
	if !whole {
		return fmt.Errorf("message was cut: %w", io.ErrUnexpectedEOF)
	}
	return w.end()
}

// top sends the header, the empty line, and the first lines of the body (RFC
// 1939 §7).
func (s *session) top(arg string) error {
	number, count, found := strings.Cut(arg, " ")
	if !found {
		return s.bad("TOP needs a message number and a number of lines")
	}
	i, ok := s.message(number)
	if !ok {
		return s.over()
	}
	lines, err := strconv.ParseUint(count, 10, 31)
	if err != nil {
		return s.bad("%.20q is not a number of lines", count)
	}
	r, ok := s.open(i)
	if !ok {
		return nil
	}
	defer r.Close()
	s.ok("top of message follows")
	w := stuffer{w: s.out, bol: true}
	return s.end(&w, copyTop(&w, r, int(lines)), true)
}

// copyTop copies line by line, by parts where a line is longer than the buffer.
func copyTop(w io.Writer, r io.Reader, lines int) error {
	in := bufio.NewReaderSize(r, copySize)
	header, bol := true, true
	for header || lines > 0 {
		part, err := in.ReadSlice('\n')
		whole := err == nil
		if header && bol && whole && len(bytes.TrimRight(part, "\r\n")) == 0 {
			header = false
		} else if !header && whole {
			lines--
		}
		if _, werr := w.Write(part); werr != nil {
			return werr
		}
		bol = whole
		switch err {
		case nil, bufio.ErrBufferFull:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
	return nil
}

func (s *session) dele(arg string) error {
	i, ok := s.message(arg)
	if !ok {
		return s.over()
	}
	s.deleted[i] = true
	return s.ok("message %d will be deleted at QUIT", i+1)
}

func (s *session) rset(string) error {
	clear(s.deleted)
	count, octets := s.total()
	return s.ok("%d messages (%d octets)", count, octets)
}

func (s *session) noop(string) error { return s.ok("here") }

// quit ends the session; from TRANSACTION by way of UPDATE (RFC 1939 §6), which
// is the only place where a message is deleted.
func (s *session) quit(string) error {
	if s.state == authorization {
		s.ok("bye")
		return errQuit
	}
	var indexes []int
	for i := range s.messages {
		if s.deleted[i] {
			indexes = append(indexes, i)
		}
	}
	var err error
	if len(indexes) > 0 {
		// Not the server's context: a client that has said QUIT has decided.
		err = s.drop.Remove(context.WithoutCancel(s.srv.ctx), indexes)
	}
	s.drop.Unlock() // before the answer: the client may come back as soon as it has it
	if err != nil {
		s.log.Error("pop3: deleting failed", "error", err)
		s.err("[SYS/TEMP] the marked messages could not be deleted")
	} else {
		s.ok("bye, %d messages deleted, %d left", len(indexes), len(s.messages)-len(indexes))
	}
	return errQuit
}
