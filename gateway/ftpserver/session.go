package ftpserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	library "github.com/fclairamb/ftpserverlib"

	"github.com/postern-mail/postern/gateway/ftpserver/files"
)

var (
	errOver     = errors.New("session is over")
	errClosing  = errors.New("server is shutting down")
	errExpelled = errors.New("user may not go on")
	errLongLine = errors.New("line too long")
)

// session is a control connection, as the library sees it: reading from it gives the commands that are the library's, and what
// is written to it are the library's answers.
type session struct {
	srv           *Server
	log           *slog.Logger
	raw           net.Conn
	began         time.Time
	local, remote netip.AddrPort
	ctx           context.Context // ends with the session
	cancel        context.CancelFunc
	gone          chan struct{} // closed when the library has ended with it
	closeOnce     sync.Once

	// What the one who reads knows.
	in        *bufio.Reader
	feed      []byte // for the library
	next      string // for the library, once it has what it needs
	named     bool   // USER was said
	last      string // the verb before this one
	errors    int    // bad commands in a row
	wrong     int    // passwords
	protected bool   // PROT P
	extended  bool   // EPSV ALL
	from      int64  // REST: the octet that the next transfer begins at
	ready     *channel
	implicit  bool
	inside    bool // it comes by way of the gateway
	tls       *tls.Config
	mark      [16]byte // of its TLS sessions

	mu       sync.Mutex
	user     User
	folder   *files.Folder // nil before the login
	transfer *transfer     // under way; nil
	setup    *channel      // that the library asks for
	door     *channel      // of the last port that the client was told; nil: of none
	resumes  bool          // data connections have resumed its TLS session
	spared   bool          // the library is to think that it has closed the connection
	expelled bool          // the user may not go on
	recheck  *time.Timer   // asks whether he may; nil: nobody does

	out sync.Mutex
	// Of out.
	conn     net.Conn // raw, or TLS over it
	partial  []byte   // of a line of the library's
	silent   bool     // its answer is for us
	answered string   // and is this
	code     string   // of the last answer to the client
}

func newSession(srv *Server, conn net.Conn) (*session, error) {
	remote, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return nil, err
	}
	s := &session{srv: srv, raw: conn, began: time.Now(), conn: conn, in: bufio.NewReaderSize(conn, 4<<10), gone: make(chan struct{}),
		local: netip.AddrPortFrom(local.Addr().Unmap(), local.Port()), remote: netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()),
		log: srv.log.With("remote", conn.RemoteAddr())}
	s.ctx, s.cancel = context.WithCancel(srv.ctx)
	return s, nil
}

// run speaks with the client until one of them has had enough.
func (s *session) run(implicit bool) {
	defer s.cancel()
	defer s.Close()
	if s.implicit = implicit; implicit {
		if err := s.startTLS(); err != nil {
			s.log.Debug("ftp: TLS handshake failed", "error", err)
			return
		}
		s.protected = true
	}
	server := library.NewFtpServer(&driver{s})
	if err := server.Listen(); err != nil {
		s.log.Error("ftp: the library does not take its settings", "error", err)
		return
	}
	server.Serve() // hands it the one connection, and ends
	<-s.gone
	s.cancel()
	s.mu.Lock()
	if s.recheck != nil {
		s.recheck.Stop()
	}
	s.mu.Unlock()
	s.unprepare()
	if s.setup != nil { // it was to be a transfer
		s.setup.close()
	}
	if t := s.current(); t != nil {
		t.channel.close()
		<-t.done
	}
	if s.folder != nil {
		s.srv.leaveSession(s.user.ID)
		if err := s.folder.Close(); err != nil {
			s.log.Warn("ftp: closing a folder", "error", err)
		}
	}
}

// Read gives the library the next command that is its own.
func (s *session) Read(p []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("ftp: panic in a session", "panic", r, "stack", string(debug.Stack()))
			n, err = 0, io.EOF
		}
	}()
	for len(s.feed) == 0 {
		err := s.step()
		if err == nil {
			continue
		}
		if t := s.current(); t != nil { // nobody waits for it any more
			t.channel.close()
		}
		s.raw.SetWriteDeadline(time.Now().Add(lastWord))
		switch {
		case errors.Is(err, errClosing):
			s.reply(421, "the server is shutting down")
		case errors.Is(err, errExpelled):
			s.reply(421, "you are signed out: sign in again, if you may")
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.reply(421, "nothing was said for too long")
		}
		return 0, io.EOF
	}
	n = copy(p, s.feed)
	s.feed = s.feed[n:]
	return n, nil
}

// step reads one command, and answers it or leads it to the library.
func (s *session) step() error {
	if s.next != "" {
		return s.begin()
	}
	line, err := s.readLine()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if ending := s.ending(); ending != nil {
			if t := s.current(); t != nil {
				if ending == errExpelled {
					t.channel.close()
				}
				<-t.done
			}
			return ending
		}
	}
	if errors.Is(err, errLongLine) {
		return s.bad(500, "a line has at most %d octets", maxLine)
	}
	if err != nil {
		return err
	}
	return s.command(line)
}

// readLine reads to the end of a line. The time for the whole line is the idle time: a slow line is no sign of life.
func (s *session) readLine() (string, error) {
	s.await()
	var line []byte
	total := 0
	for {
		part, err := s.in.ReadSlice('\n')
		total += len(part)
		if total <= maxLine {
			line = append(line, part...)
		}
		switch {
		case err == nil && total > maxLine:
			return "", errLongLine
		case err == nil:
			return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
		case errors.Is(err, bufio.ErrBufferFull) && total <= maxDiscard:
			continue
		default:
			return "", err
		}
	}
}

// Write takes what the library answers.
func (s *session) Write(p []byte) (int, error) {
	s.out.Lock()
	defer s.out.Unlock()
	s.partial = append(s.partial, p...)
	for {
		line, rest, whole := bytes.Cut(s.partial, []byte("\r\n"))
		if !whole {
			return len(p), nil
		}
		s.answer(string(line))
		s.partial = append(s.partial[:0], rest...)
	}
}

// answer passes a line of the library's on. It is called with out held.
func (s *session) answer(line string) {
	final := len(line) >= 4 && line[3] == ' ' && strings.Trim(line[:3], "0123456789") == ""
	if s.silent {
		if final {
			s.answered, s.silent = line[:3], false
		}
		return
	}
	if t := s.current(); t != nil && final && line[0] != '1' {
		line = t.verdict(line)
		s.release(t)
		s.send(line)
		s.finish(t)
		return
	}
	s.send(line)
}

// send is called with out held.
func (s *session) send(line string) {
	s.code, _, _ = strings.Cut(line, " ")
	s.raw.SetWriteDeadline(time.Now().Add(s.srv.cfg.Limits.Stall))
	if _, err := io.WriteString(s.conn, line+"\r\n"); err != nil {
		s.raw.Close() // or the next answer would be taken for this one's
	}
}

// reply is our own answer.
func (s *session) reply(code int, format string, a ...any) {
	s.out.Lock()
	defer s.out.Unlock()
	s.errors = 0
	s.send(fmt.Sprintf("%d %s", code, fmt.Sprintf(format, a...)))
}

// bad answers a command that makes no sense, and ends a session that sends nothing else.
func (s *session) bad(code int, format string, a ...any) error {
	n := s.errors + 1
	s.reply(code, format, a...)
	if s.errors = n; n >= maxErrors {
		s.reply(421, "this is FTP")
		return errOver
	}
	return nil
}

func (s *session) current() *transfer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transfer
}

func (s *session) loggedIn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.folder != nil
}

// startTLS begins TLS on the control connection. What was buffered is dropped: a command that came in the clear must not be
// taken for one that came by TLS.
func (s *session) startTLS() error {
	s.ownTLS()
	conn := tls.Server(s.raw, s.tls)
	s.raw.SetDeadline(time.Now().Add(handshakeTime))
	if err := conn.HandshakeContext(s.ctx); err != nil {
		return err
	}
	s.raw.SetDeadline(time.Time{})
	s.in = bufio.NewReaderSize(conn, 4<<10)
	s.out.Lock()
	defer s.out.Unlock()
	s.conn = conn
	return nil
}

// encrypted says whether the control connection is.
func (s *session) encrypted() bool {
	s.out.Lock()
	defer s.out.Unlock()
	return s.conn != s.raw
}

// secret says whether a password may come over this connection.
func (s *session) secret() bool { return s.remote.Addr().IsLoopback() || s.encrypted() }

func (s *session) LocalAddr() net.Addr  { return s.raw.LocalAddr() }
func (s *session) RemoteAddr() net.Addr { return s.raw.RemoteAddr() }

// The library's idea of how long things may take is not ours: it cuts a transfer that is longer than the idle time.

func (s *session) SetDeadline(time.Time) error      { return nil }
func (s *session) SetReadDeadline(time.Time) error  { return nil }
func (s *session) SetWriteDeadline(time.Time) error { return nil }
