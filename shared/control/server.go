package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Server answers requests.
type Server struct {
	Operations Operations
	Queue      Queue // nil: there is none
	World      World // nil: the server is in the real one
	// Doorkeeper lets in who connects; nil: whoever can connect may ask.
	Doorkeeper Doorkeeper
	// Only are the operations that may be asked for, such as Page's; nil: all.
	Only []string
	// Report is told of every operation, and of every "login", with its error; of how a connection
	// ended, with an op of ""; and of a panic in an operation. Nil: nobody is.
	Report func(op string, err error)
	Limits Limits
}

// Page are the operations for a page that shows a server to its administrator:
// none of them makes an account or changes a password, and none gives mail away.
func Page() []string {
	return []string{"user.list", "queue.list", "queue.view", "queue.watch", "queue.show", "queue.change", "world.show", "world.fault", "world.clock"}
}

// Serve answers the connections of a listener until ctx ends, closes it, and
// returns when every operation has ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var conns sync.WaitGroup
	defer conns.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	room := make(chan struct{}, s.Limits.withDefaults().Connections)
	for {
		conn, err := l.Accept()
		if err != nil {
			stopped := ctx.Err() != nil
			cancel()
			if stopped {
				return nil
			}
			return err
		}
		select {
		case room <- struct{}{}:
			conns.Go(func() {
				defer func() { <-room }()
				s.ServeConn(ctx, conn)
			})
		default:
			newLine(conn, s.Limits).writeJSON(response{Error: &Error{Kind: InUse, Text: "too many commands at a time"}})
			conn.Close()
		}
	}
}

// ServeConn answers the requests of one connection and closes it. It returns when the peer has closed it, or said
// what it should not, or ctx has ended.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer func() {
		if p := recover(); p != nil {
			s.report("", fmt.Errorf("panic in an operation: %v\n%s", p, debug.Stack()))
		}
	}()
	l := newLine(conn, s.Limits)
	if s.Doorkeeper != nil {
		if err := s.admit(ctx, l); err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				s.report("", err)
			}
			return
		}
	}
	for {
		if err := s.answer(ctx, l); err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				s.report("", err)
			}
			return
		}
	}
}

func (s *Server) report(op string, err error) {
	if s.Report != nil {
		s.Report(op, err)
	}
}

// answer reads one request and answers it. An error ends the connection.
func (s *Server) answer(ctx context.Context, l *line) error {
	l.conn.SetReadDeadline(time.Now().Add(l.limits.Idle))
	var q request
	if err := l.readJSON(&q, l.limits.Request); err != nil {
		return err
	}
	op, known := operations[q.Op]
	switch {
	case q.Postern != Version:
		l.writeJSON(response{Error: &Error{Kind: Unsupported, Text: fmt.Sprintf("this server speaks version %d of the protocol, and not %d: use the postern that it was started with", Version, q.Postern)}})
		return io.EOF // whether chunks follow is not known
	case !known:
		l.writeJSON(response{Error: &Error{Kind: Unsupported, Text: fmt.Sprintf("this server does not know %.40q", q.Op)}})
		return io.EOF
	case s.Only != nil && !slices.Contains(s.Only, q.Op):
		err := &Error{Kind: Unsupported, Text: fmt.Sprintf("%s is for commands on the server's own machine", q.Op)}
		s.report(q.Op, err)
		l.writeJSON(response{Error: err})
		return io.EOF
	}
	if s.Doorkeeper != nil {
		if err := s.Doorkeeper.Still(ctx); err != nil {
			s.report(q.Op, err)
			l.writeJSON(response{Error: told(err)})
			return io.EOF
		}
	}
	in := &receiver{line: l}
	if !op.takes {
		in.err = io.EOF
	}
	var out *sender
	open := func() (io.Writer, error) {
		out = &sender{line: l}
		return out, l.writeJSON(response{Stream: true})
	}
	during, stop := ctx, func() error { return nil }
	if op.waits {
		during, stop = l.whileOpen(ctx)
	}
	result, err := op.run(during, s, q.Args, in, open)
	if gone := stop(); gone != nil {
		return gone
	}
	s.report(q.Op, err)
	if out != nil {
		if err := out.end(); err != nil {
			return err
		}
	}
	var r response
	if r.Error = told(err); err == nil {
		if r.Result, err = json.Marshal(result); err != nil {
			return err
		}
	}
	if err := l.writeJSON(r); err != nil {
		return err
	}
	if in.err != io.EOF { // what the operation did not want to read
		if _, err := io.Copy(io.Discard, in); err != nil {
			return err
		}
	}
	return nil
}

// told is what the other side hears of an error; nil of none.
func told(err error) *Error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Failed, Text: err.Error()}
}
