// Package trust decides whether the certificate of a mail server is believed, where the operating system cannot be asked: in
// a browser. It makes the [tls.Config] of a client: TLS 1.2 and up (RFC 8996), the server's name checked (RFC 6125), Mozilla's
// roots as a bundle, or a certificate that the user has pinned in place of a chain.
//
// A certificate that is not believed ends the handshake with a [*CertificateError], which holds what a person needs in order to decide.
package trust

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Options says whom to trust.
type Options struct {
	// ServerName is the host name or IP address that the user meant to connect to. Without it nothing is believed but a pin.
	ServerName string
	// Roots are the authorities; nil for Mozilla's.
	Roots *x509.CertPool
	// Pins are the fingerprints of certificates, hex SHA-256 of the leaf's DER (case and colons do not matter). If there
	// are any, a leaf that has one is believed, whatever its chain, name and dates say, and no other is: not even one with a
	// good chain, since who pins a certificate wants to know when it changes.
	Pins []string
	// Time tells the time; nil for time.Now.
	Time func() time.Time
}

// Config returns a client's configuration. It may be used for many connections and is not to be changed.
func Config(o Options) *tls.Config {
	v := &verifier{Options: o, pins: make(map[string]bool)}
	for _, p := range o.Pins {
		v.pins[canonical(p)] = true
	}
	return &tls.Config{
		ServerName: o.ServerName,
		MinVersion: tls.VersionTLS12,
		Time:       o.Time,
		// The check of crypto/tls cannot be told about pins, so ours replaces it, for each connection, resumed ones too.
		InsecureSkipVerify: true,
		VerifyConnection:   v.verify,
	}
}

// Fingerprint returns the hex SHA-256 of a certificate in DER, as Options.Pins and CertificateError hold it.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Roots returns the authorities that Options.Roots stands for: Mozilla's for nil. They are not to be changed.
func Roots(roots *x509.CertPool) *x509.CertPool {
	if roots == nil {
		return mozilla()
	}
	return roots
}

// mozilla parses the bundle when it is first needed: it takes 11 ms in a browser, at every start, if done unasked.
var mozilla = sync.OnceValue(func() *x509.CertPool {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			continue // an authority less; its servers are refused, with the reason shown
		}
		if root.Constraint == nil {
			pool.AddCert(cert)
		} else {
			pool.AddCertWithConstraint(cert, root.Constraint)
		}
	}
	return pool
})

func canonical(pin string) string {
	return strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(pin))
}

type verifier struct {
	Options
	pins map[string]bool
}

func (v *verifier) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return &CertificateError{Reason: Invalid, Err: errors.New("the server sent no certificate")}
	}
	leaf := state.PeerCertificates[0]
	if len(v.pins) > 0 {
		if v.pins[Fingerprint(leaf.Raw)] {
			return nil
		}
		return refuse(leaf, PinChanged, errors.New("another certificate is pinned"))
	}
	if v.ServerName == "" {
		return refuse(leaf, WrongHost, errors.New("no name to check it against"))
	}
	now := time.Now()
	if v.Time != nil {
		now = v.Time()
	}
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		DNSName:       v.ServerName,
		Roots:         Roots(v.Roots),
		Intermediates: intermediates,
		CurrentTime:   now,
	})
	if err != nil {
		return refuse(leaf, reason(leaf, now, err), err)
	}
	return nil
}
