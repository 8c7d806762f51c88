package smtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	gosmtp "github.com/emersion/go-smtp"
)

// Envelope is from whom and to whom a message goes, whatever its header says. See RFC 5321 section 2.3.1.
type Envelope struct {
	From string   // an address without angle brackets; empty for the null reverse-path
	To   []string // at least one
	Size int64    // octets of the message, if known: a server with a smaller limit is not sent it
	UTF8 bool     // the header holds UTF-8, or may (RFC 6532); addresses that do are seen without it
}

// Receipt is the server's acceptance of a message.
type Receipt struct {
	Text    string           // its words, often with the name of the message in its queue
	Refused []RecipientError // the recipients to whom it does not go
}

// Send sends one message. r is its content, header and body; its lines may end as they will, CRLF, LF or CR, and
// leave as CRLF.
//
// If the server refuses some recipients, the message goes to the others, and the receipt lists the refused; if it refuses
// all, the error is a [*RecipientsError]. Nothing was delivered when Send returns an error, unless that wraps
// [ErrUnknown]. An error of r ends the session: SMTP has no other way to take back half a message.
func (c *Client) Send(ctx context.Context, e Envelope, r io.Reader) (*Receipt, error) {
	var receipt *Receipt
	if err := e.check(); err != nil {
		return nil, err
	}
	err := c.session(ctx, "MAIL", func() error {
		refused, err := c.address(e)
		if err != nil {
			return err
		}
		text, err := c.content(ctx, r)
		if err != nil {
			return err
		}
		receipt = &Receipt{Text: printable(text), Refused: refused}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return receipt, nil
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
	return nil
}

// isMailbox checks that an address is one mailbox and nothing but: RFC 5321 section 4.1.2, with UTF-8 (RFC 6531), less
// strict about which characters stand where, which is for the server to judge.
func isMailbox(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || len(s) > 254 { // 4.5.3.1.3, with the angle brackets 256
		return false
	}
	local, domain := s[:at], s[at+1:]
	quoted := len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"'
	for _, r := range s {
		if unicode.IsControl(r) || r == '<' || r == '>' || r == '\uFFFD' {
			return false
		}
	}
	return !strings.ContainsAny(domain, " \"\\,;") && (quoted || !strings.ContainsAny(local, " \"\\,;@"))
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// address sends the envelope: MAIL and each RCPT.
func (c *Client) address(e Envelope) ([]RecipientError, error) {
	if limit, ok := c.smtp.MaxMessageSize(); ok && limit > 0 && e.Size > int64(limit) {
		return nil, &TooLargeError{Size: e.Size, Limit: int64(limit)}
	}
	options := &gosmtp.MailOptions{Size: max(e.Size, 0), UTF8: e.UTF8 || !isASCII(e.From)}
	for _, to := range e.To {
		options.UTF8 = options.UTF8 || !isASCII(to)
	}
	if ok, _ := c.smtp.Extension("SMTPUTF8"); options.UTF8 && !ok {
		return nil, fmt.Errorf("%w: SMTPUTF8, which this message needs", ErrUnsupported)
	}
	if err := c.replied("MAIL", c.smtp.Mail(e.From, options)); err != nil {
		return nil, err
	}
	var refused []RecipientError
	for _, to := range e.To {
		err := c.smtp.Rcpt(to, nil)
		if err == nil {
			continue
		}
		no, ok := refusal("RCPT", err)
		if !ok {
			return nil, err
		}
		if no.Code == 421 { // the server is going away: RFC 5321 section 3.8
			c.guard.fail(no)
			return nil, no
		}
		refused = append(refused, RecipientError{Recipient: to, Err: no})
	}
	if len(refused) == len(e.To) {
		return nil, c.takeBack(&RecipientsError{Refused: refused})
	}
	return refused, nil
}

// takeBack ends a transaction that came to nothing, so that the next can begin, and returns err.
func (c *Client) takeBack(err error) error {
	if rerr := c.smtp.Reset(); rerr != nil {
		c.guard.fail(rerr) // err says more to the caller; the session is over
	}
	return err
}

// content sends the message and returns the server's words.
func (c *Client) content(ctx context.Context, r io.Reader) (string, error) {
	w, err := c.smtp.Data()
	if err != nil {
		if err = c.replied("DATA", err); errors.As(err, new(*Error)) {
			return "", c.takeBack(err)
		}
		return "", err
	}
	c.guard.phase = content
	defer func() { c.guard.phase = commands }()
	n, err := copyLines(w, r, c.options.Progress)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", c.guard.fail(err) // no final dot: the server drops what it has
	}
	c.guard.trace(true, fmt.Sprintf("... %d octets", n))
	c.guard.trace(true, ".")
	response, err := w.CloseWithResponse()
	if err == nil {
		return response.StatusText, nil
	}
	if no, ok := refusal(".", err); ok {
		return "", no
	}
	var reply *gosmtp.SMTPError
	if errors.As(err, &reply) && reply.Code/100 == 2 { // any 2yz is acceptance: RFC 5321 section 4.2.1
		return reply.Message, nil
	}
	c.guard.fail(err)
	return "", ErrUnknown
}
