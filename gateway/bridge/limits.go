package bridge

import "time"

// Limits bound what clients may cost: their connections, streams, bytes and time, for each client address, each user and
// each target. Zero fields mean the defaults; below zero a number means no limit, a time without one is not to be had.
type Limits struct {
	// Sessions at one time. Default 1000: at rest one costs about 55 KiB.
	Sessions int
	// SessionsPerClient address (IPv4 address or IPv6 /64) at one time. Default 16: a household, a small office. Behind
	// a proxy it needs TrustedProxies. Of this and of whatever else is for a client a site (IPv6 /48), which may have as many
	// /64 as it likes, gets four times as much.
	SessionsPerClient int
	// SessionsPerUser at one time: of one token, or one name that the proxy gives. Default 64: a family or a small team that
	// shares a token, with their tabs and telephones.
	SessionsPerUser int
	// NewSessionsPerMinute of a client address. Default 300: what a page reloading in a loop makes, and an office after the
	// gateway's restart.
	NewSessionsPerMinute int
	// Streams of one session at one time. Default 32: two for an account and some to spare.
	Streams int
	// StreamsPerClient address, over all its sessions. Default 128: sixteen sessions with four accounts each. If its target takes
	// nothing, a stream holds its window of the gateway's memory, and a target takes nothing if the client does not read its
	// answers. That is 256 KiB, and 4 MiB more for those of a session together: about 100 MiB for a hostile client.
	StreamsPerClient int
	// StreamsPerUser at one time. Default 256: two clients' worth, for who moves between networks.
	StreamsPerUser int
	// StreamsPerTarget address at one time, of the servers that are not the gateway's own. Default 1024, a quarter of all:
	// that no server is flooded from here, nor can one that never answers hold everybody's places.
	StreamsPerTarget int
	// StreamsInAll at one time. Default 4096: the sessions with four each, and 5 GiB were all of them hostile.
	StreamsInAll int
	// NewStreamsPerMinute of a client address, and of a user. Default 600: a poll of ten accounts every thirty seconds needs
	// forty, and sixteen such clients fit behind one address. Of data connections of FTP there may be ten times as many: a mirror of
	// small files takes one for each.
	NewStreamsPerMinute int
	// NewStreamsPerTarget address in a minute. Default 1200: six hundred accounts there, polled every thirty seconds; a server
	// whose passwords somebody guesses from many addresses sees no more attempts than that. For
	// data connections see NewStreamsPerMinute.
	NewStreamsPerTarget int
	// DataPerControl is how many data connections one control connection of FTP may have at one time. Default 4: it has one, and
	// the next may come before the end of the last is through, where files are small and many.
	DataPerControl int
	// FailedDataPerMinute is how many data connections of a client address may fail to come about in a minute, before it may open
	// no more: who knows a server of FTP is not to search it for open ports. Default 30: a client that has tried EPSV in vain does
	// not go on with it.
	FailedDataPerMinute int
	// BytesPerSecond of a client address, and of a user, up and down together; what is more waits. Default 64 MiB: twice what a
	// browser can read, half of a line of 1 Gbit/s.
	BytesPerSecond int
	// Lookups of a domain (wire.Discover) by one client address in a minute. Default 20: a person types an address; this is a
	// household in a hurry.
	Lookups int
	// LookupsAtOnce of all clients. Default 16: each takes six look-ups and some seconds at most.
	LookupsAtOnce int
	// Remembered is how many clients, users and targets each of the counts per minute knows at a time. Default 10,000, which is
	// about 1 MB. Who comes when it is full shares one count with others in that place.
	Remembered int

	// WrongTokens from one client address within WrongTokensWithin lock it out for Lockout; the same one again does not count,
	// so that a page with an old token locks nobody's household out. Defaults 10 in 10 min, for 15 min: ten typing errors, and a
	// thousand guesses in a day at a token of which there are 2^80.
	WrongTokens                int
	WrongTokensWithin, Lockout time.Duration
	// TokenDelay is how long a wrong token waits for its answer, and who comes with sessions still too fast when told so for
	// the refusal. Default 1 s.
	TokenDelay time.Duration

	// DialTimeout bounds the lookup and all attempts to connect for one Open. Default 20 s: with GreetingTimeout it is below a
	// client's 45.
	DialTimeout time.Duration
	// GreetingTimeout bounds the wait for a server's greeting, and for the first TLS record of either side. Default 20 s:
	// servers that let strangers wait before they greet do so for five to fifteen.
	GreetingTimeout time.Duration
	// IdleTimeout ends a stream without a byte either way. Default 35 min: IMAP's IDLE is renewed after 29 (RFC 2177).
	IdleTimeout time.Duration
	// DataIdleTimeout is that of data connections. Default 5 min: what somebody has paused may be taken up again by REST.
	DataIdleTimeout time.Duration
	// HalfClosedTimeout is the same once one direction has ended. Default 2 min.
	HalfClosedTimeout time.Duration
	// StreamTime is how long a stream may last in all. Default 24 h: no fetching lasts so long, and a client that idles comes
	// back.
	StreamTime time.Duration
	// SessionTime is how long a session may last in all: then it is drained, as at the gateway's end, and the client connects
	// anew, unnoticed by its user. Default 24 h: a token that was taken back, or a login that has ended, holds no longer.
	SessionTime time.Duration
	// Handshake and DeadAfter are those of tunnel.Options.
	Handshake, DeadAfter time.Duration
}

// WithDefaults is l with its zero fields filled in.
func (l Limits) WithDefaults() Limits {
	def(&l.Sessions, 1000)
	def(&l.SessionsPerClient, 16)
	def(&l.SessionsPerUser, 64)
	def(&l.NewSessionsPerMinute, 300)
	def(&l.Streams, 32)
	def(&l.StreamsPerClient, 128)
	def(&l.StreamsPerUser, 256)
	def(&l.StreamsPerTarget, 1024)
	def(&l.StreamsInAll, 4096)
	def(&l.NewStreamsPerMinute, 600)
	def(&l.NewStreamsPerTarget, 1200)
	def(&l.DataPerControl, 4)
	def(&l.FailedDataPerMinute, 30)
	def(&l.BytesPerSecond, 64<<20)
	def(&l.Lookups, 20)
	def(&l.LookupsAtOnce, 16)
	def(&l.Remembered, 10_000)
	def(&l.WrongTokens, 10)
	def(&l.WrongTokensWithin, 10*time.Minute)
	def(&l.Lockout, 15*time.Minute)
	def(&l.TokenDelay, time.Second)
	def(&l.DialTimeout, 20*time.Second)
	def(&l.GreetingTimeout, 20*time.Second)
	def(&l.IdleTimeout, 35*time.Minute)
	def(&l.DataIdleTimeout, 5*time.Minute)
	def(&l.HalfClosedTimeout, 2*time.Minute)
	def(&l.StreamTime, 24*time.Hour)
	def(&l.SessionTime, 24*time.Hour)
	l.Streams = unlimited(l.Streams, 1<<10) // the tunnel has no word for none
	l.LookupsAtOnce = unlimited(l.LookupsAtOnce, 1<<10)
	l.Remembered = unlimited(l.Remembered, 1<<20)
	return l
}

// def gives a number that is not set its default, and a time that is none.
func def[T int | time.Duration](v *T, value T) {
	switch any(value).(type) {
	case time.Duration:
		if *v <= 0 {
			*v = value
		}
	default:
		if *v == 0 {
			*v = value
		}
	}
}

// unlimited is n, or most where n says that there is no limit and there has to be one.
func unlimited(n, most int) int {
	if n < 0 {
		return most
	}
	return n
}

// over says that n are as many as there may be, or more.
func over(n, limit int) bool { return limit >= 0 && n >= limit }
