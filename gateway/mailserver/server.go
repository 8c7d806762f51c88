package mailserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/gateway/mailserver/controld"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/gateway/mailserver/pop3d"
	"github.com/postern-mail/postern/gateway/mailserver/smtpd"
	"github.com/postern-mail/postern/gateway/turnstile"
	"github.com/postern-mail/postern/shared/control"
)

// Server is a mail server, open on its data folder and its ports.
type Server struct {
	cfg       Config
	log       *slog.Logger
	domains   map[string]bool
	lock      *os.File
	shown     *shown
	store     *maildrop.Store
	gate      *account.Gate
	judges    judges
	sender    *sender // nil: mail for other domains waits
	admin     *Admin
	control   net.Listener // nil: there is none
	services  []*service
	turnstile *turnstile.Turnstile

	closing chan struct{}
	once    sync.Once
	closed  error
	serving sync.WaitGroup
}

// service is a listener and who answers on it.
type service struct {
	name     string
	listener net.Listener
	server   protocol
}

type protocol interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// Open locks the data folder, opens the store and binds every listener. A port
// that cannot be bound is a *PortError, a folder that is in use ErrDataInUse.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	cfg.Limits.setDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Hostname == "" {
		cfg.Hostname = "localhost"
	}
	s := &Server{cfg: cfg, log: cfg.Logger, domains: map[string]bool{}, closing: make(chan struct{})}
	for _, d := range cfg.Domains {
		s.domains[strings.ToLower(d)] = true
	}
	if err := s.open(ctx); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) (err error) {
	if len(s.domains) == 0 {
		return errors.New("mail server: no domains were given")
	}
	if s.lock, err = lockFolder(s.cfg.Dir); err != nil {
		return err
	}
	own, err := selfSigned(s.cfg.Dir, s.cfg.Hostname, time.Now())
	if err != nil {
		return err
	}
	s.shown = &shown{own: own, other: s.cfg.Certificate, hostname: s.cfg.Hostname}
	// The ports first: they are what most often fails, and quickly.
	if err := s.bind(ctx); err != nil {
		return err
	}
	size := s.cfg.Limits.MessageSize
	if size > 0 {
		size += traceRoom
	}
	s.store, err = maildrop.Open(ctx, filepath.Join(s.cfg.Dir, mailFolder), &maildrop.Options{MessageSize: size, Reserve: s.cfg.Limits.Reserve, Logger: s.log, Now: s.cfg.now()})
	if err != nil {
		return err
	}
	if s.gate, err = newGate(ctx, s.store, s.cfg.Limits, s.log); err != nil {
		return err
	}
	if s.judges, err = s.newJudges(); err != nil {
		return err
	}
	s.sender = s.newSender()
	s.remember()
	s.admin = newAdmin(s.cfg, s.store, nil)
	if s.sender != nil {
		s.admin.tryNow, s.admin.giveBack, s.admin.resting = s.sender.queue.Retry, s.sender.queue.Return, s.sender.queue.Resting
	}
	for _, v := range s.services {
		v.server = s.protocol(v)
	}
	// A server that commands cannot reach still has its mail to look after.
	if s.control, err = controld.Listen(s.cfg.Dir); err != nil {
		s.log.Warn("commands cannot reach this server", "error", err)
	}
	return nil
}

// newGate checks passwords against the store's accounts, and gives those that are
// older than SCRAM keys theirs.
func newGate(ctx context.Context, store *maildrop.Store, limits Limits, log *slog.Logger) (*account.Gate, error) {
	saltKey, err := store.Secret(ctx, "scram salts")
	if err != nil {
		return nil, err
	}
	return account.NewGate(store.Account, &account.Options{
		Hashers: limits.PasswordHashers, Delay: limits.AuthFailureDelay, SaltKey: saltKey, Keyed: store.Keyed,
		Upgrade: func(_ context.Context, r account.Record) {
			if err := store.SetKeys(r); err != nil {
				log.Warn("an account's SCRAM keys could not be kept; the next login tries again", "user", r.Email, "error", err)
			}
		},
	})
}

// traceRoom is for the header lines that the server adds to a message.
const traceRoom = 64 << 10

func (s *Server) bind(ctx context.Context) error {
	s.turnstile = turnstile.New(s.cfg.Limits.Connections, s.cfg.Limits.ConnectionsPerIP)
	for _, v := range []struct{ name, address, busy string }{
		{SMTP, s.cfg.SMTP, "421 4.3.2 too many connections, please come back later\r\n"},
		{Submission, s.cfg.Submission, "421 4.3.2 too many connections, please come back later\r\n"},
		{Submissions, s.cfg.Submissions, ""},
		{POP3, s.cfg.POP3, "-ERR [SYS/TEMP] too many connections, please come back later\r\n"},
		{POP3S, s.cfg.POP3S, ""},
		{Control, s.cfg.Control, ""},
	} {
		if v.address == "" {
			continue
		}
		l, err := listen(ctx, v.name, v.address)
		if err != nil {
			return err
		}
		s.services = append(s.services, &service{name: v.name, listener: s.turnstile.Listener(l, v.busy)})
	}
	return nil
}

func (s *Server) protocol(v *service) protocol {
	log := s.log.With("service", v.name)
	limits := s.cfg.Limits
	switch v.name {
	case Control:
		return controld.New(controld.Config{Operations: s.admin, Queue: s.admin, World: s.cfg.World, Administrators: s.gate.Administrators(), TLS: s.shown.config(), Logger: log})
	case POP3, POP3S:
		return pop3d.New(pop3d.Config{
			Hostname: s.cfg.Hostname, Accounts: s.gate, Maildrops: drops{s.store}, TLS: s.shown.config(), Implicit: v.name == POP3S,
			Plain: pop3d.Policy(s.cfg.PlainPOP3), Logger: log, Idle: limits.POP3Idle, AuthFailures: limits.AuthFailures,
		})
	}
	return smtpd.New(s.receiving(v, smtpd.Config{
		Hostname: s.cfg.Hostname, Postmaster: s.postmaster(), Submission: v.name != SMTP, Implicit: v.name == Submissions, TLS: s.shown.config(),
		Accounts: s.gate, Post: post{s.store, s.domains, s.sender.kick, s.confirm}, Logger: log,
		MessageSize: limits.MessageSize, Recipients: limits.Recipients, Idle: limits.SMTPIdle, AuthFailures: limits.AuthFailures, Now: s.cfg.now(),
	}))
}

// commands answers those of the data folder's owner.
func (s *Server) commands() *control.Server {
	return &control.Server{Operations: s.admin, Queue: s.admin, World: s.cfg.World, Report: func(op string, err error) {
		level := slog.LevelInfo
		if op == "" || op == "queue.watch" {
			level = slog.LevelDebug
		}
		s.log.Log(context.Background(), level, "control: "+op, "error", err)
	}}
}

// Serve answers on every listener until ctx ends or Close is called.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, len(s.services)+1)
	for _, v := range s.services {
		s.serving.Go(func() {
			if err := v.server.Serve(v.listener); err != nil {
				select {
				case <-s.closing: // the listener was closed
				default:
					failed <- fmt.Errorf("%s: %w", v.name, err)
				}
			}
		})
	}
	if len(s.memories()) > 0 {
		ctx, cancel := s.untilClose(ctx)
		s.serving.Go(func() {
			defer cancel()
			s.memorize(ctx)
		})
	}
	if s.control != nil {
		ctx, cancel := s.untilClose(ctx)
		s.serving.Go(func() {
			defer cancel()
			if err := s.commands().Serve(ctx, s.control); err != nil {
				s.log.Warn("commands cannot reach this server any more", "error", err)
			}
		})
	}
	if s.sender != nil {
		ctx, cancel := s.untilClose(ctx)
		s.serving.Go(func() {
			defer cancel()
			if err := s.sender.queue.Run(ctx); err != nil {
				failed <- fmt.Errorf("queue: %w", err)
			}
			s.sender.deliverer.Close()
		})
	}
	select {
	case err := <-failed:
		return errors.Join(err, s.Close())
	case <-ctx.Done():
	case <-s.closing:
	}
	return s.Close()
}

// untilClose is a context that outlives ctx until Close is called.
func (s *Server) untilClose(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.serving.Go(func() {
		defer cancel()
		select {
		case <-s.closing:
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}

// Addr is where a service listens; nil when it is off.
func (s *Server) Addr(service string) net.Addr {
	for _, v := range s.services {
		if v.name == service {
			return v.listener.Addr()
		}
	}
	return nil
}

// Hostname is what the server calls itself.
func (s *Server) Hostname() string { return s.cfg.Hostname }

// Domains are those whose mail it keeps.
func (s *Server) Domains() []string { return s.cfg.Domains }

// Dir is its data folder.
func (s *Server) Dir() string { return s.cfg.Dir }

// Fingerprint is the hex SHA-256 of the DER of the leaf certificate that is shown now, for clients to believe it by; "" if
// it has a chain to one of Mozilla's authorities, by which they can believe the next one, too.
func (s *Server) Fingerprint() string { return s.shown.pin(time.Now()) }

// Close stops the server: no new connections, 421 or its like to those that
// wait, time to finish (Limits.DrainTime) for those in mid-message. When it
// returns, every goroutine has ended and the folder is free.
func (s *Server) Close() error {
	s.once.Do(func() {
		close(s.closing)
		ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Limits.DrainTime)
		defer cancel()
		var wg sync.WaitGroup
		for _, v := range s.services {
			v.listener.Close()
			wg.Go(func() {
				if err := v.server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
					s.log.Warn("sessions were cut off at shutdown", "service", v.name)
				}
			})
		}
		wg.Wait()
		s.serving.Wait()
		s.closed = s.release()
	})
	return s.closed
}

// release gives up what open has taken.
func (s *Server) release() error {
	var errs []error
	for _, v := range s.services {
		v.listener.Close()
	}
	if s.control != nil {
		s.control.Close()
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
