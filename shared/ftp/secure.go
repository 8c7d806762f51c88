package ftp

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"
)

// AuthTLS starts TLS on the control connection. What the server says between its agreement and the handshake breaks the session:
// it may have come from anybody. What it said before is forgotten. There is no way back to plain text: after a refusal, an
// [*Error], it is for the caller to close. Data connections are secured by [Client.Login]. See RFC 4217 section 4.
func (c *Client) AuthTLS(ctx context.Context, config *tls.Config) error {
	return c.session(ctx, "AUTH", []Phase{Opening}, func() error {
		if c.tls != nil {
			return fmt.Errorf("%w: AUTH TLS under TLS", ErrState)
		}
		if _, err := c.want(2, "AUTH TLS"); err != nil {
			return err
		}
		if n := len(c.link.buffered()); n > 0 {
			return c.link.fail(fmt.Errorf("%w: %d octets in plain text after it agreed to AUTH TLS", ErrProtocol, n))
		}
		c.features = nil // announced by who knows whom
		return c.startTLS(config)
	})
}

// startTLS puts TLS over the control connection, and remembers how to put it over data connections.
func (c *Client) startTLS(config *tls.Config) error {
	control := config.Clone()
	control.ClientSessionCache = &c.tickets
	if err := c.link.startTLS(control, time.Now().Add(c.options.Timeout)); err != nil {
		return err
	}
	c.tls = config.Clone()
	c.tls.ClientSessionCache = reader{&c.tickets}
	c.become(func(s *State) { s.TLS = true })
	if state, ok := c.TLS(); ok {
		c.note("%s", tls.VersionName(state.Version))
	}
	return nil
}

// TLS returns the state of TLS and whether the control connection is under TLS.
func (c *Client) TLS() (tls.ConnectionState, bool) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if t, ok := c.link.conn.(*tls.Conn); ok {
		return t.ConnectionState(), true
	}
	return tls.ConnectionState{}, false
}

// protect has data connections be under TLS: PBSZ 0 and PROT P (RFC 4217 section 9).
func (c *Client) protect() error {
	_, err := c.want(2, "PBSZ 0")
	if err == nil {
		_, err = c.want(2, "PROT P")
	}
	if err == nil {
		c.become(func(s *State) { s.Private = true })
		return nil
	}
	if refusedBy(err) && c.options.AllowPlaintextData {
		c.note("data connections will be in plain text")
		return nil
	}
	return err
}

// tickets is what the control connection's TLS session is resumed by, for tls.Config.ClientSessionCache. It is one session's:
// servers that demand that data connections resume the control connection's session (vsftpd's require_ssl_reuse) mean this very one. So
// data connections read it and write nothing to it, and the control connection never resumes another's.
//
// In TLS 1.3 tickets come after the handshake, with the first octets that are read: a reply has always been, before the first data
// connection opens. A ticket is used more than once, against the advice of RFC 8446 appendix C.4, which is about
// observers that link connections: the ports of these are said to belong together anyway. A ticket lives as long as the server says, hours
// at least; a session that outlives it cannot resume it, and has to be begun anew where that is demanded (522, [ErrNeedsTLS]).
type tickets struct {
	mu     sync.Mutex
	latest *tls.ClientSessionState
}

// Get implements tls.ClientSessionCache.
func (t *tickets) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

// Put implements tls.ClientSessionCache.
func (t *tickets) Put(_ string, s *tls.ClientSessionState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s != nil {
		t.latest = s
	}
}

// reader gives tickets to data connections.
type reader struct{ *tickets }

// Get implements tls.ClientSessionCache.
func (r reader) Get(string) (*tls.ClientSessionState, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest, r.latest != nil
}

// Put implements tls.ClientSessionCache.
func (reader) Put(string, *tls.ClientSessionState) {}
