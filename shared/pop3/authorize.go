package pop3

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/postern-mail/postern/shared/sasl"
)

// Ways to log in that [Client.Auth] knows beside the mechanisms of SASL.
const (
	WayAPOP = "APOP"
	WayUser = "USER" // USER and PASS
)

// Auth logs in, and so enters TRANSACTION, by the safest way that CAPA, the greeting and Options.AllowPlaintextAuth
// allow, and returns its name: that of a mechanism of SASL, [WayAPOP] or [WayUser]. only, if not empty, is the one to take.
//
//   - Under TLS: AUTH with SCRAM-SHA-256, PLAIN, LOGIN or CRAM-MD5, else USER and PASS, else APOP. APOP comes last, as TLS
//     hides the password better than MD5 does.
//   - Without TLS: AUTH with SCRAM-SHA-256 or CRAM-MD5, else APOP; and then, if Options.AllowPlaintextAuth is set, the ways that
//     show the password. Else the error wraps [ErrPlaintext], and nothing of the password was sent.
//   - With a token: OAUTHBEARER or XOAUTH2, under the same rule.
//
// A server that announces none of them is an error that wraps [ErrNoMechanism] and says what it did announce. A server
// without CAPA, or that announces neither USER nor SASL, is taken to be one of RFC 1939 and asked by USER and PASS.
//
// After a refusal, an [*Error], no other way is tried: the password is as wrong by all of them, and servers count. If the server
// announces UTF8 (RFC 6856), it is told first that this client reads UTF-8.
func (c *Client) Auth(ctx context.Context, cr sasl.Credentials, only string) (way string, err error) {
	err = c.session(ctx, "AUTH", []State{Authorization}, func() error {
		if err := c.known(); err != nil {
			return err
		}
		way, err = c.way(cr, strings.ToUpper(only))
		if err != nil {
			return err
		}
		if c.caps.UTF8 && !c.utf8 {
			var refused *Error
			if err := c.readUTF8(); err != nil && !errors.As(err, &refused) {
				return err
			}
		}
		switch way {
		case WayAPOP:
			return c.apop(cr.User, cr.Password)
		case WayUser:
			return c.login(cr.User, cr.Password)
		}
		client, err := sasl.New(way, cr)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrArgument, err)
		}
		return c.authenticate(client)
	})
	if err != nil && way == "" {
		return "", err
	}
	return way, err
}

// way chooses.
func (c *Client) way(cr sasl.Credentials, only string) (string, error) {
	_, tls := c.TLS()
	plaintext := c.options.AllowPlaintextAuth
	user := cr.Token == "" && (c.caps.User || len(c.caps.SASL) == 0)
	apop := cr.Token == "" && c.timestamp != ""
	switch only {
	case "":
	case WayAPOP:
		if !apop {
			return "", c.noWay("APOP was asked for")
		}
		return WayAPOP, nil
	case WayUser:
		if !tls && !plaintext {
			return "", fmt.Errorf("%w: USER was asked for", ErrPlaintext)
		}
		if !user {
			return "", c.noWay("USER was asked for")
		}
		return WayUser, nil
	default:
		way, err := sasl.Choose(c.caps.SASL, cr, tls, plaintext, only)
		if errors.Is(err, ErrNoMechanism) {
			return "", c.noWay(only + " was asked for")
		}
		return way, err
	}

	way, err := sasl.Choose(c.caps.SASL, cr, tls, false, "")
	switch {
	case err == nil:
		return way, nil
	case !tls && apop:
		return WayAPOP, nil
	case !tls && !plaintext:
		if errors.Is(err, ErrPlaintext) || user {
			return "", fmt.Errorf("%w; %s", ErrPlaintext, c.offer())
		}
		return "", c.noWay("")
	}
	if way, err := sasl.Choose(c.caps.SASL, cr, tls, plaintext, ""); err == nil {
		return way, nil
	}
	switch {
	case user:
		return WayUser, nil
	case apop:
		return WayAPOP, nil
	}
	return "", c.noWay("")
}

func (c *Client) noWay(asked string) error {
	if asked != "" {
		return fmt.Errorf("%w: %s; %s", ErrNoMechanism, asked, c.offer())
	}
	return fmt.Errorf("%w; %s", ErrNoMechanism, c.offer())
}

// offer says by what the server lets in, for the text of an error.
func (c *Client) offer() string {
	ways := append([]string(nil), c.caps.SASL...)
	if c.timestamp != "" {
		ways = append(ways, WayAPOP)
	}
	if c.caps.User {
		ways = append(ways, WayUser)
	}
	if len(ways) == 0 {
		return "the server announces no way in"
	}
	return "the server offers " + strings.Join(ways, " ")
}

// Login authenticates with USER and PASS and so enters TRANSACTION. A refusal is an [*Error]: its Code tells a
// maildrop in use (IN-USE) and a server in trouble (SYS/TEMP) from a password that is wrong; after it one may
// try again. It does not ask whether the connection is safe for a password: that is the caller's policy, or [Client.Auth]'s. See
// RFC 1939 section 7.
//
// QUIRK: RFC 6856 section 2.2 lets a client send a name or password beyond ASCII only to a server that announces "UTF8 USER".
// It is sent as UTF-8 to any: those that take it without saying so (Dovecot) are many, and the others refuse it.
func (c *Client) Login(ctx context.Context, user, password string) error {
	return c.session(ctx, "USER", []State{Authorization}, func() error { return c.login(user, password) })
}

func (c *Client) login(user, password string) error {
	if user == "" || strings.ContainsAny(user+password, "\r\n\x00") {
		return fmt.Errorf("%w: user name or password", ErrArgument)
	}
	if err := c.send("USER "+user, ""); err != nil {
		return err
	}
	if _, err := c.status("USER"); err != nil {
		return err
	}
	if err := c.send("PASS "+password, "PASS "+masked); err != nil {
		return err
	}
	if _, err := c.status("PASS"); err != nil {
		return err
	}
	c.state.Store(int32(Transaction))
	return nil
}
