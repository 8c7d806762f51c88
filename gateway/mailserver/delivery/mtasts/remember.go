package mtasts

import (
	"encoding/json"
	"io"
	"time"
)

// remembered is a domain's policy, as it is written down.
type remembered struct {
	Domain  string    `json:"domain"`
	ID      string    `json:"id"`
	Mode    Mode      `json:"mode"`
	MX      []string  `json:"mx,omitempty"`
	MaxAge  int64     `json:"maxAge"` // seconds
	Expires time.Time `json:"expires"`
}

// Save writes the policies that hold, as JSON. A policy is to outlive a restart (RFC 8461 section 10.2): who can keep us from fetching
// it again could have waited for one.
func (c *Cache) Save(w io.Writer) error {
	c.mu.Lock()
	list := []remembered{}
	for domain, k := range c.domains {
		if k.policy.Mode != NoPolicy && c.now().Before(k.expires) {
			list = append(list, remembered{domain, k.id, k.policy.Mode, k.policy.MX, int64(k.policy.MaxAge / time.Second), k.expires})
		}
	}
	c.mu.Unlock()
	return json.NewEncoder(w).Encode(list)
}

// Load takes back what Save wrote, but for what no longer holds, or is known better by now. Each is looked up again when it is next
// asked for. After an error there is nothing of it.
func (c *Cache) Load(r io.Reader) error {
	var list []remembered
	if err := json.NewDecoder(r).Decode(&list); err != nil {
		return err
	}
	for _, m := range list {
		age := time.Duration(m.MaxAge) * time.Second
		left := m.Expires.Sub(c.now())
		if m.Mode == NoPolicy || left <= 0 || left > age || m.MaxAge > maxMaxAge { // or the clock was set back
			continue
		}
		k := c.entry(m.Domain)
		c.mu.Lock()
		if k.policy.Mode == NoPolicy {
			k.id, k.policy, k.expires = m.ID, Policy{m.Mode, m.MX, age}, m.Expires
		}
		c.mu.Unlock()
	}
	return nil
}
