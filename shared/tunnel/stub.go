package tunnel

import (
	"context"
	"net"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

type Session struct{}

func Client(ctx context.Context, mc MessageConn, hello wire.Hello, o *Options) (*Session, error) {
	return nil, ErrOffline
}
func (s *Session) Welcome() wire.Welcome                                      { return wire.Welcome{} }
func (s *Session) Open(ctx context.Context, open wire.Open) (net.Conn, error) { return nil, ErrOffline }
func (s *Session) Done() <-chan struct{}                                      { return nil }
func (s *Session) Draining() <-chan struct{}                                  { return nil }
func (s *Session) Err() error                                                 { return nil }
func (s *Session) Close() error                                               { return nil }

type ServerSession struct{}

func Serve(ctx context.Context, mc MessageConn, greet func(context.Context, wire.Hello) (wire.Welcome, error), o *Options) (*ServerSession, error) {
	return nil, ErrOffline
}
func (s *ServerSession) Accept(ctx context.Context) (*Request, error) { return nil, ErrOffline }
func (s *ServerSession) Notify(n wire.Notice) error                   { return nil }
func (s *ServerSession) Done() <-chan struct{}                        { return nil }
func (s *ServerSession) Err() error                                   { return nil }
func (s *ServerSession) Close() error                                 { return nil }

type Request struct{ Open wire.Open }

func (r *Request) Accept() (net.Conn, error)           { return nil, ErrOffline }
func (r *Request) Refuse(e *wire.RefusedError) error { return nil }

type Phase int

const (
	Offline Phase = iota
	Connecting
	Online
)

type State struct {
	Phase   Phase
	Welcome *wire.Welcome
	RetryAt time.Time
	Err     error
}
type Backoff struct {
	Min, Max, Refused, Stable time.Duration
	Jitter                    func() float64
}
type Dialer struct {
	Connect func(context.Context) (MessageConn, error)
	Hello   wire.Hello
	Options *Options
	Backoff Backoff
}

func (d *Dialer) Run(ctx context.Context) error                              { return nil }
func (d *Dialer) Open(ctx context.Context, open wire.Open) (net.Conn, error) { return nil, ErrOffline }
func (d *Dialer) State() State                                               { return State{} }
func (d *Dialer) Subscribe(fn func(State)) (cancel func())                   { return func() {} }
func (d *Dialer) Kick()                                                      {}
