package bridge

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/endsite"
)

// lockouts knows who has presented wrong tokens, and keeps those out for a while who have done so too often. Whoever guesses
// from one /64 after the other is stopped by the count of the site.
type lockouts struct {
	limits Limits

	mu sync.Mutex
	of map[netip.Prefix]*wrongTokens
}

// wrongTokens are those of one client or site.
type wrongTokens struct {
	since, until time.Time // of the count, of the lockout
	// tried has the hashes, or what is enough of them. Each counts once: pages that come again and again with old tokens are no
	// guessers, be it one in a household or several. There are no more than lock it out.
	tried [][8]byte
}

func newLockouts(l Limits) *lockouts {
	return &lockouts{limits: l, of: make(map[netip.Prefix]*wrongTokens)}
}

// until is how long a client is locked out; zero if it is not.
func (l *lockouts) until(client netip.Prefix, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.locking(client, now)
}

// try notes a token that was presented, unless the client is locked out: then it answers until when. Both are one step, so that
// guesses that come at the same time are no more than those that come one by one.
func (l *lockouts) try(client netip.Prefix, hash [sha256.Size]byte, right bool, now time.Time) (until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until = l.locking(client, now); until.IsZero() && !right {
		l.wrong(client, [8]byte(hash[:8]), now)
	}
	return until
}

func (l *lockouts) locking(client netip.Prefix, now time.Time) time.Time {
	for _, p := range holdersOf(client) {
		if w := l.of[p]; w != nil && now.Before(w.until) {
			return w.until
		}
	}
	return time.Time{}
}

// wrong notes a wrong token; l.mu is held.
func (l *lockouts) wrong(client netip.Prefix, hash [8]byte, now time.Time) {
	if l.limits.WrongTokens < 0 {
		return
	}
	for i, p := range holdersOf(client) {
		limit := l.limits.WrongTokens
		if i > 0 {
			limit *= endsite.ClientsOfSite
		}
		w := l.of[p]
		if w == nil || now.Sub(w.since) >= l.limits.WrongTokensWithin && now.After(w.until) {
			if w == nil && len(l.of) >= l.limits.Remembered {
				l.makeRoom(now)
			}
			w = &wrongTokens{since: now}
			l.of[p] = w
		}
		if !slices.Contains(w.tried, hash) {
			w.tried = append(w.tried, hash)
		}
		if len(w.tried) >= limit {
			w.until = now.Add(l.limits.Lockout)
			w.tried, w.since = nil, now
		}
	}
}

// makeRoom forgets what counts no more, and if that is nothing, somebody: then guesses come from ten thousand networks, and
// what keeps them out is that there are too many tokens.
func (l *lockouts) makeRoom(now time.Time) {
	for p, w := range l.of {
		if now.Sub(w.since) >= l.limits.WrongTokensWithin && now.After(w.until) {
			delete(l.of, p)
		}
	}
	for p := range l.of {
		if len(l.of) < l.limits.Remembered {
			return
		}
		delete(l.of, p)
	}
}

// locked is how many clients and sites are locked out.
func (l *lockouts) locked(now time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.of {
		if now.Before(w.until) {
			n++
		}
	}
	return n
}

// holdersOf are a client and its site, if that is another.
func holdersOf(client netip.Prefix) []netip.Prefix {
	return slices.Compact([]netip.Prefix{client, endsite.Site(client)})
}
