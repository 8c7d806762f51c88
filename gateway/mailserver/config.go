package mailserver

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/smtpd"
	"github.com/postern-mail/postern/shared/control"
)

// The names of the services, as shared/wire spells them.
const (
	SMTP        = "smtp"        // mail from the world, for local recipients
	Submission  = "submission"  // mail from users, STARTTLS then AUTH
	Submissions = "submissions" // mail from users, TLS from the first byte
	POP3        = "pop3"        // maildrops, STLS
	POP3S       = "pop3s"       // maildrops, TLS from the first byte
	Control     = "control"     // an administrator's page: see package controld
)

// Config says where a Server keeps its mail and where it listens.
type Config struct {
	// Dir is the data folder. It is made if it is missing, and locked while the
	// server is open: two processes never share one.
	Dir string
	// Hostname is what the server calls itself in greetings and trace headers.
	Hostname string
	// Domains are those whose mail is delivered here.
	Domains []string

	// Listen addresses such as "127.0.0.1:2525"; "" turns a service off.
	SMTP, Submission, Submissions, POP3, POP3S, Control string

	// Certificate is the one to show to a client; it is asked at each handshake, and once with no more than the Hostname
	// to ask for. Nil, and while it is an error: a self-signed one, made once, kept in Dir.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// PlainPOP3 says who may log in to "pop3" without TLS.
	PlainPOP3 PlainPolicy
	Receiving Receiving
	// Sending says how mail for other domains leaves. Nil: it waits in the queue.
	Sending *Sending
	// World is the one that the server is in, for commands to change; nil: the real.
	World control.World
	// Files are those of users beside their mail, in FilesFolder: for backups, and to be removed with an account. Nil: there are none.
	Files Files
	// Logger gets no password, header or body. Recipients and who has logged in are named in attributes: a log that must not
	// have them needs a handler that takes them out, as the gateway's has. Nil: slog.Default.
	Logger *slog.Logger
	Limits Limits
}

// PlainPolicy says from where a password may come in the clear.
type PlainPolicy int

const (
	PlainLoopback PlainPolicy = iota // from this machine only: nobody else sees it (the default)
	PlainNever
	PlainAnywhere // a network of one's own; never the Internet
)

// Limits bound what one client, or all of them, can make the server do. Zero
// is the default; -1 is no limit where that makes sense.
type Limits struct {
	MessageSize      int64            // octets of one message; 50 MB, as large as any public provider takes
	Reserve          int64            // octets of the disk that new mail leaves free: on a full one nobody can delete; 64 MiB
	Recipients       int              // of one message; 100, the least that RFC 5321 §4.5.3.1.8 allows
	Connections      int              // over all services; 1,000, and as many from loopback
	ConnectionsPerIP int              // from one address that is not loopback; 50
	SMTPIdle         time.Duration    // between commands or blocks; 5 minutes (RFC 5321 §4.5.3.2.7)
	POP3Idle         time.Duration    // auto-logout; 10 minutes, the least that RFC 1939 §3 allows
	AuthFailures     int              // on one connection before it is dropped; 3
	AuthFailureDelay time.Duration    // after the first failure, doubling up to 8 times; 500 ms
	PasswordHashers  int              // argon2id computations at once, 19 MiB each; one for each processor, at most 4
	DrainTime        time.Duration    // for sessions in mid-message at Close; 10 seconds
	Rates            smtpd.RateLimits // messages and recipients in an hour
}

func (l *Limits) setDefaults() {
	if l.MessageSize == 0 {
		l.MessageSize = 50_000_000
	}
	if l.Recipients == 0 {
		l.Recipients = 100
	}
	if l.Connections == 0 {
		l.Connections = 1000
	}
	if l.ConnectionsPerIP == 0 {
		l.ConnectionsPerIP = 50
	}
	if l.DrainTime == 0 {
		l.DrainTime = 10 * time.Second
	}
	// The rest have theirs in the packages that they are of.
}

// Account is a user of the server, as EnsureUser takes it.
type Account struct {
	Email    string // local-part@domain, the domain one of Config.Domains
	Name     string // as people read it
	Password string
}

// PortError says that a service could not listen where it was told to.
type PortError struct {
	Service string // such as "smtp"
	Address string
	InUse   bool // another program has the port
	Err     error
}

func (e *PortError) Error() string {
	if e.InUse {
		return fmt.Sprintf("%s: port %s is in use by another program; stop it, or choose another address for %s", e.Service, e.Address, e.Service)
	}
	return fmt.Sprintf("%s: cannot listen on %s: %v", e.Service, e.Address, e.Err)
}

func (e *PortError) Unwrap() error { return e.Err }
