package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
)

var (
	// ErrNoMailbox is what Post.Lookup answers for an address that is in one of
	// its domains and does not exist.
	ErrNoMailbox = errors.New("smtpd: no such mailbox")
	// ErrFull is what storing answers when there is no room.
	ErrFull = errors.New("smtpd: storage is full")
)

// Accounts checks a name and password; account.ErrDenied and account.ErrBusy
// are told to the client as such.
type Accounts interface {
	Authenticate(ctx context.Context, remote net.Addr, user, password string) (account.Account, error)
	// Mechanisms are the SASL mechanisms to offer, of SCRAM-SHA-256, PLAIN, LOGIN.
	Mechanisms(ctx context.Context) []string
	SCRAM(ctx context.Context, remote net.Addr) *account.Exchange
}

var _ Accounts = (*account.Gate)(nil)

// Post is where mail goes.
type Post interface {
	// Lookup says where an address belongs: the mailboxes that it is delivered to,
	// one at least, or local false if its domain is another server's.
	Lookup(ctx context.Context, address string) (mailboxes []string, local bool, err error)
	// Owns says whether a user may send as an address.
	Owns(ctx context.Context, user, address string) (bool, error)
	// Full says whether a mailbox has no room for a message of that size, 0 if the
	// client has not said it.
	Full(ctx context.Context, mailbox string, size int64) (bool, error)
	// Room answers ErrFull if there is none for a message of that size now, 0 if the
	// client has not said it: then it need not send it.
	Room(size int64) error
	// Create begins a message.
	Create() (Incoming, error)
}

// Incoming is a message on its way to the disk.
type Incoming interface {
	io.Writer
	// Deliver returns nil when the message is durably with every recipient of
	// the envelope, or an error when it is with none.
	Deliver(ctx context.Context, env Envelope) error
	// Discard forgets it; it does nothing after Deliver.
	Discard()
}

// Config of a Server. Zero values are the defaults.
type Config struct {
	Hostname string
	// Postmaster is the address that RCPT TO:<postmaster> means (RFC 5321
	// §4.5.1).
	Postmaster string
	// Submission: users, who must log in and may write to anybody. Otherwise the
	// server is an MX: anybody may write to local mailboxes.
	Submission bool
	Implicit   bool        // TLS from the first byte
	TLS        *tls.Config // nil: no STARTTLS
	Accounts   Accounts    // for submission
	Post       Post
	Logger     *slog.Logger

	// Client says whose connection it is, where a program on this machine has it
	// for somebody far away; nil: the other end's.
	Client func(net.Addr) netip.Addr
	// Verifier evaluates what an MX takes; nil: nothing is evaluated.
	Verifier *authenticity.Verifier
	// RefuseForged refuses what its author's domain wants refused (DMARC,
	// p=reject). Otherwise it is junk: forwarders and mailing lists break what
	// DMARC looks at, and nobody would ever see what was refused for it.
	RefuseForged bool
	Greylist     *Greylist // of an MX that has a Verifier; nil: none
	// Signer signs what users send; nil: nothing is signed.
	Signer *authenticity.Signer
	// AnyAuthor lets users write anything into the From field. Otherwise it has
	// addresses of their own alone (RFC 6409 §6.1).
	AnyAuthor bool
	Spool     string // a folder for messages being signed; "" is the system's
	Rates     *Rates // shared by the servers that count together; nil: none

	MessageSize  int64         // octets; default 50 MB
	Recipients   int           // of one message; default 100, the least that RFC 5321 §4.5.3.1.8 allows
	Idle         time.Duration // default 5 minutes, RFC 5321 §4.5.3.2.7
	MessageTime  time.Duration // for all of one message; default 30 minutes: 50 MB at 28 KB/s
	AuthFailures int           // wrong passwords on one connection; default 3

	// Fault, if not nil, is asked about each recipient whom an MX would take: what is
	// to go wrong with his message. It is for worlds in which mail is tried out.
	Fault func(client netip.Addr, from, to string) Fault
	// Now is the time that dates of fields are of. Default time.Now.
	Now func() time.Time
}

// Server is an SMTP server of one role.
type Server struct {
	cfg        Config
	log        *slog.Logger
	smtp       *smtp.Server
	ctx        context.Context // ends at Shutdown
	cancel     context.CancelFunc
	draining   atomic.Bool
	serving    sync.WaitGroup
	deliveries sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener
	links     map[*link]bool
}

// New makes a server; it does no I/O.
func New(cfg Config) *Server {
	if cfg.MessageSize == 0 {
		cfg.MessageSize = 50_000_000
	}
	if cfg.Recipients == 0 {
		cfg.Recipients = 100
	}
	if cfg.Idle == 0 {
		cfg.Idle = 5 * time.Minute
	}
	if cfg.MessageTime == 0 {
		cfg.MessageTime = 30 * time.Minute
	}
	if cfg.AuthFailures == 0 {
		cfg.AuthFailures = 3
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, log: cfg.Logger, links: map[*link]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())

	g := smtp.NewServer(smtp.BackendFunc(s.newSession))
	g.Domain = cfg.Hostname
	g.MaxMessageBytes = max(cfg.MessageSize, 0)
	g.MaxRecipients = max(cfg.Recipients, 0)
	g.MaxLineLength = 0 // the link bounds commands; text needs no bound, nothing holds a line of it
	g.EnableSMTPUTF8 = true
	g.EnableDSN = true         // RFC 3461; what is asked for is passed on with the envelope
	g.AllowInsecureAuth = true // go-smtp sees no TLS, the link does it: the session decides
	g.ReadTimeout = cfg.Idle   // the link's own; here it makes reading after Close an error
	g.ErrorLog = errorLog{s.log}
	s.smtp = g
	return s
}

// errorLog is go-smtp's log. It reports panics, and connections that end, which
// is no news.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Printf(format string, a ...any) {
	level := slog.LevelDebug
	if len(format) >= 5 && format[:5] == "panic" {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, "smtp: "+fmt.Sprintf(format, a...))
}

func (l errorLog) Println(a ...any) { l.log.Debug("smtp: " + fmt.Sprint(a...)) }

// Serve answers the connections of a listener until Shutdown, when it returns
// nil.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		return l.Close()
	}
	s.listeners = append(s.listeners, l)
	s.serving.Add(1)
	s.mu.Unlock()
	defer s.serving.Done()
	err := s.smtp.Serve(linkListener{l, s})
	if s.draining.Load() && errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

type linkListener struct {
	net.Listener
	srv *Server
}

func (l linkListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	link := newLink(l.srv, conn)
	l.srv.mu.Lock()
	l.srv.links[link] = true
	l.srv.mu.Unlock()
	return link, nil
}

// Shutdown stops listening, tells sessions 421 between two commands, lets
// messages that are being sent finish until ctx ends, and then closes what is
// left. It returns when every session has ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	for _, l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()
	s.cancel()
	s.serving.Wait() // or go-smtp would not wait for a connection that it takes at this moment
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.smtp.Shutdown(context.Background())
		s.deliveries.Wait()
	}()
	s.each((*link).interrupt)
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	s.each(func(l *link) { l.raw.Close() })
	<-ended
	return ctx.Err()
}

func (s *Server) each(do func(*link)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.links {
		do(l)
	}
}
