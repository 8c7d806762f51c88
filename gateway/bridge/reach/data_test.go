package reach

import (
	"net/netip"
	"testing"

	"github.com/postern-mail/postern/shared/wire"
)

func TestCarriesData(t *testing.T) {
	for _, test := range []struct {
		service wire.ServiceName
		port    int
		want    bool
	}{
		{wire.FTP, 21, true}, {wire.FTPS, 990, true}, {wire.FTP, 2121, true}, {wire.FTP, 25, false}, {wire.FTP, 587, false}, {wire.FTP, 2525, false},
		{wire.FTPS, 465, false}, {wire.FTPS, 993, false}, {wire.FTP, 110, false}, {wire.POP3, 21, false}, {wire.FTPData, 21, false}, {"", 21, false},
	} {
		if got := CarriesData(test.service, test.port); got != test.want {
			t.Errorf("%s at %d: %v", test.service, test.port, got)
		}
	}
}

// A data connection goes to a port of the same place, and to none of another service there.
func TestBeside(t *testing.T) {
	g := new(Gate)
	for _, control := range []Target{{at: netip.MustParseAddrPort("192.0.2.1:21")}, {at: netip.MustParseAddrPort("[2001:db8::1]:21")}, {name: "ftp.example", named: true, at: netip.AddrPortFrom(netip.Addr{}, 21)}} {
		for port := -1; port <= 65537; port++ {
			to, no := g.Beside(control, port)
			switch {
			case no != nil && (no.Reason != wire.Denied || port >= 10_000 && port <= 65535 && !known(port)):
				t.Fatalf("port %d: %v", port, no)
			case no == nil && (port < 1024 || port > 65535 || known(port)):
				t.Fatalf("port %d", port)
			case no == nil && (to.Addr() != control.Addr() || to.name != control.name || int(to.at.Port()) != port):
				t.Fatalf("port %d of %v is %v", port, control, to)
			}
		}
	}
}

func known(port int) bool { // some that are not to go missing
	for _, p := range []int{2375, 2525, 3306, 5432, 6379, 8080, 9200, 10250, 11211, 15672, 27017} {
		if p == port {
			return true
		}
	}
	return false
}
