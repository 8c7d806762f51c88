package mtasts

import (
	"context"
	"sync"
	"time"
)

// Cache answers policies, and remembers them. Its fields are not to change once it is used.
type Cache struct {
	Resolver Resolver
	Fetcher  Fetcher
	// Lookup bounds a look-up in the DNS, default 30 seconds. Fetch bounds a fetch, default 1 minute (RFC 8461 section 3.3).
	Lookup, Fetch time.Duration
	// Again is how long the answer to a look-up holds, and for how long a policy that could not be fetched is not asked for again.
	// Default 5 minutes (RFC 8461 section 3.3).
	Again time.Duration
	// Most is how many domains are remembered, those without a policy included. Default 10,000. Of more, those without a policy
	// go first.
	Most int
	// Now tells the time. Default time.Now.
	Now func() time.Time

	mu      sync.Mutex
	domains map[string]*known
}

// Resolver is what is asked of the DNS: [*net.Resolver].
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Fetcher fetches the file of a domain's policy. [*HTTPS] is one.
type Fetcher interface {
	Fetch(ctx context.Context, domain string) ([]byte, error)
}

// known is what is known of a domain.
type known struct {
	turn    chan struct{} // holds a value while somebody looks
	id      string        // of the policy
	policy  Policy
	expires time.Time // of the policy
	checked time.Time // when the DNS was asked, or the fetch failed, last
}

// Policy answers the policy of a domain, which is in A-labels. It waits for the network if it must, until ctx ends.
func (c *Cache) Policy(ctx context.Context, domain string) Policy {
	k := c.entry(domain)
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return c.live(k)
	}
	defer func() { <-k.turn }()
	c.mu.Lock()
	checked := k.checked
	c.mu.Unlock()
	if now := c.now(); checked.IsZero() || now.Sub(checked) >= orDefault(c.Again, 5*time.Minute) || now.Before(checked) {
		c.refresh(ctx, domain, k)
	}
	return c.live(k)
}

// live answers the policy that holds now.
func (c *Cache) live(k *known) Policy {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.policy.Mode == NoPolicy || !c.now().Before(k.expires) {
		return Policy{}
	}
	return k.policy
}

// refresh asks whether there is a new policy, and fetches it. What goes wrong leaves the one there is: RFC 8461 section 3.3.
func (c *Cache) refresh(ctx context.Context, domain string, k *known) {
	asking, cancel := context.WithTimeout(ctx, orDefault(c.Lookup, 30*time.Second))
	defer cancel()
	records, err := c.Resolver.LookupTXT(asking, "_mta-sts."+domain)
	if ctx.Err() != nil {
		return
	}
	id, announced := readRecord(records)
	live := c.live(k)
	// One that grows old is fetched again before it is over, RFC 8461 section 3.3: when it is, who can keep us from fetching it could
	// have waited for that.
	fresh := id == k.id && live.Mode != NoPolicy && c.now().Before(k.expires.Add(-live.MaxAge/2))
	if err != nil || !announced || fresh {
		// RFC 8461 section 3.1: a record that is gone, or cannot be read, takes back nothing.
		c.mu.Lock()
		k.checked = c.now()
		c.mu.Unlock()
		return
	}
	fetching, cancel := context.WithTimeout(ctx, orDefault(c.Fetch, time.Minute))
	defer cancel()
	file, err := c.Fetcher.Fetch(fetching, domain)
	if ctx.Err() != nil && err != nil {
		return
	}
	var p Policy
	if err == nil {
		p, err = Parse(file)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k.checked = c.now()
	if err == nil {
		k.id, k.policy, k.expires = id, p, k.checked.Add(p.MaxAge)
	}
}

// entry answers what is known of a domain, in the map from now on.
func (c *Cache) entry(domain string) *known {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.domains[domain]; k != nil {
		return k
	}
	most := c.Most
	if most <= 0 {
		most = 10_000
	}
	if c.domains == nil {
		c.domains = make(map[string]*known)
	}
	if len(c.domains) >= most {
		c.makeRoom(most)
	}
	k := &known{turn: make(chan struct{}, 1)}
	c.domains[domain] = k
	return k
}

// makeRoom drops domains without a policy, and if there are none, any, until a tenth is free.
func (c *Cache) makeRoom(most int) {
	now := c.now()
	for _, any := range []bool{false, true} {
		for domain, k := range c.domains {
			if len(c.domains) <= most*9/10 {
				return
			}
			if any || k.policy.Mode == NoPolicy || !now.Before(k.expires) {
				delete(c.domains, domain)
			}
		}
	}
}

func (c *Cache) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}
