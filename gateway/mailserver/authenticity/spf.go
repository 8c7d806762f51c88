package authenticity

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"

	"blitiri.com.ar/go/spf"
)

// SPF is what a domain says of the client that sends in its name.
type SPF struct {
	Result Result
	Domain string // that was asked, in ASCII and lower case; "" if there is none
	Helo   bool   // the domain is of EHLO: the message has the null sender (RFC 7208 §2.4)
}

// Sender is the client that hands a message over, and in whose name.
type Sender struct {
	verifier *Verifier
	ip       netip.Addr
	helo     string
	from     string
	once     sync.Once
	spf      SPF
}

// Sender notes a client; from is the reverse-path, "" for the null sender.
func (v *Verifier) Sender(ip netip.Addr, helo, from string) *Sender {
	return &Sender{verifier: v, ip: ip.Unmap(), helo: helo, from: from}
}

// SPF evaluates the sender's domain once, and answers the same ever after.
func (s *Sender) SPF(ctx context.Context) SPF {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, s.verifier.opts.Timeout)
		defer cancel()
		s.spf = s.check(ctx)
	})
	return s.spf
}

func (s *Sender) check(ctx context.Context) SPF {
	local, domain := "postmaster", s.helo
	i := strings.LastIndexByte(s.from, '@')
	null := i < 0
	if !null {
		local, domain = s.from[:i], s.from[i+1:]
	}
	// QUIRK: the library takes what follows the first "@" for the domain, and a
	// quoted local-part may have one. RFC 7208 §4.3 asks only names of two labels.
	if strings.ContainsAny(local, `"@ `) {
		local = "postmaster"
	}
	name, ok := dnsName(domain)
	name = strings.TrimSuffix(name, ".")
	if _, err := netip.ParseAddr(name); !ok || err == nil || !strings.Contains(name, ".") {
		return SPF{Result: None, Helo: null}
	}
	result, _ := spf.CheckHostWithSender(net.IP(s.ip.AsSlice()), s.helo, local+"@"+name,
		spf.WithContext(ctx), spf.WithResolver(newFrugal(&s.verifier.opts)))
	return SPF{Result: Result(result), Domain: name, Helo: null}
}
