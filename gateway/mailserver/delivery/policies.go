package delivery

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/postern-mail/postern/gateway/mailserver/delivery/mtasts"
	"github.com/postern-mail/postern/shared/trust"
)

// NewPolicies makes what Config.Policies can be: a cache of MTA-STS policies, which are looked up, fetched and verified by the same
// Resolver, Dialer, Refuse and Roots as deliveries are.
func NewPolicies(c Config) *mtasts.Cache {
	c = c.withDefaults()
	return &mtasts.Cache{
		Resolver: c.Resolver,
		Fetcher:  mtasts.NewHTTPS(c.dialName, &tls.Config{RootCAs: trust.Roots(c.Roots), MinVersion: tls.VersionTLS12}),
		Lookup:   c.Limits.Lookup,
		Fetch:    c.Limits.Policy,
		Most:     c.Limits.Remembered,
		Now:      c.Now,
	}
}

// dialName connects to a host by its name: it asks the Resolver, and dials nothing that Refuse refuses.
func (c *Config) dialName(ctx context.Context, network, hostport string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	h := host{name: name}
	c.findAddresses(ctx, &h)
	err = fmt.Errorf("%s has no address %s", name, h.passing)
	for _, a := range h.addresses[:min(len(h.addresses), c.Limits.Addresses)] {
		if why := c.Refuse(a); why != "" {
			err = fmt.Errorf("%s is %s: %s", name, a, why)
			continue
		}
		var conn net.Conn
		within, cancel := context.WithTimeout(ctx, c.Limits.Dial)
		conn, err = c.Dialer.DialContext(within, network, netip.AddrPortFrom(a, uint16(number)).String())
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}
