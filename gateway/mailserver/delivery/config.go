package delivery

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery/mtasts"
	"github.com/postern-mail/postern/shared/idn"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/special"
)

// Config says how mail leaves.
type Config struct {
	// Hostname is this server's name: it says EHLO with it, and knows itself by it in the MX records of others.
	Hostname string
	// Names are more names, and Addresses the addresses, by which this server knows itself there.
	Names     []string
	Addresses []netip.Addr

	// Resolver answers for the DNS. Default [net.DefaultResolver].
	Resolver Resolver
	// Dialer connects. Default a [net.Dialer].
	Dialer Dialer
	// Refuse says of which addresses nothing is to be dialled, because a stranger's record leads there; it answers why, or "". Default
	// [RefuseSpecial]. The smarthost's addresses are the operator's choice and not asked for.
	Refuse func(netip.Addr) string
	// Port of the servers of others. Default 25.
	Port uint16
	// Smarthost, if not nil, gets all mail.
	Smarthost *Smarthost

	// Roots are the authorities that vouch for servers. Default Mozilla's.
	Roots *x509.CertPool
	// Policies answers the MTA-STS policy of a domain (RFC 8461). Without it there are none.
	Policies Policies

	// MaxReceived is how many Received fields a message may have; with more it is in a loop. Default 100; less is taken for 100,
	// for RFC 5321 section 6.3 wants no lower bound.
	MaxReceived int
	// Now is the clock of what is remembered (Limits.Remember) and of transcripts: where messages wait by another clock than the
	// system's, theirs. How long a server may take is always a matter of the system's. Default [time.Now].
	Now    func() time.Time
	Limits Limits
}

// Dialer connects to an address: [*net.Dialer].
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Policies answers the MTA-STS policy that is to be kept to for a domain, in A-labels; the zero Policy is none. [*mtasts.Cache]
// is one.
type Policies interface {
	Policy(ctx context.Context, domain string) mtasts.Policy
}

// Smarthost is a server that passes on what it is given.
type Smarthost struct {
	Host        string // a name or an address; no MX is asked for
	Port        uint16 // default 25, or 465 with ImplicitTLS
	TLS         TLSMode
	Credentials sasl.Credentials // no AUTH without a user; never without TLS
}

// TLSMode is how TLS is used with a smarthost.
type TLSMode int

// The modes.
const (
	Opportunistic TLSMode = iota // STARTTLS where it is offered, any certificate; as with servers of others
	RequireTLS                   // STARTTLS, and a certificate that verifies
	ImplicitTLS                  // TLS from the first octet (RFC 8314), and a certificate that verifies
)

// RefuseSpecial refuses every address that is not of the public internet.
func RefuseSpecial(a netip.Addr) string {
	if special.Public(a) {
		return ""
	}
	return "no address of the public internet"
}

// Limits bound what delivery costs. Zero is the default.
type Limits struct {
	Hosts     int // MX hosts tried in one attempt; 5 (RFC 5321 section 5.1 wants at least two addresses)
	Addresses int // of one host that are tried; 4

	Lookup  time.Duration // for all that one attempt asks the DNS; 30 s
	Policy  time.Duration // for the look-up and fetch of an MTA-STS policy; 60 s (RFC 8461 section 3.3)
	Dial    time.Duration // to connect to one address; 30 s, what TCP's first five tries take
	Connect time.Duration // for all addresses of one attempt together, up to the first message; 15 minutes
	Attempt time.Duration // for an attempt, waiting for its turn not counted; 30 minutes, for a large message on a slow way

	Timeout      time.Duration // for the answer to a command; 5 minutes (RFC 5321 section 4.5.3.2), as with the next two
	BlockTimeout time.Duration // for a part of the message to leave; 3 minutes
	FinalTimeout time.Duration // for the answer to the final dot; 10 minutes

	// PerDestination bounds the attempts at one destination at the same time: 4. Others wait. It is lowered for a while where
	// the server says that it has too many connections of ours.
	PerDestination int
	// Dials bounds the attempts that wait for a server's first words: 1,000. Each costs a socket and no more. The dead are
	// many and slow, so they do not count as Connections, and nobody else waits for them.
	Dials int
	// Connections bounds the sessions, idle ones included: 200. Each costs some 100 KiB.
	Connections int

	Idle     time.Duration // a connection is kept for the next message; 30 s: servers hang up after five minutes, and count
	Messages int           // on one connection; 100: many servers hang up after that many
	// Remember is how long an address that could not be connected to, or a route, is remembered: 1 minute. A thousand
	// messages for a dead server wait for it once.
	Remember   time.Duration
	Remembered int // entries of each kind; 10,000, some 2 MB

	Recipients int // in one transaction; 100, what every server has to take (RFC 5321 section 4.5.3.1.8)
	Parts      int // MIME parts of a message that can be made 7-bit; 10,000
	Transcript int // lines; 500. Of more, those in the middle go
	LineLength int // characters of a line of the transcript; 500
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{
		{&l.Lookup, 30 * time.Second}, {&l.Policy, time.Minute}, {&l.Dial, 30 * time.Second}, {&l.Connect, 15 * time.Minute},
		{&l.Attempt, 30 * time.Minute}, {&l.Timeout, 5 * time.Minute}, {&l.BlockTimeout, 3 * time.Minute}, {&l.FinalTimeout, 10 * time.Minute},
		{&l.Idle, 30 * time.Second}, {&l.Remember, time.Minute},
	} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	for _, n := range []struct {
		value     *int
		otherwise int
	}{
		{&l.Hosts, 5}, {&l.Addresses, 4}, {&l.PerDestination, 4}, {&l.Dials, 1000}, {&l.Connections, 200}, {&l.Messages, 100},
		{&l.Remembered, 10_000}, {&l.Recipients, 100}, {&l.Parts, 10_000}, {&l.Transcript, 500}, {&l.LineLength, 500},
	} {
		if *n.value <= 0 {
			*n.value = n.otherwise
		}
	}
	return l
}

func (c Config) withDefaults() Config {
	if c.Hostname == "" {
		c.Hostname = "localhost"
	}
	if ascii, ok := idn.ToASCII(c.Hostname); ok { // EHLO has no other form
		c.Hostname = ascii
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	c.Resolver = Absolute(c.Resolver)
	if c.Dialer == nil {
		c.Dialer = &net.Dialer{}
	}
	if c.Refuse == nil {
		c.Refuse = RefuseSpecial
	}
	if c.Port == 0 {
		c.Port = 25
	}
	c.MaxReceived = max(c.MaxReceived, 100)
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Limits = c.Limits.withDefaults()
	return c
}

// isSelf reports whether a host of an MX record is this server.
func (c *Config) isSelf(host string) bool {
	if strings.EqualFold(host, c.Hostname) {
		return true
	}
	for _, n := range c.Names {
		if strings.EqualFold(host, strings.TrimSuffix(n, ".")) {
			return true
		}
	}
	return false
}
