package engine

import (
	"context"
	"crypto/x509"
	"net"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/engine/keyring"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// Config is what an Engine is made of. FS and Gateway are required.
type Config struct {
	FS      store.FS // the registry of accounts, and a folder for each account
	Gateway Gateway
	Vault   keyring.Vault // nil: passwords are kept in memory alone
	Clock   Clock         // nil: the real one
	// Mail reads messages; the zero value knows no charset but UTF-8 and Latin-1.
	Mail mail.Reader
	// Prepare is what there is to do while somebody types what SignIn will be asked, until ctx ends; nil: nothing.
	Prepare func(ctx context.Context)
	// Roots are the authorities that are believed; nil for Mozilla's.
	Roots *x509.CertPool

	// Device is where FS is in the browser's private file system, for a page to find a download there: "postern/". Empty: it is in
	// no such place.
	Device string

	// Room, if set, says how many octets there are for more on the device, if that is known.
	Room func(ctx context.Context) (octets int64, known bool)

	Version string // of the program, for Status
	Poll    time.Duration
	Limits  Limits
	Logf    func(format string, args ...any) // nil: no log. It is never given a password or what a message says

	cost  keyring.Cost // of a passphrase; tests have no time for the real one
	batch int          // of fetched messages; 0: batchMessages. Tests want several of them of fewer messages
}

// Limits bound what others can make the engine hold. Zero fields mean the defaults.
type Limits struct {
	// Message bounds one fetched message, in octets; a larger one is left on the server, and the account says so.
	// Default 64 MiB: it is held in memory while it is stored and read, and no large provider accepts more than 150 MB.
	Message int64
	// Attachments bounds the attachments of one draft together, in octets before encoding. Default 25 MiB, what the
	// large providers accept; base64 makes 35 of it.
	Attachments int64
	// Dial bounds the opening of a stream through the gateway and the TLS handshake, each. Default 45 s: a gateway
	// tries several addresses of a host in that time, and waits for the server's greeting.
	Dial time.Duration
	// Answer is how long a server may leave a command without a sign of life. Default 60 s.
	Answer time.Duration
	// Texts bounds the memory for searching in message texts, in bytes. Default 32 MB, some 16,000 messages.
	Texts int
	// Folder bounds the entries of a folder that are kept. Default api.MaxFolder: 30 MB, and no person looks through more.
	Folder int
	// Names bounds the names in a folder that are kept, together, in octets; a deletion holds twice as much. Default 32 MiB: names have
	// 255 octets at most where people make them, and a server may send lines of 8 KiB.
	Names int
}

const (
	defaultPoll        = 30 * time.Second // while the page is open: what people expect of mail, and cheap through UIDL
	defaultMessage     = 64 << 20
	defaultAttachments = 25 << 20
	defaultDial        = 45 * time.Second
	defaultAnswer      = 60 * time.Second
	defaultTexts       = 32 << 20
)

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = realClock{}
	}
	if c.Logf == nil {
		c.Logf = func(string, ...any) {}
	}
	if c.batch == 0 {
		c.batch = batchMessages
	}
	if c.Poll <= 0 {
		c.Poll = defaultPoll
	}
	if c.Limits.Message <= 0 {
		c.Limits.Message = defaultMessage
	}
	if c.Limits.Attachments <= 0 {
		c.Limits.Attachments = defaultAttachments
	}
	if c.Limits.Dial <= 0 {
		c.Limits.Dial = defaultDial
	}
	if c.Limits.Answer <= 0 {
		c.Limits.Answer = defaultAnswer
	}
	if c.Limits.Texts <= 0 {
		c.Limits.Texts = defaultTexts
	}
	if c.Limits.Names <= 0 {
		c.Limits.Names = 32 << 20
	}
	if c.Limits.Folder <= 0 {
		c.Limits.Folder = api.MaxFolder
	}
	return c
}

// Gateway is the way to the servers. A *tunnel.Dialer is one.
type Gateway interface {
	// Open opens a stream to a service; tunnel.ErrOffline when there is no session.
	Open(ctx context.Context, o wire.Open) (net.Conn, error)
	State() tunnel.State
	// Subscribe calls fn after each change of State until cancel is called. fn must not block.
	Subscribe(fn func(tunnel.State)) (cancel func())
	// Present gives the access token for the sessions to come, and tries to connect with it now.
	Present(token string)
	// Kick tries to connect now.
	Kick()
}

// Clock is the time, so that a test can make it pass.
type Clock interface {
	Now() time.Time
	// After sends the time once, when d has passed.
	After(d time.Duration) <-chan time.Time
}

type realClock struct{}

func (realClock) Now() time.Time                         { return time.Now() }
func (realClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
