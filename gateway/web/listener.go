package web

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Limits bound the connections of the page's port, tunnels among them. A connection costs a file descriptor, and when
// those are used up the mail server cannot open its files either. Zero fields mean the defaults; below zero there is no limit.
type Limits struct {
	// Connections at one time. Default DefaultConnections.
	Connections int
	// ConnectionsPerClient address (IPv4 address or IPv6 /64). Default 256: a browser opens six besides its tunnel, and an
	// office may be behind one address. It does not bind loopback and Proxies. A site (IPv6 /48), which may have as many
	// /64 as it likes, gets four times as many.
	ConnectionsPerClient int
	// Proxies are those that bring many clients from one address.
	Proxies []netip.Prefix
}

// DefaultConnections are the tunnels of a full bridge, whose default is 1000, and three more for each.
const DefaultConnections = 4096

// Limit lets no more connections in than limits allow; those over them are closed at once.
func Limit(l net.Listener, limits Limits) net.Listener {
	if limits.Connections == 0 {
		limits.Connections = DefaultConnections
	}
	if limits.ConnectionsPerClient == 0 {
		limits.ConnectionsPerClient = 256
	}
	return &limited{Listener: l, limits: limits, from: make(map[netip.Prefix]int)}
}

type limited struct {
	net.Listener
	limits Limits

	mu   sync.Mutex
	all  int
	from map[netip.Prefix]int
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := clientOf(conn.RemoteAddr())
		if l.enter(client) {
			return &limitedConn{Conn: conn, leave: sync.OnceFunc(func() { l.leave(client) })}, nil
		}
		conn.Close()
	}
}

func (l *limited) enter(client netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	site := siteOf(client)
	perClient := l.limits.ConnectionsPerClient
	many := over(l.from[client], perClient) || over(l.from[site], clientsOfSite*perClient)
	if over(l.all, l.limits.Connections) || many && !l.many(client.Addr()) {
		return false
	}
	l.all++
	l.from[client]++
	if site != client {
		l.from[site]++
	}
	return true
}

func (l *limited) leave(client netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	for _, p := range slices.Compact([]netip.Prefix{client, siteOf(client)}) {
		if l.from[p]--; l.from[p] == 0 {
			delete(l.from, p)
		}
	}
}

// over says that n are as many as there may be, or more.
func over(n, limit int) bool { return limit >= 0 && n >= limit }

// clientsOfSite is how many clients' worth a site gets.
const clientsOfSite = 4

// siteOf is the IPv6 /48 that a client is in (RFC 6177), or the IPv4 client itself.
func siteOf(client netip.Prefix) netip.Prefix {
	if client.Bits() != 64 {
		return client
	}
	p, _ := client.Addr().Prefix(48)
	return p
}

// many is true of an address that many clients come from.
func (l *limited) many(a netip.Addr) bool {
	return a.IsLoopback() || slices.ContainsFunc(l.limits.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// clientOf is a client's IPv4 address, or its IPv6 network of 64 bits, all of which it has to itself.
func clientOf(remote net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return netip.Prefix{}
	}
	a := at.Addr().Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() && !a.IsLoopback() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// CloseWrite ends one direction: net/http does so after an answer that ends a connection, that it arrives.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
