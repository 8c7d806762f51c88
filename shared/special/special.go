// Package special knows the addresses that are not of the public internet, and the ports that trust their network: those that nothing
// a stranger says, a name's record for one, may lead a server to.
package special

import "net/netip"

// Public reports whether an address is one of the public internet's: a global unicast address that no registry keeps for
// something else. See RFC 6890 and IANA's registries of special-purpose addresses for IPv4 and IPv6.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		// ::/8 with the unspecified, the loopback and the IPv4-compatible addresses (RFC 4291), NAT64 64:ff9b::/96 and
		// 64:ff9b:1::/48 (RFC 6052, RFC 8215), discard-only 100::/64 (RFC 6666), SRv6 5f00::/16 (RFC 9602), unique
		// local fc00::/7 (RFC 4193), link-local fe80::/10, site-local fec0::/10 (RFC 3879), multicast ff00::/8, and
		// whatever is not given out yet.
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return !isatap(a)
}

// isatap is true of an address whose last half is an IPv4 address in disguise, to which a router of its site tunnels whatever
// comes (RFC 5214 section 6.1). Nobody has a public server there.
func isatap(a netip.Addr) bool {
	b := a.As16()
	return a.Is6() && b[8]&^0x03 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// globalUnicast is all of IPv6 that IANA gives out (RFC 4291 section 2.4).
var globalUnicast = netip.MustParsePrefix("2000::/3")

var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // "this network", RFC 791 section 3.2; 0.0.0.0 reaches the host itself
	netip.MustParsePrefix("10.0.0.0/8"),      // private, RFC 1918
	netip.MustParsePrefix("100.64.0.0/10"),   // behind a carrier's NAT, RFC 6598
	netip.MustParsePrefix("127.0.0.0/8"),     // loopback, RFC 1122 section 3.2.1.3
	netip.MustParsePrefix("169.254.0.0/16"),  // link-local, RFC 3927; clouds keep their metadata at 169.254.169.254
	netip.MustParsePrefix("172.16.0.0/12"),   // private, RFC 1918
	netip.MustParsePrefix("192.0.0.0/24"),    // IETF protocol assignments, RFC 6890
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation, RFC 5737
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays, RFC 7526
	netip.MustParsePrefix("192.168.0.0/16"),  // private, RFC 1918
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking, RFC 2544
	netip.MustParsePrefix("198.51.100.0/24"), // documentation, RFC 5737
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation, RFC 5737
	netip.MustParsePrefix("224.0.0.0/4"),     // multicast, RFC 5771
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, RFC 1112, and the limited broadcast
	netip.MustParsePrefix("2001::/23"),       // IETF protocol assignments: Teredo (RFC 4380), benchmarking (RFC 5180), ORCHID (RFC 7343)
	netip.MustParsePrefix("2001:db8::/32"),   // documentation, RFC 3849
	netip.MustParsePrefix("2002::/16"),       // 6to4, RFC 3056: an IPv4 address of any kind in disguise
	netip.MustParsePrefix("3fff::/20"),       // documentation, RFC 9637
}
