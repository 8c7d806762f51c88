package mailbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
	"time"
)

// ErrNotMbox says that a file does not begin as an mbox does.
var ErrNotMbox = errors.New(`mailbox: not an mbox: it does not begin with "From "`)

// separator is a line that a message begins with: "From ", a sender, and a date
// as asctime writes it. Of programs that do not quote, a line of text that
// begins with "From " has no date.
var separator = regexp.MustCompile(`^From .*[0-9]{1,2}:[0-9]{2}.*[0-9]{4}`)

// quoted is a line that mboxrd quotes: with one more ">" than the message has.
var quoted = regexp.MustCompile(`^>*From `)

// ReadMbox reads the messages of an mbox in their order.
//
// A message begins at the first line, or after an empty one, with a separator;
// the empty line is not the message's. A ">" that quotes is removed.
func ReadMbox(r io.Reader) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		var m *Message
		empty := true // the line before was, or there was none
		for {
			line, err := readLine(in)
			if err != nil && err != io.EOF {
				yield(Message{}, err)
				return
			}
			end := err == io.EOF && len(line) == 0
			begins := empty && separator.Match(line)
			switch {
			case m == nil && !begins && !end && len(bytes.TrimRight(line, "\r\n")) > 0:
				yield(Message{}, ErrNotMbox)
				return
			case m != nil && (begins || end):
				if empty { // which the separator's writer put there
					m.Text = bytes.TrimSuffix(bytes.TrimSuffix(m.Text, []byte("\n")), []byte("\r"))
				}
				m.Text = toCRLF(m.Text)
				if !yield(*m, nil) {
					return
				}
			}
			switch {
			case end:
				return
			case begins:
				m = &Message{Received: fromDate(string(line))}
				empty = false
				continue
			case m == nil:
				continue
			}
			empty = len(bytes.TrimRight(line, "\r\n")) == 0
			if line[0] == '>' && quoted.Match(line) {
				line = line[1:]
			}
			if m.Text = append(m.Text, line...); len(m.Text) > MaxMessage {
				yield(Message{}, fmt.Errorf("%w: more than %d octets", ErrTooLarge, MaxMessage))
				return
			}
		}
	}
}

// readLine reads a line with its end, of at most MaxMessage octets.
func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if line = append(line, part...); len(line) > MaxMessage {
			return nil, ErrTooLarge
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// fromDate reads the date of a separator, which is UTC where it does not say
// otherwise; zero if it cannot be read.
func fromDate(line string) time.Time {
	fields := strings.Fields(line)
	for _, layout := range []string{"Mon Jan 2 15:04:05 2006", "Mon Jan 2 15:04:05 2006 -0700", "Mon Jan 2 15:04:05 -0700 2006", "Mon Jan 2 15:04:05 MST 2006", "Mon Jan 2 15:04 2006"} {
		n := len(strings.Fields(layout))
		if len(fields) <= n {
			continue
		}
		if t, err := time.Parse(layout, strings.Join(fields[len(fields)-n:], " ")); err == nil && t.Year() > 0 {
			return t.UTC()
		}
	}
	return time.Time{}
}

// WriteMbox writes messages as an mbox, and says how many. A message whose last
// line has no end gets one.
func WriteMbox(w io.Writer, messages iter.Seq2[Message, error]) (written int, err error) {
	out := bufio.NewWriter(w)
	for m, err := range messages {
		if err != nil {
			return written, err
		}
		received := m.Received
		if received.IsZero() {
			received = time.Unix(0, 0)
		}
		fmt.Fprintf(out, "From %s %s\n", returnPath(m.Text), received.UTC().Format(time.ANSIC))
		for line := range bytes.Lines(toLF(m.Text)) {
			if quoted.Match(line) {
				out.WriteByte('>')
			}
			out.Write(line)
			if line[len(line)-1] != '\n' {
				out.WriteByte('\n')
			}
		}
		if err := out.WriteByte('\n'); err != nil {
			return written, err
		}
		written++
	}
	return written, out.Flush()
}

// returnPath is the envelope's sender, as a separator has it.
func returnPath(text []byte) string {
	const field = "Return-Path: <"
	line, _, _ := bytes.Cut(text, []byte("\r\n"))
	if len(line) > len(field) && strings.EqualFold(string(line[:len(field)]), field) {
		address, _, ok := strings.Cut(string(line[len(field):]), ">")
		if ok && address != "" && !strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return address
		}
	}
	return "MAILER-DAEMON"
}
