package ftpserver

import (
	"errors"
	"fmt"
	"net"
	"sync"

	library "github.com/fclairamb/ftpserverlib"

	"github.com/postern-mail/postern/gateway/ftpserver/files"
)

// transfer is a command that has a data connection, from when the library gets it until it is answered.
type transfer struct {
	s       *session
	verb    string
	channel *channel
	done    chan struct{}
	listed  int // entries that are held for it; of the library

	mu      sync.Mutex
	aborted bool
	failure error // of the files, not of the connection
	kept    int64 // what an upload that was cut has left; -1: nothing to go on with
}

// prepare leads to a transfer: the library is told EPSV, so that it asks for the data connection, and then the command.
func (s *session) prepare(verb, arg string, from int64) error {
	ch := s.ready
	s.ready = nil
	if ch == nil {
		return s.bad(425, "EPSV, PASV, EPRT or PORT comes first")
	}
	ch.unused.Stop()
	if s.protected { // by now: PROT may have come after the port was told
		ch.tls = s.tls
	}
	ch.from, ch.listing = from, verb == "LIST" || verb == "NLST" || verb == "MLSD"
	s.mu.Lock()
	s.setup = ch
	s.mu.Unlock()
	s.out.Lock()
	s.silent, s.answered = true, ""
	s.out.Unlock()
	s.forward("EPSV", "")
	s.next = verb
	if arg != "" {
		s.next += " " + arg
	}
	return nil
}

// begin gives the library the command that it is prepared for.
func (s *session) begin() error {
	line := s.next
	s.next = ""
	s.out.Lock()
	answered := s.answered
	s.out.Unlock()
	s.mu.Lock()
	ch := s.setup
	s.setup = nil
	s.mu.Unlock()
	if answered != fmt.Sprint(library.StatusEnteringEPSV) {
		ch.close()
		s.log.Error("ftp: the library cannot prepare a data connection", "answer", answered)
		s.reply(425, "the server has no room for a data connection now; try again later")
		return nil
	}
	t := &transfer{s: s, verb: line[:4], channel: ch, done: make(chan struct{}), kept: -1}
	s.mu.Lock()
	s.transfer = t
	s.mu.Unlock()
	s.feed = []byte(line + "\r\n")
	return nil
}

// release gives back what a transfer had, before it is answered: who has the answer may begin the next.
func (s *session) release(t *transfer) {
	t.channel.close()
	s.srv.leaveListing(s.user.ID, t.listed)
	c := &s.srv.counts
	if in := t.verb == "STOR" || t.verb == "APPE"; in {
		c.in.Add(t.channel.octets.Load())
	} else {
		c.out.Add(t.channel.octets.Load())
	}
	s.log.Debug("ftp: transfer", "command", t.verb, "octets", t.channel.octets.Load())
}

// finish is the end of a transfer that was answered.
func (s *session) finish(t *transfer) {
	s.mu.Lock()
	s.transfer = nil
	s.mu.Unlock()
	s.await() // the idle time begins
	close(t.done)
}

func (t *transfer) abort() {
	t.mu.Lock()
	t.aborted = true
	t.mu.Unlock()
	t.channel.close()
}

// fail notes why the files did not let it be.
func (t *transfer) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failure == nil {
		t.failure = err
	}
}

// looked notes what was found where a listing is to be of, or a file: the last look is what counts, for the library looks first
// whether "-la" is a name.
func (t *transfer) looked(e files.Entry, err error) {
	if err == nil && t.verb == "MLSD" && !e.IsDir() {
		err = files.ErrNotFolder
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failure = err
}

// left notes what an upload that was cut has left.
func (t *transfer) left(octets int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = octets
}

// verdict is what the client is told in the end: what happened, instead of the library's account of what it saw of it.
func (t *transfer) verdict(line string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.s.srv.counts
	missed, broken := t.channel.trouble()
	whole := !broken && line[:3] == fmt.Sprint(library.StatusClosingDataConn)
	rest := ""
	if t.kept > 0 {
		rest = fmt.Sprintf("; %d octets of the file are here, and REST %[1]d goes on", t.kept)
	}
	switch {
	case t.aborted && !whole:
		c.cut.Add(1)
		return "426 the transfer was aborted" + rest
	case t.failure != nil:
		if errors.Is(t.failure, files.ErrQuota) || errors.Is(t.failure, files.ErrDisk) {
			c.overQuota.Add(1)
		}
		if errors.Is(t.failure, files.ErrFailed) {
			t.s.log.Error("ftp: the files cannot be used", "error", t.failure)
			return "451 " + files.ErrFailed.Error()
		}
		return fmt.Sprintf("%d %v", codeOf(t.failure, t.verb), t.failure)
	case missed != nil:
		return "425 " + missed.Error()
	case !whole:
		c.cut.Add(1)
		return "426 the data connection was cut" + rest
	}
	switch t.verb {
	case "RETR":
		c.downloads.Add(1)
	case "STOR", "APPE":
		c.uploads.Add(1)
		return fmt.Sprintf("226 %d octets were received, and are on the disk", t.channel.octets.Load())
	}
	return fmt.Sprintf("226 %d octets were sent", t.channel.octets.Load())
}

// codeOf is the reply code of what the files say (RFC 959 section 5.4, RFC 3659 section 5).
func codeOf(err error, verb string) int {
	for _, k := range []struct {
		is   error
		code int
	}{{files.ErrQuota, 552}, {files.ErrDisk, 452}, {files.ErrBusy, 450}, {files.ErrName, 553}, {files.ErrTooMany, 552}, {files.ErrBeyond, 554}, {files.ErrFailed, 451}} {
		if errors.Is(err, k.is) {
			if k.is == files.ErrTooMany && verb != "STOR" && verb != "APPE" {
				return 451
			}
			return k.code
		}
	}
	if errors.Is(err, errListings) {
		return 450
	}
	if verb == "MLSD" && errors.Is(err, files.ErrNotFolder) {
		return 501 // RFC 3659 section 7.2.1
	}
	return 550
}

// oneConn is a listener that gives out one connection, and is closed then.
type oneConn struct {
	conn net.Conn
	used bool
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.used {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: net.ErrClosed}
	}
	l.used = true
	return l.conn, nil
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
