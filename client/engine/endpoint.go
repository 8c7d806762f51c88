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
}

func (l *login) server(p api.Protocol) api.Server {
	if p == api.SMTP {
		return l.servers.SMTP
	}
	return l.servers.POP3
}

// endpoint says where and how the account is served: where its settings say, or by the gateway's own server.
func (l *login) endpoint(p api.Protocol) (endpoint, error) {
	s := l.server(p)
	if s.Host == "" {
		return l.ownEndpoint(p)
	}
	name := services[p][1]
	if s.Security == api.TLS {
		name = services[p][0]
	}
	to := endpoint{open: wire.Open{Service: name, Host: s.Host, Port: s.Port}, address: l.address(p), security: s.Security, user: s.User, auth: s.Auth}
	if to.user == "" {
		to.user = l.email
	}
	if s.Security != api.Plain {
		o := trust.Options{ServerName: s.Host, Roots: l.e.Roots}
		if pin := l.pin(p); pin != "" {
			o.Pins = []string{pin}
		}
		to.tls = trust.Config(o)
	}
	return to, nil
}

// ownEndpoint is the gateway's own server that is home to the address. TLS is never left out, and from the first octet
// where the server can. The server is believed by the certificate that the gateway named.
func (l *login) ownEndpoint(p api.Protocol) (endpoint, error) {
	w := l.e.Gateway.State().Welcome
	if w == nil {
		return endpoint{}, &api.Problem{Code: api.CodeGatewayOffline}
	}
	own := home(w, l.email)
	if own == nil {
		return endpoint{}, &api.Problem{Code: api.CodeSettingsNeeded, Detail: l.email, Technical: "the gateway's own mail server is not home to " + domainOf(l.email)}
	}
	o := trust.Options{ServerName: own.Hostname, Roots: l.e.Roots}
	if pin := l.pin(p); pin != "" {
		o.Pins = []string{pin}
	}
	security := [2]api.Security{api.TLS, api.STARTTLS}
	for i, name := range services[p] {
		for _, s := range own.Services {
			if s.Name == name {
				open := wire.Open{Service: name}
				if own != w.Embedded { // the first needs no name, and a gateway that has no others knows none
					open.Server = own.Hostname
				}
				return endpoint{open: open, address: net.JoinHostPort(own.Hostname, strconv.Itoa(s.Port)),
					security: security[i], tls: trust.Config(o), user: l.email}, nil
			}
		}
	}
	return endpoint{}, &api.Problem{Code: api.CodeTargetRefused, Detail: own.Hostname,
		Technical: "the gateway's mail server has neither " + string(services[p][0]) + " nor " + string(services[p][1])}
}

// host is the server's name, for people.
func (l *login) host(p api.Protocol) string {
	if s := l.server(p); s.Host != "" {
		return s.Host
	}
	if own := l.home(); own != nil {
		return own.Hostname
	}
	return ""
}

// pin is the fingerprint of the one certificate that is believed, if there is one.
func (l *login) pin(p api.Protocol) string {
	if s := l.server(p); s.Host != "" {
		return s.Pin
	}
	if own := l.home(); own != nil {
		return own.Fingerprint
	}
	return ""
}

// address is the host and port that the settings name.
func (l *login) address(p api.Protocol) string {
	s := l.server(p)
	return net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}

// home is the gateway's own server that is home to the account's address; nil if none is, or while that is not known.
func (l *login) home() *wire.Embedded {
	if w := l.e.Gateway.State().Welcome; w != nil {
		return home(w, l.email)
	}
	return nil
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
