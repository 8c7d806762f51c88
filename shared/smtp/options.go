package smtp

import "time"

// Options configures a [Client]. A nil *Options and zero fields mean the defaults.
type Options struct {
	// LocalName is what the client calls itself in EHLO. Default "localhost": a browser has no name, and submission servers
	// do not ask for one that is true (RFC 6409 section 4.2).
	LocalName string

	// Timeout is for the answer to a command, the greeting and the TLS handshake. Default 5 minutes: RFC 5321 section
	// 4.5.3.2 wants that much for the greeting, MAIL and RCPT. A client that somebody watches may want less.
	Timeout time.Duration
	// BlockTimeout is for the network to take the next part of a message. Default 3 minutes (RFC 5321 section 4.5.3.2.5).
	BlockTimeout time.Duration
	// FinalTimeout is for the answer to the final dot. Default 10 minutes (RFC 5321 section 4.5.3.2.6): the server may be
	// delivering, and a client that gives up too early leaves a message of unknown fate.
	FinalTimeout time.Duration

	// MaxReply limits a reply, all its lines together, in octets. Default 64 KiB: a long EHLO has 1 KiB. A line of it is
	// limited to 2,000 octets, four times what RFC 5321 section 4.5.3.1.5 allows.
	MaxReply int

	// AllowPlaintextAuth lets Auth send the password over a connection without TLS.
	AllowPlaintextAuth bool

	// Progress, if set, is told how many octets of a message's content have been handed to the network (by DATA), or are
	// acknowledged by the server (by BDAT), now and then and at the end.
	Progress func(sent int64)

	// Trace, if set, is told each line of the conversation, in order, secrets masked and message content left out. It must not
	// call the client.
	Trace func(Exchange)
}

// Exchange is one line of the conversation, for [Options.Trace].
type Exchange struct {
	Sent  bool   // by the client; else by the server
	Line  string // without its line end; "AUTH PLAIN ****"; "... 1234 octets" stands for a message, or a chunk of one
	Stage string // of the session: "HELLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"; a reply has its command's
}

func (o *Options) withDefaults() Options {
	var r Options
	if o != nil {
		r = *o
	}
	if r.LocalName == "" {
		r.LocalName = "localhost"
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&r.Timeout, 5 * time.Minute}, {&r.BlockTimeout, 3 * time.Minute}, {&r.FinalTimeout, 10 * time.Minute}} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	if r.MaxReply <= 0 {
		r.MaxReply = 64 << 10
	}
	return r
}
