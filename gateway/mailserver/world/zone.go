package world

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
	"github.com/postern-mail/postern/gateway/mailserver/delivery"
)

// Zone is all of the DNS that there is in a world. Its zero value has no name. Names are taken with and without the dot at their end,
// in any case; one that does not exist, or has no record of the type, is a *net.DNSError with IsNotFound.
type Zone struct {
	mu    sync.RWMutex
	mx    map[string][]net.MX
	txt   map[string][]string
	hosts map[string]netip.Addr
}

var (
	_ delivery.Resolver     = (*Zone)(nil)
	_ authenticity.Resolver = (*Zone)(nil)
)

// Publish adds records.
func (z *Zone) Publish(records []authenticity.Record) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, r := range records {
		name := canonical(r.Name)
		switch r.Type {
		case "MX":
			var mx net.MX
			if _, err := fmt.Sscan(r.Data, &mx.Pref, &mx.Host); err != nil {
				return fmt.Errorf("MX record %q of %s: %w", r.Data, r.Name, err)
			}
			put(&z.mx, name, append(z.mx[name], mx))
		case "TXT":
			put(&z.txt, name, append(z.txt[name], r.Data))
		default:
			return fmt.Errorf("a record of type %s", r.Type)
		}
	}
	return nil
}

// Place gives a host its address.
func (z *Zone) Place(host string, at netip.Addr) {
	z.mu.Lock()
	defer z.mu.Unlock()
	put(&z.hosts, canonical(host), at)
}

func put[V any](m *map[string]V, name string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = v
}

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func notFound(name string) error {
	return &net.DNSError{Err: "no such host in the demo world", Name: name, IsNotFound: true}
}

// LookupMX answers the MX records of a domain.
func (z *Zone) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	var list []*net.MX
	for _, mx := range z.mx[canonical(name)] {
		list = append(list, &mx)
	}
	if list == nil {
		return nil, notFound(name)
	}
	return list, nil
}

// LookupTXT answers the TXT records of a name.
func (z *Zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	list := z.txt[canonical(name)]
	if list == nil {
		return nil, notFound(name)
	}
	return append([]string(nil), list...), nil
}

// LookupIPAddr answers the address of a host.
func (z *Zone) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	at, ok := z.hosts[canonical(host)]
	if !ok {
		return nil, notFound(host)
	}
	return []net.IPAddr{{IP: at.AsSlice()}}, nil
}

// LookupAddr answers the host that has an address.
func (z *Zone) LookupAddr(_ context.Context, addr string) ([]string, error) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	at, err := netip.ParseAddr(addr)
	for host, a := range z.hosts {
		if err == nil && a == at.Unmap() {
			return []string{host + "."}, nil
		}
	}
	return nil, notFound(addr)
}
