package pop3

import (
	"errors"
	"strings"

	"github.com/postern-mail/postern/shared/printable"
	"github.com/postern-mail/postern/shared/sasl"
)

// Error is a server's refusal: its -ERR answer to a command. The session goes on after it, except when it is the
// greeting that refuses. See RFC 1939 section 3.
type Error struct {
	Command string // the command refused, without arguments: "PASS"; empty for the greeting
	Code    string // the response code of RFC 2449 section 8, upper case, without brackets: "IN-USE", "SYS/TEMP"; may be empty
	Text    string // the server's words, one line, free of control characters; may be empty
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("pop3: ")
	if e.Command == "" {
		b.WriteString("greeting")
	} else {
		b.WriteString(e.Command)
	}
	b.WriteString(" refused")
	if e.Code != "" {
		b.WriteString(" [" + e.Code + "]")
	}
	if e.Text != "" {
		b.WriteString(": " + e.Text)
	}
	return b.String()
}

// Temporary reports whether the server says that the same may work later: the maildrop is in use, the login came too
// soon, or its trouble will pass. See RFC 2449 section 8.1 and RFC 3206 section 4.
func (e *Error) Temporary() bool {
	return e.Code == "IN-USE" || e.Code == "LOGIN-DELAY" || e.Code == "SYS/TEMP"
}

var (
	// ErrState says that the command is not allowed in the client's state. Nothing was sent.
	ErrState = errors.New("pop3: command not allowed in this state")
	// ErrProtocol says that the server's answer is not POP3.
	ErrProtocol = errors.New("pop3: the server does not speak POP3")
	// ErrTooLong says that the server's answer is over a limit of Options.
	ErrTooLong = errors.New("pop3: answer over the limit")
	// ErrUnsupported says that the server lacks the optional command. Nothing was sent if CAPA had said so before.
	ErrUnsupported = errors.New("pop3: not supported by the server")
	// ErrArgument says that an argument cannot be put into a command, a line break in a password for one.
	// Nothing was sent.
	ErrArgument = errors.New("pop3: argument cannot be sent")
	// ErrUnconfirmed says that QUIT was said in TRANSACTION and its answer did not come: the messages marked as deleted
	// may be gone, or still be there. An UPDATE that failed is an [*Error] instead.
	ErrUnconfirmed = errors.New("pop3: deletion not confirmed")
	// ErrPlaintext says that [Client.Auth] would have to show the password, and must not. Nothing of it was sent.
	ErrPlaintext = sasl.ErrPlaintext
	// ErrNoMechanism says that the server announced no way to log in that [Client.Auth] can take.
	ErrNoMechanism = sasl.ErrNoMechanism
)

var errCallback = errors.New("a callback did not return")

// refusal reads what follows "-ERR".
func refusal(command, rest string) *Error {
	e := &Error{Command: command}
	rest = strings.TrimSpace(rest)
	// QUIRK: RFC 2449 section 6.4 lets a client trust codes after the server announced RESP-CODES alone. Servers that
	// lock a maildrop send [IN-USE] before anybody could ask, so what has the form of a code is one.
	if strings.HasPrefix(rest, "[") {
		if end := strings.IndexByte(rest, ']'); end > 1 && isCode(rest[1:end]) {
			e.Code = strings.ToUpper(rest[1:end])
			rest = strings.TrimSpace(rest[end+1:])
		}
	}
	e.Text = printable.Line(rest)
	return e
}

// isCode checks for the resp-code of RFC 2449 section 8: levels of letters, digits and hyphens between slashes.
func isCode(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '/' {
			return false
		}
	}
	return true
}
