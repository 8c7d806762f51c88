package pop3

import "time"

// Options configures a [Client]. A nil *Options and zero fields mean the defaults; -1 means no limit for fields that
// say so.
type Options struct {
	// Timeout is how long the server may leave the client waiting for the next part of an answer, and the client's
	// write may wait for the network. Default 60 s: servers take seconds to open a large maildrop, and a person waits.
	// The server itself may end an idle session after 10 minutes (RFC 1939 section 3).
	Timeout time.Duration

	// MaxLine limits status lines and lines of listings, in octets with their line end. Default 2,048, four times
	// what RFC 2449 section 4 allows: some servers put much into their greeting. Lines of messages have no limit.
	MaxLine int

	// MaxListing limits the lines of an answer to LIST and UIDL, and its octets to 80 a line: 40 MB by default. Default
	// 500,000, five times the largest mailbox this client is made for. CAPA is limited to 1,000 lines too.
	MaxListing int

	// MaxMessage limits one message, in octets. Default 256 MiB: no large provider accepts more than 150 MB, and
	// content is streamed, so memory is not at stake. -1: no limit.
	MaxMessage int64

	// AllowPlaintextAuth lets [Client.Auth] show the password to the network where there is no TLS and no way to hide it.
	AllowPlaintextAuth bool

	// InFlightBytes and InFlightCommands limit what [Client.RetrAll], [Client.TopAll] and [Client.DeleAll] have asked for and not
	// received, by the sizes of the scan listing. One message is always asked for, whatever its size. Defaults 16 MiB and
	// 1,024: a path of 100 ms and a gigabit a second holds 12 MB, and from Dovecot over 100 ms, 64 commands brought 596
	// messages a second, 256 1,990 and 1,024 2,560. It costs no memory, only octets for nothing when a session is cut.
	//
	// A server whose listing is wrong about sizes makes the limit of octets as wrong, and nothing else: memory does not
	// depend on it, and where a message ends is told by the message.
	InFlightBytes    int64
	InFlightCommands int

	// Trace, if set, is told each line of the conversation, in order, secrets masked and message content left out.
	// It is called by the goroutine that runs the command and must not call the client.
	Trace func(Exchange)
}

// Exchange is one line of the conversation, for [Options.Trace].
type Exchange struct {
	Sent  bool   // by the client; else by the server
	State State  // in which it was said
	Line  string // without its line end; "PASS ****", "AUTH PLAIN ****", "****"; "... 1234 octets" stands for the lines of an answer
}

const (
	defaultTimeout          = 60 * time.Second
	defaultMaxLine          = 2048
	defaultMaxListing       = 500_000
	defaultMaxMessage       = 256 << 20
	defaultInFlightBytes    = 16 << 20
	defaultInFlightCommands = 1024
)

func (o *Options) withDefaults() Options {
	var r Options
	if o != nil {
		r = *o
	}
	if r.Timeout <= 0 {
		r.Timeout = defaultTimeout
	}
	if r.MaxLine <= 0 {
		r.MaxLine = defaultMaxLine
	}
	// The reader's buffer must hold a line; and no answer is shorter than "-ERR" and its line end.
	r.MaxLine = min(max(r.MaxLine, 64), bufferSize)
	if r.MaxListing <= 0 {
		r.MaxListing = defaultMaxListing
	}
	if r.MaxMessage == 0 {
		r.MaxMessage = defaultMaxMessage
	}
	if r.InFlightBytes <= 0 {
		r.InFlightBytes = defaultInFlightBytes
	}
	if r.InFlightCommands <= 0 {
		r.InFlightCommands = defaultInFlightCommands
	}
	return r
}
