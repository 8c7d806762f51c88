package reach

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-mail/postern/shared/wire"
)

// Rule allows targets by host and port.
type Rule struct {
	any    bool         // "*"
	suffix string       // ".example.com" of "*.example.com"
	name   string       // lower case
	prefix netip.Prefix // an address or a network
	port   int          // 0: any
}

// relayPort is that on which servers take mail from servers (RFC 5321 section 4.5.4.2).
const relayPort = 25

// ParseRule reads a rule, which is host:port. The host is
//   - a name (pop.example.com), and the address it leads to must be a public one or within Policy.Networks;
//   - every name below one (*.example.com), with the same condition;
//   - * for every name and every public address, but never their port 25;
//   - an address or a network (192.168.1.7, 192.168.1.0/24, [fd00::1], [fd00::/8]), which allows itself, be it public
//     or not, to clients who ask for an address.
//
// The port is a number, or * for all of them.
func ParseRule(s string) (Rule, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return Rule{}, fmt.Errorf("rule %q: not host:port", s)
	}
	var r Rule
	if port != "*" {
		r.port, err = strconv.Atoi(port)
		if err != nil || r.port < 1 || r.port > 65535 {
			return Rule{}, fmt.Errorf("rule %q: port must be 1 to 65535, or *", s)
		}
	}
	if host == "*" {
		if r.port == relayPort {
			return Rule{}, fmt.Errorf("rule %q: port 25 can be opened for hosts and domains that are named, not for all", s)
		}
		r.any = true
		return r, nil
	}
	if p, err := netip.ParsePrefix(host); err == nil {
		r.prefix = p.Masked()
		if err := CheckNetworks([]netip.Prefix{r.prefix}); err != nil {
			return Rule{}, fmt.Errorf("rule %q: %w", s, err)
		}
		return r, nil
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		a = a.Unmap()
		r.prefix = netip.PrefixFrom(a, a.BitLen())
		return r, nil
	}
	name, wild := strings.CutPrefix(host, "*.")
	if err := wire.CheckHost(name); err != nil {
		return Rule{}, fmt.Errorf("rule %q: %w", s, err)
	}
	r.name = strings.ToLower(name)
	if wild {
		r.suffix, r.name = "."+r.name, ""
	}
	return r, nil
}

// String is what ParseRule reads.
func (r Rule) String() string {
	port := "*"
	if r.port != 0 {
		port = strconv.Itoa(r.port)
	}
	switch {
	case r.any:
		return "*:" + port
	case r.suffix != "":
		return "*" + r.suffix + ":" + port
	case r.prefix.IsValid() && r.prefix.IsSingleIP():
		return net.JoinHostPort(r.prefix.Addr().String(), port)
	case r.prefix.IsValid():
		return net.JoinHostPort(r.prefix.String(), port)
	}
	return r.name + ":" + port
}

func (r Rule) allowsPort(port int) bool {
	return r.port == port || r.port == 0 && !(r.any && port == relayPort)
}
