package engine

import (
	"crypto/tls"
	"strings"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/wire"
)

// endpoint is a server's service and how to trust it.
type endpoint struct {
	open     wire.Open
	implicit bool // TLS from the first octet (RFC 8314 section 3); else by STLS or STARTTLS
	tls      *tls.Config
}

// maildropEndpoint chooses where an address' mail is fetched.
func (e *Engine) maildropEndpoint(email string) (endpoint, error) {
	return e.endpoint(email, wire.POP3S, wire.POP3)
}

// submissionEndpoint chooses where an address' mail is submitted.
func (e *Engine) submissionEndpoint(email string) (endpoint, error) {
	return e.endpoint(email, wire.Submissions, wire.Submission)
}

// endpoint is the one place that knows which server serves an address: the gateway's own, if the address is of its
// domains. TLS is never left out, and from the first octet where the server can. The server is believed by the
// certificate that the gateway named.
func (e *Engine) endpoint(email string, implicit, upgraded wire.ServiceName) (endpoint, error) {
	w := e.Gateway.State().Welcome
	if w == nil {
		return endpoint{}, &api.Problem{Code: api.CodeGatewayOffline}
	}
	domain := domainOf(email)
	if w.Embedded == nil || !hasDomain(w.Embedded.Domains, domain) {
		detail := "the mail server of " + domain
		if w.Embedded != nil && len(w.Embedded.Domains) > 0 {
			detail += ", only to its own, for addresses at " + strings.Join(w.Embedded.Domains, ", ")
		}
		return endpoint{}, &api.Problem{Code: api.CodeTargetRefused, Detail: detail,
			Technical: "only the gateway's own mail server can be used for now"}
	}
	options := trust.Options{ServerName: w.Embedded.Hostname}
	if w.Embedded.Fingerprint != "" {
		options.Pins = []string{w.Embedded.Fingerprint}
	}
	for _, name := range []wire.ServiceName{implicit, upgraded} {
		for _, s := range w.Embedded.Services {
			if s.Name == name {
				return endpoint{open: wire.Open{Service: name}, implicit: name == implicit, tls: trust.Config(options)}, nil
			}
		}
	}
	return endpoint{}, &api.Problem{Code: api.CodeTargetRefused, Detail: w.Embedded.Hostname,
		Technical: "the gateway's mail server has neither " + string(implicit) + " nor " + string(upgraded)}
}

func domainOf(email string) string {
	return strings.ToLower(email[strings.LastIndexByte(email, '@')+1:])
}

func hasDomain(domains []string, domain string) bool {
	for _, d := range domains {
		if strings.EqualFold(d, domain) {
			return true
		}
	}
	return false
}
