package delivery

import (
	"context"
	"io"
	"net"
	"time"
)

// Resolver is what delivery asks the DNS. [*net.Resolver] is one. That a name does not exist, or has no record of the type, is
// a [*net.DNSError] with IsNotFound; every other error is taken for one that may pass.
//
// Names are whole ones, in A-labels. A stand-in is asked for them without a dot at their end; a *net.Resolver with one, or it would
// try this machine's search list, too. Package authenticity asks its resolver, whatever it is, with the dot: a stand-in that serves
// both has to take names either way.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Message is one content and its envelope for one destination.
type Message struct {
	From       string                        // the reverse-path without angle brackets; empty is the null sender
	Recipients []Recipient                   // all of one domain, or of one address literal, or any for a smarthost
	UTF8       bool                          // SMTPUTF8 was asked for when it came (RFC 6531)
	EightBit   bool                          // its body has octets over 127; delivery looks for itself, too
	Size       int64                         // octets of the content, 0 if not known
	Open       func() (io.ReadCloser, error) // the content from its beginning; called for every attempt, and more than once
	Return     string                        // RET of RFC 3461: "", "FULL" or "HDRS"
	EnvelopeID string                        // ENVID of RFC 3461, its xtext decoded
}

// Recipient is one recipient of a message. See RFC 3461 section 4.
type Recipient struct {
	Address  string   // without angle brackets
	Notify   []string // NOTIFY: "NEVER", or any of "SUCCESS", "FAILURE", "DELAY"; empty when nothing was said
	Original string   // ORCPT as "type;address", its xtext decoded; empty when nothing was said
}

// Outcome is what became of a message for one recipient.
type Outcome int

// The outcomes. None is the zero value, so that a Result nobody filled in is seen.
const (
	Delivered Outcome = iota + 1 // the peer has it, and has taken over what RFC 3461 asks for
	Relayed                      // the peer has it, but knows no DSN: "relayed" of RFC 3461 section 5.2.2
	Deferred                     // not now: to be tried again
	Failed                       // never
	Unknown                      // cut after the final dot: it may have been delivered, and the peer's answer did not come
)

// String answers the outcome in a word: "delivered".
func (o Outcome) String() string {
	switch o {
	case Delivered:
		return "delivered"
	case Relayed:
		return "relayed"
	case Deferred:
		return "deferred"
	case Failed:
		return "failed"
	case Unknown:
		return "unknown"
	}
	return "none"
}

// Result is what became of a message for one recipient.
type Result struct {
	Outcome  Outcome
	Code     int    // of the reply, or the one that fits our own finding; 0 where no server was reached
	Enhanced string // RFC 3463: "5.1.1"; never empty unless the message was delivered
	Text     string // the peer's words, or ours, printable, in one line
	Server   string // "mx1.example.org (192.0.2.1)"; empty where none was reached
	TLS      string // "TLS 1.3, verified", "TLS 1.2, unverified" or "none"; empty where no server was reached
	Local    bool   // our own finding (no MX, a loop, a timeout) and not the peer's reply
}

// Line is one line of a transcript.
type Line struct {
	Time time.Time
	Who  Who
	Text string // printable; of content only its size, of secrets nothing
}

// Who says a line of a transcript.
type Who byte

// The speakers.
const (
	Client Who = 'C' // this server, as a client
	Server Who = 'S' // the peer
	Note   Who = '*' // delivery about what it does: a look-up, a dial, a handshake
)

// Transcript is what was done and said in one attempt, in order. It is bounded: see [Limits].
type Transcript []Line
