package main

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/postern-mail/postern/gateway/bridge"
	"github.com/postern-mail/postern/gateway/certificate"
	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/web"
	"github.com/postern-mail/postern/shared/wire"
)

// stage is how far the gateway's life has come.
type stage struct{ atomic.Int32 }

const (
	starting int32 = iota
	ready
	draining
)

// ready is nil if clients may be sent here.
func (s *stage) ready() error {
	switch s.Load() {
	case ready:
		return nil
	case draining:
		return errors.New("going down")
	}
	return errors.New("starting")
}

// newPage is the server of the page and the tunnel.
func newPage(c config.Config, p *ports, tunnel *bridge.Bridge, s *stage, logger *slog.Logger) (*http.Server, error) {
	entrance := http.Handler(tunnel)
	if !c.TLS() { // under https a client has seen a certificate for the name
		entrance = guard(tunnel, p.page.Addr(), c.Origins)
	}
	handler, err := web.Handler(web.Config{
		Assets: assets(c), BasePath: c.BasePath, HTTPS: c.TLS(), Reload: c.Dev != "", Tunnel: entrance, TunnelPath: wire.Path, Ready: s.ready, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	return web.NewServer(handler, logger), nil
}

// servePage answers at the page's port until the server is shut down.
func servePage(s *http.Server, p *ports, c config.Config, source certificate.Source) error {
	l := web.Limit(p.page, connections(c))
	if !c.TLS() {
		return s.Serve(l)
	}
	s.TLSConfig = certificate.Page(source)
	return s.ServeTLS(l, "", "")
}

// connections leaves room for as many tunnels as may be open, and for three more connections for each: what fetches the page.
func connections(c config.Config) web.Limits {
	room := func(tunnels, times, least int) int {
		if tunnels == 0 || tunnels > math.MaxInt/times {
			return math.MaxInt
		}
		return max(times*tunnels, least)
	}
	return web.Limits{
		Connections:          room(c.Limits.Sessions, 4, web.Connections),
		ConnectionsPerClient: room(c.Limits.SessionsPerClient, 4, web.ConnectionsPerClient),
		Proxies:              c.TrustedProxies,
	}
}

// newPlain leads from http to https, and answers the authority that the certificate comes from.
func newPlain(c config.Config, p *ports, source certificate.Source, logger *slog.Logger) *http.Server {
	_, port, _ := net.SplitHostPort(p.page.Addr().String())
	if len(c.ACME) > 0 || c.PlainPage {
		port = "443" // the authority has found it there, or a proxy is there
	}
	handler := web.ToHTTPS(port)
	if a, ok := source.(*certificate.ACME); ok {
		handler = a.Challenge(handler)
	}
	return web.NewServer(handler, logger)
}

// openCertificate is where the certificate comes from; nil: there is none but the mail server's own.
func openCertificate(c config.Config, p *ports, logger *slog.Logger) (certificate.Source, error) {
	switch {
	case c.Certificate != "":
		return certificate.OpenFiles(c.Certificate, c.Key, logger, nil)
	case len(c.ACME) > 0:
		a := certificate.ACMEConfig{
			Names: c.ACME, Directory: c.ACMEDirectory, Email: c.ACMEEmail, Root: c.ACMERoot,
			Dir: filepath.Join(c.Data, "acme"), Logger: logger,
		}
		if c.TLS() {
			a.TLS = p.page.Addr()
		}
		if p.http != nil {
			a.HTTP = p.http.Addr()
		}
		return certificate.NewACME(a)
	}
	return nil, nil
}

// forMail is what the mail server shows: the certificate for its name, if there is one for it, or else the first.
func forMail(c config.Config, source certificate.Source) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if source == nil {
		return nil
	}
	name := c.Hostname
	if len(c.ACME) > 0 && !slices.Contains(c.ACME, name) {
		name = c.ACME[0]
	}
	return certificate.Mail(source, name)
}
