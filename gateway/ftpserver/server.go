package ftpserver

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Server is an FTP server.
type Server struct {
	cfg     Config
	log     *slog.Logger
	ctx     context.Context // ends at Shutdown: logins end with it
	cancel  context.CancelFunc
	closing atomic.Bool
	wg      sync.WaitGroup

	mu        sync.Mutex
	listeners map[net.Listener]bool
	sessions  map[*session]bool
	users     map[string]*use
	transfers int
	listed    int

	counts counts
}

// use is what a user does at a moment.
type use struct{ sessions, transfers, listed int }

type counts struct {
	sessions, uploads, downloads, cut, overQuota, in, out, refused, foreign, bounced atomic.Int64
}

// protocols are those that a client may offer by ALPN (RFC 7301): what of control and data connections are called, and what one
// client calls them. One that offers others is a browser, which somebody has led here to take a user's file for a page of the web
// server that has the same certificate. One that offers none is welcome.
var protocols = []string{"ftp", "ftp-data", "x-filezilla-ftp"}

// New makes a server; it does no I/O.
func New(cfg Config) *Server {
	cfg.Limits.setDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Hostname == "" {
		cfg.Hostname = "localhost"
	}
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
		cfg.TLS.NextProtos = protocols
	}
	s := &Server{cfg: cfg, log: cfg.Logger, listeners: map[net.Listener]bool{}, sessions: map[*session]bool{}, users: map[string]*use{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve answers the connections of a listener until Shutdown, when it returns nil. They come in the clear, for AUTH TLS.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, false, false) }

// ServeTLS is Serve for connections that begin with TLS.
func (s *Server) ServeTLS(l net.Listener) error { return s.serve(l, true, false) }

// ServeInside is Serve, or ServeTLS, for the connections of an Inside. Their clients are somewhere beyond the gateway: nothing
// connects to them, and their data connections come by OpenData alone.
func (s *Server) ServeInside(l net.Listener, implicit bool) error { return s.serve(l, implicit, true) }

func (s *Server) serve(l net.Listener, implicit, inside bool) error {
	s.mu.Lock()
	s.listeners[l] = true
	s.mu.Unlock()
	if s.closing.Load() {
		return l.Close()
	}
	for {
		conn, err := l.Accept()
		if s.closing.Load() {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err == nil {
			if ses, ok := s.begin(conn, inside); ok {
				go func() {
					defer s.wg.Done()
					ses.run(implicit)
					s.end(ses)
				}()
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Too many open files, or a connection that was gone already.
		s.log.Warn("ftp: accept failed; trying again", "error", err)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-s.ctx.Done():
		}
	}
}

func (s *Server) begin(conn net.Conn, inside bool) (*session, bool) {
	ses, err := newSession(s, conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.closing.Load() {
		conn.Close()
		return nil, false
	}
	ses.inside = inside
	s.wg.Add(1)
	s.counts.sessions.Add(1)
	s.sessions[ses] = true
	return ses, true
}

func (s *Server) end(ses *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ses)
}

// Shutdown stops listening, ends sessions that are idle, lets transfers go on until ctx ends, and then cuts what is left: what
// was received stays. It returns when every session has ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing.Store(true)
	s.cancel()
	for l := range s.listeners {
		l.Close()
	}
	for ses := range s.sessions {
		ses.await()
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() { s.wg.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	left := slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	for _, ses := range left { // which give back what they hold
		ses.cut()
	}
	<-ended
	return ctx.Err()
}

// Figures counts.
func (s *Server) Figures() Figures {
	s.mu.Lock()
	sessions, transfers := len(s.sessions), s.transfers
	s.mu.Unlock()
	c := &s.counts
	return Figures{
		Sessions: int64(sessions), Transfers: int64(transfers), SessionsTotal: c.sessions.Load(),
		Uploads: c.uploads.Load(), Downloads: c.downloads.Load(), Cut: c.cut.Load(), OverQuota: c.overQuota.Load(),
		OctetsIn: c.in.Load(), OctetsOut: c.out.Load(), RefusedLogins: c.refused.Load(),
		ForeignConnections: c.foreign.Load(), RefusedActiveTargets: c.bounced.Load(),
	}
}

// use changes what a user does, unless there is no room.
func (s *Server) use(id string, change func(u *use) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[id]
	if u == nil {
		u = &use{}
		s.users[id] = u
	}
	ok := change(u)
	if *u == (use{}) {
		delete(s.users, id)
	}
	return ok
}

func (s *Server) enterSession(id string) bool {
	return s.use(id, func(u *use) bool {
		if u.sessions >= s.cfg.Limits.SessionsPerUser {
			return false
		}
		u.sessions++
		return true
	})
}

func (s *Server) leaveSession(id string) {
	s.use(id, func(u *use) bool { u.sessions--; return true })
}

func (s *Server) enterTransfer(id string) bool {
	return s.use(id, func(u *use) bool {
		if u.transfers >= s.cfg.Limits.TransfersOfUser || s.transfers >= s.cfg.Limits.Transfers {
			return false
		}
		u.transfers++
		s.transfers++
		return true
	})
}

func (s *Server) leaveTransfer(id string) {
	s.use(id, func(u *use) bool { u.transfers--; s.transfers--; return true })
}

// enterListing says whether so many entries may be held for a client until he has read them.
func (s *Server) enterListing(id string, entries int) bool {
	return s.use(id, func(u *use) bool {
		if u.listed > 0 && u.listed+entries > s.cfg.Limits.ListedOfUser || s.listed > 0 && s.listed+entries > s.cfg.Limits.Listed {
			return false
		}
		u.listed += entries
		s.listed += entries
		return true
	})
}

func (s *Server) leaveListing(id string, entries int) {
	s.use(id, func(u *use) bool { u.listed -= entries; s.listed -= entries; return true })
}
