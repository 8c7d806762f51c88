package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/postern-mail/postern/shared/idn"
	"github.com/postern-mail/postern/shared/printable"
)

// route is where the mail for a domain goes: RFC 5321 section 5.1.
type route struct {
	domain string // in A-labels, lower case; or an address literal
	hosts  []host // in the order in which they are tried; none if stop is set
	stop   *Result
}

// host is a server that takes the domain's mail.
type host struct {
	name       string // in lower case, without a dot at its end; for an address literal the address in brackets
	preference uint16
	addresses  []netip.Addr // IPv6 and IPv4 by turns
	passing    string       // why there are no addresses for now; empty if there are some, or none at all
	refused    string       // the address that nothing is to be dialled of, and why
}

// finding is a result that this server came to by itself.
func finding(code int, enhanced, format string, a ...any) *Result {
	r := &Result{Outcome: Failed, Code: code, Enhanced: enhanced, Text: printable.Short(fmt.Sprintf(format, a...), maxText), Local: true}
	if enhanced[0] == '4' {
		r.Outcome = Deferred
	}
	return r
}

// maxText bounds the text of a result, in characters.
const maxText = 1000

// routeOf looks up where the mail for a domain goes, or remembers it.
func (d *Deliverer) routeOf(ctx context.Context, domain string) route {
	if r, ok := d.routes.get(domain); ok {
		return r
	}
	within, cancel := context.WithTimeout(ctx, d.config.Limits.Lookup)
	defer cancel()
	var r route
	if d.config.Smarthost != nil {
		r = d.config.smarthostRoute(within)
	} else {
		r = d.config.lookUp(within, domain)
	}
	if ctx.Err() == nil {
		d.routes.put(domain, r)
	}
	return r
}

// lookUp asks the DNS.
func (c *Config) lookUp(ctx context.Context, domain string) route {
	r := route{domain: domain}
	switch {
	case strings.HasPrefix(domain, "["):
		a, ok := parseLiteral(domain)
		if !ok {
			r.stop = finding(550, "5.1.3", "%s is no address literal", domain)
			return r
		}
		r.hosts = []host{{name: domain, addresses: []netip.Addr{a}}}
	case !isHostname(domain):
		r.stop = finding(550, "5.1.2", "%q is no domain", domain)
		return r
	default:
		if r.hosts, r.stop = c.exchangers(ctx, domain); r.stop != nil {
			return r
		}
		r.hosts = r.hosts[:min(len(r.hosts), c.Limits.Hosts)]
		var wg sync.WaitGroup
		for i := range r.hosts {
			wg.Go(func() { c.findAddresses(ctx, &r.hosts[i]) })
		}
		wg.Wait()
	}
	r.stop = c.usable(&r)
	return r
}

// exchangers answers the hosts that the MX records name, the best first, equal ones in any order. A domain without such
// records is its own.
func (c *Config) exchangers(ctx context.Context, domain string) ([]host, *Result) {
	records, err := c.Resolver.LookupMX(ctx, domain)
	switch {
	case len(records) > 0: // QUIRK: net.Resolver answers those that are right beside an error for those that are not
	case err == nil, isNotFound(err):
		return []host{{name: domain}}, nil
	default:
		return nil, finding(451, "4.4.3", "the MX records of %s could not be looked up: %v", domain, err)
	}
	if len(records) == 1 && (records[0].Host == "." || records[0].Host == "") {
		return nil, finding(556, "5.1.10", "%s takes no mail, its DNS says (null MX)", domain)
	}
	var hosts []host
	for _, mx := range records {
		name := strings.ToLower(strings.TrimSuffix(mx.Host, "."))
		if ascii, ok := idn.ToASCII(name); ok {
			name = ascii
		}
		if isHostname(name) {
			hosts = append(hosts, host{name: name, preference: mx.Pref})
		}
	}
	if len(hosts) == 0 {
		return nil, finding(550, "5.4.4", "no MX record of %s names a host", domain)
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	slices.SortStableFunc(hosts, func(a, b host) int { return cmp.Compare(a.preference, b.preference) })
	seen := make(map[string]bool)
	hosts = slices.DeleteFunc(hosts, func(h host) bool {
		again := seen[h.name]
		seen[h.name] = true
		return again
	})
	hosts, self := beforeSelf(hosts, func(h host) bool { return c.isSelf(h.name) })
	if len(hosts) == 0 {
		return nil, loop(domain, self)
	}
	return hosts, nil
}

// beforeSelf answers the hosts that are preferred to this server, which it knows by isSelf: the others would send the mail
// back.
func beforeSelf(hosts []host, isSelf func(host) bool) (before []host, self string) {
	i := slices.IndexFunc(hosts, isSelf)
	if i < 0 {
		return hosts, ""
	}
	own := hosts[i]
	return slices.DeleteFunc(slices.Clone(hosts), func(h host) bool { return h.preference >= own.preference }), own.name
}

func loop(domain, self string) *Result {
	return finding(554, "5.4.6", "the mail of %s comes here (%s), and this server does not take it: a loop", domain, self)
}

// findAddresses looks up the addresses of a host. A CNAME is followed by the resolver: RFC 5321 forbids it for the name of an
// MX, and there are some.
func (c *Config) findAddresses(ctx context.Context, h *host) {
	found, err := c.Resolver.LookupIPAddr(ctx, h.name)
	if err != nil && len(found) == 0 {
		if !isNotFound(err) {
			h.passing = err.Error()
		}
		return
	}
	var six, four []netip.Addr
	for _, f := range found {
		a, ok := netip.AddrFromSlice(f.IP)
		if a = a.Unmap(); !ok || f.Zone != "" || slices.Contains(six, a) || slices.Contains(four, a) {
			continue
		}
		if a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	for i := range max(len(six), len(four)) {
		if i < len(six) {
			h.addresses = append(h.addresses, six[i])
		}
		if i < len(four) {
			h.addresses = append(h.addresses, four[i])
		}
	}
}

// usable takes away what cannot be tried, and answers why nothing can, if so.
func (c *Config) usable(r *route) *Result {
	before, self := beforeSelf(r.hosts, func(h host) bool {
		return slices.ContainsFunc(h.addresses, func(a netip.Addr) bool { return slices.Contains(c.Addresses, a) })
	})
	if r.hosts = before; len(before) == 0 {
		return loop(r.domain, self)
	}
	passing, refused, found := "", "", false
	for i := range r.hosts {
		h := &r.hosts[i]
		h.addresses = slices.DeleteFunc(h.addresses, func(a netip.Addr) bool {
			why := c.Refuse(a)
			if why != "" {
				h.refused = fmt.Sprintf("%s: %s", a, why)
			}
			return why != ""
		})
		h.addresses = h.addresses[:min(len(h.addresses), c.Limits.Addresses)]
		found = found || len(h.addresses) > 0
		passing, refused = cmp.Or(passing, h.passing), cmp.Or(refused, h.refused)
	}
	switch name := r.hosts[0].name; {
	case found:
		return nil
	case passing != "":
		return finding(451, "4.4.3", "the addresses of %s could not be looked up: %s", name, passing)
	case refused != "":
		return finding(550, "5.4.4", "the mail of %s would go to %s", r.domain, refused)
	case name == r.domain:
		return finding(550, "5.1.2", "there is no domain %s that takes mail: it has no MX record and no address", r.domain)
	}
	return finding(550, "5.4.4", "no host that takes the mail of %s has an address", r.domain)
}

// parseLiteral reads an address literal: "[192.0.2.1]" or "[IPv6:2001:db8::1]", RFC 5321 section 4.1.3.
func parseLiteral(s string) (netip.Addr, bool) {
	inner, open := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !open || !closed {
		return netip.Addr{}, false
	}
	const tag = "ipv6:"
	six := len(inner) > len(tag) && strings.EqualFold(inner[:len(tag)], tag)
	if six {
		inner = inner[len(tag):]
	}
	a, err := netip.ParseAddr(inner)
	if err != nil || a.Zone() != "" || a.Is6() != six {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// destinationOf writes a domain as its destination is known by: in A-labels, lower case.
func destinationOf(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	if ascii, ok := idn.ToASCII(domain); ok {
		domain = ascii
	}
	return strings.ToLower(domain)
}

// isHostname checks a name: letters, digits, hyphens, and underscores, which hosts should not have and some have. One that
// ends in digits would be an address (RFC 1123 section 2.1).
func isHostname(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, c := range []byte(l) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func isNotFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// Absolute answers a resolver that asks for names as they are, if r is a [*net.Resolver], which would not; any other is answered
// itself.
func Absolute(r Resolver) Resolver {
	if n, ok := r.(*net.Resolver); ok {
		return absolute{n}
	}
	return r
}

// absolute asks for names as they are: without a dot at its end a name that the DNS does not know is tried with this
// machine's search list, too.
type absolute struct{ *net.Resolver }

func (a absolute) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return a.Resolver.LookupMX(ctx, name+".")
}

func (a absolute) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return a.Resolver.LookupIPAddr(ctx, host+".")
}

func (a absolute) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return a.Resolver.LookupTXT(ctx, name+".")
}
