package mailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// Authority is a certificate authority that lives as long as a test.
type Authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64
}

// NewAuthority makes an authority with a key of its own.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Postern test authority"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.cert = a.sign(template, a.key, template, a.key)
	return a
}

// Pool returns the roots that know this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte { return pemCertificate(a.cert.Raw) }

// Server returns a certificate for these names and addresses, valid for a day from an hour ago; without names, for localhost
// and the loopback addresses.
func (a *Authority) Server(names ...string) tls.Certificate {
	return a.issue(time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour), names...)
}

// Expired returns a certificate that was valid until yesterday.
func (a *Authority) Expired(names ...string) tls.Certificate {
	return a.issue(time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour), names...)
}

// NotYet returns a certificate that will be valid from tomorrow.
func (a *Authority) NotYet(names ...string) tls.Certificate {
	return a.issue(time.Now().Add(24*time.Hour), time.Now().Add(48*time.Hour), names...)
}

// SelfSigned returns a certificate that vouches for itself.
func SelfSigned(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	a := &Authority{t: t, key: newKey(t)}
	template := serverTemplate(time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour), names)
	cert := a.sign(template, a.key, template, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: a.key, Leaf: cert}
}

// WritablePEM returns a certificate and its key as servers read them from files.
func WritablePEM(t testing.TB, c tls.Certificate) (certificate, key []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range c.Certificate {
		certificate = append(certificate, pemCertificate(raw)...)
	}
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func pemCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (a *Authority) issue(from, to time.Time, names ...string) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	cert := a.sign(serverTemplate(from, to, names), key, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key, Leaf: cert}
}

func serverTemplate(from, to time.Time, names []string) *x509.Certificate {
	if len(names) == 0 {
		names = []string{"localhost", "127.0.0.1", "::1"}
	}
	c := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		NotBefore:   from,
		NotAfter:    to,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	return c
}

func (a *Authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey, parent *x509.Certificate, signer *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	a.last++
	template.SerialNumber = big.NewInt(a.last)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
