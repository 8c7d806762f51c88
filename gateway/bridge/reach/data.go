package reach

import (
	"net/netip"
	"slices"

	"github.com/postern-mail/postern/shared/wire"
)

// Data connections of FTP cannot be checked by what is said in them: the first octets are of a file. So they go where their control
// connection goes, whose server has shown that it is one of FTP, and to ports where no other service is at home.

// services are ports from MinDataPort on at which something listens that trusts its network, or does what its first line says. No
// FTP server uses them for data, but one that gives its files away by the numbers that come next, and then by another for the asking.
// The list cannot be whole: it is for servers that an operator has allowed for FTP, beside which there is more on that machine.
var services = []int{
	1080, 1433, 1521, 2049, 2375, 2376, 2379, 2380, 2525, 3000, 3128, 3306, 3389, 4190, 4369, 5000, 5432, 5672, 5900, 5901, 5984, 5985, 5986,
	6000, 6379, 6443, 8000, 8008, 8080, 8081, 8086, 8443, 8500, 8888, 9000, 9042, 9090, 9091, 9092, 9100, 9200, 9300, 10250, 11211, 15672, 27017,
}

// others are the ports of mail: what greets there by 220 as FTP does is an SMTP server.
var others = []int{25, 110, 143, 465, 587, 993, 995, 2525}

// CarriesData reports whether a stream that the policy allows may be a control connection with data connections beside it.
func CarriesData(n wire.ServiceName, port int) bool {
	return (n == wire.FTP || n == wire.FTPS) && !slices.Contains(others, port)
}

// Beside is the target of a data connection: a port of the very address that its control connection has gone to. Where names are not
// looked up here it is the name, which may lead elsewhere by then, to whoever its owner likes: so it has to be one that the operator
// has written, or everybody who has a domain could be led to any port of anybody.
func (g *Gate) Beside(control Target, port int) (Target, *wire.RefusedError) {
	switch {
	case port < wire.MinDataPort || port > 65535:
		return Target{}, refuse(wire.Denied, "no data connection goes to a port below 1024")
	case slices.Contains(services, port):
		return Target{}, refuse(wire.Denied, "that port is known for another service: the server is to name another")
	case control.name != "" && !control.named:
		return Target{}, refuse(wire.Denied, "this gateway looks no names up: data connections go to hosts that its operator has named")
	}
	return Target{name: control.name, named: control.named, at: netip.AddrPortFrom(control.Addr(), uint16(port))}, nil
}
