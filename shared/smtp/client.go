package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/postern-mail/postern/shared/printable"
)

// Client is one SMTP session over a connection. Its methods must not be called at the same time, save Close, which may
// be called at any time.
type Client struct {
	options    Options
	guard      *guard
	smtp       *gosmtp.Client
	ready      bool // the hello was said, since the connection or TLS began
	extensions Extensions
	closed     atomic.Bool
}

// New makes a client of a connection; it does no I/O. The client owns the connection from now on. If the connection is
// implicitly TLS (port 465, RFC 8314), conn is a *tls.Conn and its handshake happens with the first command.
func New(conn net.Conn, o *Options) *Client {
	c := &Client{options: o.withDefaults()}
	c.guard = newGuard(conn, &c.options)
	c.begin()
	return c
}

// begin puts go-smtp's client on the connection.
func (c *Client) begin() {
	c.smtp = gosmtp.NewClient(c.guard)
	c.smtp.CommandTimeout = c.options.Timeout
	c.ready, c.extensions = false, Extensions{}
}

// Close gives the connection up without QUIT. A command under way fails. Closing twice is no error.
func (c *Client) Close() error {
	if !c.closed.Swap(true) {
		c.guard.abort(net.ErrClosed)
		c.guard.Close()
	}
	return nil
}

// Open reports whether the session can go on, as far as is known: nothing has broken it, and nobody has closed it.
func (c *Client) Open() bool { return !c.closed.Load() && c.guard.failure() == nil }

// TLS returns the state of TLS and whether the session is under TLS.
func (c *Client) TLS() (tls.ConnectionState, bool) {
	if t, ok := c.guard.conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return t.ConnectionState(), true
	}
	return tls.ConnectionState{}, false
}

var errCallback = errors.New("a callback did not return")

// session runs one command of the caller: f speaks to the server, under ctx, after greeting and hello.
func (c *Client) session(ctx context.Context, command string, f func() error) error {
	if c.closed.Load() {
		if cause := c.guard.failure(); cause != nil {
			return fmt.Errorf("%w: %s, after: %v", ErrState, command, cause)
		}
		return fmt.Errorf("%w: %s after QUIT", ErrState, command)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("smtp: %s: %w", command, ctx.Err())
	}
	release := c.guard.watch(ctx)
	finished := false
	defer func() {
		if !finished { // a callback panicked or ended its goroutine
			c.guard.fail(errCallback)
			release()
			c.closed.Store(true)
			c.guard.Close()
		}
	}()
	err := c.hello()
	if err == nil {
		err = f()
	}
	finished = true
	return c.settle(command, err, release())
}

// settle says what the end of a command means for the session. aborted tells that ctx has ended; that it came too late to
// stop anything shows in err being nil.
func (c *Client) settle(command string, err error, aborted bool) error {
	cause := c.guard.failure()
	if err == nil && (cause == nil || aborted && !c.closed.Load()) {
		if cause != nil {
			c.guard.forgive()
		}
		return nil
	}
	var refused *Error
	if cause == nil {
		if errors.As(err, &refused) || isOurs(err) {
			return err
		}
		if nonsense(err) {
			err = fmt.Errorf("%w: %s: %s", ErrProtocol, command, printable.Line(err.Error()))
		}
		cause = c.guard.fail(err)
	}
	c.closed.Store(true)
	c.guard.Close()
	switch {
	case errors.As(err, &refused), isOurs(err): // it came before the connection failed, and says more
		return err
	case errors.Is(err, ErrUnknown):
		return fmt.Errorf("%w: %w", ErrUnknown, cause)
	case errors.Is(cause, ErrProtocol), errors.Is(cause, ErrTooLong):
		return cause
	}
	return fmt.Errorf("smtp: %s: %w", command, cause)
}

// isOurs reports whether err is a finding of this package that leaves the session as it was.
func isOurs(err error) bool {
	var large *TooLargeError
	var recipients *RecipientsError
	return errors.As(err, &large) || errors.As(err, &recipients) || errors.Is(err, ErrState) ||
		errors.Is(err, ErrUnsupported) || errors.Is(err, ErrArgument) || errors.Is(err, ErrPlaintext)
}

// watch aborts the connection when ctx ends. What it returns stops watching, and tells whether ctx had ended before.
func (g *guard) watch(ctx context.Context) (release func() bool) {
	if ctx.Done() == nil {
		return func() bool { return false }
	}
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ran)
		g.abort(ctx.Err())
	})
	return func() bool {
		if stop() {
			return false
		}
		<-ran
		return true
	}
}

// hello waits for the greeting and says EHLO, once.
func (c *Client) hello() error {
	if c.ready {
		return nil
	}
	if strings.ContainsFunc(c.options.LocalName, func(r rune) bool { return r <= ' ' || r >= 0x7F }) {
		return fmt.Errorf("%w: local name %q", ErrArgument, c.options.LocalName)
	}
	err := c.smtp.Hello(c.options.LocalName)
	if refused, ok := refusal("EHLO", err); ok {
		if !c.guard.spoke {
			refused.Command = ""
		}
		c.guard.fail(refused) // without a hello there is no session
		return refused
	}
	if c.ready = err == nil; c.ready {
		c.extensions = readExtensions(c.guard.hello)
	}
	return err
}

// StartTLS starts TLS. A server that does not announce STARTTLS is an error that wraps [ErrUnsupported], whoever took the announcement
// away; what the server said before the handshake is forgotten, and what it said between its agreement and the handshake
// breaks the session. There is no way back to plain text: after an error it is for the caller to close. See RFC 3207.
func (c *Client) StartTLS(ctx context.Context, config *tls.Config) error {
	return c.session(ctx, "STARTTLS", func() error {
		if _, ok := c.TLS(); ok {
			return fmt.Errorf("%w: STARTTLS under TLS", ErrState)
		}
		if !c.extensions.StartTLS {
			return &UnsupportedError{Extension: "STARTTLS", For: "this session"}
		}
		if err := c.guard.startTLS(config); err != nil {
			return err
		}
		c.begin()
		return c.hello()
	})
}

// replied turns go-smtp's refusals into ours.
func (c *Client) replied(command string, err error) error {
	if refused, ok := refusal(command, err); ok {
		return refused
	}
	return err
}

// Noop does nothing, successfully: it tells whether the session still lives.
func (c *Client) Noop(ctx context.Context) error {
	return c.session(ctx, "NOOP", func() error { return c.replied("NOOP", c.smtp.Noop()) })
}

// Quit ends the session and closes the connection, in every case but [ErrState] and a ctx that had ended before.
// Messages sent are sent whatever it returns.
func (c *Client) Quit(ctx context.Context) error {
	return c.session(ctx, "QUIT", func() error {
		err := c.replied("QUIT", c.smtp.Quit())
		if c.guard.failure() == nil && !c.closed.Swap(true) {
			c.guard.Close()
		}
		return err
	})
}
