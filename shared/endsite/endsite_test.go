package endsite

import (
	"net/netip"
	"testing"
)

func TestClientAndSite(t *testing.T) {
	for address, want := range map[string][2]string{
		"198.51.100.7":           {"198.51.100.7/32", "198.51.100.7/32"},
		"::ffff:198.51.100.7":    {"198.51.100.7/32", "198.51.100.7/32"},
		"127.0.0.1":              {"127.0.0.1/32", "127.0.0.1/32"},
		"2001:db8:1:2:3:4:5:6":   {"2001:db8:1:2::/64", "2001:db8:1::/48"},
		"2001:db8:1:ffff::":      {"2001:db8:1:ffff::/64", "2001:db8:1::/48"},
		"fe80::1%eth0":           {"fe80::/64", "fe80::/48"},
		"::1":                    {"::1/128", "::1/128"},
		"::2":                    {"::/64", "::/48"},
		"::ffff:0:198.51.100.7":  {"::/64", "::/48"},
		"2001:db8:1:2:ffff::%lo": {"2001:db8:1:2::/64", "2001:db8:1::/48"},
	} {
		client := Client(netip.MustParseAddr(address))
		if client.String() != want[0] || Site(client).String() != want[1] {
			t.Errorf("%s: %s of %s, want %s", address, client, Site(client), want)
		}
	}
	if none := Client(netip.Addr{}); none.IsValid() || Site(none) != none {
		t.Error("no address is a client")
	}
}
