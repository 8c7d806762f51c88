package controld

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	gosasl "github.com/emersion/go-sasl"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/shared/control"
	"github.com/postern-mail/postern/shared/sasl"
)

// Config of a Server.
type Config struct {
	Operations     control.Operations
	Queue          control.Queue // nil: there is none
	World          control.World // nil: the server is in the real one
	Administrators account.Administrators
	TLS            *tls.Config
	Logger         *slog.Logger // nil: slog.Default
	// Limits of a connection. Connections is 32 by default: a page of an
	// administrator has two.
	Limits control.Limits
}

const defaultConnections = 32

// Server lets administrators look after a mail server from a page.
type Server struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // ends at Shutdown
	cancel context.CancelFunc
	room   chan struct{}

	mu      sync.Mutex // conns.Go and conns.Wait exclude each other
	closing bool
	conns   sync.WaitGroup
}

// New makes a server; it does no I/O.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Limits.Connections == 0 {
		cfg.Limits.Connections = defaultConnections
	}
	s := &Server{cfg: cfg, log: cfg.Logger, room: make(chan struct{}, cfg.Limits.Connections)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve answers the connections of a listener until it is closed, or Shutdown.
func (s *Server) Serve(l net.Listener) error {
	defer context.AfterFunc(s.ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		switch {
		case s.ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // too many open files, or a connection that was gone already
			s.log.Warn("control: accept failed; trying again", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.ctx.Done():
			}
		default:
			s.take(conn)
		}
	}
}

// take answers a connection, if there is room. Who finds none hears nothing: he
// awaits TLS, which costs more than to come again.
func (s *Server) take(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := s.closing
	if !full {
		select {
		case s.room <- struct{}{}:
		default:
			full = true
		}
	}
	if full {
		conn.Close()
		return
	}
	s.conns.Go(func() {
		defer func() { <-s.room }()
		s.serve(conn)
	})
}

func (s *Server) serve(conn net.Conn) {
	d := &doorkeeper{gate: s.cfg.Administrators, remote: conn.RemoteAddr()}
	c := &control.Server{Operations: s.cfg.Operations, Queue: s.cfg.Queue, World: s.cfg.World, Doorkeeper: d, Only: control.Page(), Limits: s.cfg.Limits,
		Report: func(op string, err error) { s.report(d, op, err) }}
	// The handshake is made with the first octet that is to be sent, within the time for a login.
	c.ServeConn(s.ctx, tls.Server(conn, s.cfg.TLS))
}

// report logs what was done, and by whom; what a page asks for by itself is detail.
func (s *Server) report(d *doorkeeper, op string, err error) {
	log := s.log.With("user", d.user, "client", d.remote)
	switch {
	case op == "":
		log.Debug("control: a connection ended", "error", err)
	case op == "login" && err != nil:
		log.Warn("control: login refused", "error", err)
	case slices.Contains([]string{"login", "queue.change", "world.fault", "world.clock"}, op):
		log.Info("control: "+op, "error", err)
	default:
		log.Debug("control: "+op, "error", err)
	}
}

// Shutdown ends the connections, and what is asked over them, and returns when all
// have ended. Nothing that was answered is undone; there is no reason to wait for ctx.
func (s *Server) Shutdown(context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.cancel()
	s.conns.Wait()
	return nil
}

// doorkeeper is one connection's.
type doorkeeper struct {
	gate   account.Administrators
	remote net.Addr
	user   string // who has logged in, or tries to
	hash   string // of his password then
}

var _ control.Doorkeeper = (*doorkeeper)(nil)

func (d *doorkeeper) Mechanisms(ctx context.Context) []string {
	return slices.DeleteFunc(slices.Clone(d.gate.Mechanisms(ctx)), func(m string) bool { return m == sasl.Login })
}

func (d *doorkeeper) Begin(ctx context.Context, mechanism string) gosasl.Server {
	if mechanism == sasl.SCRAMSHA256 {
		x := d.gate.SCRAM(ctx, d.remote)
		return exchange{x, func() string { return x.User() }, d, ctx}
	}
	p := &plain{}
	p.Server = gosasl.NewPlainServer(func(identity, name, password string) error {
		p.checked = true
		user := account.Canonical(name)
		if identity != "" && account.Canonical(identity) != user { // RFC 4616 section 2
			return account.ErrDenied
		}
		p.user = user
		_, err := d.gate.Authenticate(ctx, d.remote, name, password)
		return err
	})
	return exchange{p, func() string { return p.user }, d, ctx}
}

// plain tells a response that is none of PLAIN from a password that is wrong.
type plain struct {
	gosasl.Server
	checked bool
	user    string
}

func (p *plain) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := p.Server.Next(response)
	if err != nil && !p.checked {
		err = fmt.Errorf("%w: that is not PLAIN", sasl.ErrResponse)
	}
	return challenge, done, err
}

func (d *doorkeeper) Still(ctx context.Context) error {
	ok, err := d.gate.Still(ctx, d.user, d.hash)
	if err == nil && !ok {
		err = account.ErrDenied
	}
	return refusal(err)
}

// exchange is one login, whose end the doorkeeper learns.
type exchange struct {
	gosasl.Server
	user func() string
	door *doorkeeper
	ctx  context.Context
}

func (x exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = x.Server.Next(response)
	x.door.user = x.user()
	if err == nil && done {
		x.door.hash, err = x.door.gate.Hash(x.ctx, x.door.user)
	}
	return challenge, done && err == nil, refusal(err)
}

// refusal is what the client hears of an error.
func refusal(err error) error {
	switch {
	case err == nil, errors.Is(err, sasl.ErrResponse):
		return err
	case errors.Is(err, account.ErrDenied):
		return &control.Error{Kind: control.Denied, Text: "name or password is wrong, or this account does not look after the server"}
	case errors.Is(err, account.ErrBusy):
		return &control.Error{Kind: control.InUse, Text: "too many logins at once; try again"}
	}
	return control.Wrap(control.Failed, errors.New("the accounts cannot be read at the moment"))
}
