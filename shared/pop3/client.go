package pop3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"

	"github.com/postern-mail/postern/shared/printable"
)

// Client is one POP3 session over a connection. Its methods must not be called at the same time, save Close and State,
// which may be called at any time.
type Client struct {
	options Options
	link    *link
	state   atomic.Int32
	closed  atomic.Bool
	greeted bool
	caps    *Capabilities // what CAPA last announced; nil if not asked since it may have changed
	out     []byte

	timestamp string // of the greeting, for APOP, with its brackets; "" if there is none
	utf8      bool   // the server has agreed to UTF8
}

// New makes a client of a connection; it does no I/O. The client owns the connection from now on. If the
// connection is implicitly TLS (port 995), conn is a *tls.Conn and its handshake happens with the first command.
func New(conn net.Conn, o *Options) *Client {
	c := &Client{options: o.withDefaults()}
	c.link = newLink(conn, &c.options)
	return c
}

// State is the state of a session, named as in RFC 1939 section 3.
type State int32

// The states of a session. Closed is ours: the connection is given up.
const (
	Authorization State = iota
	Transaction
	Update
	Closed
)

func (s State) String() string {
	switch s {
	case Authorization:
		return "AUTHORIZATION"
	case Transaction:
		return "TRANSACTION"
	case Update:
		return "UPDATE"
	}
	return "CLOSED"
}

// State returns the state of the session.
func (c *Client) State() State {
	if c.closed.Load() {
		return Closed
	}
	return State(c.state.Load())
}

// Close gives the connection up without QUIT: nothing that was marked for deletion is deleted (RFC 1939 section 6).
// A command under way fails. Closing twice is no error.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.link.abort(net.ErrClosed)
	c.link.hangUp()
	return nil
}

// session runs one command: f speaks to the server, under ctx, in one of the states allowed.
func (c *Client) session(ctx context.Context, command string, allowed []State, f func() error) (err error) {
	state := c.State()
	ok := false
	for _, s := range allowed {
		ok = ok || s == state
	}
	if !ok {
		if cause := c.link.failure(); cause != nil && state == Closed {
			return fmt.Errorf("%w: %s in %v, after: %v", ErrState, command, state, cause)
		}
		return fmt.Errorf("%w: %s in %v", ErrState, command, state)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("pop3: %s: %w", command, ctx.Err())
	}
	release := c.link.watch(ctx)
	finished := false
	defer func() {
		if !finished { // a callback panicked or ended its goroutine: the answer was not read to its end
			c.link.fail(errCallback)
			release()
			c.giveUp()
		}
	}()
	if err = c.greet(); err == nil {
		err = f()
	}
	finished = true
	return c.settle(command, err, release())
}

// settle says what the end of a command means for the session. aborted tells that ctx has ended; that it came too late to
// stop anything shows in err being nil.
func (c *Client) settle(command string, err error, aborted bool) error {
	cause := c.link.failure()
	if cause == nil {
		return err
	}
	if aborted && err == nil && !c.closed.Load() {
		c.link.forgive()
		return nil
	}
	c.giveUp()
	var refused *Error
	if errors.As(cause, &refused) || errors.Is(cause, ErrProtocol) || errors.Is(cause, ErrTooLong) {
		return cause // says all by itself
	}
	return fmt.Errorf("pop3: %s: %w", command, cause)
}

func (c *Client) giveUp() {
	c.closed.Store(true)
	c.link.hangUp()
}

// watch aborts the link when ctx ends. What it returns stops watching, and tells whether ctx had ended before.
func (l *link) watch(ctx context.Context) (release func() bool) {
	if ctx.Done() == nil {
		return func() bool { return false }
	}
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ran)
		l.abort(ctx.Err())
	})
	return func() bool {
		if stop() {
			return false
		}
		<-ran
		return true
	}
}

// greet reads the greeting, once. See RFC 1939 section 4.
func (c *Client) greet() error {
	if c.greeted {
		return nil
	}
	c.greeted = true
	words, err := c.status("")
	if err != nil {
		c.link.fail(err) // without a greeting there is no session, refused or not
	}
	c.timestamp = timestamp(words)
	return err
}

// send writes one command line. trace is what the trace is told instead of it, if not empty.
func (c *Client) send(line, trace string) error {
	if len(c.link.buffered()) > 0 {
		return c.link.fail(fmt.Errorf("%w: it spoke before it was asked", ErrProtocol))
	}
	if strings.ContainsAny(line, "\r\n\x00") {
		return fmt.Errorf("%w: it holds a line break", ErrArgument)
	}
	if trace == "" {
		trace = line
	}
	c.trace(true, trace)
	c.out = append(append(c.out[:0], line...), "\r\n"...)
	return c.link.write(c.out)
}

// status reads the status line that starts every answer: what follows "+OK", or an *Error. See RFC 1939 section 3.
func (c *Client) status(command string) ([]byte, error) {
	c.link.renew()
	return c.readStatus(command)
}

func (c *Client) readStatus(command string) ([]byte, error) {
	line, err := c.link.line()
	if err != nil {
		return nil, err
	}
	return c.statusLine(command, line)
}

// statusLine reads a line as a status.
func (c *Client) statusLine(command string, line []byte) ([]byte, error) {
	if c.options.Trace != nil {
		c.trace(false, printable.Line(string(line)))
	}
	if rest, ok := afterWord(line, "+OK"); ok {
		return rest, nil
	}
	if rest, ok := afterWord(line, "-ERR"); ok {
		return nil, refusal(command, string(rest))
	}
	return nil, c.link.fail(fmt.Errorf("%w: %q is no status", ErrProtocol, printable.Line(string(line[:min(len(line), 80)]))))
}

func afterWord(line []byte, word string) ([]byte, bool) {
	if len(line) < len(word) || string(line[:len(word)]) != word {
		return nil, false
	}
	rest := line[len(word):]
	return rest, len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t'
}

// simple sends a command whose answer is a status line alone.
func (c *Client) simple(ctx context.Context, line string, allowed ...State) (string, error) {
	command, _, _ := strings.Cut(line, " ")
	var rest string
	err := c.session(ctx, command, allowed, func() error {
		if err := c.send(line, ""); err != nil {
			return err
		}
		p, err := c.status(command)
		rest = string(p)
		return err
	})
	return rest, err
}

func (c *Client) trace(sent bool, line string) {
	if c.options.Trace != nil {
		c.options.Trace(Exchange{Sent: sent, State: c.State(), Line: line})
	}
}

func (c *Client) traceOctets(n int64) {
	if c.options.Trace != nil {
		c.trace(false, fmt.Sprintf("... %d octets", n))
	}
}

var _ io.WriterTo = (*body)(nil)
