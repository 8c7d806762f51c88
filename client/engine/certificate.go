package engine

import (
	"errors"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/trust"
)

// certificateOf is the certificate for which err refused a server.
func certificateOf(p api.Protocol, host, pin string, err error) *api.Certificate {
	var refused *trust.CertificateError
	if !errors.As(err, &refused) {
		return nil
	}
	if refused.Reason != trust.PinChanged {
		pin = ""
	}
	return &api.Certificate{
		Protocol: p, Host: host, Reason: refused.Reason, Subject: refused.Subject, Names: refused.Names, Issuer: refused.Issuer,
		NotBefore: refused.NotBefore, NotAfter: refused.NotAfter, Fingerprint: refused.Fingerprint, Pinned: pin,
	}
}

// explainCertificate says in a sentence why a certificate is not believed.
func explainCertificate(c *api.Certificate) string {
	if c == nil {
		return ""
	}
	day := func(t time.Time) string { return t.UTC().Format("2 January 2006") }
	switch c.Reason {
	case trust.Expired:
		return "The certificate of " + c.Host + " was valid until " + day(c.NotAfter) + "."
	case trust.NotYetValid:
		return "The certificate of " + c.Host + " is valid from " + day(c.NotBefore) + " on; or this device's clock is wrong."
	case trust.WrongHost:
		if len(c.Names) == 0 {
			return "The certificate that " + c.Host + " shows is for no name at all."
		}
		return "The certificate that " + c.Host + " shows is for " + strings.Join(c.Names, ", ") + "."
	case trust.SelfSigned:
		return "The certificate of " + c.Host + " vouches for itself: nobody else says that it is the right one."
	case trust.UnknownAuthority:
		return "The certificate of " + c.Host + " is vouched for by somebody whom this browser does not know: " + c.Issuer + "."
	case trust.PinChanged:
		return "The certificate of " + c.Host + " is not the one that was trusted for this account. Either the server has a new one, or somebody else answers in its place."
	}
	return "The certificate of " + c.Host + " cannot be checked."
}
