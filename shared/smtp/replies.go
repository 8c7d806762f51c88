package smtp

import (
	"fmt"
	"strings"

	"github.com/postern-mail/postern/shared/printable"
)

// replies follows what the server says, line by line, whoever reads it. See RFC 5321 section 4.2.
type replies struct {
	owed    []string // for each reply that is to come: the stage of its command
	line    []byte   // the line under way
	octets  int      // of the reply under way, or the last
	current reply    // under way, but for its text
	text    []byte   // of it
	begun   bool     // current has a line
	last    string   // the last line that was read
	unasked bool     // there is more than was asked for
	long    bool     // a line is over the limit
	broken  bool     // a reply is none: its last line is in last

	keep bool    // replies are to be taken from here
	done []reply // complete, and not taken yet: what one read of the connection held
}

// reply is a reply, complete.
type reply struct {
	code     int
	enhanced string // RFC 2034
	text     string // its lines, joined by spaces
}

// maxReplyLine limits a line of a reply: go-smtp refuses longer ones, and RFC 5321 section 4.5.3.1.5 allows a quarter.
const maxReplyLine = 2000

func (r *replies) read(p []byte, each func(stage, line string)) {
	for _, b := range p {
		if len(r.owed) == 0 {
			r.unasked = true
		} else if !r.begun && len(r.line) == 0 {
			r.octets = 0
		}
		r.octets++
		if b != '\n' {
			if r.long = r.long || len(r.line) >= maxReplyLine; !r.long {
				r.line = append(r.line, b)
			}
			continue
		}
		line := strings.TrimSuffix(string(r.line), "\r")
		r.line = r.line[:0]
		stage := ""
		if len(r.owed) > 0 {
			stage = r.owed[0]
		}
		each(stage, line)
		if r.broken {
			continue
		}
		r.last = line
		if len(r.owed) > 0 && r.add(line) {
			r.owed = r.owed[1:]
			if r.keep {
				r.current.text = string(r.text)
				r.done = append(r.done, r.current)
			}
			r.current, r.text, r.begun = reply{}, nil, false
		}
	}
}

// add takes a line of the reply under way and says whether it is the last of it. RFC 5321 section 4.2.1.
func (r *replies) add(line string) (last bool) {
	code, text, more, ok := parseReplyLine(line)
	first := !r.begun
	r.begun = true
	if first {
		r.current.code = code
	}
	if !ok || code != r.current.code {
		r.broken = true
		return true
	}
	enhanced, rest, _ := strings.Cut(text, " ")
	if isEnhanced(enhanced, code) {
		if first {
			r.current.enhanced = enhanced
		}
		if enhanced == r.current.enhanced {
			text = rest
		}
	}
	if len(r.text) > 0 && text != "" {
		r.text = append(r.text, ' ')
	}
	r.text = append(r.text, text...)
	return !more
}

// take answers the oldest reply that is complete.
func (r *replies) take() (reply, bool) {
	if len(r.done) == 0 {
		return reply{}, false
	}
	t := r.done[0]
	r.done = r.done[1:]
	return t, true
}

// parseReplyLine reads "250-text": three digits, of which the first is 2 to 5, and a separator. A code alone is a line too.
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
	if code < 200 || code > 599 {
		return 0, line, false, false
	}
	if len(line) > 3 {
		text, more = line[4:], line[3] == '-'
	}
	return code, text, more, true
}

// isEnhanced checks for a status code of RFC 3463 that goes with a reply's code: "5.7.0". Success has none worth keeping.
func isEnhanced(s string, code int) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || int(parts[0][0]-'0') != code/100 {
		return false
	}
	for _, p := range parts[1:] {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// is reports whether a reply is of a class: 2 for 2yz.
func (r reply) is(class int) bool { return r.code/100 == class }

// refusal is a reply of 4yz or 5yz as an error.
func (r reply) refusal(command string) *Error {
	return &Error{Code: r.code, Enhanced: r.enhanced, Text: printable.Line(r.text), Command: command}
}

// err is a reply that was not expected as an error. One that is neither 4yz nor 5yz means that client and server have lost
// each other.
func (r reply) err(command string) error {
	if r.is(4) || r.is(5) {
		return r.refusal(command)
	}
	return fmt.Errorf("%w: \"%d %.80s\" is no reply to %s", ErrProtocol, r.code, printable.Line(r.text), command)
}
