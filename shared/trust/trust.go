// Package trust decides whether a mail server's certificate is believed.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

type Options struct {
	ServerName string
	Roots      *x509.CertPool
	Pins       []string
	Time       func() time.Time
}
type CertificateError struct {
	Reason, Fingerprint, Subject, Issuer string
	NotAfter                             time.Time
	Err                                  error
}

func (e *CertificateError) Error() string { return e.Reason }
func (e *CertificateError) Unwrap() error { return e.Err }
func Config(o Options) *tls.Config        { return nil }
