package world

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/shared/control"
)

// Config says of which servers a World is.
type Config struct {
	Servers []Server
	// SlowLink is how many octets a second go over a slow link, each way. Default 2,000, a modem of 1990: a short message takes some
	// seconds, so that one sees it go.
	SlowLink int
	// Dialer connects to the servers, on loopback. Default a net.Dialer.
	Dialer delivery.Dialer
}

// Server is one of a World.
type Server struct {
	// Config is as for [mailserver.Open]. What it says of DNS, network, clock and faults is replaced by the world's; without Sending,
	// mail waits.
	mailserver.Config
	// AnyPort takes a free port where the one of the configuration is in use.
	AnyPort bool
}

// networks are those of the documentation (RFC 5737): no packet goes there. Each server is in one of its own, as in the real world.
var networks = []string{"192.0.2.25", "198.51.100.25", "203.0.113.25"}

// World is servers that run, and what is between them.
type World struct {
	clock  *Clock
	zone   *Zone
	faults *faults
	hosts  []*host
	dialer delivery.Dialer
	slow   int // octets a second
}

var _ control.World = (*World)(nil)

// host is the machine of a server.
type host struct {
	server  *mailserver.Server
	name    string
	domains []string
	address netip.Addr

	mu    sync.Mutex
	links map[*link]bool // that lead to it
}

// Open opens the servers, as [mailserver.Open] does, publishes what their domains are to publish, and connects them.
func Open(ctx context.Context, cfg Config) (*World, error) {
	if len(cfg.Servers) > len(networks) {
		return nil, fmt.Errorf("a world has room for %d servers", len(networks))
	}
	clock := NewClock()
	w := &World{clock: clock, zone: &Zone{}, faults: &faults{clock: clock, all: map[string]*fault{}}, dialer: cfg.Dialer, slow: cfg.SlowLink}
	if w.dialer == nil {
		w.dialer = &net.Dialer{}
	}
	if w.slow <= 0 {
		w.slow = 2000
	}
	for i, s := range cfg.Servers {
		if err := w.open(ctx, s, netip.MustParseAddr(networks[i])); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

// open adds a server. Until all are there, the first ones have nobody to talk to: they are not served yet.
func (w *World) open(ctx context.Context, s Server, at netip.Addr) error {
	h := &host{name: s.Hostname, address: at, links: map[*link]bool{}}
	for _, other := range w.hosts {
		if strings.EqualFold(other.name, h.name) {
			return fmt.Errorf("two servers of the world are called %s", h.name)
		}
	}
	for _, d := range s.Domains {
		d = strings.ToLower(d)
		if w.home(d) != nil {
			return fmt.Errorf("two servers of the world are home to %s", d)
		}
		h.domains = append(h.domains, d)
	}
	c := s.Config
	c.World = w
	c.Receiving.Resolver, c.Receiving.Fault = w.zone, w.faults.answer
	if c.Sending != nil {
		sending := *c.Sending
		sending.Clock = w.clock
		sending.Delivery.Resolver, sending.Delivery.Dialer, sending.Delivery.Refuse = w.zone, network{w, h}, w.refuse
		sending.Delivery.Port, sending.Delivery.Policies = smtpPort, nil
		c.Sending = &sending
	}
	var err error
	if h.server, err = openServer(ctx, c, s.AnyPort); err != nil {
		return err
	}
	w.hosts = append(w.hosts, h)
	records, err := mailserver.DNSRecords(c.Dir, h.name, h.domains)
	if err != nil {
		return err
	}
	w.zone.Place(h.name, at)
	return w.zone.Publish(records)
}

// openServer opens a server, at other ports than it should be if it may and must.
func openServer(ctx context.Context, c mailserver.Config, anyPort bool) (*mailserver.Server, error) {
	for {
		s, err := mailserver.Open(ctx, c)
		var busy *mailserver.PortError
		if err == nil || !anyPort || !errors.As(err, &busy) || !busy.InUse {
			return s, err
		}
		address := map[string]*string{
			mailserver.SMTP: &c.SMTP, mailserver.Submission: &c.Submission, mailserver.Submissions: &c.Submissions, mailserver.POP3: &c.POP3, mailserver.POP3S: &c.POP3S,
			mailserver.Control: &c.Control,
		}[busy.Service]
		name, port, e := net.SplitHostPort(*address)
		if e != nil || port == "0" {
			return nil, err
		}
		*address = net.JoinHostPort(name, "0")
	}
}

// Servers are those of the world, in the order of the configuration.
func (w *World) Servers() (list []*mailserver.Server) {
	for _, h := range w.hosts {
		list = append(list, h.server)
	}
	return list
}

// Clock is the world's.
func (w *World) Clock() *Clock { return w.clock }

// Serve answers on every server's listeners until ctx ends, Close is called or one of them fails, which ends all.
func (w *World) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(w.hosts))
	var serving sync.WaitGroup
	for i, h := range w.hosts {
		serving.Go(func() {
			defer cancel()
			errs[i] = h.server.Serve(ctx)
		})
	}
	serving.Wait()
	return errors.Join(errs...)
}

// Close stops every server: see [mailserver.Server.Close].
func (w *World) Close() error {
	errs := make([]error, len(w.hosts))
	var closing sync.WaitGroup
	for i, h := range w.hosts {
		closing.Go(func() { errs[i] = h.server.Close() })
	}
	closing.Wait()
	return errors.Join(errs...)
}

// at is the host with an address, nil if there is none.
func (w *World) at(a netip.Addr) *host {
	for _, h := range w.hosts {
		if h.address == a.Unmap() {
			return h
		}
	}
	return nil
}

// home is the host of a domain, nil if there is none.
func (w *World) home(domain string) *host {
	for _, h := range w.hosts {
		for _, d := range h.domains {
			if d == domain {
				return h
			}
		}
	}
	return nil
}

// refuse is what delivery asks of an address: the documentation's are no others' here.
func (w *World) refuse(a netip.Addr) string {
	if w.at(a) == nil {
		return "no machine of the demo world"
	}
	return ""
}

// way is the fault on the way to a host: that of the first of its domains that has one.
func (w *World) way(to *host) control.FaultKind {
	for _, d := range to.domains {
		if k := w.faults.kind(d); k != control.FaultNone {
			return k
		}
	}
	return control.FaultNone
}

// smtp is where mail for a host is taken, on this machine; ok is false if that is off.
func (h *host) smtp() (at *net.TCPAddr, ok bool) {
	a, ok := h.server.Addr(mailserver.SMTP).(*net.TCPAddr)
	if !ok {
		return nil, false
	}
	if a.IP == nil || a.IP.IsUnspecified() {
		a = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: a.Port}
	}
	return a, true
}
