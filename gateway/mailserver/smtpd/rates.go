package smtpd

import (
	"net/netip"
	"sync"
	"time"
)

// RateLimits are how much one client, or one user, may do in an hour. What was
// not used gathers up to an hour's worth. Zero is the default, -1 no limit.
type RateLimits struct {
	ClientMessages   int // from one address, or IPv6 network of 64 bits; 1,000: more than any household or team gets
	ClientRecipients int // 5,000
	ClientUnknown    int // recipients that do not exist; 60: what more is has a dictionary
	UserMessages     int // by one user; 300: a person writes less, a stolen password wants more
	UserRecipients   int // 1,000
}

func (l *RateLimits) setDefaults() {
	for _, v := range []struct {
		limit    *int
		fallback int
	}{{&l.ClientMessages, 1000}, {&l.ClientRecipients, 5000}, {&l.ClientUnknown, 60}, {&l.UserMessages, 300}, {&l.UserRecipients, 1000}} {
		if *v.limit == 0 {
			*v.limit = v.fallback
		}
	}
}

// Rates counts what clients and users do, over all servers that share it. What
// comes from this machine counts by its user alone: it is the gateway with
// clients of all places.
type Rates struct {
	limits RateLimits
	now    func() time.Time

	mu      sync.Mutex
	buckets map[bucket]time.Time // when each is full again
}

// bucket is what is counted of whom. A full one is not kept.
type bucket struct {
	what   counted
	client netip.Addr
	user   string
}

type counted byte

const (
	messages counted = iota
	recipients
	unknown
)

// maxBuckets bounds the table to some 8 MB. Of a full one those go who have
// done least.
const maxBuckets = 50_000

// NewRates makes a count that is shared by servers.
func NewRates(l RateLimits) *Rates {
	l.setDefaults()
	return &Rates{limits: l, now: time.Now, buckets: map[bucket]time.Time{}}
}

// take counts one; false says that it is one too many, and was not counted.
func (r *Rates) take(what counted, client netip.Addr, user string) bool {
	return r.count(what, client, user, true)
}

// spent says whether one more would be too many.
func (r *Rates) spent(what counted, client netip.Addr, user string) bool {
	return !r.count(what, client, user, false)
}

func (r *Rates) count(what counted, client netip.Addr, user string, take bool) bool {
	if r == nil {
		return true
	}
	b, limit := bucket{what: what, user: user}, 0
	switch {
	case user != "":
		limit = map[counted]int{messages: r.limits.UserMessages, recipients: r.limits.UserRecipients}[what]
	case client.IsValid() && !client.IsLoopback():
		limit = map[counted]int{messages: r.limits.ClientMessages, recipients: r.limits.ClientRecipients, unknown: r.limits.ClientUnknown}[what]
		b.client = network(client, 32)
	}
	if limit <= 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	full, known := r.buckets[b]
	if full.Before(now) {
		full = now
	}
	full = full.Add(time.Hour / time.Duration(limit))
	if full.Sub(now) > time.Hour {
		return false
	}
	if take {
		if !known && len(r.buckets) >= maxBuckets {
			r.shrink(now)
		}
		r.buckets[b] = full
	}
	return true
}

// shrink makes room: first what is full again, then what is nearly so.
func (r *Rates) shrink(now time.Time) {
	for debt := time.Duration(0); len(r.buckets) > maxBuckets*3/4; debt = 2*debt + time.Minute {
		for b, full := range r.buckets {
			if full.Sub(now) <= debt {
				delete(r.buckets, b)
			}
		}
	}
}

// network is the network of an address that is one customer's: so many bits of
// IPv4, 64 of IPv6.
func network(ip netip.Addr, bits int) netip.Addr {
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		bits = 64
	}
	if p, err := ip.Prefix(bits); err == nil {
		return p.Addr()
	}
	return ip
}
