package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// Server answers requests.
type Server struct {
	Operations Operations
	Queue      Queue        // nil: there is none
	World      World        // nil: the server is in the real one
	Logger     *slog.Logger // nil: slog.Default
	Limits     Limits
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

// ServeConn answers the requests of one connection, of somebody who may do
// everything, and closes it. It returns when the peer has closed it, or said
// what it should not, or ctx has ended.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	log := s.Logger
	if log == nil {
		log = slog.Default()
	}
	defer func() {
		if p := recover(); p != nil {
			log.Error("control: panic in an operation", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	l := newLine(conn, s.Limits)
	for {
		if err := s.answer(ctx, l, log); err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				log.Debug("control: a connection ended", "error", err)
			}
			return
		}
	}
}

// answer reads one request and answers it. An error ends the connection.
func (s *Server) answer(ctx context.Context, l *line, log *slog.Logger) error {
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
	result, err := op.run(ctx, s, q.Args, in, open)
	log.Info("control: "+q.Op, "error", err)
	if out != nil {
		if err := out.end(); err != nil {
			return err
		}
	}
	var r response
	var told *Error
	switch {
	case err == nil:
		if r.Result, err = json.Marshal(result); err != nil {
			return err
		}
	case errors.As(err, &told):
		r.Error = told
	default:
		r.Error = &Error{Kind: Failed, Text: err.Error()}
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
