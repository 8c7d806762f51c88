package bridge

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-mail/postern/shared/special"
	"github.com/postern-mail/postern/shared/wire"
)

// Policy says what may be reached beyond the embedded server. The zero Policy: nothing.
type Policy struct {
	// Allow lists the targets. A target must match one of them.
	Allow []Rule
	// Networks lists networks that names may lead to although they are private or otherwise special (see package special):
	// the operator's own, say.
	Networks []netip.Prefix
}

// Rule allows targets by host and port.
type Rule struct {
	any    bool         // "*"
	suffix string       // ".example.com" of "*.example.com"
	name   string       // lower case
	prefix netip.Prefix // an address or a network
	port   int          // 0: any
}

// ParseRule reads a rule, which is host:port. The host is
//   - a name (pop.example.com), and the address it leads to must be a public one or within Policy.Networks;
//   - every name below one (*.example.com), with the same condition;
//   - * for every name and every public address;
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
		r.any = true
		return r, nil
	}
	if p, err := netip.ParsePrefix(host); err == nil {
		r.prefix = p.Masked()
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

// allowsName reports whether a name may be looked up and, if its addresses pass, be connected to.
func (p *Policy) allowsName(name string, port int) bool {
	name = strings.ToLower(name)
	for _, r := range p.Allow {
		if r.port != 0 && r.port != port {
			continue
		}
		if r.any || r.name == name && name != "" || r.suffix != "" && strings.HasSuffix(name, r.suffix) {
			return true
		}
	}
	return false
}

// allowsAddr reports whether an address that the client asked for may be connected to.
func (p *Policy) allowsAddr(a netip.Addr, port int) bool {
	for _, r := range p.Allow {
		if r.port != 0 && r.port != port {
			continue
		}
		if r.prefix.IsValid() && r.prefix.Contains(a) || r.any && p.leadsTo(a) {
			return true
		}
	}
	return false
}

// leadsTo reports whether a name may lead to an address.
func (p *Policy) leadsTo(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	for _, n := range p.Networks {
		if n.Contains(a) {
			return true
		}
	}
	return special.Public(a)
}
