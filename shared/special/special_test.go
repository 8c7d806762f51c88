package special

import (
	"net/netip"
	"testing"
)

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": false, "10.1.2.3": false, "169.254.169.254": false, "::1": false, "::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false,
		"fe80::1": false, "fc00::1": false, "192.0.2.1": false, "2002:7f00:1::": false, "0.0.0.0": false, "255.255.255.255": false,
		"2606:2800:220:1:0:5efe:a00:1": false, "2606:2800:220:1:200:5efe:5db8:d822": false, "2606:2800:220:1:400:5efe:a00:1": true,
		"1.1.1.1": true, "128.0.0.0": true, "::ffff:1.1.1.1": true, "2606:2800:220:1::1": true,
	} {
		if got := Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
	if Public(netip.Addr{}) || Public(netip.MustParseAddr("2606::1%eth0")) {
		t.Error("no address is public, or one with a zone")
	}
}

func TestService(t *testing.T) {
	for port, want := range map[int]bool{0: false, 21: false, 1024: false, 2375: true, 2525: true, 6379: true, 8080: true, 27017: true, 50000: false, 65535: false} {
		if Service(port) != want {
			t.Errorf("port %d: want %v", port, want)
		}
	}
}
