package pop3d

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// maxWait keeps an answer within what middleboxes remember of a silent
// connection: a minute less than half an hour, as IMAP's IDLE (RFC 2177).
const maxWait = 1740

// xwait is the extension of the package comment.
func (s *session) xwait(arg string) error {
	seconds, err := strconv.ParseUint(arg, 10, 31)
	if err != nil || seconds < 1 || seconds > maxWait {
		return s.bad("XWAIT takes 1 to %d seconds", maxWait)
	}
	s.drop.Unlock()
	s.messages, s.deleted = nil, nil // there may be many, and many who wait
	s.ok("waiting")
	if err := s.flush(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.srv.ctx, time.Duration(seconds)*time.Second)
	defer cancel()

	// A reader, so that a client that goes is noticed when it goes.
	s.conn.SetReadDeadline(time.Time{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.in.Peek(1)
		cancel()
	}()
	err = s.drop.Await(ctx)
	s.interrupt()
	<-gone

	switch {
	case err == nil:
		s.ok("new")
	case s.srv.closing.Load():
		return errClosing
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s.ok("none")
	default:
		s.log.Error("pop3: cannot watch a maildrop", "error", err)
		s.err("[SYS/TEMP] the server cannot watch the maildrop now")
	}
	return errQuit
}
