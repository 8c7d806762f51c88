// Package bridge carries the streams of a tunnel to TCP: it is the gateway's WebSocket endpoint. It knows no mail, sees
// no plain text of a TLS session, and reaches nothing but what its Policy allows; by default that is the gateway's own
// embedded server alone. It is made to stand on the internet:
//
//   - package reach decides whom a stream may reach, and dials nothing but an address that it has checked;
//   - Access says who may come in (access.go), and wrong tokens lock out (lockout.go);
//   - the guard lets nothing through but what begins as mail does (guard.go);
//   - Limits bound what each client, user and target may cost, and meters what they may do in a minute;
//   - every refusal has a wire.Reason of which the client is told, and is counted in Stats.
//
// RFC 6455 is the WebSocket; package wire documents what goes through it.
package bridge

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-mail/postern/gateway/bridge/reach"
	"github.com/postern-mail/postern/shared/endsite"
	"github.com/postern-mail/postern/shared/tunnel"
	"github.com/postern-mail/postern/shared/wire"
)

// Config is what New needs. The zero Config is a bridge that reaches nothing.
type Config struct {
	Server string // name and version, for the Welcome
	Access Access // who may come in
	Policy Policy // where to
	// Embedded are the gateway's own mail servers, the first one first.
	Embedded []Embedded
	// Origins lists the origins (https://mail.example.com) whose pages may connect besides those of the gateway's own
	// host.
	Origins []string
	// TrustedProxies lists the proxies whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	Limits         Limits
	Resolver       Resolver       // nil: net.DefaultResolver
	SRVResolver    SRVResolver    // nil: net.DefaultResolver
	WebRoots       *x509.CertPool // authorities of the web servers that Discover asks; nil: the system's
	// Dialer connects. nil: a net.Dialer. One that is a NameDialer is given names.
	Dialer ContextDialer
	// Accept answers a handshake that was let pass, and gives the WebSocket, which carries wire.Subprotocol and no compression:
	// what goes through is mostly encrypted. Nil: as an HTTP server of Go's is asked to.
	Accept func(http.ResponseWriter, *http.Request) (tunnel.MessageConn, error)
	Logger *slog.Logger // nil: no log. What is logged never holds payload, nor the token
}

// Embedded is a mail server of the gateway's own.
type Embedded struct {
	// Info is told to clients in the Welcome.
	Info wire.Embedded
	// Fingerprint, if set, is asked for Info.Fingerprint at each Welcome: certificates are renewed.
	Fingerprint func() string
	// Services gives for each of its services the loopback address to dial.
	Services map[wire.ServiceName]string
	// Inside gives for others how to connect to them, within this process: such a server knows whom it has before it by how the
	// connection has come.
	Inside map[wire.ServiceName]func(context.Context) (net.Conn, error)
	// Data opens a data connection of FTP, if it has any: beside the control connection that the gateway has made from that
	// address, and to a port that the server waits at for that one alone. It does not go by way of that port, where the server could
	// not tell whose it is.
	Data func(ctx context.Context, control net.Addr, port int) (net.Conn, error)
	// Introduce, if set, is told for whom a connection to one of the Services is made, before anything goes through
	// it: the server sees loopback alone, and has limits for each client. forget is called when the connection
	// has ended.
	Introduce func(from net.Addr, client netip.Addr) (forget func())
}

// Bridge is the http.Handler for wire.Path.
type Bridge struct {
	c       Config
	origins []string // of c.Origins, in one form
	public  bool     // one of them is elsewhere than on this machine
	log     *slog.Logger

	gate      *reach.Gate
	discovery *discovery // nil: nothing can be reached beyond the embedded server, or nothing can be looked up

	tokens      *tokens
	lockouts    *lockouts
	sessionRate clientMeter
	toldRate    clientMeter  // see flood.go
	waiting     atomic.Int64 // the same
	streamRates rates
	dataRates   rates       // of data connections
	dataFailed  clientMeter // those that did not come about

	mu       sync.Mutex
	draining bool
	sessions map[*session]struct{}
	clients  map[netip.Prefix]*holder // and their sites
	users    map[string]*holder
	targets  map[netip.Addr]int // streams
	held     int                // streams that are asked for or open
	refused  map[wire.Reason]int64
	running  sync.WaitGroup // a count for each session

	streams                     atomic.Int64
	sessionsTotal, streamsTotal atomic.Int64
	bytesUp, bytesDown          atomic.Int64
	crossSite, foreign, broken  atomic.Int64
	paced                       atomic.Int64 // nanoseconds
}

// holder is what one client, a site or a user has at present.
type holder struct {
	sessions, streams int
	pace              pace
}

// holders are the client and its site, if that is another; b.mu is held.
func (b *Bridge) holders(from netip.Prefix) (own, site *holder) {
	for _, p := range holdersOf(from) {
		if b.clients[p] == nil {
			b.clients[p] = new(holder)
		}
	}
	own, site = b.clients[from], b.clients[endsite.Site(from)]
	if own == site {
		site = new(holder) // counts for nothing
	}
	return own, site
}

// forget drops what has no session any more; b.mu is held.
func (b *Bridge) forget(from netip.Prefix) {
	for _, p := range holdersOf(from) {
		if c := b.clients[p]; c != nil && c.sessions == 0 {
			delete(b.clients, p)
		}
	}
}

// New makes a bridge. An error names what is wrong in c.
func New(c Config) (*Bridge, error) {
	b := &Bridge{
		c: c, log: c.Logger,
		sessions: make(map[*session]struct{}),
		clients:  make(map[netip.Prefix]*holder),
		users:    make(map[string]*holder),
		targets:  make(map[netip.Addr]int),
		refused:  make(map[wire.Reason]int64),
	}
	if err := errors.Join(c.Access.Validate(), c.Policy.Validate(), reach.CheckNetworks(c.TrustedProxies)); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	_, byName := c.Dialer.(NameDialer)
	if byName && len(c.Policy.Networks)+len(c.Policy.Never) > 0 {
		return nil, errors.New("bridge: where names are not looked up by the gateway, its policy cannot speak of networks that they lead to")
	}
	if c.Policy.Anything() && c.Access.Open() {
		return nil, errors.New("bridge: a policy that reaches hosts which nobody has named needs access tokens, or users that a proxy names")
	}
	b.c.Limits = c.Limits.WithDefaults()
	l := b.c.Limits
	b.tokens, b.lockouts = newTokens(c.Access.Tokens), newLockouts(l)
	b.sessionRate = newClientMeter(l.NewSessionsPerMinute, l.Remembered)
	b.toldRate = newClientMeter(toldPerMinute, l.Remembered)
	b.streamRates, b.dataRates = newRates(l, 1), newRates(l, dataConnections)
	b.dataFailed = newClientMeter(l.FailedDataPerMinute, l.Remembered)
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.c.Resolver == nil {
		b.c.Resolver = net.DefaultResolver
	}
	if b.c.SRVResolver == nil {
		b.c.SRVResolver = net.DefaultResolver
	}
	if b.c.Dialer == nil {
		b.c.Dialer = new(net.Dialer)
	}
	if b.c.Accept == nil {
		b.c.Accept = accept
	}
	b.gate = &reach.Gate{Policy: c.Policy, Resolver: b.c.Resolver, Dialer: b.c.Dialer}
	// Else there is nothing that one could discover and then reach, or nobody who could.
	if !c.Policy.Nothing() && !byName {
		b.discovery = newDiscovery(b)
	}
	for _, o := range c.Origins {
		scheme, host, err := splitOrigin(o)
		if err != nil || scheme != "http" && scheme != "https" {
			return nil, fmt.Errorf("bridge: origin %q: must be like https://mail.example.com", o)
		}
		b.origins = append(b.origins, scheme+"://"+host)
		b.public = b.public || !loopback(host)
	}
	for _, e := range c.Embedded {
		for name := range e.Inside {
			if err := name.Validate(); err != nil {
				return nil, fmt.Errorf("bridge: %w", err)
			}
		}
		for name, address := range e.Services {
			if err := name.Validate(); err != nil {
				return nil, fmt.Errorf("bridge: %w", err)
			}
			if _, port, err := net.SplitHostPort(address); err != nil || port == "0" {
				return nil, fmt.Errorf("bridge: service %s: %q is no address to dial", name, address)
			}
		}
	}
	welcome := b.welcome("")
	if err := welcome.Validate(); err != nil {
		return nil, fmt.Errorf("bridge: the welcome: %w", err)
	}
	return b, nil
}

func (b *Bridge) welcome(session string) wire.Welcome {
	var capabilities []string
	if b.discovery != nil {
		capabilities = append(capabilities, wire.CapDiscover)
	}
	if b.carriesData() {
		capabilities = append(capabilities, wire.CapFTPData)
	}
	w := wire.Welcome{
		Version: wire.Version, Server: b.c.Server, Session: session, Capabilities: capabilities,
		Limits: wire.Limits{
			Streams:     b.c.Limits.Streams,
			IdleSeconds: int(b.c.Limits.IdleTimeout / time.Second),
		},
	}
	for i, e := range b.c.Embedded {
		if e.Fingerprint != nil {
			e.Info.Fingerprint = e.Fingerprint()
		}
		if i == 0 {
			w.Embedded = &e.Info
			continue
		}
		w.Beside = append(w.Beside, e.Info)
	}
	return w
}

// embedded is the server of the gateway's own that an Open asks for; nil if it asks for none, or there is none such.
func (b *Bridge) embedded(open wire.Open) *Embedded {
	if open.Host != "" {
		return nil
	}
	for i := range b.c.Embedded {
		if e := &b.c.Embedded[i]; open.Server == "" || strings.EqualFold(open.Server, e.Info.Hostname) {
			return e
		}
	}
	return nil
}

// ServeHTTP answers the WebSocket's handshake. The session goes on in a goroutine of its own: that of the HTTP server, with
// what it holds, is not for days.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := b.checkOrigin(r); err != nil {
		b.crossSite.Add(1)
		b.log.Warn("tunnel refused", "remote", r.RemoteAddr, "err", err)
		http.Error(w, "cross-site request refused", http.StatusForbidden)
		return
	}
	if !offers(r, wire.Subprotocol) {
		b.foreign.Add(1)
		http.Error(w, "this is the tunnel: a WebSocket with the subprotocol "+wire.Subprotocol, http.StatusBadRequest)
		return
	}
	user, err := b.userOf(r)
	if err != nil {
		b.foreign.Add(1)
		b.log.Warn("tunnel refused", "remote", r.RemoteAddr, "err", err)
		http.Error(w, "the proxy must name one user", http.StatusBadRequest)
		return
	}
	s, status := b.enter(b.clientAddr(r), user, b.local(r))
	if s == nil {
		b.turnAway(w, r, status)
		return
	}
	served := false
	defer func() {
		if !served {
			b.leave(s)
		}
	}()
	// The HTTP server's deadlines hold until the connection is a WebSocket's, and net/http takes them off then.
	ws, err := b.c.Accept(w, r)
	if err != nil {
		b.foreign.Add(1)
		s.log.Info("no WebSocket", "err", err)
		return
	}
	served = true
	s.begins(ws)
	go func() {
		defer b.leave(s)
		s.serve()
	}()
}

// offers reports whether the handshake offers a subprotocol. See RFC 6455 section 11.3.4.
func offers(r *http.Request, protocol string) bool {
	for _, list := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(list, ",") {
			if strings.TrimSpace(p) == protocol {
				return true
			}
		}
	}
	return false
}

// roomToBeTold is how many sessions a client may have over its limit, for as long as it takes to tell them so in a frame: a
// page cannot read the status of a WebSocket's handshake.
const roomToBeTold = 4

// enter counts a session in.
func (b *Bridge) enter(from netip.Prefix, user string, local bool) (*session, int) {
	l := b.c.Limits
	now := time.Now()
	fast := !b.sessionRate.take(from, now)
	deaf := fast && !b.toldRate.take(from, now) // it does not hear what it is told
	b.mu.Lock()
	defer b.mu.Unlock()
	c, site := b.holders(from)
	defer b.forget(from)
	many := func(room int) bool {
		return over(c.sessions, more(l.SessionsPerClient, room)) || over(site.sessions, endsite.ClientsOfSite*more(l.SessionsPerClient, room))
	}
	switch {
	case b.draining:
		b.refused[wire.Draining]++
		return nil, http.StatusServiceUnavailable
	case over(len(b.sessions), l.Sessions):
		b.refused[wire.TooMany]++
		return nil, http.StatusServiceUnavailable
	case many(roomToBeTold):
		b.refused[wire.TooMany]++
		return nil, http.StatusTooManyRequests
	case deaf:
		b.refused[wire.TooFast]++
		return nil, http.StatusTooManyRequests
	}
	s := newSession(b, from)
	s.user, s.local = user, local
	switch {
	case many(0):
		s.no = refuse(wire.TooMany, fmt.Sprintf("%d sessions from your address are open", max(c.sessions, site.sessions)))
	case fast:
		s.no = refuse(wire.TooFast, "too many sessions have come from your address within a minute")
	}
	c.sessions++
	site.sessions++
	b.sessions[s] = struct{}{}
	b.running.Add(1)
	b.sessionsTotal.Add(1)
	return s, 0
}

// more is a limit with some room.
func more(limit, room int) int {
	if limit < 0 {
		return limit
	}
	return limit + room
}

// join counts a session in for its user, who is known now. The session counts it out.
func (b *Bridge) join(s *session) *wire.RefusedError {
	if s.user == "" {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.users[s.user]
	if u == nil {
		u = new(holder)
	}
	if over(u.sessions, b.c.Limits.SessionsPerUser) {
		return refuse(wire.TooMany, fmt.Sprintf("%d sessions of this user are open", u.sessions))
	}
	u.sessions++
	b.users[s.user], s.joined = u, true
	return nil
}

func (b *Bridge) leave(s *session) {
	s.settled()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sessions, s)
	c, site := b.holders(s.client)
	c.sessions--
	site.sessions--
	b.forget(s.client)
	if s.joined {
		if u := b.users[s.user]; u.sessions == 1 {
			delete(b.users, s.user)
		} else {
			u.sessions--
		}
	}
	b.running.Done()
}

// hold counts a stream in, before anything is done for it, and says no over a limit. The session counts it out, and
// ends after its streams.
func (b *Bridge) hold(s *session, data bool) *wire.RefusedError {
	l, now := b.c.Limits, time.Now()
	rates := b.ratesOf(data)
	if !rates.clients.take(s.client, now) || s.user != "" && !rates.users.take(s.user, now) {
		return refuse(wire.TooFast, "too many streams within a minute")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c, site := b.holders(s.client)
	u := b.userOfSession(s)
	switch {
	case over(c.streams, l.StreamsPerClient), over(site.streams, endsite.ClientsOfSite*l.StreamsPerClient):
		return refuse(wire.TooMany, fmt.Sprintf("%d streams from your address are open", max(c.streams, site.streams)))
	case over(u.streams, l.StreamsPerUser):
		return refuse(wire.TooMany, fmt.Sprintf("%d streams of this user are open", u.streams))
	case over(b.held, l.StreamsInAll):
		return refuse(wire.TooMany, "the gateway has as many streams as it bears")
	}
	c.streams++
	site.streams++
	u.streams++
	b.held++
	return nil
}

func (b *Bridge) drop(s *session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, site := b.holders(s.client)
	c.streams--
	site.streams--
	b.userOfSession(s).streams--
	b.held--
}

// userOfSession is what a session's user has; b.mu is held.
func (b *Bridge) userOfSession(s *session) *holder {
	if s.joined {
		return b.users[s.user]
	}
	return new(holder) // counts for nothing
}

// paces are those to which a session's bytes are held: its client's and its user's. They last as long as it does.
func (b *Bridge) paces(s *session) []*pace {
	if b.c.Limits.BytesPerSecond < 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c, _ := b.holders(s.client)
	paces := []*pace{&c.pace}
	if s.joined {
		paces = append(paces, &b.users[s.user].pace)
	}
	return paces
}

func (b *Bridge) countRefusal(reason wire.Reason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused[reason]++
}

func (b *Bridge) isDraining() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.draining
}

// Shutdown tells every client that the gateway is about to end, refuses what is new, and waits until the streams there
// are have ended. When ctx ends it cuts them, and returns ctx's error.
func (b *Bridge) Shutdown(ctx context.Context) error {
	b.mu.Lock()
	b.draining = true
	sessions := make([]*session, 0, len(b.sessions))
	for s := range b.sessions {
		sessions = append(sessions, s)
	}
	b.mu.Unlock()
	var told sync.WaitGroup
	for _, s := range sessions {
		told.Go(s.drain)
	}
	done := make(chan struct{})
	go func() {
		told.Wait()
		b.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		for _, s := range sessions {
			s.cut()
		}
		<-done
		return ctx.Err()
	}
}
