package bridge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/gateway/bridge/discover"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// SRVResolver looks up SRV records. *net.Resolver is one.
type SRVResolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// discovery answers the Discover of clients: it looks up what a browser cannot. Its look-ups obey the policy: nothing is
// asked about a domain under which the policy lets nothing be reached, and its web servers have to be at addresses to which
// the policy lets names lead.
type discovery struct {
	b      *Bridge
	finder *discover.Finder
	free   chan struct{} // holds a token for each look-up that may still begin

	mu    sync.Mutex
	asked map[netip.Prefix]*asked // clients of this minute
}

// asked counts a client's look-ups within a minute.
type asked struct {
	n     int
	since time.Time
}

const (
	discoveriesAtOnce    = 16 // of all clients; each takes six look-ups and some seconds at most
	discoveriesPerMinute = 20 // of one client: a person types an address; this is a household in a hurry
	discoveryClients     = 10_000
)

func newDiscovery(b *Bridge) *discovery {
	d := &discovery{b: b, free: make(chan struct{}, discoveriesAtOnce), asked: make(map[netip.Prefix]*asked)}
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
	if err := wire.CheckHost(host); err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil, refuse(wire.Denied, "a web server without a name") // a redirect's doing
	}
	addrs, no := d.b.lookUp(ctx, host)
	if no == nil {
		conn, err := d.b.dialFirst(ctx, addrs, port)
		if err == nil {
			return conn, nil
		}
		no = err
	}
	return nil, no
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
	found, no := d.answer(s.ctx, s.client, strings.ToLower(question.Domain))
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

func (d *discovery) answer(ctx context.Context, client netip.Prefix, domain string) (wire.Discovered, *wire.RefusedError) {
	switch {
	case !d.b.c.Policy.concerns(domain):
		return wire.Discovered{}, refuse(wire.Denied, "the gateway's policy allows no server of "+domain)
	case !d.count(client, time.Now()):
		return wire.Discovered{}, refuse(wire.TooMany, "too many look-ups from your address within a minute")
	}
	select {
	case d.free <- struct{}{}:
		defer func() { <-d.free }()
	default:
		return wire.Discovered{}, refuse(wire.TooMany, "the gateway has as many look-ups as it bears")
	}
	found, err := d.finder.Find(ctx, domain)
	if err != nil {
		return wire.Discovered{}, lookupRefusal(err)
	}
	return found, nil
}

// count says whether a client may ask once more in this minute.
func (d *discovery) count(client netip.Prefix, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.asked[client]
	if a == nil || now.Sub(a.since) >= time.Minute {
		if len(d.asked) >= discoveryClients {
			for p, old := range d.asked {
				if now.Sub(old.since) >= time.Minute {
					delete(d.asked, p)
				}
			}
			if len(d.asked) >= discoveryClients {
				return false
			}
		}
		a = &asked{since: now}
		d.asked[client] = a
	}
	a.n++
	return a.n <= discoveriesPerMinute
}

// concerns reports whether there is a rule under which something of the domain might be reached.
func (p *Policy) concerns(domain string) bool {
	domain = strings.ToLower(domain)
	return slices.ContainsFunc(p.Allow, func(r Rule) bool {
		switch {
		case r.any:
			return true
		case r.suffix != "":
			return "."+domain == r.suffix || strings.HasSuffix("."+domain, r.suffix)
		}
		return r.name != "" && (r.name == domain || strings.HasSuffix(r.name, "."+domain))
	})
}
