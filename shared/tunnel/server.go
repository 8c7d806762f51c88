package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// ServerSession is the gateway's end.
type ServerSession struct {
	*session
	hello    wire.Hello
	requests chan *Request
	accept   sync.Once // begins to put requests there
}

// Serve waits for the client's hello on mc and answers it with what greet returns: a Welcome, or a *wire.RefusedError
// (any other error is told as wire.Internal, without its words). A Hello of another version is refused without asking.
// Serve owns mc, and has closed it if it returns an error. ctx bounds the handshake only.
func Serve(ctx context.Context, mc MessageConn, greet func(context.Context, wire.Hello) (wire.Welcome, error), o *Options) (*ServerSession, error) {
	s := &ServerSession{session: newSession(mc, true, o), requests: make(chan *Request)}
	err := s.bounded(ctx, func(ctx context.Context) error { return s.greeted(ctx, greet) })
	if err != nil {
		s.partWith(err)
		s.end(err)
		return nil, err
	}
	s.hear()
	return s, nil
}

func (s *ServerSession) greeted(ctx context.Context, greet func(context.Context, wire.Hello) (wire.Welcome, error)) error {
	var err error
	if s.control, err = s.mux.accept(ctx); err != nil {
		<-s.mux.closed // when ctx ends, so does the session
		return s.mux.sessionError()
	}
	s.control.remote = "control"
	if s.control.id != controlStream {
		return fmt.Errorf("%w: it begins with stream %d", ErrProtocol, s.control.id)
	}
	if s.hello, err = wire.ReadHello(s.control); err != nil {
		if errors.Is(err, wire.ErrMalformed) {
			s.refused(wire.Malformed)
			s.refuse(&wire.RefusedError{Reason: wire.Malformed, Detail: err.Error()})
		}
		return peerError(err)
	}
	if s.hello.Version != wire.Version {
		no := &wire.RefusedError{
			Reason: wire.BadVersion,
			Detail: fmt.Sprintf("this gateway speaks version %d, the client %d", wire.Version, s.hello.Version),
		}
		s.refused(no.Reason)
		s.refuse(no)
		return no
	}
	welcome, err := greet(ctx, s.hello)
	if err == nil {
		welcome.Version = wire.Version
		s.mux.welcome()
		err = wire.WriteWelcome(s.control, welcome)
	}
	if err != nil {
		no := &wire.RefusedError{Reason: wire.Internal}
		errors.As(err, &no)
		s.refuse(no)
	}
	return err
}

func (s *ServerSession) refuse(no *wire.RefusedError) { _ = wire.WriteRefused(s.control, no) }

// partWith gives a refused client the time to read why, for closing a WebSocket can overtake what was written to it.
func (s *ServerSession) partWith(err error) {
	if s.control == nil || s.mux.alive() != nil {
		return
	}
	_ = s.control.CloseWrite()
	_ = s.control.SetReadDeadline(time.Now().Add(s.o.Linger))
	_, _ = io.Copy(io.Discard, io.LimitReader(s.control, wire.MaxFrame))
}

// Each calls f with each of the client's Opens, in a goroutine of its own for which Close waits, until the session ends: then it
// returns Err.
func (s *ServerSession) Each(f func(*Request)) error {
	s.mux.acceptBy(func(conn *Conn) { s.run(func() { s.request(conn, f) }) })
	<-s.mux.closed
	return s.Err()
}

// request reads a stream's Open and calls f with it.
func (s *ServerSession) request(conn *Conn, f func(*Request)) {
	r := &Request{conn: conn, s: s}
	_ = conn.SetDeadline(time.Now().Add(s.o.Handshake))
	var err error
	if r.Open, err = wire.ReadOpen(conn); err != nil {
		if errors.Is(err, wire.ErrMalformed) {
			s.refused(wire.Malformed)
			_ = r.Refuse(&wire.RefusedError{Reason: wire.Malformed, Detail: err.Error()})
		}
		_ = conn.Close()
		return
	}
	if s.mux.count()-1 > s.o.Streams {
		s.refused(wire.TooMany)
		_ = r.Refuse(&wire.RefusedError{Reason: wire.TooMany, Detail: fmt.Sprintf("%d streams are open", s.o.Streams)})
		return
	}
	conn.remote = addr(r.Open.String())
	f(r)
}

// refused tells of a no that the session itself said.
func (s *ServerSession) refused(reason wire.Reason) {
	if s.o.Refused != nil {
		s.o.Refused(reason)
	}
}

// Hello is what the client said.
func (s *ServerSession) Hello() wire.Hello { return s.hello }

// Accept waits for the client's next Open. After the session's end it returns Err. It is Each for one who takes them one by one.
func (s *ServerSession) Accept(ctx context.Context) (*Request, error) {
	s.accept.Do(func() {
		s.run(func() {
			_ = s.Each(func(r *Request) {
				select {
				case s.requests <- r:
				case <-s.mux.closed:
					_ = r.conn.Close()
				}
			})
		})
	})
	select {
	case r := <-s.requests:
		return r, nil
	case <-s.mux.closed:
		return nil, s.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Request is an Open that waits for its answer: one call of Accept or Refuse.
type Request struct {
	Open wire.Open

	s    *ServerSession
	conn *Conn
	once sync.Once
}

// Stream is its number, by which the client can name it in the session. No other stream has it while this one is open.
func (r *Request) Stream() uint32 { return r.conn.id }

var errAnswered = errors.New("tunnel: the request is answered already")

// Accept says yes. The conn is a *Conn.
func (r *Request) Accept() (net.Conn, error) {
	err := errAnswered
	r.once.Do(func() {
		_ = r.conn.SetDeadline(time.Now().Add(r.s.o.Handshake))
		if err = wire.WriteOpened(r.conn); err == nil {
			err = r.conn.SetDeadline(time.Time{})
		}
		if err != nil {
			_ = r.conn.Close()
		}
	})
	if err != nil {
		return nil, err
	}
	return r.conn, nil
}

// Refuse says no.
func (r *Request) Refuse(e *wire.RefusedError) error {
	err := errAnswered
	r.once.Do(func() {
		r.conn.in.close() // what follows the Open is for nobody, and not to be held for as long as the peer does not take this
		_ = r.conn.SetWriteDeadline(time.Now().Add(r.s.o.Handshake))
		err = wire.WriteRefused(r.conn, e)
		_ = r.conn.Close()
	})
	return err
}

// Withdraw says no after Accept has said yes: by a notice, for the stream carries nothing of ours any more. It ends the stream,
// and waits for that until the client has, no longer than Linger. Nothing else may use the conn any more.
func (r *Request) Withdraw(e *wire.RefusedError) {
	_ = r.conn.SetWriteDeadline(longAgo)
	_ = r.s.Notify(wire.Notice{Kind: wire.NoticeRefused, Stream: r.conn.id, Reason: e.Reason, Detail: e.Detail})
	_ = r.conn.SetReadDeadline(time.Now().Add(r.s.o.Linger))
	_, _ = io.Copy(io.Discard, r.conn)
	r.conn.Abort()
}
