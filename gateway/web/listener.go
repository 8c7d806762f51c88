package web

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/postern-mail/postern/shared/endsite"
)

// Limits bound the connections of the page's port, tunnels among them. A connection costs a file descriptor, and when
// those are used up the mail server cannot open its files either. Zero fields mean the defaults.
type Limits struct {
	// Connections at one time. Default 4096: the tunnels of a full bridge, and three more for each.
	Connections int
	// ConnectionsPerClient address (IPv4 address or IPv6 /64). Default 256: a browser opens six besides its tunnel, and an
	// office may be behind one address. It does not bind loopback and Proxies. A site (IPv6 /48), which may have as many
	// /64 as it likes, gets four times as many.
	ConnectionsPerClient int
	// Proxies are those that bring many clients from one address.
	Proxies []netip.Prefix
}

// The defaults of Limits.
const (
	Connections          = 4096
	ConnectionsPerClient = 256
)

// Limit lets no more connections in than limits allow; those over them are closed at once.
func Limit(l net.Listener, limits Limits) net.Listener {
	if limits.Connections == 0 {
		limits.Connections = Connections
	}
	if limits.ConnectionsPerClient == 0 {
		limits.ConnectionsPerClient = ConnectionsPerClient
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
	site := endsite.Site(client)
	over := l.from[client] >= l.limits.ConnectionsPerClient || l.from[site]/endsite.ClientsOfSite >= l.limits.ConnectionsPerClient
	if l.all >= l.limits.Connections || over && !l.many(client.Addr()) {
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
	for _, p := range slices.Compact([]netip.Prefix{client, endsite.Site(client)}) {
		if l.from[p]--; l.from[p] == 0 {
			delete(l.from, p)
		}
	}
}

// many is true of an address that many clients come from.
func (l *limited) many(a netip.Addr) bool {
	return a.IsLoopback() || slices.ContainsFunc(l.limits.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

func clientOf(remote net.Addr) netip.Prefix {
	at, _ := netip.ParseAddrPort(remote.String())
	return endsite.Client(at.Addr())
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
