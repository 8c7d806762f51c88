package reach

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// Gate is the one way from a client's words to a connection. All fields are required.
type Gate struct {
	Policy   Policy
	Resolver Resolver
	Dialer   ContextDialer
}

// Resolver looks names up. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// ContextDialer connects. *net.Dialer is one. It is given addresses only, never names.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// NameDialer is a ContextDialer where the gateway cannot look names up: it is given them as they are, and its platform
// does the looking up. Then the policy decides by name, port and service alone: that a name does not lead to a private
// address is the platform's to see to, as Cloudflare's does. Addresses that a client asks for by number are checked as ever.
type NameDialer interface {
	ContextDialer
	// DialName connects to a port of a host, which is a name that the policy allows.
	DialName(ctx context.Context, host string, port int) (net.Conn, error)
}

// Target is an address with its port that has passed the policy. None is made but by Targets and WebServer.
type Target struct {
	at    netip.AddrPort
	name  string // instead of an address, for a NameDialer
	named bool   // the operator has written the name, or its domain
}

// Addr is the target's address. Those of all targets for a NameDialer are the same: none.
func (t Target) Addr() netip.Addr { return t.at.Addr() }

// String is address:port.
func (t Target) String() string {
	if t.name != "" {
		return net.JoinHostPort(t.name, strconv.Itoa(int(t.at.Port())))
	}
	return t.at.String()
}

// maxAddresses is how many of a name's addresses are tried: each costs a part of the dial timeout.
const maxAddresses = 6

// Targets are what an Open with a host may connect to, in the resolver's order, or why there is nothing.
func (g *Gate) Targets(ctx context.Context, open wire.Open) ([]Target, *wire.RefusedError) {
	denied := refuse(wire.Denied, "the gateway's policy does not allow "+net.JoinHostPort(open.Host, strconv.Itoa(open.Port))+" for "+string(open.Service))
	if a, err := netip.ParseAddr(open.Host); err == nil {
		a = a.Unmap()
		if !g.Policy.allowsAddr(open.Service, a, open.Port) {
			return nil, denied
		}
		return []Target{{at: netip.AddrPortFrom(a, uint16(open.Port))}}, nil
	}
	ok, exact := g.Policy.allowsName(open.Service, open.Host, open.Port)
	if !ok {
		return nil, denied
	}
	name := open.Host
	if _, ok := g.Dialer.(NameDialer); ok {
		return []Target{{name: name, named: g.Policy.names(name, open.Port), at: netip.AddrPortFrom(netip.Addr{}, uint16(open.Port))}}, nil
	}
	if !exact {
		name += "." // that very name: a resolver appends the domains of the operator's network to others, and what is there is nobody's business
	}
	return g.lookUp(ctx, name, open.Port, g.Policy.leadsTo)
}

// webPort is that of HTTPS, and the only one that is asked for a domain's settings: a redirect may name any, and this is no
// port scanner.
const webPort = 443

// WebServer are the targets of a web server that is to have a domain's settings. It is asked for by name: an address is a
// redirect's doing. Where any domain may be asked about, a stranger says where its servers are, and they lead to public addresses
// alone: Policy.Networks are opened for mail.
func (g *Gate) WebServer(ctx context.Context, host string, port int) ([]Target, *wire.RefusedError) {
	if err := wire.CheckHost(host); err != nil || port != webPort {
		return nil, refuse(wire.Denied, "no web server with settings")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil, refuse(wire.Denied, "a web server without a name")
	}
	leadsTo := g.Policy.leadsTo
	if g.Policy.Anything() {
		public := Policy{Never: g.Policy.Never}
		leadsTo = public.leadsTo
	}
	return g.lookUp(ctx, host+".", port, leadsTo)
}

// lookUp answers the addresses of a name to which it may lead.
func (g *Gate) lookUp(ctx context.Context, name string, port int, leadsTo func(netip.Addr) bool) ([]Target, *wire.RefusedError) {
	found, err := g.Resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, LookupRefusal(err)
	}
	if len(found) == 0 {
		return nil, refuse(wire.NoSuchHost, "the name has no address")
	}
	var allowed []Target
	for _, a := range found {
		if leadsTo(a) && len(allowed) < maxAddresses {
			allowed = append(allowed, Target{at: netip.AddrPortFrom(a.Unmap(), uint16(port))})
		}
	}
	if len(allowed) == 0 {
		return nil, refuse(wire.Denied, "the gateway's policy does not allow the addresses of "+strings.TrimSuffix(name, "."))
	}
	return allowed, nil
}

// Dial tries targets in their order, giving each its share of the time that ctx leaves, until one answers. hold is asked
// before each, and may say no; release undoes it for the one that is connected.
func (g *Gate) Dial(ctx context.Context, targets []Target, hold func(Target) (release func(), no *wire.RefusedError)) (conn net.Conn, release func(), no *wire.RefusedError) {
	for i, t := range targets {
		release, full := hold(t)
		if full != nil {
			no = full
			continue
		}
		conn, err := g.dial(ctx, t, len(targets)-i, release)
		if err == nil {
			return conn, release, nil
		}
		no = DialRefusal(err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, nil, no
}

func (g *Gate) dial(ctx context.Context, t Target, shares int, release func()) (conn net.Conn, err error) {
	defer func() {
		if conn == nil { // after a panic, too
			release()
		}
	}()
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(shares))
		defer cancel()
	}
	if byName, ok := g.Dialer.(NameDialer); ok && t.name != "" {
		return byName.DialName(ctx, t.name, int(t.at.Port()))
	}
	return g.Dialer.DialContext(ctx, "tcp", t.String())
}

func refuse(reason wire.Reason, detail string) *wire.RefusedError {
	return &wire.RefusedError{Reason: reason, Detail: detail}
}

// LookupRefusal and DialRefusal say in our own words what went wrong: an error's own may name addresses and servers of
// the operator's network.
func LookupRefusal(err error) *wire.RefusedError {
	var dns *net.DNSError
	switch {
	case timedOut(err):
		return refuse(wire.Timeout, "the name server did not answer in time")
	case errors.As(err, &dns) && dns.IsNotFound:
		return refuse(wire.NoSuchHost, "there is no such name")
	}
	return refuse(wire.Unreachable, "the name could not be looked up")
}

// DialRefusal is for an error of a ContextDialer. See LookupRefusal.
func DialRefusal(err error) *wire.RefusedError {
	switch {
	case timedOut(err):
		return refuse(wire.Timeout, "no answer in time")
	case errors.Is(err, syscall.ECONNREFUSED):
		return refuse(wire.Unreachable, "connection refused")
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return refuse(wire.Unreachable, "no route")
	}
	return refuse(wire.Unreachable, "no connection")
}

func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}
