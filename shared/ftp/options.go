package ftp

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Options configures a [Client]. A nil *Options and zero fields mean the defaults; -1 means none for fields that say so.
type Options struct {
	// Dial opens a connection to a port of the host that the control connection goes to. It is given the port alone: a
	// server has no say in which host that is. Its ctx ends after Timeout. Without it there are no data connections, and so
	// neither listings nor transfers. An error with a method AnotherPort() bool that is true has the server name another port.
	Dial func(ctx context.Context, port int) (net.Conn, error)

	// TLS, if set, says that the control connection is under TLS from its first octet (port 990), by this configuration. The
	// client puts TLS over the connection that it is given, as data connections have to resume its session. Else
	// [Client.AuthTLS] may start it later.
	TLS *tls.Config

	// Timeout is for a reply, the whole of it, for a TLS handshake and for a data connection to open. Default 60 s: servers look
	// up names and wake disks, and a person waits.
	Timeout time.Duration
	// DataTimeout is how long a data connection may stand still. Default 60 s; what moves less than a kibibyte in that time
	// stands still, too.
	DataTimeout time.Duration
	// AbortTimeout is how long the server may take to come to terms after a transfer that was broken off (ABOR). Default 5 s. Past
	// it the session is given up.
	AbortTimeout time.Duration
	// KeepAlive is after how much silence on the control connection a NOOP is said during a transfer: servers, and what is on
	// the way to them, forget connections on which nothing is said. Default 2 minutes; -1 for never.
	KeepAlive time.Duration

	// MaxLine limits a line of a reply or a listing, in octets with its line end. Default 8,192: a name has 255, a path 4,096.
	MaxLine int
	// MaxReply limits a reply, all its lines together, in octets. Default 64 KiB: some servers greet at length.
	MaxReply int
	// MaxEntries limits the lines of a listing, in their number. Default 2,000,000; a listing is streamed, so this is about
	// servers that never end.
	MaxEntries int

	// AllowPlaintextAuth lets [Client.Login] send the password over a connection without TLS.
	AllowPlaintextAuth bool
	// AllowPlaintextData lets data connections be in plain text where the control connection is under TLS and the server
	// refuses PROT P. Else that fails the login.
	AllowPlaintextData bool
	// Synch has ABOR preceded by the Telnet signals of RFC 959 section 4.1.3, without TCP's urgent pointer, which no tunnel
	// carries. Servers that look for them are older than TLS, under which they are not sent.
	Synch bool
	// Hidden has LIST show names that start with a dot, by the option -a, which servers of Unix take. MLSD shows what it
	// shows.
	Hidden bool

	// Location is the server's time zone, in which LIST gives its times. Default UTC. MLSD and MDTM are always in UTC.
	Location *time.Location
	// Now tells the time; nil for time.Now. LIST leaves the year out of what is recent.
	Now func() time.Time

	// Trace, if set, is told what is said and what happens, in order, secrets masked. It is called by the goroutine that runs
	// the command and must not call the client.
	Trace func(Exchange)
}

// Exchange is one line of the conversation, or something that happened to one of its connections, for [Options.Trace].
type Exchange struct {
	Sent bool // by the client; else by the server
	Note bool // a remark of the client's, which nobody said
	// Data is the data connection it is about: the first is 1. 0 for the control connection.
	Data  int
	State State  // in which it was said
	Line  string // without its line end; "PASS ****"; "... 1234 octets" stands for what a data connection carried
}

const (
	defaultTimeout      = 60 * time.Second
	defaultAbortTimeout = 5 * time.Second
	defaultKeepAlive    = 2 * time.Minute
	defaultMaxLine      = 8 << 10
	defaultMaxReply     = 64 << 10
	defaultMaxEntries   = 2_000_000
)

func (o *Options) withDefaults() Options {
	var r Options
	if o != nil {
		r = *o
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&r.Timeout, defaultTimeout}, {&r.DataTimeout, defaultTimeout}, {&r.AbortTimeout, defaultAbortTimeout}} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	if r.KeepAlive == 0 {
		r.KeepAlive = defaultKeepAlive
	}
	for _, d := range []struct {
		value     *int
		otherwise int
	}{{&r.MaxLine, defaultMaxLine}, {&r.MaxReply, defaultMaxReply}, {&r.MaxEntries, defaultMaxEntries}} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	r.MaxLine = min(max(r.MaxLine, 64), dataBuffer) // the buffers must hold a line
	if r.Location == nil {
		r.Location = time.UTC
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	return r
}
