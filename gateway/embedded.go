package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/certificate"
	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/world"
	"github.com/postern-mail/postern/shared/wire"
)

// embedded are the gateway's mail servers: one, or those of the demo world.
type embedded interface {
	Servers() []*mailserver.Server // the first one is what the settings are about
	Serve(ctx context.Context) error
	Close() error
}

var _ embedded = (*world.World)(nil)

// alone is a server of the real world.
type alone struct{ *mailserver.Server }

func (a alone) Servers() []*mailserver.Server { return []*mailserver.Server{a.Server} }

// elsewhere is the domain of the demo world's second server, and the folder of its mail within the data folder.
const elsewhere = "elsewhere.test"

// openMail opens the embedded servers as the settings say.
func openMail(ctx context.Context, c config.Config, source certificate.Source, logger *slog.Logger) (embedded, error) {
	first := mailserver.Config{
		Dir: c.Data, Hostname: c.Hostname, Domains: c.Domains,
		SMTP: c.SMTP, Submission: c.Submission, Submissions: c.Submissions, POP3: c.POP3, POP3S: c.POP3S, Control: c.Control,
		Certificate: forMail(c, source),
		Logger:      logger,
		Limits:      mailserver.Limits{DrainTime: c.Drain},
		Files:       filesOf(c.Data),
		Receiving:   mailserver.Receiving{Exempt: loopback, RefuseForged: c.RefuseForged, Greylist: c.Greylist},
	}
	if c.Deliver {
		first.Sending = &mailserver.Sending{}
	}
	var mail embedded
	var err error
	if c.Demo {
		mail, err = world.Open(ctx, world.Config{Servers: []world.Server{{Config: first}, {Config: second(first), AnyPort: true}}})
	} else {
		first.Receiving.Resolver = net.DefaultResolver
		if c.Deliver {
			first.Sending.Delivery = delivery.Config{Resolver: net.DefaultResolver}
		}
		var s *mailserver.Server
		s, err = mailserver.Open(ctx, first)
		mail = alone{s}
	}
	var port *mailserver.PortError
	switch {
	case errors.As(err, &port):
		return nil, unavailable(port.Service, port.Address, port.Err)
	case errors.Is(err, mailserver.ErrDataInUse):
		return nil, fmt.Errorf("%w: %s\nStop that gateway, or give this one a folder of its own: --data FOLDER (or POSTERN_DATA)", err, c.Data)
	case err != nil:
		return nil, fmt.Errorf("the mail server cannot start: %w", err)
	}
	return mail, nil
}

// second is the demo world's other server: like the first, at ports that are 1,000 higher, or any that are free.
func second(c mailserver.Config) mailserver.Config {
	c.Dir = filepath.Join(c.Dir, elsewhere)
	c.Files = filesOf(c.Dir)
	c.Hostname, c.Domains = "mail."+elsewhere, []string{elsewhere}
	c.Logger = c.Logger.With("server", elsewhere)
	c.Certificate = nil // it goes by another name
	for _, address := range []*string{&c.SMTP, &c.Submission, &c.Submissions, &c.POP3, &c.POP3S, &c.Control} {
		*address = above(*address)
	}
	return c
}

// above is an address with a port that is 1,000 higher: a person recognises 2525 in 3525.
func above(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "" // off
	}
	n, err := strconv.Atoi(port)
	if n += 1000; err != nil || n == 1000 || n > 65535 {
		n = 0
	}
	return net.JoinHostPort(host, strconv.Itoa(n))
}

// loopback are the networks of this machine alone. What comes from there and is not the gateway's doing for somebody else
// is the machine's own mail, which no record of SPF knows.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// offer is what the bridge is told of a server.
func offer(s *mailserver.Server, files *fileServer, demo []wire.DemoAccount) bridge.Embedded {
	e := bridge.Embedded{
		Info:        wire.Embedded{Hostname: s.Hostname(), Domains: s.Domains(), Demo: demo},
		Services:    make(map[wire.ServiceName]string),
		Introduce:   s.Introduce,
		Fingerprint: s.Fingerprint,
	}
	for _, name := range []wire.ServiceName{wire.POP3, wire.POP3S, wire.SMTP, wire.Submission, wire.Submissions, wire.Control} {
		addr, ok := s.Addr(string(name)).(*net.TCPAddr)
		if !ok {
			continue
		}
		e.Info.Services = append(e.Info.Services, wire.Service{Name: name, Port: addr.Port})
		e.Services[name] = local(addr)
	}
	files.offer(&e)
	return e
}

// local is the address at which this machine reaches what listens at addr.
func local(addr *net.TCPAddr) string {
	if addr.IP.IsUnspecified() || addr.IP == nil {
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(addr.Port))
	}
	return addr.String()
}
