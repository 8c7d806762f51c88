package config

import "time"

// Limits bound what clients of the tunnel may cost. A count of 0 stands for no limit. A client is an address: of IPv4, or a /64 of IPv6;
// a user is a token, or whom a proxy names.
type Limits struct {
	Sessions, SessionsPerClient, SessionsPerUser, NewSessions int

	Streams, StreamsPerSession, StreamsPerClient, StreamsPerUser, StreamsPerTarget, NewStreams, NewStreamsPerTarget int

	BytesPerSecond int64
	Lookups        int

	IdleTime, StreamTime, SessionTime time.Duration

	WrongTokens int
	Lockout     time.Duration
}

// defaultLimits are those of the bridge, which says why; a test compares them.
func defaultLimits() Limits {
	return Limits{
		Sessions: 1000, SessionsPerClient: 16, SessionsPerUser: 64, NewSessions: 300,
		Streams: 4096, StreamsPerSession: 32, StreamsPerClient: 128, StreamsPerUser: 256, StreamsPerTarget: 1024,
		NewStreams: 600, NewStreamsPerTarget: 1200,
		BytesPerSecond: 64 << 20, Lookups: 20,
		IdleTime: 35 * time.Minute, StreamTime: 24 * time.Hour, SessionTime: 24 * time.Hour,
		WrongTokens: 10, Lockout: 15 * time.Minute,
	}
}

func limitSettings(l *Limits) []setting {
	return []setting{
		{"limit-sessions", "`number` of tunnels at a time: an open page has one", (*count)(&l.Sessions)},
		{"limit-sessions-per-client", "`number` of them from one address (of IPv6: one /64)", (*count)(&l.SessionsPerClient)},
		{"limit-sessions-per-user", "`number` of them with one token, or of one user of a proxy", (*count)(&l.SessionsPerUser)},
		{"limit-new-sessions", "`number` of new ones in a minute from one address", (*count)(&l.NewSessions)},
		{"limit-streams", "`number` of connections to mail servers at a time; a hostile one can hold 256 KiB, and its tunnel 4 MiB more", (*count)(&l.Streams)},
		{"limit-streams-per-session", "`number` of them in one tunnel", (*count)(&l.StreamsPerSession)},
		{"limit-streams-per-client", "`number` of them from one address", (*count)(&l.StreamsPerClient)},
		{"limit-streams-per-user", "`number` of them of one user", (*count)(&l.StreamsPerUser)},
		{"limit-streams-per-target", "`number` of them to one mail server elsewhere", (*count)(&l.StreamsPerTarget)},
		{"limit-new-streams", "`number` of new ones in a minute from one address, and of one user", (*count)(&l.NewStreams)},
		{"limit-new-streams-per-target", "`number` of new ones in a minute to one mail server elsewhere", (*count)(&l.NewStreamsPerTarget)},
		{"limit-bytes-per-second", "`size` of what one address, and one user, moves in a second, both ways together; what is more waits", (*size)(&l.BytesPerSecond)},
		{"limit-lookups", "`number` of domains in a minute whose servers are looked up for one address", (*count)(&l.Lookups)},
		{"limit-idle-time", "`time` without a byte after which a connection to a mail server ends", (*bound)(&l.IdleTime)},
		{"limit-stream-time", "`time` that such a connection may last in all", (*bound)(&l.StreamTime)},
		{"limit-session-time", "`time` that a tunnel may last in all; the page comes back unnoticed, if it still may", (*bound)(&l.SessionTime)},
		{"limit-wrong-tokens", "`number` of wrong tokens from one address within ten minutes that lock it out", (*count)(&l.WrongTokens)},
		{"limit-lockout", "`time` for which they do", (*bound)(&l.Lockout)},
	}
}
