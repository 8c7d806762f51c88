package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
)

// ACMEConfig says which certificates to get and from whom.
type ACMEConfig struct {
	// Names are those to get certificates for; the first one is shown to a client that asks for none.
	Names []string
	// Directory is the authority's URL; Email is told to it, if set.
	Directory, Email string
	// Root is a PEM file with the certificate by which the Directory's own server is believed; "": the machine's.
	Root string
	// Dir keeps account, keys and certificates.
	Dir string
	// TLS is where the page listens, for the challenge tls-alpn-01. The authority asks at port 443 (RFC 8737 section 3),
	// so that must lead here. Nil: it is not offered.
	TLS net.Addr
	// HTTP is where Challenge is served, for http-01, which is asked at port 80 (RFC 8555 section 8.3). Nil: it is not offered.
	HTTP   net.Addr
	Logger *slog.Logger
}

// ACME gets certificates from an authority, and new ones when two thirds of their time are over.
type ACME struct {
	names  []string
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer
	tls    bool
	log    *slog.Logger
}

// NewACME asks for nothing yet: Run does, when the listeners are there.
func NewACME(c ACMEConfig) (*ACME, error) {
	if c.TLS == nil && c.HTTP == nil {
		return nil, errors.New("a certificate by ACME needs a way for the authority to ask: TLS at the page's address, or --http")
	}
	a := &ACME{names: c.Names, tls: c.TLS != nil, log: c.Logger}
	log := zapTo(c.Logger)
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.magic, nil },
		Logger:           log,
	})
	a.magic = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: c.Dir}, DefaultServerName: c.Names[0], Logger: log,
		OCSP: certmagic.OCSPConfig{DisableStapling: true}, // the authorities have given it up
		OnEvent: func(_ context.Context, event string, about map[string]any) error {
			if event == "cert_obtained" {
				c.Logger.Info("a new certificate", "name", about["identifier"], "renewal", about["renewal"])
			}
			return nil
		},
	})
	template := certmagic.ACMEIssuer{
		CA: c.Directory, Email: c.Email, Agreed: true, Logger: log,
		DisableTLSALPNChallenge: c.TLS == nil, DisableHTTPChallenge: c.HTTP == nil,
	}
	template.ListenHost, template.AltTLSALPNPort = hostPort(c.TLS)
	if host, port := hostPort(c.HTTP); port != 0 {
		template.AltHTTPPort = port
		if c.TLS == nil {
			template.ListenHost = host
		}
	}
	if c.Root != "" {
		text, err := os.ReadFile(c.Root)
		if template.TrustedRoots = x509.NewCertPool(); err == nil && !template.TrustedRoots.AppendCertsFromPEM(text) {
			err = errors.New(c.Root + " holds no certificate")
		}
		if err != nil {
			a.cache.Stop()
			return nil, fmt.Errorf("the authority's root: %w", err)
		}
	}
	a.issuer = certmagic.NewACMEIssuer(a.magic, template)
	a.magic.Issuers = []certmagic.Issuer{a.issuer}
	return a, nil
}

// hostPort is where a listener is. The library would open one there itself if ours were not.
func hostPort(at net.Addr) (string, int) {
	a, ok := at.(*net.TCPAddr)
	if !ok {
		return "", 0
	}
	if a.IP.IsUnspecified() {
		return "", a.Port
	}
	return a.IP.String(), a.Port
}

var _ Source = (*ACME)(nil)

// Certificate is the one for the name, or for the first name if the client asks for none; or an answer to a challenge.
func (a *ACME) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.Conn != nil {
		return a.magic.GetCertificate(hello)
	}
	name := hello.ServerName
	if name == "" {
		name = a.names[0]
	}
	if all := a.cache.AllMatchingCertificates(name); len(all) > 0 {
		return &all[0].Certificate, nil
	}
	return nil, fmt.Errorf("there is no certificate for %s yet", name)
}

func (a *ACME) protocols() []string {
	if !a.tls {
		return nil
	}
	return []string{acmez.ACMETLS1Protocol}
}

// Challenge answers the authority's requests of http-01, and passes on the others.
func (a *ACME) Challenge(next http.Handler) http.Handler { return a.issuer.HTTPChallengeHandler(next) }

// Run gets what is missing or about to end, and keeps at it: a failure is in the log and is tried again at growing
// intervals (the library's: from a minute to six hours).
func (a *ACME) Run(ctx context.Context) {
	defer a.cache.Stop()
	if err := a.magic.ManageAsync(ctx, a.names); err != nil {
		a.log.Error("certificates cannot be looked after", "error", err)
	}
	<-ctx.Done()
}

// Reload is nothing: what this source has is always the newest.
func (a *ACME) Reload() error { return nil }
