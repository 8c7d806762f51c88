package smtp

import (
	"context"
	"fmt"
	"io"

	"github.com/postern-mail/postern/shared/printable"
)

// Envelope is from whom and to whom a message goes, whatever its header says. See RFC 5321 section 2.3.1.
type Envelope struct {
	From string   // an address without angle brackets; empty for the null reverse-path
	To   []string // at least one
	Size int64    // octets of the message, if known and Content is not given: a server with a smaller limit is not sent it
	UTF8 bool     // the header holds UTF-8 (RFC 6532); addresses that need SMTPUTF8 are seen without it
	DSN  *DSN     // asks for reports of delivery, where the server knows how to; nil to leave that to the servers

	// Content is what [Survey] says of the message. Without it, a message that is an [io.Seeker] is surveyed by Send. Of any
	// other it is not known beforehand what it needs: it is said to be 8-bit where the server takes that, and given up in
	// the middle, undelivered, where it turns out to need what the server does not have.
	Content *Content
}

// Receipt is the server's acceptance of a message.
type Receipt struct {
	Code     int    // 250; 0 if the message was not accepted
	Enhanced string // RFC 3463: "2.0.0"; may be empty
	Text     string // its words, often with the name of the message in its queue, free of control characters

	Refused []RecipientError // the recipients to whom it does not go; see [Apart]
	DSN     bool             // the server took the request for reports
}

// Send sends one message. r is its content, header and body; its lines may end as they will, CRLF, LF or CR, and
// leave as CRLF.
//
// If the server refuses some recipients, the message goes to the others, and the receipt lists the refused; if it refuses
// all, the error is a [*RecipientsError]. Nothing was delivered when Send returns an error, unless that wraps
// [ErrUnknown]; with an error, the receipt lists the recipients who had been refused before it, and is nil if none were. An error of r ends the session: SMTP has no other way to take back half a message.
//
// What a message needs and the server does not announce is an [*UnsupportedError]: SMTPUTF8 for an address with a local part
// beyond ASCII or a header in UTF-8, 8BITMIME for octets above 127. Such a message is not converted: it would break its
// signatures, and those that this program writes are 7-bit by themselves. Lines of more than 998 octets, which no message
// should have (RFC 5322 section 2.1.1), are sent as they are; see the package's comment on CHUNKING.
func (c *Client) Send(ctx context.Context, e Envelope, r io.Reader) (*Receipt, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if s, ok := r.(io.Seeker); ok && e.Content == nil && !c.closed.Load() && ctx.Err() == nil {
		content, err := surveySeeker(r, s)
		if err != nil {
			return nil, fmt.Errorf("smtp: reading the message: %w", err)
		}
		e.Content = &content
	}
	var receipt *Receipt
	err := c.session(ctx, "MAIL", func() error {
		t, err := c.plan(ctx, e)
		if err != nil {
			return err
		}
		accepted, err := t.run(r)
		if err == nil || len(t.refused) > 0 {
			receipt = &Receipt{
				Code: accepted.code, Enhanced: accepted.enhanced, Text: printable.Line(accepted.text), Refused: t.refused, DSN: t.dsn,
			}
		}
		return err
	})
	return receipt, err
}

// surveySeeker surveys what is left to read, and goes back to where it was.
func surveySeeker(r io.Reader, s io.Seeker) (Content, error) {
	start, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return Content{}, err
	}
	content, err := Survey(r)
	if err == nil {
		_, err = s.Seek(start, io.SeekStart)
	}
	return content, err
}

// check refuses what could end a command or an address early.
func (e *Envelope) check() error {
	if len(e.To) == 0 {
		return fmt.Errorf("%w: no recipients", ErrArgument)
	}
	if e.From != "" && !isMailbox(e.From) {
		return fmt.Errorf("%w: sender %q", ErrArgument, e.From)
	}
	for _, to := range e.To {
		if !isMailbox(to) {
			return fmt.Errorf("%w: recipient %q", ErrArgument, to)
		}
	}
	if e.DSN != nil {
		return e.DSN.check(len(e.To))
	}
	return nil
}
