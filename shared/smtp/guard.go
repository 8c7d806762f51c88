package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/printable"
)

// guard is the connection, for go-smtp and for the transaction that this package speaks itself. It keeps what go-smtp
// cannot: contexts that end, the bound on a reply, the order of speaking (one reply to each command, none unasked), and
// the trace. It outlives STARTTLS.
//
// Whoever speaks has the connection to himself until every reply that is owed has come. So go-smtp has nothing read
// ahead when it is not its turn.
type guard struct {
	options *Options

	mu    sync.Mutex
	conn  net.Conn
	cause error // the first failure: deadlines are not moved after it

	spoke   bool     // the client has said something
	writes  int      // that were begun, of commands
	preset  string   // is read before the connection
	stage   string   // of what was said last, for the trace
	hello   []string // the lines of the reply to the last EHLO or HELO
	replies replies
	secrets bool // commands are passwords
	veiled  bool // challenges too: those of SCRAM allow passwords to be tried out, at leisure, on a transcript
	steps   int  // written since secrets is set
}

// maxAuthSteps is how often a server may ask on during one AUTH; no mechanism needs more than four.
const maxAuthSteps = 10

func newGuard(conn net.Conn, o *Options) *guard {
	return &guard{options: o, conn: conn, stage: stageHello, replies: replies{owed: []string{stageHello}}} // the greeting
}

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
	g.replies.read(p[:n], g.heard)
	switch r := &g.replies; {
	case r.long:
		return 0, g.fail(fmt.Errorf("%w: a line of more than %d octets", ErrTooLong, maxReplyLine))
	case r.broken:
		return 0, g.fail(fmt.Errorf("%w: %.80q is no reply", ErrProtocol, printable.Line(r.last)))
	case r.octets > g.options.MaxReply:
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

// heard is told each line of the server's.
func (g *guard) heard(stage, line string) {
	if stage == "" {
		stage = g.stage
	}
	if stage == stageHello && g.spoke {
		g.hello = append(g.hello, line)
	}
	if challenge, ok := strings.CutPrefix(line, "334 "); ok && g.secrets && g.veiled && challenge != "" {
		line = "334 ****"
	}
	g.trace(Exchange{Stage: stage, Line: line})
}

// Write implements net.Conn. Each write is one command, whole: so go-smtp writes, and it sets a deadline before.
func (g *guard) Write(p []byte) (int, error) {
	// QUIRK: RFC 4954 section 4 cancels an exchange of AUTH with "*" where the server waits for more. go-smtp sends it after
	// a refusal too, when there is nothing to cancel, and Postfix hangs up at such a command: it stays here.
	if g.secrets && string(p) == "*\r\n" && !strings.HasPrefix(g.replies.last, "334") {
		g.preset = "501 cancelled\r\n"
		return len(p), nil
	}
	if g.secrets {
		if g.steps++; g.steps > maxAuthSteps {
			return 0, g.fail(fmt.Errorf("%w: it asks for the password without end", ErrProtocol))
		}
	}
	if err := g.ask([]command{{line: string(p)}}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// command is a line to the server that it answers.
type command struct {
	line  string // with its CRLF, and what follows it
	shown string // in the trace; the line if empty
}

// ask writes commands together. Each of them is owed a reply.
func (g *guard) ask(group []command) error {
	if err := g.ready(); err != nil {
		return err
	}
	var packet []byte
	g.spoke = true
	for _, c := range group {
		packet = append(packet, c.line...)
		g.stage = g.stageOf(c.line)
		if strings.HasPrefix(c.line, "EHLO ") || strings.HasPrefix(c.line, "HELO ") {
			g.hello = nil
		}
		g.replies.owed = append(g.replies.owed, g.stage)
		g.traceCommand(c)
	}
	g.writes++
	if _, err := g.conn.Write(packet); err != nil {
		return g.fail(err)
	}
	return nil
}

// ready tells whether there is anything against speaking.
func (g *guard) ready() error {
	if g.replies.unasked {
		return g.fail(fmt.Errorf("%w: it spoke before it was asked", ErrProtocol))
	}
	return g.failure()
}

// putContent writes a part of a message. A server that hangs up meanwhile may have said why, and then that is the error.
func (g *guard) putContent(p []byte) error {
	if err := g.ready(); err != nil {
		return err
	}
	if err := g.SetDeadline(time.Now().Add(g.options.BlockTimeout)); err != nil {
		return err
	}
	_, err := g.conn.Write(p)
	if err == nil {
		return nil
	}
	if g.failure() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		err = g.hear(err)
	}
	return g.fail(err)
}

// hear listens once more on a connection that failed by err, and answers what ended it.
func (g *guard) hear(err error) error {
	if len(g.replies.owed) == 0 {
		g.replies.owed = []string{stageData}
	}
	r, silent := g.reply(lastWords)
	switch {
	case silent != nil: // it is no news that it failed
		g.mu.Lock()
		g.cause = err
		g.mu.Unlock()
	case r.is(4) || r.is(5):
		return r.refusal(".")
	}
	return err
}

// lastWords is how long a server that has hung up is listened to.
const lastWords = time.Second

// reply waits for the reply that is owed next, at most for limit.
func (g *guard) reply(limit time.Duration) (reply, error) {
	if err := g.SetDeadline(time.Now().Add(limit)); err != nil {
		return reply{}, err
	}
	defer g.SetDeadline(time.Time{})
	g.replies.keep = true
	defer func() { g.replies.keep = false }()
	for {
		if r, ok := g.replies.take(); ok {
			return r, nil
		}
		var p [4 << 10]byte
		if _, err := g.Read(p[:]); err != nil {
			return reply{}, err
		}
	}
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
	if err := g.ask([]command{{line: "STARTTLS\r\n"}}); err != nil {
		return err
	}
	r, err := g.reply(g.options.Timeout)
	if err != nil {
		return err
	}
	if r.code != 220 {
		return r.err("STARTTLS")
	}
	if g.replies.unasked {
		return g.fail(fmt.Errorf("%w: it spoke in plain text after it agreed to STARTTLS", ErrProtocol))
	}
	if err := g.SetDeadline(time.Now().Add(g.options.Timeout)); err != nil {
		return err
	}
	conn := tls.Client(g.conn, config)
	if err := conn.Handshake(); err != nil {
		return g.fail(err)
	}
	g.mu.Lock()
	g.conn = conn
	g.mu.Unlock()
	g.replies, g.hello = replies{}, nil
	// go-smtp starts afresh on the new connection and waits for a greeting, which no server sends after STARTTLS.
	g.preset = "220 TLS\r\n"
	return g.SetDeadline(time.Time{})
}

func (g *guard) trace(e Exchange) {
	if g.options.Trace != nil {
		e.Line = printable.Line(e.Line)
		g.options.Trace(e)
	}
}

func (g *guard) traceCommand(c command) {
	line := c.shown
	if line == "" {
		line = strings.TrimRight(c.line, "\r\n")
	}
	if g.secrets {
		if verb, rest, ok := strings.Cut(line, " "); ok && verb == "AUTH" {
			mechanism, initial, _ := strings.Cut(rest, " ")
			if line = "AUTH " + mechanism; initial != "" {
				line += " ****"
			}
		} else if line != "*" {
			line = "****"
		}
	}
	g.trace(Exchange{Sent: true, Stage: g.stage, Line: line})
}

// Stages of a session, for [Exchange].
const (
	stageHello    = "HELLO"
	stageStartTLS = "STARTTLS"
	stageAuth     = "AUTH"
	stageMail     = "MAIL"
	stageRcpt     = "RCPT"
	stageData     = "DATA"
	stageQuit     = "QUIT"
)

// stageOf says to which stage a command belongs. One that belongs to none leaves the session where it is.
func (g *guard) stageOf(line string) string {
	if g.secrets {
		return stageAuth
	}
	verb, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	switch verb {
	case "EHLO", "HELO":
		return stageHello
	case "STARTTLS", "MAIL", "RCPT", "DATA", "QUIT":
		return verb
	case "BDAT", ".":
		return stageData
	case "RSET":
		return stageMail
	}
	if g.stage == stageData { // the message is over
		return stageMail
	}
	return g.stage
}
