package engine

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/trust"
	"github.com/postern-mail/postern/shared/wire"
)

// elsewhere is the world beyond the gateway's own server: what answers at a host and port.
type elsewhere struct {
	hosts    map[string]hosted // by host:port
	lookUp   func(domain string) (wire.Discovered, *wire.RefusedError)
	reached  []wire.Open // every stream to elsewhere that was asked for
	nowhere  wire.Reason // of what is not among hosts; "" for no-such-host
	stalling map[string]bool
}

// hosted is one port of one host.
type hosted struct {
	server mailtest.Server
	tls    *tls.Config // from the first octet; nil: plain text at first
}

// find answers what is behind an Open. Call it with the gateway's lock held.
func (w *elsewhere) find(ctx context.Context, o wire.Open) (mailtest.Server, *tls.Config, error) {
	w.reached = append(w.reached, o)
	if o.Service == wire.Discovery {
		return mailtest.ServerFunc(w.discover), nil, nil
	}
	address := net.JoinHostPort(o.Host, strconv.Itoa(o.Port))
	if w.stalling[address] {
		return mailtest.ServerFunc(func(c net.Conn) {
			var one [1]byte
			for {
				if _, err := c.Read(one[:]); err != nil {
					return
				}
			}
		}), nil, nil
	}
	h, ok := w.hosts[address]
	if !ok {
		reason := w.nowhere
		if reason == "" {
			reason = wire.NoSuchHost
		}
		return nil, nil, &wire.RefusedError{Reason: reason, Detail: "not in this world"}
	}
	return h.server, h.tls, nil
}

// discover answers a Discover as a gateway does.
func (w *elsewhere) discover(c net.Conn) {
	d, err := wire.ReadDiscover(c)
	if err != nil {
		return
	}
	found, refused := w.lookUp(d.Domain)
	if refused != nil {
		_ = wire.WriteRefused(c, refused)
		return
	}
	_ = wire.WriteDiscovered(c, found)
}

// serveAt puts a server at a host and port.
func (g *fakeGateway) serveAt(address string, s mailtest.Server, implicit *tls.Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hosts == nil {
		g.hosts = make(map[string]hosted)
	}
	g.hosts[address] = hosted{s, implicit}
}

// reachedHosts are the addresses of the streams to elsewhere so far.
func (g *fakeGateway) reachedHosts() (all []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.reached {
		all = append(all, o.String())
	}
	return all
}

// provider is a mail provider of its own: pop.example.org and smtp.example.org, TLS and STARTTLS, one user.
type provider struct {
	pop       *mailtest.POP3
	post      *mailtest.SMTP
	tls       *tls.Config
	authority *mailtest.Authority
	cert      tls.Certificate
}

const (
	dora   = "dora@example.org"
	doraPW = "dora's secret"
)

func (p *provider) pin() string { return trust.Fingerprint(p.cert.Certificate[0]) }

// newProvider puts a provider into the world. user is what its one person logs in as.
func newProvider(w *world, user string) *provider {
	p := &provider{authority: mailtest.NewAuthority(w.t)}
	p.cert = p.authority.Server("pop.example.org", "smtp.example.org")
	p.tls = &tls.Config{Certificates: []tls.Certificate{p.cert}}
	passwords := map[string]string{user: doraPW}
	p.pop = &mailtest.POP3{Password: passwords, Maildrop: map[string]*mailtest.Maildrop{user: new(mailtest.Maildrop)}, NoWait: true, TLS: p.tls}
	p.post = &mailtest.SMTP{Password: passwords, TLS: p.tls, Users: []string{alice}}
	w.gateway.serveAt("pop.example.org:995", p.pop, p.tls)
	w.gateway.serveAt("pop.example.org:110", p.pop, nil)
	w.gateway.serveAt("smtp.example.org:465", p.post, p.tls)
	w.gateway.serveAt("smtp.example.org:587", p.post, nil)
	return p
}

// overhear is a server all of whose first conversation is told to heard when it ends.
func overhear(s mailtest.Server, heard chan<- string) mailtest.Server {
	return mailtest.ServerFunc(func(c net.Conn) {
		o := &overheard{Conn: c}
		s.ServeConn(o)
		heard <- string(o.said)
	})
}

type overheard struct {
	net.Conn
	said []byte
}

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	o.said = append(o.said, p[:n]...)
	return n, err
}
