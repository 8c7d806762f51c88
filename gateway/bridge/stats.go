package bridge

import (
	"time"

	"github.com/postern-mail/postern/shared/endsite"
	"github.com/postern-mail/postern/shared/wire"
)

// Stats are counts since the bridge was made, and what there is now.
type Stats struct {
	Sessions, Streams           int // now
	Clients, Users, Targets     int // with a session, with a session, with a stream; now
	LockedOut                   int // clients and sites that presented too many wrong tokens; now
	SessionsTotal, StreamsTotal int64
	BytesUp, BytesDown          int64 // of payload: from clients, to clients
	// Refused are the refusals that clients were told of, by reason: of sessions, of streams and of look-ups.
	Refused map[wire.Reason]int64
	// CrossSite counts handshakes from pages of other origins, Foreign those that are none of a tunnel's, Broken the sessions
	// that ended since the client broke the protocol.
	CrossSite, Foreign, Broken int64
	Paced                      time.Duration // how long bytes have waited for Limits.BytesPerSecond, all together
}

// Stats counts.
func (b *Bridge) Stats() Stats {
	locked := b.lockouts.locked(time.Now())
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Stats{
		Sessions: len(b.sessions), Streams: int(b.streams.Load()),
		Users: len(b.users), Targets: len(b.targets), LockedOut: locked,
		SessionsTotal: b.sessionsTotal.Load(), StreamsTotal: b.streamsTotal.Load(),
		BytesUp: b.bytesUp.Load(), BytesDown: b.bytesDown.Load(),
		Refused:   make(map[wire.Reason]int64, len(b.refused)),
		CrossSite: b.crossSite.Load(), Foreign: b.foreign.Load(), Broken: b.broken.Load(), Paced: time.Duration(b.paced.Load()),
	}
	for p := range b.clients {
		if endsite.Site(p) == p && p.Bits() == 48 {
			continue // a site is no client
		}
		s.Clients++
	}
	for reason, n := range b.refused {
		s.Refused[reason] = n
	}
	return s
}
