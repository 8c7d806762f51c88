package pop3

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// bufferSize is what one read may bring: large enough that a fast server costs few reads.
	bufferSize = 128 << 10
	// minProgress is what the server must deliver in each further timeout.
	minProgress = 1 << 10
	// maxEmptyReads is how often a connection may return neither octets nor an error.
	maxEmptyReads = 100
)

// link is the connection with its buffer, its clock and the first thing that went wrong on it. One goroutine reads;
// one may write; any may abort.
type link struct {
	conn    net.Conn
	timeout time.Duration
	maxLine int

	buf      []byte // buf[pos:end] was received and not yet used
	pos, end int
	budget   time.Duration // how much longer the server may keep the client waiting
	progress int           // octets since the budget was last renewed

	mu    sync.Mutex
	cause error // the first failure; the conversation cannot go on
}

func newLink(conn net.Conn, o *Options) *link {
	return &link{conn: conn, timeout: o.Timeout, maxLine: o.MaxLine}
}

// abort makes reads and writes fail, now and from now on, with err.
func (l *link) abort(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil {
		l.cause = err
		l.conn.SetDeadline(time.Unix(1, 0))
	}
}

// fail aborts the link with err, unless something went wrong before it, and returns what went wrong first.
func (l *link) fail(err error) error {
	l.abort(err)
	return l.failure()
}

// failure returns what went wrong, if anything has.
func (l *link) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// forgive forgets an abort that came too late to stop anything.
func (l *link) forgive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cause = nil
	l.conn.SetDeadline(time.Time{})
}

// renew gives the server its full time again; each answer starts with it.
func (l *link) renew() { l.budget, l.progress = l.timeout, 0 }

func (l *link) buffered() []byte { return l.buf[l.pos:l.end] }

// fill waits for more octets. It keeps what is buffered, but may move it.
func (l *link) fill() error {
	switch {
	case l.buf == nil:
		l.buf = make([]byte, bufferSize)
	case l.pos == l.end:
		l.pos, l.end = 0, 0
	case l.end == len(l.buf):
		l.end = copy(l.buf, l.buf[l.pos:l.end])
		l.pos = 0
	}
	for range maxEmptyReads {
		now := time.Now()
		if err := l.arm(now.Add(l.budget), l.conn.SetReadDeadline); err != nil {
			return err
		}
		n, err := l.conn.Read(l.buf[l.end:])
		l.budget -= time.Since(now)
		l.end += n
		if l.progress += n; l.progress >= minProgress {
			l.renew()
		}
		if n > 0 {
			return nil // an error beside octets comes again
		}
		if err == io.EOF {
			return l.fail(io.ErrUnexpectedEOF)
		}
		if err != nil {
			return l.fail(err)
		}
	}
	return l.fail(io.ErrNoProgress)
}

// arm sets a deadline, unless the link was aborted: then it must stay in the past.
func (l *link) arm(t time.Time, set func(time.Time) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		return l.cause
	}
	l.cause = set(t)
	return l.cause
}

// write sends p within the timeout.
func (l *link) write(p []byte) error {
	return l.writeBy(time.Now().Add(l.timeout), p)
}

func (l *link) writeBy(deadline time.Time, p []byte) error {
	if err := l.arm(deadline, l.conn.SetWriteDeadline); err != nil {
		return err
	}
	if _, err := l.conn.Write(p); err != nil {
		return l.fail(err)
	}
	return nil
}

// line returns the next line without its end, valid until the next fill.
//
// QUIRK: RFC 1939 section 3 ends lines with CRLF; a bare LF ends one too, as servers on top of Unix files send it.
func (l *link) line() ([]byte, error) { return l.lineUpTo(l.maxLine) }

func (l *link) lineUpTo(limit int) ([]byte, error) {
	for {
		p := l.buffered()
		i := bytes.IndexByte(p[:min(len(p), limit)], '\n')
		if i < 0 {
			if len(p) >= limit {
				return nil, l.fail(fmt.Errorf("%w: a line of more than %d octets", ErrTooLong, limit))
			}
			if err := l.fill(); err != nil {
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

// hangUp closes the connection without waiting for anybody: beneath TLS, a broken peer would hold up its farewell.
func (l *link) hangUp() {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	conn.Close()
}
