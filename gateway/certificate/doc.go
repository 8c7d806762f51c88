// Package certificate is where the gateway's TLS certificate comes from: a pair of files that somebody else keeps new
// (Files), or an authority that is asked for one by ACME (ACME, RFC 8555, with the challenges http-01 of its section 8.3
// and tls-alpn-01 of RFC 8737). Page and mail server show the same one.
package certificate

import (
	"context"
	"crypto/tls"
)

// Source gives the certificate to show. Its methods are safe for use by many goroutines.
type Source interface {
	// Certificate is what a client gets that asks for hello.ServerName; hello.Conn may be nil. Without one, or while none
	// could be got, it is an error.
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// Run keeps the certificate new until ctx ends.
	Run(ctx context.Context)
	// Reload looks for a newer one at once. After an error the one before goes on.
	Reload() error
}

// Page is the configuration of the page's listener.
func Page(s Source) *tls.Config {
	protocols := []string{"h2", "http/1.1"}
	if a, ok := s.(*ACME); ok {
		protocols = append(protocols, a.protocols()...)
	}
	return &tls.Config{GetCertificate: s.Certificate, MinVersion: tls.VersionTLS12, NextProtos: protocols}
}

// Mail is the certificate for the mail server's listeners. Mail programs, and above all other servers, may ask for any name
// or none (RFC 3207 section 4.1 has them compare names, not send them): they get the certificate of name then.
func Mail(s Source, name string) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		mail := *hello
		mail.SupportedProtos = nil // no challenge is answered here
		if mail.ServerName != "" {
			if c, err := s.Certificate(&mail); err == nil {
				return c, nil
			}
		}
		mail.ServerName = name
		return s.Certificate(&mail)
	}
}
