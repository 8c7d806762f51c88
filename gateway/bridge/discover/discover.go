package discover

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// Finder looks domains up. SRV and Dial are required. It may be used by many goroutines.
type Finder struct {
	// SRV looks up SRV records, sorted by priority and weight; net.Resolver.LookupSRV is one.
	SRV func(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
	// Dial connects to a web server by its name, or refuses to.
	Dial func(ctx context.Context, host string, port int) (net.Conn, error)
	// Roots are the authorities of web servers; nil for the system's.
	Roots *x509.CertPool
	// Timeout bounds each look-up; they run side by side. Default 6 s: somebody is waiting, and what does not answer in
	// that time is as good as not there.
	Timeout time.Duration
}

// most bounds what is told of one service from one source: an account needs one, and a spare.
const most = 4

// Find answers what the domain's SRV records and its configuration file say, SRV first. Nothing found is no error. An
// error says that no look-up came to an end: the name server does not answer, say.
func (f *Finder) Find(ctx context.Context, domain string) (wire.Discovered, error) {
	timeout := f.Timeout
	if timeout <= 0 {
		timeout = 6 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var (
		all      sync.WaitGroup
		bySRV    [len(srvNames)][]wire.Found
		failures [len(srvNames)]error
		files    [len(places)]wire.Discovered
	)
	for i := range srvNames {
		all.Go(func() { bySRV[i], failures[i] = f.records(ctx, srvNames[i], domain) })
	}
	for i := range places {
		all.Go(func() { files[i] = f.file(ctx, places[i](domain)) })
	}
	all.Wait()

	var d wire.Discovered
	for _, found := range bySRV {
		d.Services = append(d.Services, found...)
	}
	for _, file := range files {
		if len(file.Services) > 0 {
			d.Provider = file.Provider
			d.Services = append(d.Services, file.Services...)
			break
		}
	}
	if len(d.Services) == 0 {
		return d, errors.Join(failures[:]...)
	}
	return d, nil
}

// srvNames are the services in the order of preference: TLS from the first octet first (RFC 8314 section 3).
var srvNames = [...]wire.ServiceName{wire.POP3S, wire.POP3, wire.Submissions, wire.Submission}

// records are a service's SRV records. A single record with the target "." says that the domain has no such service (RFC
// 2782), which is not told apart from having no record.
func (f *Finder) records(ctx context.Context, service wire.ServiceName, domain string) ([]wire.Found, error) {
	_, records, err := f.SRV(ctx, string(service), "tcp", domain)
	var dns *net.DNSError
	if err != nil && !(errors.As(err, &dns) && dns.IsNotFound) && len(records) == 0 {
		return nil, err
	}
	var found []wire.Found
	for _, r := range records {
		one := wire.Found{
			Service: service, Host: strings.ToLower(strings.TrimSuffix(r.Target, ".")), Port: int(r.Port), Source: wire.SourceSRV,
		}
		if one.Validate() == nil && len(found) < most {
			found = append(found, one)
		}
	}
	return found, nil
}
