package smtpd

import (
	"crypto/sha256"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
)

// Greylist tells strangers to come again (RFC 6647): mail servers do, and much
// of what sends junk does not. It is of use where little mail comes from new
// places, and costs that little mail its minutes; so it is off unless asked
// for. It is kept in memory; Save and Load bring it over a restart.
type Greylist struct {
	opts GreylistOptions

	mu    sync.Mutex
	known map[[16]byte]acquaintance
}

// GreylistOptions of a Greylist. Zero is the default.
type GreylistOptions struct {
	Wait    time.Duration // from the first attempt until one is let through; 5 minutes
	Window  time.Duration // from the first attempt until it is forgotten; 1 day
	Memory  time.Duration // that who came through is let through, from the last time; 35 days, for what comes once a month
	Entries int           // 100,000, in some 10 MB

	Now func() time.Time // time.Now
}

// acquaintance is a client, sender and recipient that came together.
type acquaintance struct {
	first, last time.Time
	passed      bool
}

// NewGreylist makes an empty one.
func NewGreylist(o GreylistOptions) *Greylist {
	for _, v := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&o.Wait, 5 * time.Minute}, {&o.Window, 24 * time.Hour}, {&o.Memory, 35 * 24 * time.Hour}} {
		if *v.value == 0 {
			*v.value = v.fallback
		}
	}
	if o.Entries == 0 {
		o.Entries = 100_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Greylist{opts: o, known: map[[16]byte]acquaintance{}}
}

// wait says how long a client has to wait before its message for a recipient is
// taken; 0 is not at all.
//
// A client is its network, for large senders try again from another machine of
// it. Those whom SPF lets speak for the sender's domain are that domain,
// wherever they are; and once a message of theirs came through, all do: who
// publishes where his mail comes from and tries again is no stranger.
func (g *Greylist) wait(client netip.Addr, spf authenticity.SPF, sender, recipient string) time.Duration {
	origin, domain := network(client, 24).String(), [16]byte{}
	if spf.Result == authenticity.Pass {
		origin = spf.Domain
		domain = digest("domain", origin)
	}
	triple := digest("triple", origin, strings.ToLower(sender), strings.ToLower(recipient))
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.opts.Now()
	if domain != ([16]byte{}) && g.live(domain, now) {
		g.put(domain, acquaintance{last: now, passed: true}, now)
		return 0
	}
	if !g.live(triple, now) {
		g.put(triple, acquaintance{first: now, last: now}, now)
		return g.opts.Wait
	}
	a := g.known[triple]
	if left := a.first.Add(g.opts.Wait).Sub(now); !a.passed && left > 0 {
		return left
	}
	a.last, a.passed = now, true
	g.put(triple, a, now)
	if domain != ([16]byte{}) {
		g.put(domain, a, now)
	}
	return 0
}

func (g *Greylist) live(key [16]byte, now time.Time) bool {
	a, ok := g.known[key]
	return ok && now.Before(g.expires(a))
}

func (g *Greylist) expires(a acquaintance) time.Time {
	if a.passed {
		return a.last.Add(g.opts.Memory)
	}
	return a.first.Add(g.opts.Window)
}

func (g *Greylist) put(key [16]byte, a acquaintance, now time.Time) {
	if _, there := g.known[key]; !there && len(g.known) >= g.opts.Entries {
		g.shrink(now)
	}
	g.known[key] = a
}

// shrink makes room: what has expired; then of those who never came again,
// beginning with the oldest; and only then of those who did.
func (g *Greylist) shrink(now time.Time) {
	most := g.opts.Entries * 3 / 4
	g.drop(func(a acquaintance) bool { return !now.Before(g.expires(a)) })
	for age := g.opts.Window; len(g.known) > most && age > 0; age /= 2 {
		g.drop(func(a acquaintance) bool { return !a.passed && now.Sub(a.first) >= age })
	}
	g.drop(func(a acquaintance) bool { return len(g.known) > most && !a.passed })
	for age := g.opts.Memory; len(g.known) > most && age > 0; age /= 2 {
		g.drop(func(a acquaintance) bool { return now.Sub(a.last) >= age })
	}
	g.drop(func(acquaintance) bool { return len(g.known) > most })
}

func (g *Greylist) drop(condition func(acquaintance) bool) {
	for key, a := range g.known {
		if condition(a) {
			delete(g.known, key)
		}
	}
}

// digest makes keys of one size of what peers choose.
func digest(parts ...string) (key [16]byte) {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	copy(key[:], sum[:])
	return key
}
