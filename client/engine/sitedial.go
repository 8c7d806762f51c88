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

// AnotherPort says that it is about the port: a gateway opens none that is another service's, and a server names any.
func (e *dataError) AnotherPort() bool {
	var refused *wire.RefusedError
	return errors.As(e.err, &refused) && refused.Reason == wire.Denied
}

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
