package engine

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/wire"
)

// endpoint is a server's service, how to trust it and how to log in to it.
type endpoint struct {
	open     wire.Open
	address  string // host:port, for people
	security api.Security
	tls      *tls.Config
	user     string
	auth     string // the mechanism chosen; empty: the safest
}

// services are the names of a protocol's services, inside TLS and otherwise.
var services = map[api.Protocol][2]wire.ServiceName{
	api.POP3: {wire.POP3S, wire.POP3},
	api.SMTP: {wire.Submissions, wire.Submission},
	api.FTP:  {wire.FTPS, wire.FTP},
}

// place is one server of an account or a site, as its settings say.
type place struct {
	e        *Engine
	protocol api.Protocol
	server   api.Server
	email    string // the address to which the gateway's own server is home, and the login name if none is set
}

func (l *login) place(p api.Protocol) place {
	s := l.servers.POP3
	if p == api.SMTP {
		s = l.servers.SMTP
	}
	return place{e: l.e, protocol: p, server: s, email: l.email}
}

// endpoint says where and how the server is reached: where the settings say, or the gateway's own.
func (p place) endpoint() (endpoint, error) {
	s := p.server
	if s.Host == "" {
		return p.ownEndpoint()
	}
	name := services[p.protocol][1]
	if s.Security == api.TLS {
		name = services[p.protocol][0]
	}
	to := endpoint{open: wire.Open{Service: name, Host: s.Host, Port: s.Port}, address: p.address(), security: s.Security, user: s.User, auth: s.Auth}
	if to.user == "" {
		to.user = p.email
	}
	if s.Security != api.Plain {
		o := trust.Options{ServerName: s.Host, Roots: p.e.Roots}
		if pin := p.pin(); pin != "" {
			o.Pins = []string{pin}
		}
		to.tls = trust.Config(o)
	}
	return to, nil
}

// ownEndpoint is the gateway's own server that is home to the address. TLS is never left out, and from the first octet
// where the server can. The server is believed by the certificate that the gateway named.
func (p place) ownEndpoint() (endpoint, error) {
	w := p.e.Gateway.State().Welcome
	if w == nil {
		return endpoint{}, &api.Problem{Code: api.CodeGatewayOffline}
	}
	own := home(w, p.email)
	if own == nil {
		return endpoint{}, &api.Problem{Code: api.CodeSettingsNeeded, Detail: p.email, Technical: "the gateway's own mail server is not home to " + domainOf(p.email)}
	}
	o := trust.Options{ServerName: own.Hostname, Roots: p.e.Roots}
	if pin := p.pin(); pin != "" {
		o.Pins = []string{pin}
	}
	security := [2]api.Security{api.TLS, api.STARTTLS}
	for i, name := range services[p.protocol] {
		if s := serviceOf(own, name); s != nil {
			open := wire.Open{Service: name}
			if own != w.Embedded { // the first needs no name, and a gateway that has no others knows none
				open.Server = own.Hostname
			}
			return endpoint{open: open, address: net.JoinHostPort(own.Hostname, strconv.Itoa(s.Port)),
				security: security[i], tls: trust.Config(o), user: p.email}, nil
		}
	}
	return endpoint{}, &api.Problem{Code: api.CodeTargetRefused, Detail: own.Hostname,
		Technical: "the gateway's mail server has neither " + string(services[p.protocol][0]) + " nor " + string(services[p.protocol][1])}
}

// serviceOf is a service of a gateway's own server; nil if it has none of that name.
func serviceOf(own *wire.Embedded, name wire.ServiceName) *wire.Service {
	for i := range own.Services {
		if own.Services[i].Name == name {
			return &own.Services[i]
		}
	}
	return nil
}

// host is the server's name, for people.
func (p place) host() string {
	if p.server.Host != "" {
		return p.server.Host
	}
	if own := p.home(); own != nil {
		return own.Hostname
	}
	return ""
}

// pin is the fingerprint of the one certificate that is believed, if there is one.
func (p place) pin() string {
	if p.server.Host != "" {
		return p.server.Pin
	}
	if own := p.home(); own != nil {
		return own.Fingerprint
	}
	return ""
}

// address is the host and port that the settings name.
func (p place) address() string {
	return net.JoinHostPort(p.server.Host, strconv.Itoa(p.server.Port))
}

// home is the gateway's own server that is home to the address; nil if none is, or while that is not known.
func (p place) home() *wire.Embedded {
	if w := p.e.Gateway.State().Welcome; w != nil {
		return home(w, p.email)
	}
	return nil
}

// problem is an error of a conversation with what the person has to know: which server, or which address.
func (p place) problem(err error) api.Problem {
	problem := *problemOf(err)
	host := p.host()
	switch problem.Code {
	case api.CodeServerClosed, api.CodeServerTimeout:
		if !p.e.online() {
			return api.Problem{Code: api.CodeGatewayOffline, Technical: problem.Technical}
		}
		fallthrough
	case api.CodeServerUnreachable, api.CodeServerProtocol, api.CodeNoTLS, api.CodeServerWantsTLS, api.CodeTLSReuse, api.CodeNoData:
		if problem.Detail == "" {
			problem.Detail = host
		}
	case api.CodeCertificate:
		problem.Detail = host
		problem.Certificate = certificateOf(p.protocol, host, p.pin(), err)
		problem.Means = explainCertificate(problem.Certificate)
	case api.CodeTargetRefused:
		if p.server.Host == "" {
			break
		}
		problem.Detail = p.address() // the gateway's own words are among the technical ones
	case api.CodeWrongPassword, api.CodePasswordNeeded:
		problem.Detail = p.email
	}
	return problem
}

// home is the gateway's own server that is home to an address; nil if none is. That is the gateway's word alone, and whoever believes
// it gives it the password: so not for the providers of the list, of which it is known where they are.
func home(w *wire.Welcome, email string) *wire.Embedded {
	if providerOf(domainOf(email)) != nil {
		return nil
	}
	return w.Home(domainOf(email))
}

func domainOf(email string) string {
	return strings.ToLower(email[strings.LastIndexByte(email, '@')+1:])
}
