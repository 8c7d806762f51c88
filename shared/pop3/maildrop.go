package pop3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/postern-mail/postern/shared/printable"
)

// Listing is a scan listing: a message's number in this session and its size in octets. See RFC 1939 section 5, LIST.
type Listing struct {
	Number int
	Size   int64
}

// UniqueID is a unique-id listing. Within a maildrop a unique-id should name one message for ever; the listing is
// given as the server sent it, repeated ids and all. See RFC 1939 section 7, UIDL.
type UniqueID struct {
	Number int
	UID    string // "" if the server gave none, or none that can be one
}

const (
	maxNumber = math.MaxInt32 // nobody numbers two billion messages
	maxOctets = 1 << 50       // a petabyte

	listingLine     = 80   // octets of the longest line that RFC 1939 allows: a number, 70 characters, the line end
	maxCapabilities = 1000 // lines of CAPA; servers announce a dozen
)

// Stat returns the number of messages in the maildrop and their size together. Servers are wrong about it, and nothing in this
// package goes by it: what there is, List says. See RFC 1939 section 5.
func (c *Client) Stat(ctx context.Context) (count int, octets int64, err error) {
	err = c.session(ctx, "STAT", inTransaction, func() error {
		if err := c.send("STAT", ""); err != nil {
			return err
		}
		rest, err := c.status("STAT")
		if err != nil {
			return err
		}
		l, _, ok := scanListing(rest, 0)
		if !ok {
			return c.link.fail(fmt.Errorf("%w: STAT answered %q", ErrProtocol, printable.Line(string(rest))))
		}
		count, octets = l.Number, l.Size
		return nil
	})
	return count, octets, err
}

// List returns the scan listings of all messages that are not marked as deleted. See RFC 1939 section 5.
func (c *Client) List(ctx context.Context) ([]Listing, error) {
	var all []Listing
	err := c.session(ctx, "LIST", inTransaction, func() error {
		return c.multiline("LIST", "LIST", func(line []byte) error {
			l, _, ok := scanListing(line, 1)
			if !ok {
				return fmt.Errorf("%w: scan listing %q", ErrProtocol, printable.Line(string(line)))
			}
			all = append(all, l)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// UIDL returns the unique-ids of all messages that are not marked as deleted. A server without UIDL is an error that
// wraps [ErrUnsupported]. See RFC 1939 section 7.
//
// QUIRK: RFC 1939 limits a unique-id to 70 characters; longer ones are accepted as far as the line allows. A unique-id that is
// missing, or is not of the characters 0x21 to 0x7E, is given as "": its message has a number and can be read, and one bad
// line does not make a mailbox unreadable. A line that does not start with a message number is passed over.
func (c *Client) UIDL(ctx context.Context) ([]UniqueID, error) {
	var all []UniqueID
	err := c.session(ctx, "UIDL", inTransaction, func() error {
		if c.caps != nil && len(c.caps.Lines) > 0 && !c.caps.UIDL {
			return fmt.Errorf("%w: UIDL", ErrUnsupported)
		}
		err := c.multiline("UIDL", "UIDL", func(line []byte) error {
			number, rest, ok := decimal(line, maxNumber)
			uid := bytes.TrimSpace(rest)
			if !ok || number < 1 {
				return nil
			}
			if bytes.ContainsFunc(uid, func(r rune) bool { return r < 0x21 || r > 0x7E }) {
				uid = nil
			}
			all = append(all, UniqueID{int(number), string(uid)})
			return nil
		})
		var refused *Error
		if errors.As(err, &refused) && refused.Code == "" {
			return fmt.Errorf("%w: %w", ErrUnsupported, refused)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Dele marks a message as deleted: it goes when Quit is answered, and not before. See RFC 1939 section 5.
func (c *Client) Dele(ctx context.Context, number int) error {
	if number < 1 {
		return fmt.Errorf("%w: message number %d", ErrArgument, number)
	}
	_, err := c.simple(ctx, "DELE "+strconv.Itoa(number), Transaction)
	return err
}

// Rset unmarks every message marked as deleted in this session. See RFC 1939 section 5.
func (c *Client) Rset(ctx context.Context) error {
	_, err := c.simple(ctx, "RSET", Transaction)
	return err
}

// Noop does nothing, successfully. See RFC 1939 section 5.
func (c *Client) Noop(ctx context.Context) error {
	_, err := c.simple(ctx, "NOOP", Transaction)
	return err
}

// Quit ends the session: from TRANSACTION it enters UPDATE, in which the server removes the messages marked as deleted.
// An [*Error] says that some may not have been removed. [ErrUnconfirmed], with the cause, says that it is not known whether
// they were: who had some marked has to look in the next session. Any other error says that QUIT was not sent. The
// connection is closed in every case but [ErrState] and a ctx that had ended before. See RFC 1939 section 6.
func (c *Client) Quit(ctx context.Context) error {
	updating := false
	err := c.session(ctx, "QUIT", []State{Authorization, Transaction}, func() error {
		updating = c.State() == Transaction && len(c.link.buffered()) == 0
		if err := c.send("QUIT", ""); err != nil {
			return err
		}
		if c.State() == Transaction {
			c.state.Store(int32(Update))
		}
		_, err := c.status("QUIT")
		if c.link.failure() == nil && !c.closed.Swap(true) {
			c.link.conn.Close()
		}
		return err
	})
	var refused *Error
	if err != nil && updating && !errors.As(err, &refused) {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	return err
}

var inTransaction = []State{Transaction}

// multiline sends a command and gives each line of its answer to each, unstuffed and valid during the call. An error
// of each breaks the session: the lines after it are not read.
func (c *Client) multiline(command, line string, each func(line []byte) error) error {
	if err := c.send(line, ""); err != nil {
		return err
	}
	if _, err := c.status(command); err != nil {
		return err
	}
	lines := c.options.MaxListing
	if command == "CAPA" {
		lines = min(lines, maxCapabilities)
	}
	var octets int64
	for count := 0; ; count++ {
		line, err := c.link.line()
		if err != nil {
			return err
		}
		if len(line) == 1 && line[0] == '.' {
			c.traceOctets(octets)
			return nil
		}
		octets += int64(len(line)) + 2
		if count >= lines || octets > int64(lines)*listingLine+int64(c.options.MaxLine) {
			return c.link.fail(fmt.Errorf("%w: more than %d lines, or %d octets for each", ErrTooLong, lines, listingLine))
		}
		if len(line) > 0 && line[0] == '.' {
			line = line[1:]
		}
		if err := each(line); err != nil {
			return c.link.fail(err)
		}
	}
}

// scanListing reads "number size", whatever comes after it: RFC 1939 section 5 lets servers add to it.
func scanListing(line []byte, least int64) (l Listing, rest []byte, ok bool) {
	number, rest, ok1 := decimal(line, maxNumber)
	size, rest, ok2 := decimal(rest, maxOctets)
	return Listing{int(number), size}, rest, ok1 && ok2 && number >= least
}

// decimal reads a number of digits alone, at most limit, and the space around it.
func decimal(p []byte, limit int64) (n int64, rest []byte, ok bool) {
	p = bytes.TrimLeft(p, " \t")
	i := 0
	for ; i < len(p) && '0' <= p[i] && p[i] <= '9'; i++ {
		n = n*10 + int64(p[i]-'0')
		if n > limit {
			return 0, nil, false
		}
	}
	if i == 0 || i < len(p) && p[i] != ' ' && p[i] != '\t' {
		return 0, nil, false
	}
	return n, p[i:], true
}

// Retr writes a message to w, unstuffed, and returns its octets. If w fails, the rest is read and dropped, and the
// session goes on. See RFC 1939 section 5.
func (c *Client) Retr(ctx context.Context, number int, w io.Writer) (int64, error) {
	return c.fetch(ctx, "RETR", "RETR "+strconv.Itoa(number), number, w)
}

// Top writes the header of a message, the empty line and that many lines of the body to w. See RFC 1939 section 7.
func (c *Client) Top(ctx context.Context, number, lines int, w io.Writer) (int64, error) {
	if lines < 0 {
		return 0, fmt.Errorf("%w: %d lines", ErrArgument, lines)
	}
	return c.fetch(ctx, "TOP", "TOP "+strconv.Itoa(number)+" "+strconv.Itoa(lines), number, w)
}

func (c *Client) fetch(ctx context.Context, command, line string, number int, w io.Writer) (n int64, err error) {
	if number < 1 {
		return 0, fmt.Errorf("%w: message number %d", ErrArgument, number)
	}
	err = c.session(ctx, command, inTransaction, func() error {
		if err := c.send(line, ""); err != nil {
			return err
		}
		if _, err := c.status(command); err != nil {
			return err
		}
		b := newBody(c.link, c.options.MaxMessage)
		var err error
		n, err = b.WriteTo(w)
		if derr := b.drain(); derr != nil {
			return derr
		}
		c.traceOctets(b.octets)
		return err
	})
	return n, err
}
