package mailserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/trust"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	leaf *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	pair := a.sign(template)
	a.leaf, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign makes a certificate; the first one is the authority's own.
func (a *authority) sign(template *x509.Certificate) *tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	must(a.t, err)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, by := a.leaf, a.key
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	must(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	must(a.t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.leaf)
	return p
}

// What a client is told to believe the server by follows the certificate that the server shows.
func TestPin(t *testing.T) {
	a := newAuthority(t)
	own := newAuthority(t).sign(&x509.Certificate{DNSNames: []string{"mail.example"}})
	signed := func(name string) *tls.Certificate { return a.sign(&x509.Certificate{DNSNames: []string{name}}) }
	good, other := signed("mail.example"), signed("other.example")
	var now *tls.Certificate
	s := &shown{own: own, hostname: "mail.example", roots: a.roots(), other: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if now == nil {
			return nil, errors.New("none yet")
		}
		return now, nil
	}}
	for _, c := range []struct {
		name, want string
		now        *tls.Certificate
	}{
		{"none yet: the server's own", trust.Fingerprint(own.Certificate[0]), nil},
		{"one with a chain and the name", "", good},
		{"its renewal", "", signed("mail.example")},
		{"one with a chain and another name", trust.Fingerprint(other.Certificate[0]), other},
		{"gone again", trust.Fingerprint(own.Certificate[0]), nil},
	} {
		now = c.now
		for range 2 {
			if got := s.pin(time.Now()); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
	now, s.roots = good, nil
	if got := s.pin(time.Now()); got != trust.Fingerprint(good.Certificate[0]) {
		t.Errorf("an authority that nobody knows: %q", got)
	}
}

// A certificate that is renewed is shown to the next client, without a restart, on every port.
func TestRenewal(t *testing.T) {
	a := newAuthority(t)
	now := make(chan *tls.Certificate, 1)
	now <- nil
	cfg := testConfig(t.TempDir())
	cfg.Control = "127.0.0.1:0"
	cfg.Certificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c := <-now
		now <- c
		if c == nil {
			return nil, errors.New("none yet")
		}
		return c, nil
	}
	s := start(t, cfg)
	for range 3 {
		for _, service := range []string{POP3S, Submissions, Control} {
			conn, err := tls.Dial("tcp", s.Addr(service).(*net.TCPAddr).String(), s.pinned())
			if err != nil {
				t.Errorf("%s: %v", service, err)
				continue
			}
			conn.Close()
		}
		<-now
		now <- a.sign(&x509.Certificate{DNSNames: []string{cfg.Hostname}})
	}
}
