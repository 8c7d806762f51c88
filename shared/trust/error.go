package trust

import (
	"crypto/x509"
	"errors"
	"time"

	"github.com/postern-mail/postern/shared/printable"
)

// Reasons for which a certificate is not believed.
const (
	Expired          = "expired"           // it, or one above it, is no longer valid
	NotYetValid      = "not-yet-valid"     // or this device's clock is slow
	WrongHost        = "wrong-host"        // it is for other names
	SelfSigned       = "self-signed"       // it vouches for itself
	UnknownAuthority = "unknown-authority" // nobody we know vouches for it
	PinChanged       = "pin-changed"       // it is not the one that was pinned
	Invalid          = "invalid"           // none of these: Err has the words
)

// CertificateError is a certificate that is not believed. Found by errors.As in what the handshake returns.
type CertificateError struct {
	Reason      string // one of the constants
	Fingerprint string // hex SHA-256 of the certificate's DER: what to pin to believe it nevertheless
	Subject     string // for whom: a distinguished name; may be empty
	Names       []string
	Issuer      string // by whom
	NotBefore   time.Time
	NotAfter    time.Time
	Err         error // what crypto/x509 says
}

func (e *CertificateError) Error() string {
	s := "trust: certificate refused: " + e.Reason
	if e.Subject != "" {
		s += ", for " + e.Subject
	}
	if e.Issuer != "" {
		s += ", by " + e.Issuer
	}
	if e.Err != nil {
		s += ": " + shown(e.Err.Error()) // which has the names too
	}
	return s
}

func (e *CertificateError) Unwrap() error { return e.Err }

// maxNames is how many names of a certificate an error holds: enough for a person, and a certificate has room for thousands.
const maxNames = 20

// maxText is how many characters of a name or a text of a certificate are shown: the name of a host has 253.
const maxText = 300

// shown makes what a certificate says fit to be shown to somebody who is to decide about it.
func shown(s string) string { return printable.Short(s, maxText) }

func refuse(leaf *x509.Certificate, reason string, err error) *CertificateError {
	e := &CertificateError{
		Reason:      reason,
		Fingerprint: Fingerprint(leaf.Raw),
		Subject:     shown(leaf.Subject.String()),
		Issuer:      shown(leaf.Issuer.String()),
		NotBefore:   leaf.NotBefore,
		NotAfter:    leaf.NotAfter,
		Err:         err,
	}
	for _, name := range leaf.DNSNames[:min(len(leaf.DNSNames), maxNames)] {
		e.Names = append(e.Names, shown(name))
	}
	for _, ip := range leaf.IPAddresses[:min(len(leaf.IPAddresses), maxNames)] {
		e.Names = append(e.Names, ip.String())
	}
	return e
}

// reason reads the error of x509.Certificate.Verify.
func reason(leaf *x509.Certificate, now time.Time, err error) string {
	var (
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if now.Before(invalid.Cert.NotBefore) {
			return NotYetValid
		}
		return Expired
	case errors.As(err, &host):
		return WrongHost
	case errors.As(err, &authority):
		if leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil {
			return SelfSigned
		}
		return UnknownAuthority
	}
	return Invalid
}
