package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery/mtasts"
	"github.com/postern-mail/postern/shared/sasl"
	"github.com/postern-mail/postern/shared/smtp"
	"github.com/postern-mail/postern/shared/trust"
)

// peer is a server to connect to, and what is asked of the connection.
type peer struct {
	host        string // its name; for an address literal the address in brackets
	address     netip.AddrPort
	tls         TLSMode
	policy      mtasts.Policy
	credentials sasl.Credentials
}

// strict reports whether nothing may be sent without TLS and a certificate that verifies.
func (p *peer) strict() bool { return p.tls != Opportunistic || p.policy.Mode == mtasts.Enforce }

// String is the peer for people: "mx1.example.org (192.0.2.1)".
func (p *peer) String() string { return fmt.Sprintf("%s (%s)", p.host, p.address.Addr()) }

// name is what a certificate has to be for.
func (p *peer) name() string {
	if strings.HasPrefix(p.host, "[") {
		return p.address.Addr().String()
	}
	return p.host
}

// session is a connection to a peer that takes mail. Who has it has it for himself.
type session struct {
	peer       peer
	client     *smtp.Client
	extensions smtp.Extensions
	verified   bool  // the certificate was
	unverified error // why not
	messages   int   // sent, or tried
	recorder   *recorder
	idle       *time.Timer // ends it
}

// tls answers the state of TLS in words: "TLS 1.3, verified".
func (s *session) tls() string {
	state, ok := s.client.TLS()
	switch {
	case !ok, !state.HandshakeComplete:
		return "none"
	case s.verified:
		return tls.VersionName(state.Version) + ", verified"
	}
	return tls.VersionName(state.Version) + ", unverified"
}

// hear writes what is said to the transcript of the attempt that has the session.
func (s *session) hear(e smtp.Exchange) {
	if s.recorder != nil {
		s.recorder.hear(e)
	}
}

// fits reports whether the session may be used under a policy, which can have changed since it began.
func (s *session) fits(policy mtasts.Policy) bool {
	return policy.Mode != mtasts.Enforce || s.verified && policy.Matches(s.peer.host)
}

// unmet is why there is no session with a peer.
type unmet struct {
	result *Result
	plain  bool // TLS broke, and may be done without on another connection
}

// connect makes a session with a peer. plain does without TLS, whatever is offered. The place among the dials is the caller's.
func (c *Config) connect(ctx context.Context, p peer, plain bool, r *recorder) (*session, *unmet) {
	within, cancel := context.WithTimeout(ctx, c.Limits.Dial)
	defer cancel()
	r.note("connecting to %s port %d", p.String(), p.address.Port())
	conn, err := c.Dialer.DialContext(within, "tcp", p.address.String())
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = fmt.Errorf("no answer in %v", c.Limits.Dial)
		}
		r.note("not connected: %v", err)
		return nil, &unmet{result: finding(451, "4.4.1", "%s could not be connected to: %v", &p, err)}
	}
	s := &session{peer: p, recorder: r}
	if p.tls == ImplicitTLS {
		conn = tls.Client(conn, c.tlsConfig(s))
	}
	s.client = smtp.New(conn, &smtp.Options{
		LocalName: c.Hostname, Trace: s.hear,
		Timeout: c.Limits.Timeout, BlockTimeout: c.Limits.BlockTimeout, FinalTimeout: c.Limits.FinalTimeout,
	})
	if why := c.open(ctx, s, plain); why != nil {
		s.client.Close()
		why.result.Server, why.result.TLS = p.String(), s.tls()
		return nil, why
	}
	return s, nil
}

// open says the hello, and does what comes before the first message.
func (c *Config) open(ctx context.Context, s *session, plain bool) *unmet {
	var err error
	if s.extensions, err = s.client.Extensions(ctx); err != nil {
		return &unmet{result: unopened(err)}
	}
	if _, under := s.client.TLS(); !under && !plain {
		if why := c.startTLS(ctx, s); why != nil {
			return why
		}
	}
	if state, under := s.client.TLS(); under {
		s.recorder.note("%s, %s", s.tls(), tls.CipherSuiteName(state.CipherSuite))
		if s.unverified != nil {
			s.recorder.note("the certificate does not verify: %v", s.unverified)
		}
	}
	if s.peer.credentials.User == "" {
		return nil
	}
	if _, err = s.client.Auth(ctx, s.peer.credentials, ""); err != nil {
		// Whatever the code: it is this server's credentials that are wrong, and not the message.
		result := unopened(err)
		result.Outcome, result.Enhanced = Deferred, "4.7.8"
		return &unmet{result: result}
	}
	return nil
}

// startTLS starts TLS where it is offered, or must be.
func (c *Config) startTLS(ctx context.Context, s *session) *unmet {
	if !s.extensions.StartTLS {
		if s.peer.strict() {
			return &unmet{result: finding(451, "4.7.4", "%s offers no TLS, without which nothing is sent there", &s.peer)}
		}
		return nil
	}
	err := s.client.StartTLS(ctx, c.tlsConfig(s))
	if err == nil {
		s.extensions, err = s.client.Extensions(ctx)
	}
	var refused *smtp.Error
	switch {
	case err == nil:
		return nil
	case s.peer.strict() && errors.As(err, &refused):
		return &unmet{result: finding(451, "4.7.4", "%s does not start TLS, without which nothing is sent there: %v", &s.peer, refused)}
	case s.peer.strict():
		return &unmet{result: finding(451, "4.7.5", "TLS with %s failed, without which nothing is sent there: %v", &s.peer, err)}
	case errors.As(err, &refused) && s.client.Open():
		s.recorder.note("going on in plain text")
		return nil
	}
	return &unmet{result: finding(451, "4.7.5", "TLS with %s failed: %v", &s.peer, err), plain: ctx.Err() == nil}
}

// unopened is the failure to begin a session as a result.
func unopened(err error) *Result {
	var refused *smtp.Error
	if errors.As(err, &refused) {
		return refusal(refused)
	}
	return finding(451, "4.4.2", "the session did not begin: %v", err)
}

// tlsConfig is that of a client. The certificate is looked at in every case; one that does not verify ends the handshake only if the
// peer is one that must: who cannot be sure of the other end is still heard by nobody on the way who only listens (RFC 7435).
func (c *Config) tlsConfig(s *session) *tls.Config {
	config := trust.Config(trust.Options{ServerName: s.peer.name(), Roots: c.Roots})
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		s.unverified = verify(state)
		s.verified = s.unverified == nil
		if s.peer.strict() {
			return s.unverified
		}
		return nil
	}
	return config
}
