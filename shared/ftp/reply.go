package ftp

import (
	"fmt"
	"strings"
	"time"

	"github.com/postern-mail/postern/shared/printable"
)

// reply is a reply: a code and lines without it, in the server's octets. See RFC 959 section 4.2.
type reply struct {
	code  int
	lines []string // at least one
}

func (r reply) is(class int) bool { return r.code/100 == class }

func (r reply) last() string { return r.lines[len(r.lines)-1] }

// refusal is a reply as an error.
func (r reply) refusal(command string) *Error {
	e := &Error{Command: command, Code: r.code}
	for _, l := range r.lines {
		e.Lines = append(e.Lines, strings.TrimSpace(printable.Line(l)))
	}
	return e
}

// reading reads a reply, line by line.
type reading struct {
	reply
	begun, multi bool
}

// add takes a line and says whether it is the last. ok is false if it cannot be one of a reply.
//
// A reply of several lines begins with the code and a hyphen and ends with a line of the same code and a space; between them may
// be anything, even another code (RFC 959 section 4.2, page 36).
//
// QUIRK: a code alone ends a reply, too.
func (r *reading) add(line string) (last, ok bool) {
	code, text, more, coded := parseReplyLine(line)
	if !r.begun {
		if !coded {
			return false, false
		}
		r.begun, r.multi = true, more
		r.code, r.lines = code, []string{text}
		return !more, true
	}
	if coded && code == r.code {
		r.lines = append(r.lines, text)
		return !more, true
	}
	r.lines = append(r.lines, line)
	return false, true
}

// parseReplyLine reads "250-text": three digits, of which the first is 1 to 5, and a separator. A code alone is a line too.
func parseReplyLine(line string) (code int, text string, more, ok bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, line, false, false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, line, false, false
		}
		code = code*10 + int(line[i]-'0')
	}
	if code < 100 || code > 599 {
		return 0, line, false, false
	}
	if len(line) > 3 {
		text, more = line[4:], line[3] == '-'
	}
	return code, text, more, true
}

// hear reads the next reply. One of 421 ends the session.
func (c *Client) hear(command string, within time.Duration) (reply, error) {
	var r reading
	octets := 0
	for until := time.Now().Add(within); ; {
		line, err := c.link.line(until)
		if err != nil {
			return reply{}, err
		}
		if octets += len(line) + 2; octets > c.options.MaxReply {
			return reply{}, c.link.fail(fmt.Errorf("%w: a reply of more than %d octets", ErrTooLong, c.options.MaxReply))
		}
		if c.options.Trace != nil {
			c.trace(Exchange{Line: string(line)})
		}
		last, ok := r.add(string(line))
		switch {
		case !ok:
			return reply{}, c.link.fail(fmt.Errorf("%w: %.80q is no reply", ErrProtocol, printable.Line(string(line))))
		case last && r.code == 421:
			return reply{}, c.link.fail(r.refusal(command))
		case last:
			return r.reply, nil
		}
	}
}

// ask sends a command and reads its reply. shown is what the trace is told instead of the line, if not empty.
func (c *Client) ask(line, shown string) (reply, error) {
	if err := c.say(line, shown); err != nil {
		return reply{}, err
	}
	return c.hear(verb(line), c.options.Timeout)
}

// say sends a command.
func (c *Client) say(line, shown string) error {
	if strings.ContainsAny(line, "\r\n\x00") {
		return fmt.Errorf("%w: it holds a line break or NUL", ErrArgument)
	}
	if n := len(c.link.buffered()); n > 0 {
		return c.link.fail(fmt.Errorf("%w: %d octets that nobody asked for", ErrProtocol, n))
	}
	return c.shout(line, shown, c.options.Timeout)
}

// shout sends a line, whatever the server is saying.
func (c *Client) shout(line, shown string, within time.Duration) error {
	if shown == "" {
		shown = line
	}
	c.trace(Exchange{Sent: true, Line: shown})
	c.spoke = time.Now()
	return c.link.write(append([]byte(line), "\r\n"...), c.spoke.Add(within))
}

// want asks, and wants a reply of a class: 2 for success, 3 for a wish for more.
func (c *Client) want(class int, line string) (reply, error) {
	r, err := c.ask(line, "")
	if err != nil {
		return r, err
	}
	return r, c.expect(class, line, r)
}

func (c *Client) expect(class int, line string, r reply) error {
	switch {
	case r.is(class):
		return nil
	case r.is(4), r.is(5), r.code == 332:
		return r.refusal(verb(line))
	}
	to := "greeting"
	if line != "" {
		to = "reply to " + verb(line)
	}
	return c.link.fail(fmt.Errorf("%w: \"%d %.80s\" is no %s", ErrProtocol, r.code, printable.Line(r.last()), to))
}

func verb(line string) string {
	v, _, _ := strings.Cut(line, " ")
	return v
}

func (c *Client) trace(e Exchange) {
	if c.options.Trace != nil {
		e.State, e.Line = c.State(), printable.Line(e.Line)
		c.options.Trace(e)
	}
}

// note tells the trace something that nobody said.
func (c *Client) note(format string, args ...any) {
	if c.options.Trace != nil {
		c.trace(Exchange{Note: true, Line: fmt.Sprintf(format, args...)})
	}
}
