package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/wire"
)

const (
	// sessionIdle is how long a session is kept that nobody uses: as long as a person takes to look at a folder and open the next.
	sessionIdle = 30 * time.Second
	// sessionFresh is for how long after its last use a session is believed to live; one that was idle for longer is asked.
	sessionFresh = 500 * time.Millisecond
	// mostIdle bounds the sessions that are kept: one for looking, and one for each transfer.
	mostIdle = 1 + mostRunning
	// dataPatience is how long a data connection may take to open. A port that a firewall hides answers nothing, and the person waits
	// for EPSV's and then for PASV's.
	dataPatience = 15 * time.Second
	// noopPatience is how long a session that was idle may take to answer.
	noopPatience = 5 * time.Second
)

// siteSession is one control connection, logged in.
type siteSession struct {
	*ftp.Client
	site     *site
	features ftp.Features
	rec      *wireRecorder
	place    place
	last     time.Time // it was used

	mu        sync.Mutex
	elsewhere string // the host that the last PASV named, if it was another
}

// dataError says that a data connection did not come.
type dataError struct {
	err       error
	elsewhere string // the host that the server had named
}

func (e *dataError) Error() string { return e.err.Error() }
func (e *dataError) Unwrap() error { return e.err }

func (e *dataError) code() (api.Code, string) {
	var refused *wire.RefusedError
	if errors.As(e.err, &refused) {
		switch refused.Reason {
		case wire.Unreachable, wire.Timeout, wire.NoSuchHost:
		default: // it is the gateway that does not want to
			return classifyGateway(refused)
		}
	}
	if e.elsewhere != "" {
		return api.CodeDataElsewhere, e.elsewhere
	}
	return api.CodeNoData, ""
}

// connect opens a session at a server, which need not be the site's yet. The errors say all there is to say.
func (s *site) connect(ctx context.Context, server api.Server, password string) (*siteSession, error) {
	p := place{e: s.e, protocol: api.FTP, server: server, email: server.User}
	to, err := p.endpoint()
	if err != nil {
		return nil, err
	}
	x := &siteSession{site: s, place: p, rec: s.wire.begin(api.FTP, to.address)}
	x.rec.conceal(password)
	err = x.open(ctx, to, password)
	if err == nil {
		x.features, err = x.Features(ctx) // it is known already
	}
	if err != nil {
		if x.Client != nil {
			x.Close()
		}
		f := p.failure(x.rec, err, s.durable())
		x.rec.end(f.problem)
		return nil, f
	}
	x.last = s.e.Clock.Now()
	return x, nil
}

func (s *site) durable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.joined
}

func (x *siteSession) open(ctx context.Context, to endpoint, password string) error {
	e := x.site.e
	dialing, cancel := context.WithTimeout(ctx, e.Limits.Dial)
	defer cancel()
	stream, err := e.Gateway.Open(dialing, to.open)
	if err != nil {
		return fmt.Errorf("opening %v: %w", to.open, err)
	}
	x.rec.note("Connected")
	o := &ftp.Options{
		Timeout: e.Limits.Answer, DataTimeout: e.Limits.Answer, Now: e.Clock.Now, Trace: x.trace, MaxEntries: 4 * api.MaxFolder,
		AllowPlaintextAuth: to.security == api.Plain, Hidden: true,
		Dial: func(ctx context.Context, port int) (net.Conn, error) { return x.openData(ctx, stream, port) },
	}
	if to.security == api.TLS {
		o.TLS = to.tls
	}
	x.Client = ftp.New(&recorded{Conn: stream, rec: x.rec}, o)
	if to.security == api.STARTTLS {
		err := x.AuthTLS(ctx, to.tls)
		var refused *ftp.Error
		if errors.As(err, &refused) && refused.Command == "AUTH" {
			return fmt.Errorf("%w: %w", errNoTLS, err)
		} else if err != nil {
			return err
		}
	}
	err = x.Login(ctx, to.user, password)
	if state, ok := x.TLS(); ok {
		x.rec.tls(state)
	}
	var refused *ftp.Error
	if errors.As(err, &refused) && (refused.Command == "PBSZ" || refused.Command == "PROT") {
		return fmt.Errorf("%w: for data connections: %w", errNoTLS, err)
	}
	return err
}

// trace takes down what is said.
func (x *siteSession) trace(e ftp.Exchange) {
	x.rec.ftp(e)
	if host, ok := strings.CutPrefix(e.Line, "PASV names "); ok && e.Note {
		host, _, _ = strings.Cut(host, ":")
		x.mu.Lock()
		x.elsewhere = x.place.otherThan(host)
		x.mu.Unlock()
	}
}

// otherThan is an address that a server names in PASV, if it is surely none of the server's: one of a network of its own, while the
// server is reached over another, or not the one that the settings name. Of a server that is reached by name the tunnel knows
// no address.
func (p place) otherThan(named string) string {
	there, err := netip.ParseAddr(named)
	if err != nil || there.IsLoopback() {
		return ""
	}
	if own, err := netip.ParseAddr(p.server.Host); err == nil {
		if own.Unmap() == there {
			return ""
		}
		return named
	}
	if there.IsPrivate() || there.IsUnspecified() || there.IsLinkLocalUnicast() {
		return named
	}
	return ""
}

// openData opens a data connection through the tunnel, to where the control connection goes.
func (x *siteSession) openData(ctx context.Context, control net.Conn, port int) (net.Conn, error) {
	through, ok := control.(interface {
		OpenData(ctx context.Context, port int) (net.Conn, error)
	})
	if !ok {
		return nil, &dataError{err: errors.ErrUnsupported}
	}
	ctx, cancel := context.WithTimeout(ctx, dataPatience)
	defer cancel()
	conn, err := through.OpenData(ctx, port)
	if err != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		return nil, &dataError{err: err, elsewhere: x.elsewhere}
	}
	return conn, nil
}

// home is the folder in which one is after the login.
func (x *siteSession) home() api.FilePath {
	if dir := x.State().Dir; dir != "" {
		return crossing(trimSlash(dir))
	}
	return "/"
}

// failed tells what an error of this session is.
func (x *siteSession) failed(err error) error {
	if err == nil {
		return nil
	}
	f := x.place.failure(x.rec, err, true)
	if x.State().Phase == ftp.Closed {
		x.rec.end(f.problem)
	}
	return f
}

// sessionPool keeps sessions for a while that nobody uses.
type sessionPool struct {
	site *site

	mu      sync.Mutex
	idle    []*siteSession // that was used last is the last
	tending bool
	closed  bool
	ended   chan struct{} // closed with the pool; nil before tending
	tasks   sync.WaitGroup
}

// look runs fn with a session, for somebody who looks and waits: one after another, or a page would have a server see as many
// sessions as it has questions.
func (s *site) look(ctx context.Context, fn func(x *siteSession) error) error {
	return s.inTurn(ctx, s.looking, fn)
}

func (s *site) inTurn(ctx context.Context, turn chan struct{}, fn func(x *siteSession) error) error {
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.session(ctx, fn)
}

// session runs fn with a session: one that is idle, or a new one. What goes wrong is told by a failure.
func (s *site) session(ctx context.Context, fn func(x *siteSession) error) error {
	x, err := s.pool.take(ctx)
	if err != nil {
		return err
	}
	err = x.failed(fn(x))
	s.pool.give(x)
	return err
}

// take answers a session that lives.
func (p *sessionPool) take(ctx context.Context) (*siteSession, error) {
	s := p.site
	for {
		x := p.pop()
		if x == nil {
			break
		}
		if s.e.Clock.Now().Sub(x.last) < sessionFresh && x.State().Phase == ftp.Ready {
			return x, nil
		}
		asking, cancel := context.WithTimeout(ctx, noopPatience)
		err := x.Noop(asking)
		cancel()
		if err == nil {
			return x, nil
		}
		x.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	password, err := s.secret(ctx)
	if err != nil {
		return nil, err
	}
	x, err := s.connect(ctx, s.record().Server, password)
	s.met(problemOf(err))
	if err != nil {
		return nil, err
	}
	s.setHome(x.home())
	return x, nil
}

// setHome remembers where one is after the login, if that changed.
func (s *site) setHome(home api.FilePath) {
	s.mu.Lock()
	changed := s.joined && s.rec.Home != home
	s.rec.Home = home
	rec := s.rec
	s.mu.Unlock()
	if !changed {
		return
	}
	if err := s.e.registry.putSite(rec); err != nil {
		s.e.Logf("site %s: %v", s.id, err) // it will be found again
	}
	s.announce()
}

func (p *sessionPool) pop() *siteSession {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	x := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return x
}

// give takes a session back.
func (p *sessionPool) give(x *siteSession) {
	x.last = p.site.e.Clock.Now()
	p.mu.Lock()
	keep := !p.closed && x.State().Phase == ftp.Ready && len(p.idle) < mostIdle
	if keep {
		p.idle = append(p.idle, x)
		if !p.tending {
			p.tending = true
			if p.ended == nil {
				p.ended = make(chan struct{})
			}
			p.tasks.Go(p.tend)
		}
	}
	p.mu.Unlock()
	if !keep {
		x.Close()
	}
}

// tend ends sessions that were idle for too long, until there are none.
func (p *sessionPool) tend() {
	clock := p.site.e.Clock
	for {
		p.mu.Lock()
		var old []*siteSession
		for len(p.idle) > 0 && clock.Now().Sub(p.idle[0].last) >= sessionIdle {
			old = append(old, p.idle[0])
			p.idle = p.idle[1:]
		}
		p.tending = len(p.idle) > 0 && !p.closed
		tending, wait := p.tending, sessionIdle
		if tending {
			wait = sessionIdle - clock.Now().Sub(p.idle[0].last)
		}
		p.mu.Unlock()
		for _, x := range old {
			x.leave()
		}
		if !tending {
			return
		}
		select {
		case <-clock.After(wait):
		case <-p.ended:
		}
	}
}

// leave says goodbye.
func (x *siteSession) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), quitPatience)
	defer cancel()
	_ = x.Quit(ctx)
	x.Close()
}

// drop closes the sessions that are idle: the tunnel went, or the settings are others.
func (p *sessionPool) drop() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, x := range idle {
		x.Close()
	}
}

func (p *sessionPool) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		if p.ended != nil {
			close(p.ended)
		}
	}
	p.mu.Unlock()
	p.drop()
	p.tasks.Wait()
}
