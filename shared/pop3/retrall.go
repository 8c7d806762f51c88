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
func (c *Client) RetrAll(ctx context.Context, msgs []Listing, fn func(number int, body io.Reader) error) error {
	for _, m := range msgs {
		if m.Number < 1 {
			return fmt.Errorf("%w: message number %d", ErrArgument, m.Number)
		}
	}
	return c.session(ctx, "RETR", inTransaction, func() error {
		if len(msgs) == 0 {
			return nil
		}
		if c.caps == nil {
			var refused *Error
			if err := c.capa(); err != nil && !errors.As(err, &refused) {
				return err
			}
		}
		if !c.caps.Pipelining {
			return c.retrieveInTurn(msgs, fn)
		}
		return c.retrieveAhead(msgs, fn)
	})
}

func (c *Client) retrieveInTurn(msgs []Listing, fn func(int, io.Reader) error) error {
	for _, m := range msgs {
		if err := c.send("RETR "+strconv.Itoa(m.Number), ""); err != nil {
			return err
		}
		if err := c.receive(m.Number, fn); err != nil {
			return err
		}
	}
	return nil
}

// retrieveAhead is the pipelined form. Commands are written by a goroutine of their own: a server that is busy
// sending need not read, and a client that waits for it to read, and does not read itself, waits for ever.
func (c *Client) retrieveAhead(msgs []Listing, fn func(int, io.Reader) error) (err error) {
	if len(c.link.buffered()) > 0 {
		return c.link.fail(fmt.Errorf("%w: it spoke before it was asked", ErrProtocol))
	}
	ahead := newAsker(c.link)
	finished := false
	defer func() {
		if !finished { // fn panicked or ended its goroutine: nobody will read the answers
			c.link.fail(errCallback)
		}
		ahead.stop()
	}()
	err = c.retrieveWith(ahead, msgs, fn)
	finished = true
	return err
}

func (c *Client) retrieveWith(ahead *asker, msgs []Listing, fn func(int, io.Reader) error) error {

	mostCommands, mostOctets := c.options.InFlightCommands, c.options.InFlightBytes
	var (
		asked    int   // messages asked for, first to last
		octets   int64 // their sizes, of those not yet received
		commands []byte
	)
	for received, m := range msgs {
		// Refill when an eighth is used up: commands travel many in a packet, and the path does not run dry.
		if asked-received <= mostCommands-mostCommands/8 && octets <= mostOctets-mostOctets/8 {
			commands = commands[:0]
			for asked < len(msgs) && asked-received < mostCommands && (asked == received || octets+size(msgs[asked]) <= mostOctets) {
				commands = append(strconv.AppendInt(append(commands, "RETR "...), int64(msgs[asked].Number), 10), "\r\n"...)
				octets += size(msgs[asked])
				asked++
			}
			if len(commands) > 0 {
				ahead.ask(commands)
			}
		}
		if c.options.Trace != nil {
			c.trace(true, "RETR "+strconv.Itoa(m.Number))
		}
		if err := c.receive(m.Number, fn); err != nil {
			if c.link.failure() == nil {
				c.drop(asked - received - 1)
			}
			return err
		}
		octets -= size(m)
	}
	return nil
}

func size(m Listing) int64 { return max(m.Size, 0) }

// receive reads the answer to one RETR.
func (c *Client) receive(number int, fn func(int, io.Reader) error) error {
	_, err := c.status("RETR")
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

// drop reads the answers to that many RETRs and drops them. What goes wrong stays in the link.
func (c *Client) drop(answers int) {
	for range answers {
		err := c.receive(0, func(int, io.Reader) error { return nil })
		if err != nil {
			return
		}
	}
}

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
