// Package bridge carries the streams of a tunnel to TCP: it is the gateway's WebSocket endpoint. It knows no mail, sees
// no plain text of a TLS session, and reaches nothing but what its Policy allows; by default that is the gateway's own
// embedded server alone.
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

	"github.com/coder/websocket"

	"github.com/postern-mail/postern/shared/wire"
)

// Config is what New needs. The zero Config is a bridge that reaches nothing.
type Config struct {
	Server string // name and version, for the Welcome
	// Token is what a Hello must carry. Empty: no token is asked for.
	Token  string
	Policy Policy
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
	Dialer         ContextDialer  // nil: a net.Dialer
	Logger         *slog.Logger   // nil: no log. What is logged never holds payload, nor the token
}

// Embedded is a mail server of the gateway's own.
type Embedded struct {
	// Info is told to clients in the Welcome.
	Info wire.Embedded
	// Fingerprint, if set, is asked for Info.Fingerprint at each Welcome: certificates are renewed.
	Fingerprint func() string
	// Services gives for each of its services the loopback address to dial.
	Services map[wire.ServiceName]string
	// Introduce, if set, is told for whom a connection to one of the Services is made, before anything goes through
	// it: the server sees loopback alone, and has limits for each client. forget is called when the connection
	// has ended.
	Introduce func(from net.Addr, client netip.Addr) (forget func())
}

// Limits bound what clients may cost. Zero fields mean the defaults.
type Limits struct {
	// Sessions at one time. Default 1000: at rest one costs about 55 KiB.
	Sessions int
	// SessionsPerClient address (IPv4 address or IPv6 /64) at one time. Default 16: a household, a small office. Behind
	// a proxy it needs TrustedProxies. Of this and of StreamsPerClient a site (IPv6 /48), which may have as many /64 as it
	// likes, gets four times as much.
	SessionsPerClient int
	// Streams of one session at one time. Default 32: two for an account and some to spare.
	Streams int
	// StreamsPerClient address, over all its sessions. Default 128: sixteen sessions with four accounts each. A stream
	// holds a tunnel's window of 1 MiB of the gateway's memory if its target takes nothing, and a target takes nothing
	// if the client does not read its answers: so this is the MiB that a hostile client can hold.
	StreamsPerClient int
	// StreamsInAll at one time. Default 4096: the sessions with four each, and 4 GiB were all of them hostile.
	StreamsInAll int
	// DialTimeout bounds the lookup and all attempts to connect for one Open. Default 20 s: below a client's 45.
	DialTimeout time.Duration
	// IdleTimeout ends a stream without a byte either way. Default 35 min: IMAP's IDLE is renewed after 29 (RFC 2177).
	IdleTimeout time.Duration
	// HalfClosedTimeout is the same once one direction has ended. Default 2 min.
	HalfClosedTimeout time.Duration
	// TokenDelay is how long a wrong token waits for its answer. Default 1 s: with SessionsPerClient it bounds guessing.
	TokenDelay time.Duration
	// Handshake and DeadAfter are those of tunnel.Options.
	Handshake, DeadAfter time.Duration
}

func (l Limits) withDefaults() Limits {
	def(&l.Sessions, 1000)
	def(&l.SessionsPerClient, 16)
	def(&l.Streams, 32)
	def(&l.StreamsPerClient, 128)
	def(&l.StreamsInAll, 4096)
	def(&l.DialTimeout, 20*time.Second)
	def(&l.IdleTimeout, 35*time.Minute)
	def(&l.HalfClosedTimeout, 2*time.Minute)
	def(&l.TokenDelay, time.Second)
	return l
}

func def[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// Bridge is the http.Handler for wire.Path.
type Bridge struct {
	c       Config
	origins []string // of c.Origins, in one form
	log     *slog.Logger

	discovery *discovery // nil: nothing can be reached beyond the embedded server

	mu       sync.Mutex
	draining bool
	sessions map[*session]struct{}
	clients  map[netip.Prefix]*client // and their sites
	held     int                      // streams that are asked for or open
	refused  map[wire.Reason]int64
	running  sync.WaitGroup // a count for each session

	streams                     atomic.Int64
	sessionsTotal, streamsTotal atomic.Int64
	bytesUp, bytesDown          atomic.Int64
}

// client is what one client, or a site, has at present.
type client struct{ sessions, streams int }

// clientsOfSite is how many clients' worth a site gets.
const clientsOfSite = 4

// siteOf is the IPv6 /48 that a client is in (RFC 6177), or the IPv4 client itself.
func siteOf(from netip.Prefix) netip.Prefix {
	if from.Bits() != 64 {
		return from
	}
	p, _ := from.Addr().Prefix(48)
	return p
}

// holders are the client and its site, if that is another; b.mu is held.
func (b *Bridge) holders(from netip.Prefix) (own, site *client) {
	for _, p := range []netip.Prefix{from, siteOf(from)} {
		if b.clients[p] == nil {
			b.clients[p] = new(client)
		}
	}
	own, site = b.clients[from], b.clients[siteOf(from)]
	if own == site {
		site = new(client) // counts for nothing
	}
	return own, site
}

// forget drops what has no session any more; b.mu is held.
func (b *Bridge) forget(from netip.Prefix) {
	for _, p := range []netip.Prefix{from, siteOf(from)} {
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
		clients:  make(map[netip.Prefix]*client),
		refused:  make(map[wire.Reason]int64),
	}
	b.c.Limits = c.Limits.withDefaults()
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
	if len(c.Policy.Allow) > 0 { // else there is nothing that one could discover and then reach
		b.discovery = newDiscovery(b)
	}
	for _, o := range c.Origins {
		scheme, host, err := splitOrigin(o)
		if err != nil || scheme != "http" && scheme != "https" {
			return nil, fmt.Errorf("bridge: origin %q: must be like https://mail.example.com", o)
		}
		b.origins = append(b.origins, scheme+"://"+host)
	}
	for _, e := range c.Embedded {
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
		capabilities = []string{wire.CapDiscover}
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
		b.log.Warn("tunnel refused", "remote", r.RemoteAddr, "err", err)
		http.Error(w, "cross-site request refused", http.StatusForbidden)
		return
	}
	if !offers(r, wire.Subprotocol) {
		http.Error(w, "this is the tunnel: a WebSocket with the subprotocol "+wire.Subprotocol, http.StatusBadRequest)
		return
	}
	s, status := b.enter(b.clientAddr(r))
	if s == nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, http.StatusText(status), status)
		return
	}
	served := false
	defer func() {
		if !served {
			b.leave(s)
		}
	}()
	// A server's read and write timeouts are not meant for a connection that lives for days.
	rc := http.NewResponseController(w)
	_ = errors.Join(rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}))
	ws, err := websocket.Accept(lean{w}, r, &websocket.AcceptOptions{
		Subprotocols:       []string{wire.Subprotocol},
		InsecureSkipVerify: true,                          // checkOrigin has
		CompressionMode:    websocket.CompressionDisabled, // what goes through is mostly encrypted
	})
	if err != nil {
		s.log.Info("no WebSocket", "err", err)
		return
	}
	served = true
	go func() {
		defer b.leave(s)
		s.serve(ws)
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

// enter counts a session in. Over a client's limit there is some room left in which the session is told so in a frame,
// for a page cannot read the status of a WebSocket's handshake.
func (b *Bridge) enter(from netip.Prefix) (*session, int) {
	l := b.c.Limits
	b.mu.Lock()
	defer b.mu.Unlock()
	c, site := b.holders(from)
	defer b.forget(from)
	switch {
	case b.draining:
		b.refused[wire.Draining]++
		return nil, http.StatusServiceUnavailable
	case len(b.sessions) >= l.Sessions:
		b.refused[wire.TooMany]++
		return nil, http.StatusServiceUnavailable
	case c.sessions >= l.SessionsPerClient+4, site.sessions >= clientsOfSite*(l.SessionsPerClient+4):
		b.refused[wire.TooMany]++
		return nil, http.StatusTooManyRequests
	}
	s := newSession(b, from)
	s.tooMany = c.sessions >= l.SessionsPerClient || site.sessions >= clientsOfSite*l.SessionsPerClient
	c.sessions++
	site.sessions++
	b.sessions[s] = struct{}{}
	b.running.Add(1)
	b.sessionsTotal.Add(1)
	return s, 0
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
	b.running.Done()
}

// hold counts a stream in, before anything is done for it, and says no over a limit. The session counts it out, and
// ends after its streams.
func (b *Bridge) hold(s *session) *wire.RefusedError {
	l := b.c.Limits
	b.mu.Lock()
	defer b.mu.Unlock()
	c, site := b.holders(s.client)
	switch {
	case c.streams >= l.StreamsPerClient, site.streams >= clientsOfSite*l.StreamsPerClient:
		return refuse(wire.TooMany, fmt.Sprintf("%d streams from your address are open", max(c.streams, site.streams)))
	case b.held >= l.StreamsInAll:
		return refuse(wire.TooMany, "the gateway has as many streams as it bears")
	}
	c.streams++
	site.streams++
	b.held++
	return nil
}

func (b *Bridge) drop(s *session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, site := b.holders(s.client)
	c.streams--
	site.streams--
	b.held--
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

// Stats are counts since the bridge was made, and what there is now.
type Stats struct {
	Sessions, Streams           int // now
	SessionsTotal, StreamsTotal int64
	BytesUp, BytesDown          int64 // of payload: from clients, to clients
	Refused                     map[wire.Reason]int64
}

// Stats counts.
func (b *Bridge) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Stats{
		Sessions: len(b.sessions), Streams: int(b.streams.Load()),
		SessionsTotal: b.sessionsTotal.Load(), StreamsTotal: b.streamsTotal.Load(),
		BytesUp: b.bytesUp.Load(), BytesDown: b.bytesDown.Load(),
		Refused: make(map[wire.Reason]int64, len(b.refused)),
	}
	for reason, n := range b.refused {
		s.Refused[reason] = n
	}
	return s
}
