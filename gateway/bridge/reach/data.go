package reach

import (
	"net/netip"
	"slices"

	"github.com/postern-mail/postern/shared/special"
	"github.com/postern-mail/postern/shared/wire"
)

// Data connections of FTP cannot be checked by what is said in them: the first octets are of a file. So they go where their control
// connection goes, whose server has shown that it is one of FTP, and to ports where no other service is at home.

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
	case special.Service(port):
		return Target{}, refuse(wire.Denied, "that port is known for another service: the server is to name another")
	case control.name != "" && !control.named:
		return Target{}, refuse(wire.Denied, "this gateway looks no names up: data connections go to hosts that its operator has named")
	}
	return Target{name: control.name, named: control.named, at: netip.AddrPortFrom(control.Addr(), uint16(port))}, nil
}
