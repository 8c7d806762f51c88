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
	n            int
	last         [8]byte // of the last one's hash: a page that comes again and again with one old token is no guesser
}

func newLockouts(l Limits) *lockouts {
	return &lockouts{limits: l, of: make(map[netip.Prefix]*wrongTokens)}
}

// until is how long a client is locked out; zero if it is not.
func (l *lockouts) until(client netip.Prefix, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range holdersOf(client) {
		if w := l.of[p]; w != nil && now.Before(w.until) {
			return w.until
		}
	}
	return time.Time{}
}

// wrong notes a wrong token.
func (l *lockouts) wrong(client netip.Prefix, hash [sha256.Size]byte, now time.Time) {
	if l.limits.WrongTokens < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
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
		if last := [8]byte(hash[:8]); w.n == 0 || w.last != last {
			w.n++
			w.last = last
		}
		if w.n >= limit {
			w.until = now.Add(l.limits.Lockout)
			w.n, w.since = 0, now
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
