package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/postern-mail/postern/shared/special"
	"github.com/postern-mail/postern/shared/wire"
)

// Policy says what may be reached beyond the embedded server. The zero Policy: nothing.
type Policy struct {
	// Mode is which of the policies this is. Empty: List if there is something in Allow, else Embedded.
	Mode Mode
	// Allow lists the targets of List. With Mail they may be reached besides.
	Allow []Rule
	// Networks lists networks that names may lead to although they are private or otherwise special (see package special):
	// the operator's own, say.
	Networks []netip.Prefix
	// Never lists networks that nothing leads to, though their addresses be public: the operator's own servers that trust
	// each other, or the prefix of a NAT64 that leads from there into a private network (RFC 6052 section 2.2).
	Never []netip.Prefix
}

// Mode is one of the three policies.
type Mode string

const (
	Embedded Mode = "embedded" // the gateway's own mail servers
	List     Mode = "list"     // and the hosts and domains that the operator names
	Mail     Mode = "mail"     // and the mail ports of any public host
)

// ports are those of Mail, each with its service, and no other goes there (RFC 8314, RFC 4217). Port 25 is not among
// them: it is for servers among themselves, and what a stranger's browser has to say there is spam.
var ports = map[wire.ServiceName]int{
	wire.POP3: 110, wire.POP3S: 995, wire.Submission: 587, wire.Submissions: 465, wire.IMAP: 143, wire.IMAPS: 993,
	wire.FTP: 21, wire.FTPS: 990,
}

// service reports whether something may be asked for on hosts that are not the gateway's own: one whose first words are known, and so can
// be checked.
func service(n wire.ServiceName) bool { return ports[n] != 0 || n == wire.SMTP }

// Validate says what is wrong with p, if anything.
func (p *Policy) Validate() error {
	switch p.mode() {
	case Embedded:
		if len(p.Allow) > 0 {
			return errors.New("policy embedded: it allows no target beside; with targets it is list")
		}
	case List:
		if len(p.Allow) == 0 {
			return errors.New("policy list: it names no target")
		}
	case Mail:
	default:
		return fmt.Errorf("policy %q: must be embedded, list or mail", p.Mode)
	}
	if err := CheckNetworks(p.Networks); err != nil {
		return err
	}
	return CheckNetworks(p.Never)
}

// CheckNetworks says which of some networks holds no address ever: those of IPv4 in the form of IPv6 (RFC 4291 section 2.5.5.2)
// do not, for addresses are compared as what they are.
func CheckNetworks(networks []netip.Prefix) error {
	for _, n := range networks {
		if !n.IsValid() || n.Addr().Is4In6() {
			return fmt.Errorf("network %s: must be one of IPv4 or of IPv6, such as 192.168.1.0/24", n)
		}
	}
	return nil
}

func (p *Policy) mode() Mode {
	switch {
	case p.Mode != "":
		return p.Mode
	case len(p.Allow) > 0:
		return List
	}
	return Embedded
}

// Anything reports whether hosts can be reached that the operator has not named. Such a policy is for those who are known
// alone.
func (p *Policy) Anything() bool {
	return p.mode() == Mail || slices.ContainsFunc(p.Allow, func(r Rule) bool { return r.any })
}

// Nothing reports whether no host can be reached but the gateway's own servers.
func (p *Policy) Nothing() bool { return p.mode() == Embedded }

// allowsName reports whether a name may be looked up and, if its addresses pass, be connected to. exact says that the
// operator has written that very name.
func (p *Policy) allowsName(n wire.ServiceName, name string, port int) (ok, exact bool) {
	if p.Nothing() || !service(n) {
		return false, false
	}
	name = strings.ToLower(name)
	ok = p.mode() == Mail && ports[n] == port
	for _, r := range p.Allow {
		if !r.allowsPort(port) {
			continue
		}
		if r.name == name && name != "" {
			return true, true
		}
		ok = ok || r.any || r.suffix != "" && strings.HasSuffix(name, r.suffix)
	}
	return ok, false
}

// names reports whether the operator has written a name, or its domain: its owner is not just anybody.
func (p *Policy) names(name string, port int) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(p.Allow, func(r Rule) bool {
		return r.allowsPort(port) && name != "" && (r.name == name || r.suffix != "" && strings.HasSuffix(name, r.suffix))
	})
}

// allowsAddr reports whether an address that the client asked for may be connected to.
func (p *Policy) allowsAddr(n wire.ServiceName, a netip.Addr, port int) bool {
	if p.Nothing() || !service(n) || contains(p.Never, a) {
		return false
	}
	if p.mode() == Mail && ports[n] == port && p.leadsTo(a) {
		return true
	}
	return slices.ContainsFunc(p.Allow, func(r Rule) bool {
		return r.allowsPort(port) && (r.prefix.IsValid() && r.prefix.Contains(a) || r.any && p.leadsTo(a))
	})
}

// leadsTo reports whether a name may lead to an address.
func (p *Policy) leadsTo(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	return !contains(p.Never, a) && (contains(p.Networks, a) || special.Public(a))
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// Concerns reports whether something of a mail domain might be reached: whether it is worth looking its servers up. A top-level
// domain is none that has named pop.example.com: autoconfig.com is somebody's who has nothing to do with it.
func (p *Policy) Concerns(domain string) bool {
	if p.mode() == Mail {
		return true
	}
	domain = strings.ToLower(domain)
	return slices.ContainsFunc(p.Allow, func(r Rule) bool {
		switch {
		case r.any:
			return true
		case r.suffix != "":
			return "."+domain == r.suffix || strings.HasSuffix("."+domain, r.suffix)
		}
		return r.name != "" && (r.name == domain || strings.Contains(domain, ".") && strings.HasSuffix(r.name, "."+domain))
	})
}
