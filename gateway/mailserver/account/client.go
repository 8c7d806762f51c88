package account

import (
	"net"
	"net/netip"
)

// Client is whose connection it is: the client for whom a program on this
// machine introduced itself, or else the other end. It is not valid where that
// is no address.
func (g *Gate) Client(remote net.Addr) netip.Addr {
	at, _ := addrPort(g.origin(remote))
	return at.Addr()
}
