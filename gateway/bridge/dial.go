package bridge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// Resolver looks names up. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// ContextDialer connects. *net.Dialer is one. It is given addresses only, never names.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// maxAddresses is how many of a name's addresses are tried: each costs a part of the dial timeout.
const maxAddresses = 6

// connect reaches an Open's target, or says why not.
func (b *Bridge) connect(ctx context.Context, open wire.Open) (net.Conn, *wire.RefusedError) {
	ctx, cancel := context.WithTimeout(ctx, b.c.Limits.DialTimeout)
	defer cancel()
	if open.Host == "" {
		own := b.embedded(open)
		if own == nil || own.Services[open.Service] == "" {
			return nil, refuse(wire.Denied, "no such service here")
		}
		address := own.Services[open.Service]
		conn, err := b.c.Dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, dialRefusal(err)
		}
		return conn, nil
	}
	addrs, no := b.addresses(ctx, open)
	if no != nil {
		return nil, no
	}
	return b.dialFirst(ctx, addrs, open.Port)
}

// addresses turns the target's host into addresses that the policy lets be dialled.
func (b *Bridge) addresses(ctx context.Context, open wire.Open) ([]netip.Addr, *wire.RefusedError) {
	denied := refuse(wire.Denied, "the gateway's policy does not allow "+net.JoinHostPort(open.Host, strconv.Itoa(open.Port)))
	if a, err := netip.ParseAddr(open.Host); err == nil {
		a = a.Unmap()
		if !b.c.Policy.allowsAddr(a, open.Port) {
			return nil, denied
		}
		return []netip.Addr{a}, nil
	}
	if !b.c.Policy.allowsName(open.Host, open.Port) {
		return nil, denied
	}
	return b.lookUp(ctx, open.Host)
}

// lookUp answers the addresses of a name to which the policy lets names lead.
func (b *Bridge) lookUp(ctx context.Context, name string) ([]netip.Addr, *wire.RefusedError) {
	found, err := b.c.Resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, lookupRefusal(err)
	}
	if len(found) == 0 {
		return nil, refuse(wire.NoSuchHost, "the name has no address")
	}
	var allowed []netip.Addr
	for _, a := range found {
		if b.c.Policy.leadsTo(a) && len(allowed) < maxAddresses {
			allowed = append(allowed, a.Unmap())
		}
	}
	if len(allowed) == 0 {
		return nil, refuse(wire.Denied, "the gateway's policy does not allow the addresses of "+name)
	}
	return allowed, nil
}

// dialFirst tries the addresses in the resolver's order, giving each its share of the time that is left.
func (b *Bridge) dialFirst(ctx context.Context, addrs []netip.Addr, port int) (net.Conn, *wire.RefusedError) {
	var no *wire.RefusedError
	for i, a := range addrs {
		try, cancel := ctx, context.CancelFunc(func() {})
		if deadline, ok := ctx.Deadline(); ok {
			try, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(len(addrs)-i))
		}
		conn, err := b.c.Dialer.DialContext(try, "tcp", netip.AddrPortFrom(a, uint16(port)).String())
		cancel()
		if err == nil {
			return conn, nil
		}
		no = dialRefusal(err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, no
}

func refuse(reason wire.Reason, detail string) *wire.RefusedError {
	return &wire.RefusedError{Reason: reason, Detail: detail}
}

// lookupRefusal and dialRefusal say in our own words what went wrong: an error's own may name addresses and servers of
// the operator's network.
func lookupRefusal(err error) *wire.RefusedError {
	var dns *net.DNSError
	switch {
	case timedOut(err):
		return refuse(wire.Timeout, "the name server did not answer in time")
	case errors.As(err, &dns) && dns.IsNotFound:
		return refuse(wire.NoSuchHost, "there is no such name")
	}
	return refuse(wire.Unreachable, "the name could not be looked up")
}

func dialRefusal(err error) *wire.RefusedError {
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
