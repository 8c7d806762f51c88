package pop3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Capabilities is what the server announced with CAPA. See RFC 2449 sections 5 and 6.
type Capabilities struct {
	Pipelining bool // commands may be sent before the answers to earlier ones (section 6.6)
	STLS       bool // RFC 2595 section 4
	Top        bool
	UIDL       bool
	User       bool // USER and PASS are accepted
	RespCodes  bool
	Wait       bool     // XWAIT, announced as X-POSTERN-WAIT; see [Client.Wait]
	SASL       []string // the mechanisms of AUTH, upper case

	Implementation string
	Lines          []string // each capability as announced, in order
}

// Args returns the arguments of the capability of that name and whether it was announced.
func (c *Capabilities) Args(name string) ([]string, bool) {
	for _, line := range c.Lines {
		if f := strings.Fields(line); strings.EqualFold(f[0], name) {
			return f[1:], true
		}
	}
	return nil, false
}

func (c *Capabilities) add(line string) {
	f := strings.Fields(line)
	if len(f) == 0 {
		return
	}
	c.Lines = append(c.Lines, line)
	switch strings.ToUpper(f[0]) {
	case "PIPELINING":
		c.Pipelining = true
	case "STLS":
		c.STLS = true
	case "TOP":
		c.Top = true
	case "UIDL":
		c.UIDL = true
	case "USER":
		c.User = true
	case "RESP-CODES":
		c.RespCodes = true
	case "X-POSTERN-WAIT":
		c.Wait = true
	case "SASL":
		for _, m := range f[1:] {
			c.SASL = append(c.SASL, strings.ToUpper(m))
		}
	case "IMPLEMENTATION":
		c.Implementation = strings.Join(f[1:], " ")
	}
}

// Capa asks what the server is capable of. A server without CAPA refuses with an [*Error]. See RFC 2449 section 5.
func (c *Client) Capa(ctx context.Context) (*Capabilities, error) {
	err := c.session(ctx, "CAPA", []State{Authorization, Transaction}, c.capa)
	if err != nil {
		return nil, err
	}
	caps := *c.caps
	return &caps, nil
}

func (c *Client) capa() error {
	caps := new(Capabilities)
	err := c.multiline("CAPA", "CAPA", func(line []byte) error {
		caps.add(printable(string(line)))
		return nil
	})
	var refused *Error
	if err == nil || errors.As(err, &refused) {
		c.caps = caps // refused: it announces nothing
	}
	return err
}

// STLS starts TLS. What the server said before the handshake is forgotten, and what it said after its +OK and before
// the handshake breaks the session: it may have come from anybody. The state stays AUTHORIZATION. There
// is no way back to plain text: after a refusal, an [*Error], it is for the caller to close. See RFC 2595 sections 2
// and 4.
func (c *Client) STLS(ctx context.Context, config *tls.Config) error {
	return c.session(ctx, "STLS", []State{Authorization}, func() error {
		if _, ok := c.TLS(); ok {
			return fmt.Errorf("%w: STLS under TLS", ErrState)
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
	if err := conn.Handshake(); err != nil {
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

// Login authenticates with USER and PASS and so enters TRANSACTION. A refusal is an [*Error]: its Code tells a
// maildrop in use (IN-USE) and a server in trouble (SYS/TEMP) from a password that is wrong; after it one may
// try again. It does not ask whether the connection is safe for a password: that is the caller's policy. See RFC 1939
// section 7.
func (c *Client) Login(ctx context.Context, user, password string) error {
	return c.session(ctx, "USER", []State{Authorization}, func() error {
		if user == "" || strings.ContainsAny(user+password, "\r\n\x00") {
			return fmt.Errorf("%w: user name or password", ErrArgument)
		}
		if err := c.send("USER "+user, ""); err != nil {
			return err
		}
		if _, err := c.status("USER"); err != nil {
			return err
		}
		if err := c.send("PASS "+password, "PASS ****"); err != nil {
			return err
		}
		if _, err := c.status("PASS"); err != nil {
			return err
		}
		c.state.Store(int32(Transaction))
		return nil
	})
}
