package mailserver

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"

	"github.com/postern-mail/postern/shared/trust"
)

// shown is the certificate that clients are shown: the operator's, or as long as there is none the server's own.
type shown struct {
	own      *tls.Certificate
	other    func(*tls.ClientHelloInfo) (*tls.Certificate, error) // nil: there will be none
	hostname string
	roots    *x509.CertPool // nil: Mozilla's

	mu     sync.Mutex
	last   *tls.Certificate // that pin was asked about
	lastly string           // and said
}

func (s *shown) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.get}
}

func (s *shown) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.other != nil {
		if c, err := s.other(hello); err == nil {
			return c, nil
		}
	}
	return s.own, nil
}

// pin is what to believe the certificate by: its fingerprint, or "" if it has a chain to an authority that clients know. A
// certificate with a chain is renewed every few weeks, and who believes it by its fingerprint takes the next for an attack.
func (s *shown) pin(now time.Time) string {
	c, _ := s.get(&tls.ClientHelloInfo{ServerName: s.hostname})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == c {
		return s.lastly
	}
	s.last, s.lastly = c, trust.Fingerprint(c.Certificate[0])
	if c != s.own && s.chain(c, now) {
		s.lastly = ""
	}
	return s.lastly
}

func (s *shown) chain(c *tls.Certificate, now time.Time) bool {
	between := x509.NewCertPool()
	for _, der := range c.Certificate[1:] {
		if parsed, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(parsed)
		}
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return false
	}
	_, err = leaf.Verify(x509.VerifyOptions{DNSName: s.hostname, Roots: trust.Roots(s.roots), Intermediates: between, CurrentTime: now})
	return err == nil
}
