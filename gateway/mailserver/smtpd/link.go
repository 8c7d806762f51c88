package smtpd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// link is a client's connection as go-smtp sees it: plain text, one command
// line at a time.
//
// QUIRK: go-smtp reads ahead and keeps its connection's plain text to itself,
// and so
//   - takes a BDAT chunk that ends with the connection for a whole one, and
//     delivers half a message (io.Copy from a LimitReader gives no error);
//   - lets the end of an aborted BDAT be taken for the answer to the next one;
//   - does not see the end of a message whose last line ends in CR CR LF, and
//     loses ".\r" at the beginning of a line that goes on;
//   - has one time limit for a whole message and one length limit for commands
//     and text.
//
// Here each octet passes by with its meaning known: a command, a SASL response,
// the text after 354, or a chunk.
type link struct {
	srv  *Server
	raw  net.Conn
	conn net.Conn // raw, or TLS over it
	in   *bufio.Reader
	out  []byte // answers to go out together
	tls  *tls.ConnectionState

	mode    mode
	verb    string // of the last command
	pending []byte // what go-smtp has not read yet of a line
	newline bool   // the next octet of go-smtp's begins a line of an answer
	hello   bool   // EHLO or HELO was answered since the connection is what it is
	esmtp   bool   // it was EHLO
	hangup  bool   // after the present answer
	cut     Cut    // where the present message ends the connection
	err     error  // sticky

	chunk    int64       // octets left of it
	transfer bool        // chunks were taken, and not the last
	received int64       // octets of them
	aborted  atomic.Bool // the present transfer is to be forgotten
	instead  *string     // of go-smtp's next answer
	held     string      // a command that waits until the transfer is forgotten

	mute   atomic.Bool // nobody could read an answer
	text   dots        // of the present message
	until  time.Time   // when the present message must be there
	junk   int         // commands since the last message that brought none nearer
	closed atomic.Bool
}

type mode int

const (
	command  mode = iota
	response      // a SASL response (RFC 4954 §4)
	text          // after 354
	chunk         // after BDAT
	discard       // a chunk that go-smtp is not to see
)

const (
	maxCommand  = 2048     // RFC 5321 §4.5.3.1.4 wants 512 and what extensions add, about 1,000
	maxResponse = 12288    // RFC 4954 §4, for AUTH and what follows it
	maxDiscard  = 64 << 10 // of a longer line
	maxJunk     = 100      // as Postfix's smtpd_junk_command_limit

	readSize      = 8 << 10 // of each session, the idle ones too
	handshakeTime = 30 * time.Second
	lastWord      = 2 * time.Second
	writeTime     = 5 * time.Minute // RFC 5321 §4.5.3.2
)

var errHangup = errors.New("smtpd: connection is over")

func newLink(srv *Server, conn net.Conn) *link {
	return &link{srv: srv, raw: conn, conn: conn, in: bufio.NewReaderSize(conn, readSize), newline: true}
}

func (l *link) LocalAddr() net.Addr  { return l.raw.LocalAddr() }
func (l *link) RemoteAddr() net.Addr { return l.raw.RemoteAddr() }

// The link keeps its own deadlines. go-smtp sets one before each command, and
// must learn there that it has closed the connection itself, or it would go on
// with what it has read ahead.
func (l *link) SetDeadline(time.Time) error      { return nil }
func (l *link) SetWriteDeadline(time.Time) error { return nil }
func (l *link) SetReadDeadline(time.Time) error {
	if l.closed.Load() {
		return net.ErrClosed
	}
	return nil
}

// interrupt ends a read that waits; see Server.Shutdown.
func (l *link) interrupt() { l.raw.SetReadDeadline(time.Unix(1, 0)) }

func (l *link) Close() error {
	if l.closed.Swap(true) {
		return net.ErrClosed
	}
	l.srv.mu.Lock()
	delete(l.srv.links, l)
	l.srv.mu.Unlock()
	if len(l.out) > 0 && !l.mute.Load() {
		l.raw.SetWriteDeadline(time.Now().Add(lastWord))
		l.conn.Write(l.out)
	}
	return l.conn.Close()
}

// Write takes an answer of go-smtp's, learns from it what comes next, and keeps
// it until the client's turn has come.
func (l *link) Write(p []byte) (int, error) {
	if l.closed.Load() {
		return 0, net.ErrClosed
	}
	if l.newline && len(p) >= 4 {
		l.answer(string(p[:3]), p[3] == ' ')
	}
	l.newline = len(p) > 0 && p[len(p)-1] == '\n'
	if l.instead != nil {
		l.out = append(l.out, *l.instead...)
		l.instead = nil
		l.aborted.Store(false)
		return len(p), nil
	}
	l.out = append(l.out, p...)
	return len(p), nil
}

func (l *link) answer(code string, last bool) {
	if l.verb == "BDAT" || l.verb == "BDAT LAST" {
		l.transfer = code == "250" && l.verb == "BDAT"
	}
	switch {
	case code == "354":
		l.mode, l.text = text, dots{}
		l.until = time.Now().Add(l.srv.cfg.MessageTime)
	case code == "334":
		l.mode = response
	case l.mode == response && last:
		l.mode = command
	case code[0] == '4' || code[0] == '5':
		if last {
			l.junk++
		}
	case code == "250" && (l.verb == "DATA" || l.verb == "BDAT LAST"):
		l.junk = 0
	case code == "250" && last && (l.verb == "EHLO" || l.verb == "HELO"):
		l.hello, l.esmtp = true, l.verb == "EHLO"
		if l.esmtp && l.tls == nil && l.srv.cfg.TLS != nil {
			l.out = append(l.out, "250-STARTTLS\r\n"...)
		}
	}
}

// say is an answer of the link's own.
func (l *link) say(format string, a ...any) { l.out = fmt.Appendf(l.out, format+"\r\n", a...) }

func (l *link) flush() error {
	if len(l.out) == 0 || l.err != nil {
		return l.err
	}
	l.raw.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := l.conn.Write(l.out)
	l.out = l.out[:0]
	if err != nil {
		l.err = err
	}
	return err
}

// Read gives go-smtp what it is to see next. An error is for good.
func (l *link) Read(p []byte) (n int, err error) {
	for len(l.pending) == 0 && l.err == nil {
		switch l.mode {
		case text:
			n, err = l.readText(p)
		case chunk:
			n, err = l.readChunk(p)
		case discard:
			if _, err = l.readChunk(make([]byte, 4<<10)); l.mode == command {
				l.forget("552 5.3.4 Max message size exceeded\r\n", "")
			}
		default:
			err = l.readCommand()
		}
		switch {
		case err == nil:
		case l.mode != command && l.mode != response:
			// Not io.EOF, which would be the end of a message; and then it is.
			l.err = io.EOF
			return n, err
		case errors.Is(err, errHangup):
			l.err = io.EOF
		default:
			l.err = err
		}
		if n > 0 {
			return n, nil
		}
	}
	if len(l.pending) == 0 {
		return 0, l.err
	}
	n = copy(p, l.pending)
	l.pending = l.pending[n:]
	return n, nil
}

// fill waits until there is something to read: for the client's next line, or
// for more of its message. Shutdown interrupts the first and not the second.
func (l *link) fill(n int) error {
	if err := l.flush(); err != nil {
		return err
	}
	until := time.Now().Add(l.srv.cfg.Idle)
	transfer := l.mode != command && l.mode != response
	if transfer && l.until.Before(until) {
		until = l.until
	}
	for {
		l.raw.SetReadDeadline(until)
		if l.srv.draining.Load() && !transfer {
			l.say("421 4.3.2 %s is shutting down, please come back later", l.srv.cfg.Hostname)
			return io.EOF
		}
		_, err := l.in.Peek(n)
		switch {
		case err == nil, errors.Is(err, bufio.ErrBufferFull):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded) && l.srv.draining.Load() && time.Now().Before(until):
			continue // it was Shutdown's
		case errors.Is(err, io.EOF) && transfer:
			return io.ErrUnexpectedEOF
		default:
			return err
		}
	}
}

// readLine reads a command line or a SASL response, without its end. A bare LF
// ends one too: there is no text here that could be smuggled. ok is false if
// the line was too long and was answered.
func (l *link) readLine() (line string, ok bool, err error) {
	var buf []byte
	total := 0
	for {
		buffered, _ := l.in.Peek(l.in.Buffered())
		if i := bytes.IndexByte(buffered, '\n'); i >= 0 {
			buffered = buffered[:i+1]
		}
		total += len(buffered)
		if total <= maxResponse {
			buf = append(buf, buffered...)
		}
		l.in.Discard(len(buffered))
		if len(buffered) > 0 && buffered[len(buffered)-1] == '\n' {
			break
		}
		if total > maxDiscard {
			l.say("500 5.5.2 line too long")
			return "", false, errHangup
		}
		if err := l.fill(1); err != nil {
			return "", false, err
		}
	}
	isAuth := l.mode == response || len(buf) > 5 && strings.EqualFold(string(buf[:5]), "AUTH ")
	if total > maxResponse || total > maxCommand && !isAuth {
		l.say("500 5.5.2 line too long")
		return "", false, l.wasted()
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(buf), "\n"), "\r"), true, nil
}

// wasted counts a command that brought no message nearer.
func (l *link) wasted() error {
	if l.junk++; l.junk > maxJunk {
		l.say("421 4.7.0 too many commands without a message")
		return errHangup
	}
	return nil
}

// readText passes text on, as dots makes it.
func (l *link) readText(p []byte) (int, error) {
	if l.in.Buffered() == 0 {
		if err := l.fill(1); err != nil {
			return 0, err
		}
	}
	src, _ := l.in.Peek(l.in.Buffered())
	var small [16]byte
	dst := p
	if len(p) < len(small) {
		dst = small[:]
	}
	nSrc, nDst := l.text.filter(dst, src)
	l.in.Discard(nSrc)
	if l.text.ended {
		l.mode = command
	}
	// go-smtp reads on past its size limit to find the end. It need not for ever.
	if limit := l.srv.cfg.MessageSize; limit > 0 && l.text.octets > 2*limit+1<<20 {
		return 0, errHangup
	}
	if len(p) < len(small) {
		l.pending = append(l.pending, small[:nDst]...)
		return 0, nil
	}
	return nDst, nil
}

func (l *link) readChunk(p []byte) (int, error) {
	if l.in.Buffered() == 0 {
		if err := l.fill(1); err != nil {
			return 0, err
		}
	}
	n, err := l.in.Read(p[:min(int64(len(p)), l.chunk)])
	if l.chunk -= int64(n); l.chunk == 0 {
		l.mode = command
	}
	return n, err
}

// forget ends a transfer by BDAT whose last chunk has not come, with what is
// answered to the client, and then goes on with the command that ended it.
//
// QUIRK: go-smtp leaves an aborted transfer to end by itself, and its result may
// then be given as that of the next message. So go-smtp is shown a last chunk,
// waits for the result, and the session returns that of an aborted message.
func (l *link) forget(answer, next string) {
	l.aborted.Store(true)
	l.instead, l.held, l.verb = &answer, next, "BDAT LAST"
	l.pending = []byte("BDAT 0 LAST\r\n")
}

// startTLS answers STARTTLS (RFC 3207). What came in the clear behind it is
// dropped with the reader, and the client says EHLO anew.
func (l *link) startTLS() error {
	l.say("220 2.0.0 ready to start TLS")
	if err := l.flush(); err != nil {
		return err
	}
	l.hello = false
	return l.handshake()
}

func (l *link) handshake() error {
	conn := tls.Server(l.raw, l.srv.cfg.TLS)
	l.raw.SetDeadline(time.Now().Add(handshakeTime))
	if err := conn.HandshakeContext(l.srv.ctx); err != nil {
		l.srv.log.Debug("smtp: TLS handshake failed", "remote", l.raw.RemoteAddr(), "error", err)
		l.mute.Store(true)
		return errHangup
	}
	l.raw.SetDeadline(time.Time{})
	l.conn, l.in = conn, bufio.NewReaderSize(conn, readSize)
	state := conn.ConnectionState()
	l.tls = &state
	return nil
}

// parseChunk reads the argument of BDAT (RFC 3030 §2) as go-smtp does.
func parseChunk(arg string) (size int64, last, ok bool) {
	fields := strings.Fields(arg)
	last = len(fields) == 2
	if len(fields) == 0 || len(fields) > 2 || last && !strings.EqualFold(fields[1], "LAST") {
		return 0, false, false
	}
	n, err := strconv.ParseUint(fields[0], 10, 32)
	return int64(n), last, err == nil
}
