// Package endsite knows how much of the address space one customer of a provider has (RFC 6177): what limits for each address
// have to count as one.
package endsite

import "net/netip"

// Client is the network that one client has to itself: an IPv4 address, or an IPv6 /64, of which every machine may take
// as many addresses as it likes (RFC 8981). The loopback address is one client; no address is none.
func Client(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() && !a.IsLoopback() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// ClientsOfSite is how many clients' worth a site gets.
const ClientsOfSite = 4

// Site is the IPv6 /48 that a client is in, who may have as many /64 of it as he likes, or the client itself.
func Site(client netip.Prefix) netip.Prefix {
	if client.Bits() != 64 {
		return client
	}
	p, _ := client.Addr().Prefix(48)
	return p
}
