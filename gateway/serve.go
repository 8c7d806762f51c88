package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/mailserver"
	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/public"
	"github.com/postern-mail/postern/shared/wire"
)

const (
	// drainTime is what open tunnels, requests and mail sessions get to come to an end: most programs that stop others
	// wait ten seconds before they kill.
	drainTime = 4 * time.Second

	pageService = "page"
)

// serve runs everything until ctx ends. Every port is taken before anything is written, so that a port in use leaves
// the world as it was.
func serve(ctx context.Context, c config.Config, logger *slog.Logger, out io.Writer) (err error) {
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()

	var mail *mailserver.Server
	if c.Mail {
		if mail, err = openMail(ctx, c, logger); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, mail.Close()) }()
	}
	tunnel, err := newBridge(c, mail, logger)
	if err != nil {
		return err
	}
	var draining atomic.Bool
	handler, err := web.Handler(web.Config{
		Assets: assets(c), Reload: c.Dev != "", Tunnel: guard(tunnel, listener.Addr(), c.Origins), TunnelPath: wire.Path, Logger: logger,
		Health: func() error {
			if draining.Load() {
				return errors.New("going down")
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	page := web.NewServer(handler, logger)

	// The first part to end, for whatever reason, ends all.
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var parts sync.WaitGroup
	part := func(name string, run func() error) {
		parts.Go(func() {
			if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, context.Canceled) {
				end(fmt.Errorf("%s: %w", name, err))
				return
			}
			end(nil)
		})
	}
	part(pageService, func() error { return page.Serve(web.Limit(listener, web.Limits{Proxies: c.TrustedProxies})) })
	if mail != nil {
		part("mail server", func() error { return mail.Serve(ctx) })
	}
	if c.Demo {
		if err := furnish(ctx, c, mail, logger); err != nil {
			end(err)
		}
	}
	if ctx.Err() == nil {
		banner(out, c, listener.Addr(), mail)
	}

	<-ctx.Done()
	draining.Store(true)
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	// Streams first: they are requests of the page's server, which it does not count any more.
	if e := tunnel.Shutdown(within); e != nil {
		logger.Debug("tunnels were cut", "error", e)
	}
	if e := page.Shutdown(within); e != nil {
		logger.Debug("requests were cut", "error", e)
		page.Close()
	}
	parts.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func assets(c config.Config) fs.FS {
	if c.Dev != "" {
		return os.DirFS(c.Dev)
	}
	return public.Files()
}

// openMail opens the embedded server as the settings say.
func openMail(ctx context.Context, c config.Config, logger *slog.Logger) (*mailserver.Server, error) {
	s, err := mailserver.Open(ctx, mailserver.Config{
		Dir: c.Data, Hostname: c.Hostname, Domains: c.Domains,
		SMTP: c.SMTP, Submission: c.Submission, Submissions: c.Submissions, POP3: c.POP3, POP3S: c.POP3S,
		Logger:    logger,
		Limits:    mailserver.Limits{DrainTime: drainTime},
		Receiving: receiving(c),
		Sending:   sending(c),
	})
	var port *mailserver.PortError
	switch {
	case errors.As(err, &port):
		return nil, unavailable(port.Service, port.Address, port.Err)
	case errors.Is(err, mailserver.ErrDataInUse):
		return nil, fmt.Errorf("%w: %s\nStop that gateway, or give this one a folder of its own: --data FOLDER (or POSTERN_DATA)", err, c.Data)
	case err != nil:
		return nil, fmt.Errorf("the mail server cannot start: %w", err)
	}
	return s, nil
}

// loopback are the networks of this machine alone. What comes from there and is not the gateway's doing for somebody else
// is the machine's own mail, which no record of SPF knows.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// receiving says how mail is judged. The demo's domains are in no DNS.
func receiving(c config.Config) mailserver.Receiving {
	r := mailserver.Receiving{Exempt: loopback, RefuseForged: c.RefuseForged, Greylist: c.Greylist}
	if !c.Demo {
		r.Resolver = net.DefaultResolver
	}
	return r
}

// sending says how mail for other domains leaves. The demo knows no other domains: its mail comes back at once, and says
// so.
func sending(c config.Config) *mailserver.Sending {
	switch {
	case !c.Deliver:
		return nil
	case c.Demo:
		return &mailserver.Sending{Delivery: delivery.Config{Resolver: nowhere{}, Dialer: nowhere{}}}
	}
	return &mailserver.Sending{Delivery: delivery.Config{Resolver: net.DefaultResolver}}
}

// nowhere is the DNS and the network of the demo: no name exists, and nothing is connected to.
type nowhere struct{}

func (nowhere) none(name string) error {
	return &net.DNSError{Err: "the demo knows no domain but its own", Name: name, IsNotFound: true}
}

func (n nowhere) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return nil, n.none(name)
}

func (n nowhere) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	return nil, n.none(host)
}

func (n nowhere) LookupTXT(_ context.Context, name string) ([]string, error) {
	return nil, n.none(name)
}

func (n nowhere) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	return nil, n.none(address)
}

// newBridge lets tunnels reach the embedded server and what the operator allows.
func newBridge(c config.Config, mail *mailserver.Server, logger *slog.Logger) (*bridge.Bridge, error) {
	b := bridge.Config{
		Server: "postern " + version(), Token: c.Token, Origins: c.Origins,
		TrustedProxies: c.TrustedProxies, Logger: logger,
		Policy: bridge.Policy{Networks: c.AllowNetworks},
	}
	for _, target := range c.Allow {
		rule, err := bridge.ParseRule(target)
		if err != nil {
			return nil, fmt.Errorf("--allow %s: %w", target, err)
		}
		b.Policy.Allow = append(b.Policy.Allow, rule)
	}
	if mail != nil {
		b.Embedded = &wire.Embedded{Hostname: c.Hostname, Domains: c.Domains, Fingerprint: mail.Fingerprint()}
		b.Introduce = mail.Introduce
		b.Services = make(map[wire.ServiceName]string)
		for _, name := range []wire.ServiceName{wire.POP3, wire.POP3S, wire.SMTP, wire.Submission, wire.Submissions} {
			addr, ok := mail.Addr(string(name)).(*net.TCPAddr)
			if !ok {
				continue
			}
			b.Embedded.Services = append(b.Embedded.Services, wire.Service{Name: name, Port: addr.Port})
			b.Services[name] = local(addr)
		}
		if c.Demo {
			b.Embedded.Demo = demoAccounts(c)
		}
	}
	return bridge.New(b)
}

// local is the address at which this machine reaches what listens at addr.
func local(addr *net.TCPAddr) string {
	if addr.IP.IsUnspecified() || addr.IP == nil {
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(addr.Port))
	}
	return addr.String()
}
