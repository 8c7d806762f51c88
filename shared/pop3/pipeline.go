package pop3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// RetrAll retrieves messages in the order given and calls fn with each one's number and content, unstuffed, line ends
// as they came. It asks with CAPA, unless that is known, whether the server announces PIPELINING; if so, it asks for
// messages ahead of their answers, as far as Options.InFlightBytes and Options.InFlightCommands allow, so that
// the round trip counts once and not once a message. See RFC 2449 section 6.6.
//
// body is valid until fn returns; what fn has not read is dropped. It is an io.WriterTo too, which copies least. If the
// server refuses a message (it is gone, or cannot be read), the first read of body returns the [*Error]: fn
// returns nil to go on with the others. If fn returns an error, RetrAll asks for nothing more, reads and drops what it
// had asked for, and returns that error as it is; the session goes on in TRANSACTION. To stop without waiting for what is on its
// way, end ctx: that ends the session too.
//
// A server that drops the line after some messages has given those whole: a new session asks for the others.
func (c *Client) RetrAll(ctx context.Context, msgs []Listing, fn func(number int, body io.Reader) error) error {
	return c.pipeline(ctx, orders{
		command: "RETR",
		count:   len(msgs),
		number:  func(i int) int { return msgs[i].Number },
		octets:  func(i int) int64 { return msgs[i].Size },
		receive: func(number int) error { return c.receive("RETR", number, fn) },
		drop:    func() error { return c.receive("RETR", 0, dropBody) },
	})
}

// TopAll retrieves the header of each message, the empty line and that many lines of the body, as [Client.RetrAll] does whole
// messages. See RFC 1939 section 7, TOP.
func (c *Client) TopAll(ctx context.Context, msgs []Listing, lines int, fn func(number int, body io.Reader) error) error {
	if lines < 0 {
		return fmt.Errorf("%w: %d lines", ErrArgument, lines)
	}
	return c.pipeline(ctx, orders{
		command: "TOP",
		suffix:  " " + strconv.Itoa(lines),
		count:   len(msgs),
		number:  func(i int) int { return msgs[i].Number },
		octets:  func(i int) int64 { return min(msgs[i].Size, headerOctets+lineOctets*int64(min(lines, 1<<20))) },
		receive: func(number int) error { return c.receive("TOP", number, fn) },
		drop:    func() error { return c.receive("TOP", 0, dropBody) },
	})
}

// What TOP brings, guessed: a header with its signatures and its path, and a line as editors break them.
const (
	headerOctets = 8 << 10
	lineOctets   = 80
)

// DeleAll marks messages as deleted, in the order given, ahead of the answers where the server announces PIPELINING, and calls fn
// with each one's number and what became of it: nil, or the [*Error] by which the server refused that one. An error that
// DeleAll returns ends the session, and with it every mark. See RFC 1939 section 5, DELE.
func (c *Client) DeleAll(ctx context.Context, numbers []int, fn func(number int, err error)) error {
	return c.pipeline(ctx, orders{
		command: "DELE",
		count:   len(numbers),
		number:  func(i int) int { return numbers[i] },
		octets:  func(int) int64 { return 0 },
		receive: func(number int) error {
			_, err := c.status("DELE")
			var refused *Error
			if err != nil && !errors.As(err, &refused) {
				return err
			}
			fn(number, err)
			return nil
		},
	})
}

// orders are commands of one kind, each for one message.
type orders struct {
	command string
	suffix  string // what follows the number
	count   int
	number  func(i int) int
	octets  func(i int) int64 // of the answer, about
	receive func(number int) error
	drop    func() error // reads an answer that nobody wants any more
}

func (o *orders) line(p []byte, i int) []byte {
	p = strconv.AppendInt(append(append(p, o.command...), ' '), int64(o.number(i)), 10)
	return append(p, o.suffix...)
}

func (o *orders) size(i int) int64 { return min(max(o.octets(i), 0), maxOctets) }

func (c *Client) pipeline(ctx context.Context, o orders) error {
	for i := range o.count {
		if o.number(i) < 1 {
			return fmt.Errorf("%w: message number %d", ErrArgument, o.number(i))
		}
	}
	return c.session(ctx, o.command, inTransaction, func() error {
		if o.count == 0 {
			return nil
		}
		if err := c.known(); err != nil {
			return err
		}
		if !c.caps.Pipelining {
			return c.inTurn(o)
		}
		return c.ahead(o)
	})
}

func (c *Client) inTurn(o orders) error {
	for i := range o.count {
		if err := c.send(string(o.line(nil, i)), ""); err != nil {
			return err
		}
		if err := o.receive(o.number(i)); err != nil {
			return err
		}
	}
	return nil
}

// ahead is the pipelined form. Commands are written by a goroutine of their own: a server that is busy
// sending need not read, and a client that waits for it to read, and does not read itself, waits for ever.
func (c *Client) ahead(o orders) (err error) {
	if len(c.link.buffered()) > 0 {
		return c.link.fail(fmt.Errorf("%w: it spoke before it was asked", ErrProtocol))
	}
	ahead := newAsker(c.link)
	finished := false
	defer func() {
		if !finished { // a callback panicked or ended its goroutine: nobody will read the answers
			c.link.fail(errCallback)
		}
		ahead.stop()
	}()
	err = c.aheadWith(ahead, o)
	finished = true
	return err
}

func (c *Client) aheadWith(ahead *asker, o orders) error {
	mostCommands, mostOctets := c.options.InFlightCommands, c.options.InFlightBytes
	var (
		asked    int   // commands given, first to last
		octets   int64 // of the answers to those not yet received
		commands []byte
	)
	for received := range o.count {
		// Refill when an eighth is used up: commands travel many in a packet, and the path does not run dry.
		if asked-received <= mostCommands-mostCommands/8 && octets <= mostOctets-mostOctets/8 {
			commands = commands[:0]
			for asked < o.count && asked-received < mostCommands && (asked == received || octets+o.size(asked) <= mostOctets) {
				commands = append(o.line(commands, asked), "\r\n"...)
				octets += o.size(asked)
				asked++
			}
			if len(commands) > 0 {
				ahead.ask(commands)
			}
		}
		if c.options.Trace != nil {
			c.trace(true, string(o.line(nil, received)))
		}
		if err := o.receive(o.number(received)); err != nil {
			for range asked - received - 1 {
				if c.link.failure() != nil || o.drop == nil || o.drop() != nil {
					break // what went wrong stays in the link
				}
			}
			return err
		}
		octets -= o.size(received)
	}
	return nil
}

// receive reads the answer to one RETR or TOP.
func (c *Client) receive(command string, number int, fn func(int, io.Reader) error) error {
	_, err := c.status(command)
	var no *Error
	if errors.As(err, &no) {
		return fn(number, refused{no})
	}
	if err != nil {
		return err
	}
	b := newBody(c.link, c.options.MaxMessage)
	err = fn(number, b)
	if derr := b.drain(); derr != nil {
		return derr
	}
	c.traceOctets(b.octets)
	return err
}

func dropBody(int, io.Reader) error { return nil }

// asker writes commands beside the reader. It has no deadline of its own: the reader's runs while it waits for the
// answers, and stops the asker with the link.
type asker struct {
	link *link
	wake chan struct{} // holds one wake-up; closed by stop
	done chan struct{}

	mu      sync.Mutex
	pending []byte // not yet written: bounded by what may be in flight
}

func newAsker(l *link) *asker {
	a := &asker{link: l, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		var commands []byte
		for range a.wake {
			a.mu.Lock()
			commands, a.pending = a.pending, commands[:0]
			a.mu.Unlock()
			if len(commands) == 0 {
				continue
			}
			if err := a.link.writeBy(time.Time{}, commands); err != nil {
				return // the link has failed, and the reader with it
			}
		}
	}()
	return a
}

// ask has commands written soon.
func (a *asker) ask(commands []byte) {
	a.mu.Lock()
	a.pending = append(a.pending, commands...)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// stop ends the asker. It has written everything if everything was answered; else the link has failed, and writes with it.
func (a *asker) stop() {
	close(a.wake)
	<-a.done
}
