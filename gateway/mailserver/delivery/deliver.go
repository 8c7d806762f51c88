package delivery

import (
	"context"
	"net"
	"strconv"
	"strings"
)

// Deliverer delivers messages. Its methods may be called at the same time.
type Deliverer struct {
	config Config
	pool   *pool
	routes *remembered[route]
	dead   *remembered[Result] // by address and port: why there was no session
}

// New makes a Deliverer. It does no I/O.
func New(c Config) *Deliverer {
	c = c.withDefaults()
	return &Deliverer{
		config: c,
		pool:   newPool(c.Limits),
		routes: newRemembered[route](c.Now, c.Limits.Remember, c.Limits.Remembered),
		dead:   newRemembered[Result](c.Now, c.Limits.Remember, c.Limits.Remembered),
	}
}

// Deliver tries once to deliver a message to a domain, or to an address literal ("[192.0.2.1]", "[IPv6:2001:db8::1]"). It answers one
// Result for each recipient, in their order, and what was said.
//
// It waits for its turn until ctx ends, and then for the network, for Limits.Attempt at most. What ctx ends is deferred, and of
// unknown fate only if the message's last word was said. Waiting costs a goroutine: a caller may have thousands of calls under
// way, and those that wait for the dead are in nobody's way.
func (d *Deliverer) Deliver(ctx context.Context, domain string, m Message) ([]Result, Transcript) {
	a := &attempt{
		Deliverer: d,
		domain:    destinationOf(domain),
		message:   m,
		results:   make([]Result, len(m.Recipients)),
		said:      make(map[string]bool),
		recorder:  &recorder{now: d.config.Now, most: d.config.Limits.Transcript, length: d.config.Limits.LineLength},
	}
	if len(m.Recipients) > 0 {
		a.run(ctx)
	}
	return a.results, a.recorder.lines
}

// Forget forgets what is known of a domain: where its mail goes, and that its servers did not answer. It is for who wants a message
// tried now.
func (d *Deliverer) Forget(domain string) {
	domain = destinationOf(domain)
	if d.config.Smarthost != nil {
		domain = smarthost
	}
	if r, ok := d.routes.get(domain); ok {
		for _, h := range r.hosts {
			for _, a := range h.addresses {
				d.dead.forget(net.JoinHostPort(a.String(), strconv.Itoa(int(d.port()))))
			}
		}
	}
	d.routes.forget(domain)
}

// Close ends the connections that are kept, and waits for deliveries under way: who does not want to wait ends their contexts
// first. Deliveries begun later are deferred.
func (d *Deliverer) Close() { d.pool.close() }

// smarthost is the destination of all mail where there is one. It is no domain.
const smarthost = "(smarthost)"

// port is the one that is dialled.
func (d *Deliverer) port() uint16 {
	switch s := d.config.Smarthost; {
	case s == nil:
		return d.config.Port
	case s.Port != 0:
		return s.Port
	case s.TLS == ImplicitTLS:
		return 465
	}
	return 25
}

// smarthostRoute is the way to the smarthost, which the operator has chosen: whatever its address is.
func (c *Config) smarthostRoute(ctx context.Context) route {
	r := route{domain: smarthost}
	name := destinationOf(strings.Trim(c.Smarthost.Host, "[]"))
	h := host{name: name}
	if a, ok := parseLiteral("[" + name + "]"); ok {
		h.addresses = append(h.addresses, a)
	} else if a, ok := parseLiteral("[IPv6:" + name + "]"); ok {
		h.addresses = append(h.addresses, a)
	} else {
		c.findAddresses(ctx, &h)
	}
	if len(h.addresses) == 0 { // whatever the reason: it is this server's own setting that is wrong
		r.stop = finding(451, "4.4.3", "the smarthost %s has no address %s", name, h.passing)
	}
	h.addresses = h.addresses[:min(len(h.addresses), c.Limits.Addresses)]
	r.hosts = []host{h}
	return r
}
