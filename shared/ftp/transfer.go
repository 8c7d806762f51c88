package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

const (
	dataBuffer  = 64 << 10 // four records of TLS
	minProgress = 1 << 10  // is what must move in each DataTimeout
)

// transfer is a command with a data connection: RETR, STOR, APPE, LIST or MLSD. The server says that it begins (1yz), the data goes, and
// the server says how it ended (2yz, 4yz, 5yz). Only both, the proper end of the data and the reply, make it complete.
type transfer struct {
	c       *Client
	command string // its verb
	number  int    // of its data connection
	upload  bool
	conn    net.Conn
	octets  int64

	budget   time.Duration // how much longer the data may stand still
	progress int           // octets since the budget was last renewed
	noops    int           // said since it began
	cut      bool          // TLS was not ended properly
	witness  *witness      // beneath TLS
}

// witness tells whether a connection under TLS has ended without the notice by which TLS ends (RFC 8446 section 6.1): crypto/tls takes that
// for a proper end if it comes between two records, and anybody on the way can make it come there.
type witness struct {
	net.Conn
	ended bool
}

// Read implements net.Conn.
func (w *witness) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 && err == io.EOF {
		return n, nil // it comes again
	}
	w.ended = w.ended || err == io.EOF
	return n, err
}

// NetConn returns the connection.
func (w *witness) NetConn() net.Conn { return w.Conn }

// begin opens a data connection and says a command.
func (c *Client) begin(ctx context.Context, line string, from int64, upload bool) (*transfer, error) {
	if err := c.image(); err != nil {
		return nil, err
	}
	conn, err := c.dialData(ctx)
	if err != nil {
		return nil, err
	}
	t := &transfer{c: c, command: verb(line), number: c.opened, upload: upload, conn: conn, budget: c.options.DataTimeout}
	c.link.use(conn)
	if from > 0 {
		if _, err := c.want(3, "REST "+strconv.FormatInt(from, 10)); err != nil {
			return nil, t.refuse(err)
		}
	}
	c.become(func(s *State) { s.Phase, s.Transfer, s.Data, s.Restart = Transferring, line, t.number, from })
	if _, err := c.want(1, line); err != nil {
		return nil, t.refuse(err)
	}
	c.become(func(s *State) { s.Restart = 0 }) // it is used up
	if c.State().Private {
		if err := t.startTLS(); err != nil {
			return nil, t.breakOff(fmt.Errorf("ftp: data connection: %w", err))
		}
	}
	return t, nil
}

// refuse ends a transfer that did not begin.
func (t *transfer) refuse(err error) error {
	if t.c.link.failure() == nil && !refusedBy(err) && !errors.Is(err, ErrArgument) {
		return t.breakOff(err) // the reply is still owed
	}
	abandon(t.conn)
	t.over("closed, unused")
	return err
}

// startTLS puts TLS over the data connection. The server's certificate is checked as the control connection's was.
func (t *transfer) startTLS() error {
	l := t.c.link
	if err := l.arm(time.Now().Add(t.c.options.Timeout), t.conn.SetDeadline); err != nil {
		return err
	}
	t.witness = &witness{Conn: t.conn}
	conn := tls.Client(t.witness, t.c.tls)
	if err := conn.Handshake(); err != nil {
		if stop := l.stopped(); stop != nil {
			return stop
		}
		return err
	}
	t.conn = conn
	l.use(conn)
	if err := l.arm(time.Time{}, conn.SetDeadline); err != nil {
		return err
	}
	state, resumed := conn.ConnectionState(), "a session of its own"
	if state.DidResume {
		resumed = "the session resumed"
	}
	t.note("%s, %s", tls.VersionName(state.Version), resumed)
	return nil
}

// Read reads data; io.EOF is its proper end, or, with cut set, an end that TLS did not announce.
func (t *transfer) Read(p []byte) (int, error) {
	for empty := 0; empty < maxEmptyReads; {
		now := time.Now()
		until := now.Add(t.budget)
		if due, ok := t.due(); ok && due.Before(until) {
			until = due
		}
		if err := t.c.link.arm(until, t.conn.SetReadDeadline); err != nil {
			return 0, err
		}
		n, err := t.conn.Read(p)
		t.moved(n, now)
		switch {
		case n > 0:
			return n, nil // an error beside octets comes again
		case err == nil:
			empty++
		case err == io.EOF, err == io.ErrUnexpectedEOF && t.witness != nil:
			t.cut = t.witness != nil && t.witness.ended
			return 0, io.EOF
		case t.c.link.stopped() != nil:
			return 0, t.c.link.stopped()
		case errors.Is(err, os.ErrDeadlineExceeded) && t.budget > 0:
			if err := t.keepAlive(); err != nil {
				return 0, err
			}
		default:
			return 0, fmt.Errorf("ftp: data connection: %w", err)
		}
	}
	return 0, io.ErrNoProgress
}

// Write writes data.
func (t *transfer) Write(p []byte) (int, error) {
	if err := t.keepAlive(); err != nil {
		return 0, err
	}
	now := time.Now()
	if err := t.c.link.arm(now.Add(t.c.options.DataTimeout), t.conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	n, err := t.conn.Write(p)
	t.moved(n, now)
	if err != nil {
		if stop := t.c.link.stopped(); stop != nil {
			return n, stop
		}
		return n, fmt.Errorf("ftp: data connection: %w", err)
	}
	return n, nil
}

// moved counts.
func (t *transfer) moved(n int, since time.Time) {
	t.octets += int64(n)
	t.budget -= time.Since(since)
	if t.progress += n; t.progress >= minProgress {
		t.budget, t.progress = t.c.options.DataTimeout, 0
	}
}

// due says when the control connection has been silent for too long.
func (t *transfer) due() (time.Time, bool) {
	return t.c.spoke.Add(t.c.options.KeepAlive), t.c.options.KeepAlive > 0
}

// keepAlive says NOOP on the control connection if it is due. See [Client.synchronize] for what becomes of the replies.
func (t *transfer) keepAlive() error {
	if due, ok := t.due(); !ok || time.Now().Before(due) {
		return nil
	}
	t.noops++
	return t.c.shout("NOOP", "", t.c.options.Timeout)
}

// finish waits for the reply that ends a transfer whose data has ended. A refusal is an [*Error].
func (t *transfer) finish() error {
	c := t.c
	if t.upload {
		t.endWriting()
	} else {
		t.conn.Close()
	}
	r, err := t.final()
	if err == nil && t.noops > 0 {
		err = c.synchronize(c.options.Timeout)
	}
	if err != nil {
		return t.breakOff(err)
	}
	t.conn.Close()
	how := "closed"
	if t.cut {
		how = "closed, and TLS was not ended properly"
	}
	t.over(how)
	return c.expect(2, t.command, r)
}

// endWriting ends the data of an upload: under TLS by its own notice of the end, then the connection's. The connection is closed
// after the reply: the server may have said something (TLS 1.3 sends tickets) that nobody has read, and then closing would
// reset the connection, and the server would lose what it has not read.
func (t *transfer) endWriting() {
	t.c.link.arm(time.Now().Add(t.c.options.Timeout), t.conn.SetWriteDeadline)
	half, ok := t.conn.(interface{ CloseWrite() error })
	if ok {
		ok = half.CloseWrite() == nil
	}
	if conn := beneath(t.conn); conn != t.conn {
		if half, is := conn.(interface{ CloseWrite() error }); is {
			half.CloseWrite()
		}
	}
	if !ok {
		t.conn.Close()
	}
}

// final reads the reply that ends the transfer.
//
// QUIRK: replies to NOOP may come before it, after it, or not at all, whatever RFC 959 section 5.4 says.
func (t *transfer) final() (reply, error) {
	for passed := 0; ; passed++ {
		r, err := t.c.hear(t.command, t.c.options.Timeout)
		if err != nil || passed >= t.noops || r.code != 200 && (r.code < 500 || r.code > 504) {
			return r, err
		}
	}
}

// over is the end of a transfer's data connection.
func (t *transfer) over(how string) {
	t.c.link.use(nil)
	if t.octets > 0 {
		t.c.trace(Exchange{Sent: t.upload, Data: t.number, Line: fmt.Sprintf("... %d octets", t.octets)})
	}
	t.note("%s", how)
	t.c.become(func(s *State) { s.Phase, s.Transfer, s.Data, s.Restart = Ready, "", 0, 0 })
}

func (t *transfer) note(format string, args ...any) {
	t.c.trace(Exchange{Note: true, Data: t.number, Line: fmt.Sprintf(format, args...)})
}
