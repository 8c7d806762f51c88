package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery/mtasts"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/trust"
)

// session is a connection to a server, greeted and under TLS where that is to be had.
type session struct {
	client *smtp.Client
	server string // "mx1.example.org (192.0.2.1)"
	tls    string
	sent   int       // messages
	rec    *recorder // of the attempt that uses it; nil while it is idle
	last   *Result   // why the last transaction did not succeed, if that was the server's doing
	idle   *time.Timer
}

func (s *session) hear(e smtp.Exchange) {
	if s.rec != nil {
		s.rec.hear(e)
	}
}

// hosts answers where to connect to, in order.
func (a *attempt) hosts(ctx context.Context) ([]host, *Result) {
	var r route
	if h := a.Smarthost; h != nil {
		r = route{domain: h.Host, hosts: []host{{name: h.Host}}}
		if ip, err := netip.ParseAddr(h.Host); err == nil {
			r.hosts[0].addresses = []netip.Addr{ip.Unmap()}
		} else {
			within, cancel := context.WithTimeout(ctx, a.Limits.Lookup)
			a.findAddresses(within, &r.hosts[0])
			cancel()
		}
		if len(r.hosts[0].addresses) == 0 {
			return nil, finding(451, "4.4.3", "the smarthost %s has no address: %s", h.Host, r.hosts[0].passing)
		}
	} else if r = a.routeOf(ctx, a.domain); r.stop != nil {
		return nil, r.stop
	}
	for _, h := range r.hosts {
		a.rec.note("%s: %s takes the mail of %s", h.name, addressWords(h.addresses), a.domain)
	}
	return a.allowed(ctx, r.hosts)
}

func addressWords(l []netip.Addr) string {
	words := ""
	for i, a := range l {
		if i > 0 {
			words += ", "
		}
		words += a.String()
	}
	if words == "" {
		return "without an address,"
	}
	return "at " + words + ","
}

// allowed leaves out the hosts that the domain's policy does not name.
func (a *attempt) allowed(ctx context.Context, hosts []host) ([]host, *Result) {
	if a.Policies == nil || a.Smarthost != nil || a.domain[0] == '[' {
		return hosts, nil
	}
	within, cancel := context.WithTimeout(ctx, a.Limits.Policy)
	defer cancel()
	p := a.Policies.Policy(within, a.domain)
	if p.Mode == mtasts.NoPolicy || p.Mode == mtasts.None {
		return hosts, nil
	}
	a.rec.note("%s has a policy for mail (MTA-STS, %s)", a.domain, p.Mode)
	if p.Mode != mtasts.Enforce {
		return hosts, nil
	}
	hosts = slices.Clone(hosts)
	for i := range hosts {
		hosts[i].verified = true
	}
	hosts = slices.DeleteFunc(hosts, func(h host) bool { return !p.Matches(h.name) })
	if len(hosts) == 0 {
		return nil, finding(451, "4.7.1", "none of the servers that take the mail of %s is among those that its policy (MTA-STS) allows", a.domain)
	}
	return hosts, nil
}

// mode is how TLS is used with a host.
func (a *attempt) mode(h host) TLSMode {
	switch {
	case a.Smarthost != nil:
		return a.Smarthost.TLS
	case h.verified:
		return RequireTLS
	}
	return Opportunistic
}

func (a *attempt) port() uint16 {
	switch h := a.Smarthost; {
	case h == nil:
		return a.Port
	case h.Port != 0:
		return h.Port
	case h.TLS == ImplicitTLS:
		return 465
	}
	return 25
}

// connect makes a session with a host at an address. dialling bounds the time up to the server's first words.
func (a *attempt) connect(dialling, ctx context.Context, h host, address netip.Addr) (*session, *Result) {
	target := netip.AddrPortFrom(address, a.port()).String()
	if why, dead := a.dead.get(target); dead {
		a.rec.note("%s: %s, a moment ago", target, why)
		return nil, finding(451, "4.4.1", "%s (%s) could not be reached: %s", h.name, address, why)
	}
	if err := a.dials.take(dialling); err != nil {
		return nil, finding(451, "4.4.1", "%s (%s) could not be tried: too many servers do not answer", h.name, address)
	}
	s, why, retryPlain := a.greet(dialling, h, address, target, a.mode(h))
	if retryPlain {
		a.rec.note("TLS failed; once more without")
		s, why, _ = a.greet(dialling, h, address, target, noTLS)
	}
	a.dials.leave()
	return s, why
}

// noTLS is a mode of connect's own: the server's TLS does not work.
const noTLS TLSMode = -1

// greet connects, reads the greeting and starts TLS. retryPlain says that TLS failed where it need not be.
func (a *attempt) greet(ctx context.Context, h host, address netip.Addr, target string, mode TLSMode) (s *session, why *Result, retryPlain bool) {
	s = &session{server: fmt.Sprintf("%s (%s)", h.name, address), tls: "none", rec: &a.rec}
	dead := func(what string, err error) *Result {
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("no answer in time")
		}
		if ctx.Err() == nil {
			a.dead.put(target, fmt.Sprintf("%s: %v", what, err))
		}
		a.rec.note("%s: %v", what, err)
		r := finding(451, "4.4.1", "%s could not be reached: %s: %v", s.server, what, err)
		r.Server, r.TLS = s.server, s.tls
		return r
	}
	a.rec.note("connecting to %s", target)
	within, cancel := context.WithTimeout(ctx, a.Limits.Dial)
	conn, err := a.Dialer.DialContext(within, "tcp", target)
	cancel()
	if err != nil {
		return nil, dead("connecting", err), false
	}
	if err := a.place(ctx); err != nil {
		conn.Close()
		return nil, finding(451, "4.4.1", "too many connections are in use"), false
	}
	state := &handshake{name: h.name, required: mode == RequireTLS || mode == ImplicitTLS, config: a.Config}
	if mode == ImplicitTLS {
		conn = tls.Client(conn, state.tlsConfig())
	}
	s.client = smtp.New(conn, &smtp.Options{
		LocalName: a.Hostname, Timeout: a.Limits.Timeout, BlockTimeout: a.Limits.BlockTimeout, FinalTimeout: a.Limits.FinalTimeout, Trace: s.hear,
	})
	ext, err := s.client.Extensions(ctx)
	var reply *smtp.Error
	switch {
	case errors.As(err, &reply):
		r := a.reply(s, reply)
		a.end(s)
		if r.Code == 554 || r.Outcome == Deferred { // it takes no mail now, or not ours; another may
			a.dead.put(target, r.Text)
		}
		return nil, &r, false
	case err != nil:
		a.end(s)
		return nil, dead("its first words", err), false
	}
	switch {
	case mode == noTLS || mode == ImplicitTLS:
	case ext.StartTLS:
		if err := s.client.StartTLS(ctx, state.tlsConfig()); err != nil {
			a.end(s)
			a.rec.note("TLS: %v", err)
			r := finding(451, "4.7.5", "TLS with %s failed: %v", s.server, err)
			r.Server, r.TLS = s.server, s.tls
			return nil, r, mode == Opportunistic && ctx.Err() == nil
		}
	case mode == RequireTLS:
		a.end(s)
		r := finding(451, "4.7.5", "%s offers no TLS, which its domain's policy asks for", s.server)
		r.Server, r.TLS = s.server, s.tls
		return nil, r, false
	}
	if t, ok := s.client.TLS(); ok {
		s.tls = state.words(t)
		a.rec.note("%s, %s", s.tls, tls.CipherSuiteName(t.CipherSuite))
	}
	if h := a.Smarthost; h != nil && h.Credentials.User != "" {
		if _, err := s.client.Auth(ctx, h.Credentials, ""); err != nil {
			a.end(s)
			return nil, finding(451, "4.7.0", "the smarthost %s refused the login: %v", h.Host, err), false
		}
	}
	return s, nil, false
}

// handshake is TLS with one server.
type handshake struct {
	name     string
	required bool // a certificate that does not verify ends it
	config   Config
	failure  error // of verifying
}

func (h *handshake) tlsConfig() *tls.Config {
	check := trust.Config(trust.Options{ServerName: h.name, Roots: h.config.Roots})
	c := check.Clone()
	if net.ParseIP(h.name) != nil || h.name[0] == '[' {
		c.ServerName = "" // no name to send
	}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		h.failure = check.VerifyConnection(s)
		if h.required {
			return h.failure
		}
		return nil
	}
	return c
}

func (h *handshake) words(s tls.ConnectionState) string {
	if h.failure != nil {
		return tls.VersionName(s.Version) + ", unverified"
	}
	return tls.VersionName(s.Version) + ", verified"
}

// turn waits for a place among the attempts at the destination.
func (a *attempt) turn(ctx context.Context) (*destination, error) {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil, errClosed
	}
	to := a.destinations[a.domain]
	if to == nil {
		to = &destination{name: a.domain, turns: newSlots(a.Limits.PerDestination)}
		a.destinations[a.domain] = to
	}
	to.users++
	a.mu.Unlock()
	if err := to.turns.take(ctx); err != nil {
		a.release(to)
		return nil, err
	}
	return to, nil
}

var errClosed = errors.New("the server is shutting down")

func (a *attempt) leave(to *destination) {
	to.turns.leave()
	a.release(to)
}

func (d *Deliverer) release(to *destination) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if to.users--; to.users == 0 {
		delete(d.destinations, to.name)
	}
}

// take takes an idle session that still lives.
func (a *attempt) take(to *destination) *session {
	for {
		a.mu.Lock()
		n := len(to.idle)
		if n == 0 {
			a.mu.Unlock()
			return nil
		}
		s := to.idle[n-1]
		to.idle = to.idle[:n-1]
		to.users--
		a.mu.Unlock()
		if s.idle.Stop() && s.client.Open() {
			a.rec.note("the connection with %s is still there (%s)", s.server, s.tls)
			return s
		}
		a.end(s)
	}
}

// keep keeps a session for the next message.
func (d *Deliverer) keep(to *destination, s *session) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		d.end(s)
		return
	}
	defer d.mu.Unlock()
	to.users++
	to.idle = append(to.idle, s)
	s.idle = time.AfterFunc(d.Limits.Idle, func() { d.drop(to, s) })
}

// drop ends a session that nobody has used for a while.
func (d *Deliverer) drop(to *destination, s *session) {
	d.mu.Lock()
	i := slices.Index(to.idle, s)
	if i < 0 {
		d.mu.Unlock()
		return
	}
	to.idle = slices.Delete(to.idle, i, i+1)
	d.mu.Unlock()
	d.end(s)
	d.release(to)
}

// place takes a place for a session; idle ones give way.
func (d *Deliverer) place(ctx context.Context) error {
	for !d.places.tryTake() {
		to, s := d.oldestIdle()
		if s == nil {
			return d.places.take(ctx)
		}
		s.idle.Stop()
		d.drop(to, s)
	}
	return nil
}

func (d *Deliverer) oldestIdle() (*destination, *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, to := range d.destinations {
		if len(to.idle) > 0 {
			return to, to.idle[0]
		}
	}
	return nil, nil
}

// farewell is how long a server gets to answer QUIT.
const farewell = 5 * time.Second

// end says QUIT, without making anybody wait for the answer, and gives the place back.
func (d *Deliverer) end(s *session) {
	s.rec = nil
	d.farewells.Go(func() {
		defer d.places.leave()
		if s.client.Open() {
			ctx, cancel := context.WithTimeout(context.Background(), farewell)
			defer cancel()
			_ = s.client.Quit(ctx)
		}
		s.client.Close()
	})
}

// Close ends the idle sessions and waits for them. Deliver fails from now on; calls under way are ended by their ctx.
func (d *Deliverer) Close() error {
	d.mu.Lock()
	d.closed = true
	var idle []*session
	for name, to := range d.destinations {
		for _, s := range to.idle {
			if s.idle.Stop() {
				idle = append(idle, s)
				to.users--
			}
		}
		to.idle = nil
		if to.users == 0 {
			delete(d.destinations, name)
		}
	}
	d.mu.Unlock()
	for _, s := range idle {
		d.end(s)
	}
	d.farewells.Wait()
	return nil
}
