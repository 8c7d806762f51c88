package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Client is one FTP session: a control connection, and one data connection at a time. Its methods must not be called at
// the same time, nor from the body of a loop over [Client.List]: that is [ErrState]. Close and State may be called at any time.
type Client struct {
	options Options
	link    *link
	busy    atomic.Bool
	closed  atomic.Bool
	greeted bool
	spoke   time.Time // when something was said last

	tls      *tls.Config // of data connections; nil without TLS
	tickets  tickets
	features *Features // nil if not asked
	noEPSV   bool      // refused, or its ports do not answer
	noMLSD   bool
	stale    bool // a listing was broken off: see freshen
	opened   int  // data connections

	mu    sync.Mutex
	state State
}

// New makes a client of a connection; it does no I/O. The client owns the connection from now on. conn is in plain text:
// see Options.TLS for port 990.
func New(conn net.Conn, o *Options) *Client {
	c := &Client{options: o.withDefaults(), state: State{Type: "A"}}
	c.link = &link{conn: conn, maxLine: c.options.MaxLine}
	return c
}

// Close gives the connections up without QUIT. A command under way fails. Closing twice is no error.
func (c *Client) Close() error {
	if !c.closed.Swap(true) {
		c.link.abort(net.ErrClosed)
		c.link.hangUp()
	}
	return nil
}

// session runs one command: f speaks to the server, under ctx, in one of the phases allowed.
func (c *Client) session(ctx context.Context, command string, allowed []Phase, f func() error) error {
	if !c.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("%w: %s inside another", ErrState, command)
	}
	defer c.busy.Store(false)
	phase, ok := c.State().Phase, false
	for _, p := range allowed {
		ok = ok || p == phase
	}
	if !ok {
		if cause := c.link.failure(); cause != nil && phase == Closed {
			return fmt.Errorf("%w: %s in %v, after: %v", ErrState, command, phase, cause)
		}
		return fmt.Errorf("%w: %s in %v", ErrState, command, phase)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("ftp: %s: %w", command, ctx.Err())
	}
	release := c.link.watch(ctx)
	finished := false
	defer func() {
		if !finished { // a callback panicked or ended its goroutine
			c.link.abort(errCallback)
			release()
			c.giveUp()
		}
	}()
	err := c.greet()
	if err == nil {
		err = f()
	}
	finished = true
	release()
	return c.settle(command, err)
}

// settle says what the end of a command means for the session. That ctx ended too late to stop anything shows in err being nil.
func (c *Client) settle(command string, err error) error {
	cause := c.link.failure()
	if cause == nil {
		stop := c.link.stopped()
		c.link.resume()
		if stop == nil || err == nil || !errors.Is(err, stop) {
			return err
		}
		if errors.Is(err, ErrAborted) {
			return err // and client and server have come to terms
		}
		cause = c.link.fail(stop) // in the middle of a command: its reply may come, or not
	}
	c.giveUp()
	var refused *Error
	switch {
	case errors.As(err, &refused), errors.Is(err, ErrAborted), errors.Is(err, ErrProtocol), errors.Is(err, ErrTooLong), errors.Is(err, ErrTruncated):
		return err // says all by itself
	case err != nil && !errors.Is(err, cause):
		return fmt.Errorf("%w: %w", err, cause)
	}
	return fmt.Errorf("ftp: %s: %w", command, cause)
}

func (c *Client) giveUp() {
	c.closed.Store(true)
	c.link.hangUp()
}

// watch interrupts the link when ctx ends. What it returns stops watching.
func (l *link) watch(ctx context.Context) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	l.follow(ctx)
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ran)
		l.stopped()
	})
	return func() {
		if !stop() {
			<-ran
		}
		l.follow(context.Background())
	}
}

// greet puts TLS over the connection where that comes first, and reads the greeting, once.
//
// 120 says that the server will be ready in some minutes, and that 220 comes then. See RFC 959 section 5.4.
func (c *Client) greet() error {
	if c.greeted {
		return nil
	}
	c.greeted = true
	if c.options.TLS != nil {
		if err := c.startTLS(c.options.TLS); err != nil {
			return err
		}
	}
	r, err := c.hear("", c.options.Timeout)
	if err == nil && r.code == 120 {
		r, err = c.hear("", c.options.Timeout)
	}
	if err != nil {
		return err
	}
	if err := c.expect(2, "", r); err != nil {
		return c.link.fail(err) // without a greeting there is no session, refused or not
	}
	c.spoke = time.Now()
	return nil
}

var (
	anywhere = []Phase{Opening, Ready, Renaming}
	inside   = []Phase{Ready}
)

// simple sends a command that a reply of 2yz answers.
func (c *Client) simple(ctx context.Context, line string, allowed []Phase) (r reply, err error) {
	err = c.session(ctx, verb(line), allowed, func() error {
		r, err = c.want(2, line)
		return err
	})
	return r, err
}

// Noop does nothing, successfully: it tells whether the session still lives.
func (c *Client) Noop(ctx context.Context) error {
	_, err := c.simple(ctx, "NOOP", anywhere)
	return err
}

// Quit ends the session and closes the connection, in every case but [ErrState] and a ctx that had ended before.
func (c *Client) Quit(ctx context.Context) error {
	return c.session(ctx, "QUIT", anywhere, func() error {
		_, err := c.want(2, "QUIT")
		if c.link.failure() == nil && !c.closed.Swap(true) {
			c.link.hangUp()
		}
		return err
	})
}
