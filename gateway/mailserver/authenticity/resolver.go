package authenticity

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"

	"github.com/postern-mail/postern/shared/idn"
)

// Resolver is what is asked of the DNS; *net.Resolver is one. It heeds its
// context. Names are absolute: they end in a period, or a machine's search list
// could answer for another's domain.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// frugal is a Resolver for one message: so many questions and no more, short
// answers only, and errors that are *net.DNSError, which the libraries ask for
// whether they are temporary.
type frugal struct {
	dns    Resolver
	left   atomic.Int64
	record int
}

func newFrugal(o *Options) *frugal {
	f := &frugal{dns: o.Resolver, record: o.RecordSize}
	f.left.Store(int64(o.Lookups))
	return f
}

func (f *frugal) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return ask(f, ctx, name, func(name string) ([]string, error) {
		texts, err := f.dns.LookupTXT(ctx, name)
		kept := texts[:0:0]
		for _, t := range texts {
			if len(t) <= f.record {
				kept = append(kept, t)
			}
		}
		return kept, err
	})
}

func (f *frugal) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return ask(f, ctx, name, func(name string) ([]*net.MX, error) { return f.dns.LookupMX(ctx, name) })
}

func (f *frugal) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return ask(f, ctx, host, func(host string) ([]net.IPAddr, error) { return f.dns.LookupIPAddr(ctx, host) })
}

func (f *frugal) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if f.left.Add(-1) < 0 {
		return nil, &net.DNSError{Err: "too many look-ups for one message", Name: addr}
	}
	names, err := f.dns.LookupAddr(ctx, addr)
	return names, dnsError(addr, err)
}

func ask[T any](f *frugal, ctx context.Context, name string, lookup func(string) ([]T, error)) ([]T, error) {
	absolute, ok := dnsName(name)
	if !ok {
		return nil, &net.DNSError{Err: "no such name can be", Name: name, IsNotFound: true}
	}
	if err := ctx.Err(); err != nil {
		return nil, dnsError(name, err)
	}
	if f.left.Add(-1) < 0 {
		return nil, &net.DNSError{Err: "too many look-ups for one message", Name: name}
	}
	answers, err := lookup(absolute)
	return answers, dnsError(name, err)
}

// dnsError makes what came instead of an answer what the libraries know. What
// is no word of the DNS says nothing about the name: it is temporary.
func dnsError(name string, err error) error {
	if err == nil {
		return nil
	}
	var known *net.DNSError
	if errors.As(err, &known) {
		return known
	}
	return &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
}

// dnsName is a name as it is asked for. What could not be one is not asked.
func dnsName(name string) (absolute string, ok bool) {
	name = strings.TrimSuffix(name, ".")
	if name, ok = idn.ToASCII(name); !ok || !isName(name) {
		return "", false
	}
	return strings.ToLower(name) + ".", true
}

// isName knows domain names of ASCII. "_" is of service names (RFC 8552).
func isName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}
