package ftp

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	controlBuffer = 4 << 10 // grows to a line of Options.MaxLine
	maxEmptyReads = 100     // is how often a connection may return neither octets nor an error
)

// link is the control connection with its buffer, beside it the data connection, if there is one, and what went wrong.
// One goroutine reads and writes; any may abort.
//
// There are two ways for it to be stopped. What aborts it cannot be undone: the conversation is lost. What interrupts it, a
// context that ends, wakes whoever waits for either connection, and can be got over: see [Client.breakOff].
type link struct {
	maxLine int

	buf      []byte // buf[pos:end] was received and not yet used
	pos, end int

	mu    sync.Mutex
	conn  net.Conn
	data  net.Conn // may be nil
	dials func()   // ends the dialling of one; may be nil
	cause error    // the first failure; the conversation cannot go on
	stop  error    // why it is interrupted

	watched context.Context // interrupts when it ends, once; nil for none
}

var past = time.Unix(1, 0)

// abort makes reads and writes fail, now and from now on, with err.
func (l *link) abort(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil {
		l.cause = err
		l.wake()
	}
}

// interrupted says why nothing may be waited for, if so. That the context has ended makes reads and writes fail until resume,
// and is seen by the next of them even where its own goroutine comes late. It has mu.
func (l *link) interrupted() error {
	if l.cause != nil {
		return l.cause
	}
	if l.stop == nil && l.watched != nil && l.watched.Err() != nil {
		l.stop, l.watched = l.watched.Err(), nil
		l.wake()
	}
	return l.stop
}

// follow takes the context that interrupts from now on.
func (l *link) follow(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watched = ctx
}

func (l *link) wake() {
	l.conn.SetDeadline(past)
	if l.data != nil {
		l.data.SetDeadline(past)
	}
	if l.dials != nil {
		l.dials()
	}
}

// dialling takes what ends the dialling of a data connection, which waits as the connections do; nil when it is over.
func (l *link) dialling(end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dials = end
	if end != nil && l.interrupted() != nil {
		end()
	}
}

// resume gets over an interrupt.
func (l *link) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil && l.cause == nil {
		l.conn.SetDeadline(time.Time{})
	}
	l.stop = nil
}

// fail aborts the link with err, unless something went wrong before it, and returns what went wrong first.
func (l *link) fail(err error) error {
	l.mu.Lock()
	stop := l.stop
	l.mu.Unlock()
	if stop != nil {
		return stop // a deadline in the past is no failure
	}
	l.abort(err)
	return l.failure()
}

// failure returns what went wrong for good, if anything has.
func (l *link) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// stopped returns why nothing may be waited for, if so.
func (l *link) stopped() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.interrupted()
}

// use takes a data connection to be woken with the control connection; nil for none.
func (l *link) use(data net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.data = data
	if data != nil && l.interrupted() != nil {
		data.SetDeadline(past)
	}
}

// arm sets a deadline, unless the link was stopped: then it must stay in the past.
func (l *link) arm(t time.Time, set func(time.Time) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.interrupted(); err != nil {
		return err
	}
	return set(t)
}

func (l *link) buffered() []byte { return l.buf[l.pos:l.end] }

// fill waits for more octets until a point in time.
func (l *link) fill(until time.Time) error {
	switch {
	case l.pos == l.end:
		l.pos, l.end = 0, 0
	case l.end == len(l.buf) && l.pos > 0:
		l.end = copy(l.buf, l.buf[l.pos:l.end])
		l.pos = 0
	}
	if l.end == len(l.buf) {
		grown := make([]byte, max(controlBuffer, min(2*len(l.buf), l.maxLine)))
		l.end = copy(grown, l.buf)
		l.buf = grown
	}
	for range maxEmptyReads {
		if err := l.arm(until, l.conn.SetReadDeadline); err != nil {
			return l.fail(err)
		}
		n, err := l.conn.Read(l.buf[l.end:])
		l.end += n
		if n > 0 {
			return nil // an error beside octets comes again
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return l.fail(err)
		}
	}
	return l.fail(io.ErrNoProgress)
}

// line returns the next line without its end, valid until the next fill.
//
// QUIRK: RFC 959 section 5.3 ends lines with CRLF; a bare LF ends one too.
func (l *link) line(until time.Time) ([]byte, error) {
	for {
		p := l.buffered()
		i := bytes.IndexByte(p[:min(len(p), l.maxLine)], '\n')
		if i < 0 {
			if len(p) >= l.maxLine {
				return nil, l.fail(fmt.Errorf("%w: a line of more than %d octets", ErrTooLong, l.maxLine))
			}
			if err := l.fill(until); err != nil {
				return nil, err
			}
			continue
		}
		l.pos += i + 1
		if i > 0 && p[i-1] == '\r' {
			i--
		}
		return p[:i], nil
	}
}

// write sends p until a point in time.
func (l *link) write(p []byte, until time.Time) error {
	if err := l.arm(until, l.conn.SetWriteDeadline); err != nil {
		return l.fail(err)
	}
	if _, err := l.conn.Write(p); err != nil {
		return l.fail(err)
	}
	return nil
}

// startTLS puts TLS over the control connection.
func (l *link) startTLS(config *tls.Config, until time.Time) error {
	if err := l.arm(until, l.conn.SetDeadline); err != nil {
		return l.fail(err)
	}
	conn := tls.Client(l.conn, config)
	if err := conn.Handshake(); err == io.EOF {
		return l.fail(io.ErrUnexpectedEOF)
	} else if err != nil {
		return l.fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	return nil
}

// hangUp closes the connections without waiting for anybody: beneath TLS, a broken peer would hold up its farewell.
func (l *link) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	beneath(l.conn).Close()
	if l.data != nil {
		beneath(l.data).Close()
	}
}

// beneath returns the connection under TLS, if that is what it is.
func beneath(conn net.Conn) net.Conn {
	for {
		t, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = t.NetConn()
	}
}
