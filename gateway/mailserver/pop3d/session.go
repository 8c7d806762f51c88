package pop3d

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// state is where a session stands (RFC 1939 §3). UPDATE has no commands, so it
// is not a value here: quit does its work.
type state int

const (
	authorization state = iota
	transaction
)

var (
	errQuit     = errors.New("session is over")
	errClosing  = errors.New("server is shutting down")
	errLongLine = errors.New("line too long")
)

// session is one connection.
type session struct {
	srv  *Server
	log  *slog.Logger
	raw  net.Conn // the connection itself
	conn net.Conn // raw, or TLS over it
	in   *bufio.Reader
	out  *bufio.Writer
	tls  bool

	state    state
	utf8     bool   // the client reads UTF-8
	user     string // of USER, until PASS
	admin    bool   // who has logged in looks after the server
	failures int    // wrong passwords
	errors   int    // bad commands in a row

	drop     Maildrop
	messages []Message
	deleted  map[int]bool // by index
}

func newSession(srv *Server, conn net.Conn) *session {
	s := &session{srv: srv, raw: conn, log: srv.log.With("remote", conn.RemoteAddr())}
	s.use(conn)
	return s
}

// use makes conn the one that is read and written. What was buffered of the
// former is dropped: after STLS, a plain-text command that came along must not
// be taken for one that came by TLS (RFC 2595 §4).
func (s *session) use(conn net.Conn) {
	s.conn = conn
	s.in = bufio.NewReaderSize(conn, 4<<10)
	s.out = bufio.NewWriterSize(stallWriter{conn, s.srv.cfg.Stall}, 16<<10)
}

// stallWriter gives a client a bounded time to take each piece.
type stallWriter struct {
	net.Conn
	stall time.Duration
}

func (w stallWriter) Write(p []byte) (int, error) {
	w.SetWriteDeadline(time.Now().Add(w.stall))
	return w.Conn.Write(p)
}

func (s *session) serve() {
	defer func() {
		if s.drop != nil {
			s.drop.Unlock()
		}
		if p := recover(); p != nil {
			s.log.Error("pop3: panic in a session", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if s.srv.cfg.Implicit {
		if err := s.startTLS(); err != nil {
			s.log.Debug("pop3: TLS handshake failed", "error", err)
			return
		}
	}
	s.ok("%s Postern POP3 ready", s.srv.cfg.Hostname)
	for {
		err := s.step()
		if err == nil {
			continue
		}
		// The client may have stopped reading; its last answer gets little time.
		s.raw.SetWriteDeadline(time.Now().Add(lastWord))
		switch {
		case errors.Is(err, errClosing):
			s.err("[SYS/TEMP] the server is shutting down; nothing was deleted")
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.err("auto-logout after %v without a command; nothing was deleted", s.srv.cfg.Idle)
		}
		s.flush()
		return
	}
}

// step reads and answers one command. An error ends the session.
func (s *session) step() error {
	line, err := s.readLine(maxCommand)
	if errors.Is(err, errLongLine) {
		return s.bad("a command line has at most 255 octets (RFC 2449 section 4)")
	}
	if err != nil {
		return err
	}
	verb, arg, hasArg := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	c, known := commands[verb]
	switch {
	case !known:
		return s.bad("unknown command")
	case !c.in[s.state]:
		return s.bad("%s is not valid in the %s state", verb, stateNames[s.state])
	case arg == "" && c.args == one, hasArg && arg == "":
		return s.bad("%s needs an argument", verb)
	case hasArg && c.args == none:
		return s.bad("%s takes no argument", verb)
	}
	return c.run(s, arg)
}

var stateNames = [...]string{"AUTHORIZATION", "TRANSACTION"}

type args int

const (
	none args = iota
	one
	optional
)

type command struct {
	in   [2]bool // by state
	args args
	run  func(s *session, arg string) error
}

var (
	before = [2]bool{true, false}
	after  = [2]bool{false, true}
	always = [2]bool{true, true}
)

var commands map[string]command

func init() { // the handlers name the table: not a cycle that the compiler lets pass
	commands = map[string]command{
		"CAPA":  {always, none, (*session).capa},
		"QUIT":  {always, none, (*session).quit},
		"STLS":  {before, none, (*session).stls},
		"USER":  {before, one, (*session).userCommand},
		"PASS":  {before, one, (*session).pass},
		"AUTH":  {before, one, (*session).auth},
		"UTF8":  {before, none, (*session).utf8Command},
		"LANG":  {always, optional, (*session).lang},
		"STAT":  {after, none, (*session).stat},
		"LIST":  {after, optional, (*session).list},
		"UIDL":  {after, optional, (*session).uidl},
		"RETR":  {after, one, (*session).retr},
		"TOP":   {after, one, (*session).top},
		"DELE":  {after, one, (*session).dele},
		"RSET":  {after, none, (*session).rset},
		"NOOP":  {after, none, (*session).noop},
		"XWAIT": {after, one, (*session).xwait},
	}
}

// readLine reads up to max octets to the end of a line, which is CRLF, or a bare
// LF of somebody at a terminal. Answers are sent before it blocks and not
// sooner, so that the answers to a pipeline go out together. The time for the
// whole line is the idle time: a slow line is no sign of life.
func (s *session) readLine(max int) (string, error) {
	buffered, _ := s.in.Peek(s.in.Buffered())
	if bytes.IndexByte(buffered, '\n') < 0 {
		if err := s.flush(); err != nil {
			return "", err
		}
	}
	s.conn.SetReadDeadline(time.Now().Add(s.srv.cfg.Idle))
	if s.srv.closing.Load() { // after the deadline is set: Shutdown's own comes later, or this sees it
		return "", errClosing
	}
	var line []byte
	total := 0
	for {
		part, err := s.in.ReadSlice('\n')
		total += len(part)
		if total <= max {
			line = append(line, part...)
		}
		switch {
		case err == nil && total > max:
			return "", errLongLine
		case err == nil:
			return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
		case errors.Is(err, bufio.ErrBufferFull) && total <= maxDiscard:
			continue
		case s.srv.closing.Load():
			return "", errClosing
		default:
			return "", err
		}
	}
}

func (s *session) flush() error { return s.out.Flush() }

// interrupt ends a read that waits; see Server.Shutdown.
func (s *session) interrupt() { s.raw.SetReadDeadline(time.Unix(1, 0)) }

func (s *session) ok(format string, a ...any) error {
	s.errors = 0
	_, err := fmt.Fprintf(s.out, "+OK "+format+"\r\n", a...)
	return err
}

func (s *session) err(format string, a ...any) error {
	_, err := fmt.Fprintf(s.out, "-ERR "+format+"\r\n", a...)
	return err
}

// bad answers a command that makes no sense, and ends a session that sends
// nothing else.
func (s *session) bad(format string, a ...any) error {
	s.err(format, a...)
	if s.errors++; s.errors >= maxErrors {
		return errQuit
	}
	return nil
}

func (s *session) startTLS() error {
	conn := tls.Server(s.raw, s.srv.cfg.TLS)
	s.raw.SetDeadline(time.Now().Add(handshakeTime))
	if err := conn.HandshakeContext(s.srv.ctx); err != nil {
		return err
	}
	s.raw.SetDeadline(time.Time{})
	s.use(conn)
	s.tls = true
	return nil
}

// secret says whether a password may come over this connection.
func (s *session) secret() bool {
	switch {
	case s.tls, s.srv.cfg.Plain == Anywhere:
		return true
	case s.srv.cfg.Plain == Loopback:
		return isLoopback(s.raw.RemoteAddr())
	}
	return false
}

func isLoopback(a net.Addr) bool {
	if a == nil {
		return false
	}
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
