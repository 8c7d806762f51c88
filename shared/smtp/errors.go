package smtp

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/postern-mail/postern/shared/printable"
)

// Error is a server's refusal: a reply of 4yz or 5yz. See RFC 5321 section 4.2.
type Error struct {
	Code     int    // 450, 550
	Enhanced string // the status code of RFC 3463: "5.1.1"; may be empty
	Text     string // the server's words, its lines joined by spaces, free of control characters
	Command  string // what was refused, without arguments: "RCPT", "AUTH", "BDAT"; "." for the message itself; empty for the greeting
}

func (e *Error) Error() string {
	s := "smtp: "
	switch e.Command {
	case "":
		s += "greeting"
	case ".":
		s += "message"
	default:
		s += e.Command
	}
	s += fmt.Sprintf(" refused: %d", e.Code)
	if e.Enhanced != "" {
		s += " " + e.Enhanced
	}
	return strings.TrimSpace(s + " " + e.Text)
}

// Temporary reports whether the same may work later: a reply of 4yz.
func (e *Error) Temporary() bool { return e.Code/100 == 4 }

// RecipientError is the refusal of one recipient.
type RecipientError struct {
	Recipient string
	Index     int // of it in Envelope.To
	Err       *Error
}

func (e RecipientError) Error() string { return e.Recipient + ": " + e.Err.Error() }
func (e RecipientError) Unwrap() error { return e.Err }

// RecipientsError says that the server refused every recipient: nothing was sent.
type RecipientsError struct{ Refused []RecipientError }

func (e *RecipientsError) Error() string {
	if len(e.Refused) == 0 {
		return "smtp: all recipients refused"
	}
	return fmt.Sprintf("smtp: all %d recipients refused: %v", len(e.Refused), e.Refused[0])
}

// Temporary reports whether at least one of them may work later.
func (e *RecipientsError) Temporary() bool {
	for _, r := range e.Refused {
		if r.Err.Temporary() {
			return true
		}
	}
	return false
}

// Apart parts refused recipients into those who may be written to later, a reply of 4yz, and those who may not.
func Apart(refused []RecipientError) (later, never []RecipientError) {
	for _, r := range refused {
		if r.Err.Temporary() {
			later = append(later, r)
		} else {
			never = append(never, r)
		}
	}
	return later, never
}

// UnsupportedError says what a message needs that the server does not announce. Nothing was delivered. It is an
// [ErrUnsupported].
type UnsupportedError struct {
	Extension string // "SMTPUTF8", "8BITMIME"
	For       string // "the address büro@example.org"
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("smtp: the server has no %s, which %s needs", e.Extension, e.For)
}

func (e *UnsupportedError) Unwrap() error { return ErrUnsupported }

// TooLargeError says that a message is over the size that the server announced. Nothing was delivered, and nothing was sent
// if the size was known beforehand. See RFC 1870.
type TooLargeError struct {
	Size, Limit int64 // octets
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("smtp: the message has %d octets, the server takes %d", e.Size, e.Limit)
}

var (
	// ErrUnknown says that the connection failed between the final dot, or the last chunk, and its answer: the server may or may not have
	// accepted the message. Sending it again may deliver it twice. See RFC 5321 section 6.1.
	ErrUnknown = errors.New("smtp: cut before the answer to the message: it may have been accepted")
	// ErrState says that the session is over, or that the command makes no sense in it now. Nothing was sent.
	ErrState = errors.New("smtp: command not possible in this session")
	// ErrProtocol says that the server's answer is not SMTP.
	ErrProtocol = errors.New("smtp: the server does not speak SMTP")
	// ErrTooLong says that the server's reply is over a limit.
	ErrTooLong = errors.New("smtp: reply over the limit")
	// ErrUnsupported says that the server does not announce what is needed. Nothing was sent.
	ErrUnsupported = errors.New("smtp: not supported by the server")
	// ErrArgument says that an argument, an address for one, cannot be put into a command. Nothing was sent.
	ErrArgument = errors.New("smtp: argument cannot be sent")
	// ErrPlaintext says that a password was not sent because the connection has no TLS.
	ErrPlaintext = errors.New("smtp: no password over a connection without TLS")
)

// refusal turns go-smtp's error for a reply into ours; ok is false if err is no refusal. A reply that is neither 4yz nor 5yz
// where none was expected means that client and server have lost each other.
func refusal(command string, err error) (e *Error, ok bool) {
	var reply *gosmtp.SMTPError
	if !errors.As(err, &reply) || reply.Code/100 != 4 && reply.Code/100 != 5 {
		return nil, false
	}
	e = &Error{Code: reply.Code, Command: command, Text: printable.Line(reply.Message)}
	if c := reply.EnhancedCode; c[0] > 0 {
		e.Enhanced = fmt.Sprintf("%d.%d.%d", c[0], c[1], c[2])
	}
	return e, true
}

// nonsense reports whether err is about what the server said, not about the connection.
func nonsense(err error) bool {
	var reply *gosmtp.SMTPError
	var protocol textproto.ProtocolError
	return errors.As(err, &reply) || errors.As(err, &protocol)
}
