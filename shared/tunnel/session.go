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

// session is what both ends share: a mux and its control stream.
type session struct {
	mux     *mux
	control *Conn
	o       Options

	goroutines sync.WaitGroup
	notice     func(wire.Notice) // called for each notice, in order

	hearing   sync.Mutex
	listening bool          // a goroutine does
	saying    sync.Mutex    // of what we write on the control stream after the handshake
	parting   chan struct{} // closed when the peer has said goodbye
}

func newSession(mc MessageConn, server bool, o *Options) *session {
	s := &session{o: o.withDefaults(), parting: make(chan struct{})}
	s.mux = newMux(mc, server, s.o)
	return s
}

// bounded runs the handshake, ending the session when it takes too long or ctx ends.
func (s *session) bounded(ctx context.Context, handshake func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Handshake, errHandshake)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.mux.fail(context.Cause(ctx)) })
	defer stop()
	err := handshake(ctx)
	if errors.Is(err, ErrSessionClosed) {
		if cause := s.mux.err(); cause != nil {
			err = cause // what ended the session, not how the handshake came to see it
		}
	}
	if ctx.Err() != nil && !refused(err) {
		err = context.Cause(ctx)
	}
	return err
}

var errHandshake = fmt.Errorf("%w: no handshake in time", ErrSilent)

func refused(err error) bool {
	var r *wire.RefusedError
	return errors.As(err, &r)
}

// run runs f as one of the session's goroutines. A panic in it costs the session.
func (s *session) run(f func()) {
	s.goroutines.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				s.mux.fail(fmt.Errorf("tunnel: panic: %v", r))
			}
		}()
		f()
	})
}

// hear begins to listen to the peer's notices. There is a goroutine for it only while there is something to hear: a session
// at rest does without.
func (s *session) hear() {
	wake := func() {
		s.hearing.Lock()
		defer s.hearing.Unlock()
		if !s.listening {
			s.listening = true
			s.run(s.listen)
		}
	}
	s.mux.mu.Lock()
	alive := s.mux.alive() == nil
	if alive {
		s.control.heard = wake
		if s.control.in.ready() {
			wake()
		}
	}
	s.mux.mu.Unlock()
}

// listen reads notices for as long as some have come, or until the peer says goodbye, by ending the control stream, or the
// session ends.
func (s *session) listen() {
	for s.mayListen() {
		n, err := wire.ReadNotice(s.control)
		switch {
		case err == nil:
			if n.Kind != "" && s.notice != nil {
				s.notice(n)
			}
			continue
		case err == io.EOF:
			// All that the peer had to send has come. Answer in kind; the peer then closes the MessageConn.
			close(s.parting)
			_ = s.control.CloseWrite()
			late := time.AfterFunc(s.o.Linger, func() { s.mux.fail(nil) })
			<-s.mux.closed
			late.Stop()
		case errors.Is(err, wire.ErrMalformed):
			s.mux.fail(fmt.Errorf("%w: %w", ErrProtocol, err))
		}
		return // and no other comes: there is nothing more to hear
	}
}

// mayListen says that there is something to hear; else the next that comes calls for another goroutine.
func (s *session) mayListen() bool {
	s.hearing.Lock()
	defer s.hearing.Unlock()
	s.listening = s.control.in.ready()
	return s.listening
}

// Notify sends a notice to the peer.
func (s *session) Notify(n wire.Notice) error {
	s.saying.Lock()
	defer s.saying.Unlock()
	if err := s.control.SetWriteDeadline(time.Now().Add(s.o.Linger)); err != nil {
		return err
	}
	return wire.WriteNotice(s.control, n)
}

// Done is closed when the session has ended.
func (s *session) Done() <-chan struct{} { return s.mux.closed }

// Err is nil while the session lives, and then says why it ended: ErrSessionClosed alone after a Close of either side,
// with a cause otherwise.
func (s *session) Err() error {
	if s.mux.alive() == nil {
		return nil
	}
	select {
	case <-s.parting:
		return ErrSessionClosed // what the carrier said after the goodbyes does not matter
	default:
		return s.mux.sessionError()
	}
}

// Close says goodbye and ends the session. What closed conns have written arrives; conns that are open are cut. It
// waits for the peer's goodbye, but no longer than Options.Linger.
func (s *session) Close() error {
	if s.mux.alive() == nil {
		_ = s.control.CloseWrite()
		late := time.NewTimer(s.o.Linger)
		select {
		case <-s.parting:
		case <-s.mux.closed:
		case <-late.C:
		}
		late.Stop()
	}
	s.end(nil)
	return nil
}

// end cuts the session and waits until nothing of it runs, but no longer than Linger for the MessageConn: a browser's
// WebSocket takes its time to close when the network is gone.
func (s *session) end(cause error) {
	s.mux.fail(cause)
	s.goroutines.Wait()
	late := time.NewTimer(s.o.Linger)
	defer late.Stop()
	select {
	case <-s.mux.gone:
	case <-late.C:
	}
}

// Session is the client's end.
type Session struct {
	*session
	welcome wire.Welcome

	draining  chan struct{}
	drainOnce sync.Once
}

// Client says hello on mc and waits for the gateway's welcome. It owns mc, and has closed it if it returns an error. The
// gateway's no is a *wire.RefusedError. ctx bounds the handshake only.
func Client(ctx context.Context, mc MessageConn, hello wire.Hello, o *Options) (*Session, error) {
	s := &Session{session: newSession(mc, false, o), draining: make(chan struct{})}
	s.notice = s.noticed
	if err := s.bounded(ctx, func(context.Context) error { return s.greet(hello) }); err != nil {
		if s.control != nil {
			_ = s.control.Close()
		}
		s.end(err)
		return nil, err
	}
	s.hear()
	return s, nil
}

func (s *Session) greet(hello wire.Hello) error {
	var err error
	if s.control, err = s.mux.open("control", 1); err != nil {
		return err
	}
	if err := wire.WriteHello(s.control, hello); err != nil {
		return err
	}
	s.welcome, err = wire.ReadWelcome(s.control)
	return peerError(err)
}

// peerError turns a handshake's error into a typed one.
func peerError(err error) error {
	switch {
	case errors.Is(err, wire.ErrMalformed), err == io.EOF, err == io.ErrUnexpectedEOF:
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return err
}

func (s *Session) noticed(n wire.Notice) {
	switch n.Kind {
	case wire.NoticeDraining:
		s.drainOnce.Do(func() { close(s.draining) })
	case wire.NoticeRefused:
		s.mux.withdrawn(n.Stream, &wire.RefusedError{Reason: n.Reason, Detail: n.Detail})
	}
}

// Welcome is what the gateway said.
func (s *Session) Welcome() wire.Welcome { return s.welcome }

// Draining is closed when the gateway has said that it is about to end.
func (s *Session) Draining() <-chan struct{} { return s.draining }

// probe asks the gateway for a sign of life and ends the session if none comes within Options.Probe. It does not wait.
func (s *Session) probe() { s.mux.probe(s.o.Probe) }

// Open opens a stream to a target. The conn is a *Conn. A refusal is a *wire.RefusedError; ErrTooMany means that the
// gateway's limit, or our own, is reached already.
func (s *Session) Open(ctx context.Context, open wire.Open) (net.Conn, error) {
	if err := open.Validate(); err != nil {
		return nil, fmt.Errorf("tunnel: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.OpenTimeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conn, err := s.stream(open.String())
	if err != nil {
		return nil, err
	}
	conn.session = s
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(longAgo) })
	if err = wire.WriteOpen(conn, open); err == nil {
		err = peerError(wire.ReadOpened(conn))
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return conn, nil
}

// OpenData opens a data connection of FTP: c is the control connection, and port what its server has answered to EPSV or PASV.
// It goes to the address that c goes to, in the session that c is in, even if a Dialer has a newer one. c must still be open, in
// both directions. The errors are those of Session.Open; that of a conn which no Session has opened is errors.ErrUnsupported.
func (c *Conn) OpenData(ctx context.Context, port int) (net.Conn, error) {
	if c.session == nil {
		return nil, fmt.Errorf("tunnel: a data connection: %w", errors.ErrUnsupported)
	}
	return c.session.Open(ctx, wire.Open{Service: wire.FTPData, Control: c.id, Port: port})
}

// stream opens a stream if the limits allow; the control stream is not counted.
func (s *Session) stream(remote string) (*Conn, error) {
	limit := s.o.Streams
	if l := s.welcome.Limits.Streams; l > 0 {
		limit = min(limit, l)
	}
	return s.mux.open(remote, limit+1)
}
