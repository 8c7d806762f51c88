package pop3

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"time"
)

// STLS starts TLS. What the server said before the handshake is forgotten, save the timestamp for APOP, of which there is no
// other: whoever may have put one of his own there does not see the answer, which goes to the server under TLS. What it said after its +OK and before
// the handshake breaks the session: it may have come from anybody. The state stays AUTHORIZATION. There
// is no way back to plain text: after a refusal, an [*Error], it is for the caller to close. See RFC 2595 sections 2
// and 4.
func (c *Client) STLS(ctx context.Context, config *tls.Config) error {
	return c.session(ctx, "STLS", []State{Authorization}, func() error {
		if _, ok := c.TLS(); ok {
			return fmt.Errorf("%w: STLS under TLS", ErrState)
		}
		if c.utf8 {
			return fmt.Errorf("%w: STLS after UTF8", ErrState) // RFC 6856 section 2.1
		}
		if c.caps != nil && !c.caps.STLS {
			return fmt.Errorf("%w: STLS", ErrUnsupported)
		}
		if err := c.send("STLS", ""); err != nil {
			return err
		}
		if _, err := c.status("STLS"); err != nil {
			return err
		}
		if n := len(c.link.buffered()); n > 0 {
			return c.link.fail(fmt.Errorf("%w: %d octets in plain text after it agreed to STLS", ErrProtocol, n))
		}
		if err := c.link.startTLS(config); err != nil {
			return err
		}
		c.caps = nil // announced by who knows whom
		return nil
	})
}

// startTLS puts TLS over the connection.
func (l *link) startTLS(config *tls.Config) error {
	if err := l.arm(time.Now().Add(l.timeout), l.conn.SetDeadline); err != nil {
		return err
	}
	conn := tls.Client(l.conn, config)
	if err := conn.Handshake(); err == io.EOF {
		return l.fail(io.ErrUnexpectedEOF)
	} else if err != nil {
		return l.fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	return nil
}

// TLS returns the state of TLS and whether the session is under TLS.
func (c *Client) TLS() (tls.ConnectionState, bool) {
	if t, ok := c.link.conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return t.ConnectionState(), true
	}
	return tls.ConnectionState{}, false
}
