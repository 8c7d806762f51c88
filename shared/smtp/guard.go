package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// guard is the connection as go-smtp sees it. It keeps what go-smtp cannot: contexts that end, the bound on a reply, the
// order of speaking (one reply to each command, none unasked), and the trace. It outlives STARTTLS.
type guard struct {
	options *Options

	mu    sync.Mutex
	conn  net.Conn
	cause error // the first failure: deadlines are not moved after it
	timed bool  // go-smtp has set a deadline

	spoke   bool   // the client has said something
	preset  string // is read before the connection
	replies replies
	phase   phase
	steps   int // written in the phase of secrets
}

type phase int

const (
	commands phase = iota
	secrets        // commands whose lines are passwords
	content        // no commands at all
)

// maxAuthSteps is how often a server may ask on during one AUTH; no mechanism needs more than four.
const maxAuthSteps = 10

// abort makes reads and writes fail, now and from now on, with err.
func (g *guard) abort(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause == nil {
		g.cause = err
		g.conn.SetDeadline(time.Unix(1, 0))
	}
}

// fail aborts with err, unless something went wrong before it, and returns what went wrong first.
func (g *guard) fail(err error) error {
	g.abort(err)
	return g.failure()
}

func (g *guard) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause
}

// forgive forgets an abort that came too late to stop anything.
func (g *guard) forgive() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cause = nil
	g.conn.SetDeadline(time.Time{})
}

// Read implements net.Conn.
func (g *guard) Read(p []byte) (int, error) {
	if err := g.failure(); err != nil {
		return 0, err
	}
	if g.preset != "" {
		n := copy(p, g.preset)
		g.preset = g.preset[n:]
		return n, nil
	}
	n, err := g.conn.Read(p)
	g.replies.read(p[:n], func(line string) { g.trace(false, line) })
	if g.replies.octets > g.options.MaxReply {
		return 0, g.fail(fmt.Errorf("%w: more than %d octets", ErrTooLong, g.options.MaxReply))
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && n == 0 {
		return 0, g.fail(err)
	}
	return n, nil // an error beside octets comes again
}

// Write implements net.Conn. In the phases of commands, each write is one command, whole: so go-smtp writes.
func (g *guard) Write(p []byte) (int, error) {
	if g.replies.unasked {
		return 0, g.fail(fmt.Errorf("%w: it spoke before it was asked", ErrProtocol))
	}
	// QUIRK: RFC 4954 section 4 cancels an exchange of AUTH with "*" where the server waits for more. go-smtp sends it after
	// a refusal too, when there is nothing to cancel, and Postfix hangs up at such a command: it stays here.
	if g.phase == secrets && string(p) == "*\r\n" && !strings.HasPrefix(g.replies.first, "334") {
		g.preset = "501 cancelled\r\n"
		return len(p), nil
	}
	if g.phase == secrets {
		if g.steps++; g.steps > maxAuthSteps {
			return 0, g.fail(fmt.Errorf("%w: it asks for the password without end", ErrProtocol))
		}
	}
	g.replies, g.spoke = replies{}, true
	g.mu.Lock()
	if g.cause == nil && !g.timed {
		g.cause = g.conn.SetWriteDeadline(time.Now().Add(g.options.BlockTimeout))
	}
	err := g.cause
	g.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if g.phase != content {
		g.traceCommand(string(p))
	}
	n, err := g.conn.Write(p)
	if err != nil {
		err = g.fail(err)
	}
	return n, err
}

// Close implements net.Conn, without waiting for anybody: beneath TLS, a broken peer would hold up the farewell.
func (g *guard) Close() error {
	g.mu.Lock()
	conn := g.conn
	g.mu.Unlock()
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	return conn.Close()
}

// SetDeadline implements net.Conn, for go-smtp.
func (g *guard) SetDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause != nil {
		return g.cause
	}
	g.timed = !t.IsZero()
	return g.conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (g *guard) SetReadDeadline(t time.Time) error { return g.SetDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (g *guard) SetWriteDeadline(t time.Time) error { return g.SetDeadline(t) }

// LocalAddr implements net.Conn.
func (g *guard) LocalAddr() net.Addr { return g.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (g *guard) RemoteAddr() net.Addr { return g.conn.RemoteAddr() }

// startTLS asks for TLS and puts it over the connection. It reads the reply itself, so that not an octet of
// what came before the handshake survives it: RFC 3207 section 6.
func (g *guard) startTLS(config *tls.Config) error {
	if err := g.SetDeadline(time.Now().Add(g.options.Timeout)); err != nil {
		return err
	}
	if _, err := g.Write([]byte("STARTTLS\r\n")); err != nil {
		return err
	}
	for g.replies.count == 0 {
		var p [512]byte
		if _, err := g.Read(p[:]); err != nil {
			return err
		}
	}
	if err := g.replies.expect("STARTTLS", 220); err != nil {
		if errors.Is(err, ErrProtocol) {
			return g.fail(err)
		}
		return err
	}
	if g.replies.unasked {
		return g.fail(fmt.Errorf("%w: it spoke in plain text after it agreed to STARTTLS", ErrProtocol))
	}
	conn := tls.Client(g.conn, config)
	if err := conn.Handshake(); err != nil {
		return g.fail(err)
	}
	g.mu.Lock()
	g.conn = conn
	g.mu.Unlock()
	g.replies = replies{}
	// go-smtp starts afresh on the new connection and waits for a greeting, which no server sends after STARTTLS.
	g.preset = "220 TLS\r\n"
	return g.SetDeadline(time.Time{})
}

func (g *guard) trace(sent bool, line string) {
	if g.options.Trace != nil {
		g.options.Trace(Exchange{Sent: sent, Line: printable(line)})
	}
}

func (g *guard) traceCommand(command string) {
	line := strings.TrimRight(command, "\r\n")
	if g.phase == secrets {
		if verb, rest, ok := strings.Cut(line, " "); ok && verb == "AUTH" {
			mechanism, _, _ := strings.Cut(rest, " ")
			line = "AUTH " + mechanism + " ****"
		} else {
			line = "****"
		}
	}
	g.trace(true, line)
}

// replies follows what the server says, line by line, since the client last spoke. See RFC 5321 section 4.2.1.
type replies struct {
	line    []byte
	first   string // the last line of the first reply
	octets  int
	count   int  // replies that are complete
	unasked bool // there is more than the one reply that was asked for
}

// maxReplyLine is how much of a line is kept: go-smtp refuses longer ones.
const maxReplyLine = 2048

func (r *replies) read(p []byte, each func(line string)) {
	r.octets += len(p)
	for _, b := range p {
		r.unasked = r.unasked || r.count > 0
		if b != '\n' {
			if len(r.line) < maxReplyLine {
				r.line = append(r.line, b)
			}
			continue
		}
		line := strings.TrimSuffix(string(r.line), "\r")
		r.line = r.line[:0]
		each(line)
		if len(line) < 4 || line[3] != '-' {
			r.count++
			if r.count == 1 {
				r.first = line
			}
		}
	}
}

// expect reads the first reply: nil if its code is the one wanted, else an *Error or an error that wraps ErrProtocol.
func (r *replies) expect(command string, want int) error {
	code, text, _ := strings.Cut(r.first, " ")
	n, err := strconv.Atoi(code)
	if err == nil && n == want {
		return nil
	}
	if err != nil || n < 400 || n > 599 {
		return fmt.Errorf("%w: %.80q is no reply to %s", ErrProtocol, printable(r.first), command)
	}
	e := &Error{Command: command, Code: n, Text: printable(text)}
	if enhanced, rest, ok := strings.Cut(text, " "); ok && isEnhanced(enhanced) {
		e.Enhanced, e.Text = enhanced, printable(rest)
	}
	return e
}

// isEnhanced checks for a status code of RFC 3463: "5.7.0".
func isEnhanced(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 999 {
			return false
		}
	}
	return len(parts) == 3
}
