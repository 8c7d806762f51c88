//go:build !js

package bridge

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/postern-mail/postern/gateway/bridge/discover"
	"github.com/postern-mail/postern/gateway/bridge/reach"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// discovery answers the Discover of clients: it looks up what a browser cannot. Its look-ups obey the policy: nothing is
// asked about a domain under which the policy lets nothing be reached, and its web servers, those that others redirect to
// included, have to be at addresses to which the policy lets names lead.
type discovery struct {
	b      *Bridge
	finder *discover.Finder
	free   chan struct{} // holds a token for each look-up that is under way
	rate   clientMeter
}

func newDiscovery(b *Bridge) *discovery {
	l := b.c.Limits
	d := &discovery{b: b, free: make(chan struct{}, l.LookupsAtOnce), rate: newClientMeter(l.Lookups, l.Remembered)}
	d.finder = &discover.Finder{SRV: d.srv, Dial: d.dial, Roots: b.c.WebRoots}
	return d
}

// srv looks records up under that very name: without the dot a resolver may append the domains of the operator's network to it,
// and what it finds there is nobody's business.
func (d *discovery) srv(ctx context.Context, service, proto, domain string) (string, []*net.SRV, error) {
	return d.b.c.SRVResolver.LookupSRV(ctx, service, proto, strings.TrimSuffix(domain, ".")+".")
}

// dial connects to a web server that is to have a domain's settings.
func (d *discovery) dial(ctx context.Context, host string, port int) (net.Conn, error) {
	targets, no := d.b.gate.WebServer(ctx, host, port)
	if no != nil {
		return nil, no
	}
	conn, release, no := d.b.gate.Dial(ctx, targets, func(t reach.Target) (func(), *wire.RefusedError) { return d.b.holdTarget(t, d.b.streamRates) })
	if no != nil {
		return nil, no
	}
	release() // there are few at a time, and they are short: how often they come is what counts
	return conn, nil
}

// serve answers the Discover on a stream that was asked for.
func (d *discovery) serve(s *session, request *tunnel.Request) {
	conn, err := request.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(discoveryTime))
	question, err := wire.ReadDiscover(conn)
	if err != nil {
		if errors.Is(err, wire.ErrMalformed) {
			_ = wire.WriteRefused(conn, refuse(wire.Malformed, err.Error()))
		}
		return
	}
	found, no := d.answer(s.ctx, s, strings.ToLower(question.Domain))
	if no != nil {
		d.b.countRefusal(no.Reason)
		s.log.Info("look-up refused", "reason", no.Reason)
		_ = wire.WriteRefused(conn, no)
		return
	}
	_ = wire.WriteDiscovered(conn, found)
}

// discoveryTime bounds one Discover, its look-ups and the reading of the question.
const discoveryTime = 15 * time.Second

func (d *discovery) answer(ctx context.Context, s *session, domain string) (wire.Discovered, *wire.RefusedError) {
	switch {
	case d.b.c.Access.Open() && !s.local:
		return wire.Discovered{}, refuse(wire.Denied, "without an access token this gateway looks nothing up, but for this machine")
	case !d.b.c.Policy.Concerns(domain):
		return wire.Discovered{}, refuse(wire.Denied, "the gateway's policy allows no server of "+domain)
	case !d.rate.take(s.client, time.Now()):
		return wire.Discovered{}, refuse(wire.TooFast, "too many look-ups from your address within a minute")
	}
	select {
	case d.free <- struct{}{}:
		defer func() { <-d.free }()
	default:
		return wire.Discovered{}, refuse(wire.TooMany, "the gateway has as many look-ups as it bears")
	}
	found, err := d.finder.Find(ctx, domain)
	if err != nil {
		return wire.Discovered{}, reach.LookupRefusal(err)
	}
	return found, nil
}
