package ftp

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// maxStrays is how many replies may come before the one that was asked for.
const maxStrays = 32

// breakOff ends a transfer before its end, says ABOR, and comes to terms with the server, whatever that thinks was going
// on. It returns why: cause; what the server said about it, if it did; and nothing of its own, save that the session is
// closed if there were no terms to come to.
//
// RFC 959 section 4.1.3 has a server answer 426 and 226 to ABOR, or 226 alone, or 225 if there was nothing to break off.
// QUIRK: pure-ftpd reads commands during a transfer, vsftpd does not; either may have ended the transfer first, with a reply of any
// kind. So the replies are not counted: see [Client.synchronize].
//
// A connection that is closed is an upload's proper end to a server that does not read ABOR in time. So it is reset, where
// it can be.
func (t *transfer) breakOff(cause error) error {
	c := t.c
	cause = stopped(cause)
	c.link.resume()
	if c.link.failure() != nil {
		abandon(t.conn)
		t.over("closed")
		return cause
	}
	abort := "ABOR"
	if c.options.Synch && c.tls == nil { // QUIRK: pure-ftpd 1.0.50 says nothing more after them under TLS
		abort = "\xff\xf4\xff\xf2ABOR" // IAC IP, IAC DM
	}
	err := c.shout(abort, "ABOR", c.options.AbortTimeout)
	abandon(t.conn)
	t.over("broken off")
	var first reply
	if err == nil {
		first, err = c.hear("ABOR", c.options.AbortTimeout)
	}
	if err == nil {
		err = c.synchronize(c.options.AbortTimeout)
	}
	if err != nil {
		c.link.abort(fmt.Errorf("ftp: ABOR: %w", err))
		var refused *Error
		if errors.As(err, &refused) && !errors.Is(cause, ErrAborted) { // 421, by which it all ended
			return fmt.Errorf("%w: %w", refused, cause)
		}
	}
	if (first.is(4) || first.is(5)) && !errors.Is(cause, ErrAborted) && !errors.Is(cause, ErrTooLong) {
		return fmt.Errorf("%w: %w", first.refusal(t.command), cause)
	}
	return cause
}

// synchronize makes sure that the next reply is to the next command, when it is not known how many are owed: it asks a
// question whose answer is like no other, PWD's 257, and drops what comes before. All of it takes no longer than within.
func (c *Client) synchronize(within time.Duration) error {
	until := time.Now().Add(within)
	if err := c.shout("PWD", "", within); err != nil {
		return err
	}
	for range maxStrays {
		r, err := c.hear("PWD", time.Until(until))
		if err != nil {
			return err
		}
		if r.code == 257 {
			return c.arrived(r)
		}
	}
	return c.link.fail(fmt.Errorf("%w: %d replies, and none of them to PWD", ErrProtocol, maxStrays))
}

// abandon closes a connection so that the peer can tell it from a proper end, where it can be told.
func abandon(conn net.Conn) {
	conn = beneath(conn)
	switch c := conn.(type) {
	case interface{ Abort() }: // a tunnel's
		c.Abort()
	case interface{ SetLinger(int) error }: // TCP's
		c.SetLinger(0)
	}
	conn.Close()
}
