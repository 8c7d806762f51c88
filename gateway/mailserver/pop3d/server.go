package pop3d

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/account"
)

var (
	// ErrInUse is what Maildrops.Lock answers when another session has the lock.
	ErrInUse = errors.New("pop3d: maildrop is locked by another session")
	// ErrDamaged is what Maildrop.Open answers for a message that will not come
	// back.
	ErrDamaged = errors.New("pop3d: message is damaged")
)

// Accounts checks a name and password; account.ErrDenied and account.ErrBusy
// are told to the client as such. An account.Gate is one.
type Accounts interface {
	Authenticate(ctx context.Context, remote net.Addr, user, password string) (account.Account, error)
	// Mechanisms are the SASL mechanisms to offer, of SCRAM-SHA-256, PLAIN, LOGIN.
	Mechanisms(ctx context.Context) []string
	SCRAM(ctx context.Context, remote net.Addr) *account.Exchange
}

var _ Accounts = (*account.Gate)(nil)

// Maildrops gives out the users' maildrops.
type Maildrops interface {
	// Lock takes the exclusive-access lock (RFC 1939 §4), or ErrInUse.
	Lock(ctx context.Context, email string) (Maildrop, error)
}

// Maildrop is a locked maildrop: a snapshot of what is in it.
type Maildrop interface {
	Messages() []Message
	// Open gives the octets of a message, by its index in Messages.
	Open(index int) (io.ReadCloser, error)
	// Remove deletes messages for good, all or none.
	Remove(ctx context.Context, indexes []int) error
	// Unlock gives up the lock; it may be called twice.
	Unlock()
	// Await returns nil when the maildrop holds a message that the snapshot does
	// not. It is called after Unlock.
	Await(ctx context.Context) error
}

// Message is one line of the scan listing.
type Message struct {
	UID  string // unique-id, RFC 1939 §7
	Size int64  // octets
}

// Policy says from where a password may come without TLS.
type Policy int

const (
	Loopback Policy = iota // from this machine only
	Never
	Anywhere
)

// Config of a Server. Zero values are the defaults.
type Config struct {
	Hostname  string
	Accounts  Accounts
	Maildrops Maildrops
	TLS       *tls.Config // nil: no STLS
	Implicit  bool        // TLS from the first byte (RFC 8314 §3.3)
	Plain     Policy
	Logger    *slog.Logger

	// Idle is the auto-logout timer. Default: 10 minutes, the least that RFC
	// 1939 §3 allows.
	Idle time.Duration
	// Stall is how long a client may leave what it asked for unread. Default: 2
	// minutes; a maildrop stays locked as long.
	Stall time.Duration
	// AuthFailures are how many wrong passwords a connection is worth. Default: 3.
	AuthFailures int
}

const (
	handshakeTime = 30 * time.Second // of TLS; RFC says nothing, a person has given up by then
	lastWord      = 2 * time.Second  // for the answer to a client that is being closed

	// maxCommand is RFC 2449 §4's line limit, the CRLF included.
	maxCommand = 255
	// maxResponse is RFC 5034 §4's for a SASL response.
	maxResponse = 12288
	// maxDiscard is how much of a longer line is read to find its end.
	maxDiscard = 64 << 10
	// maxErrors in a row end a connection that does not speak POP3.
	maxErrors = 20
)

// Server is a POP3 server.
type Server struct {
	cfg     Config
	log     *slog.Logger
	ctx     context.Context // ends at Shutdown: delays and waits end with it
	cancel  context.CancelFunc
	closing atomic.Bool
	wg      sync.WaitGroup

	mu        sync.Mutex
	listeners map[net.Listener]bool
	sessions  map[*session]bool
}

// New makes a server; it does no I/O.
func New(cfg Config) *Server {
	if cfg.Idle == 0 {
		cfg.Idle = 10 * time.Minute
	}
	if cfg.Stall == 0 {
		cfg.Stall = 2 * time.Minute
	}
	if cfg.AuthFailures == 0 {
		cfg.AuthFailures = 3
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Server{cfg: cfg, log: cfg.Logger, listeners: map[net.Listener]bool{}, sessions: map[*session]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve answers the connections of a listener until Shutdown, when it returns
// nil.
func (s *Server) Serve(l net.Listener) error {
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
			if ses, ok := s.begin(conn); ok {
				go s.run(ses)
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Too many open files, or a connection that was gone already.
		s.log.Warn("pop3: accept failed; trying again", "error", err)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-s.ctx.Done():
		}
	}
}

// ServeConn answers one connection and closes it.
func (s *Server) ServeConn(conn net.Conn) {
	if ses, ok := s.begin(conn); ok {
		s.run(ses)
	}
}

func (s *Server) begin(conn net.Conn) (*session, bool) {
	ses := newSession(s, conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		conn.Close()
		return nil, false
	}
	s.wg.Add(1)
	s.sessions[ses] = true
	return ses, true
}

func (s *Server) run(ses *session) {
	defer s.wg.Done()
	defer func() {
		s.mu.Lock()
		delete(s.sessions, ses)
		s.mu.Unlock()
		ses.raw.Close()
	}()
	ses.serve()
}

// Shutdown stops listening, ends idle and waiting sessions, lets commands that
// have begun finish until ctx ends, and then closes what is left. It returns
// when every session has ended. No message is deleted but by sessions that have
// said QUIT.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing.Store(true)
	s.cancel()
	for l := range s.listeners {
		l.Close()
	}
	for ses := range s.sessions {
		ses.interrupt()
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
	for ses := range s.sessions {
		ses.raw.Close()
	}
	s.mu.Unlock()
	<-ended
	return ctx.Err()
}
