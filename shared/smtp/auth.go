package smtp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	gosasl "github.com/emersion/go-sasl"
	"github.com/postern-mail/postern/shared/sasl"
)

// Auth authenticates by the safest mechanism that the server announces and cr can use, and answers which that was. only, if
// not empty, is the one mechanism that may be used. Without TLS, a mechanism that shows the password is used only if
// Options.AllowPlaintextAuth says so: else nothing is sent, and the error is [ErrPlaintext]. A server that announces none
// that can be used is an error that wraps [ErrUnsupported]. A wrong password is an [*Error], most often 535. See RFC 4954.
//
// A server that does not prove, in a mechanism that wants it to, that it knows the password itself (SCRAM-SHA-256) is an error
// that ends the session.
func (c *Client) Auth(ctx context.Context, cr sasl.Credentials, only string) (mechanism string, err error) {
	if cr.User == "" || strings.ContainsRune(cr.User+cr.Password+cr.Token, 0) {
		return "", fmt.Errorf("%w: user name or password", ErrArgument)
	}
	err = c.session(ctx, "AUTH", func() error {
		if mechanism, err = c.mechanism(cr, only); err != nil {
			return err
		}
		return c.authenticate(mechanism, cr)
	})
	return mechanism, err
}

// mechanism chooses one.
func (c *Client) mechanism(cr sasl.Credentials, only string) (string, error) {
	_, tls := c.TLS()
	mechanism, err := sasl.Choose(c.extensions.Auth, cr, tls, c.options.AllowPlaintextAuth, only)
	switch {
	case err == nil:
		return mechanism, nil
	case errors.Is(err, sasl.ErrPlaintext), !tls && !c.options.AllowPlaintextAuth && len(c.extensions.Auth) == 0: // most announce none before TLS
		return "", ErrPlaintext
	}
	return "", fmt.Errorf("%w: AUTH: %w", ErrUnsupported, err)
}

// authenticate speaks AUTH.
func (c *Client) authenticate(mechanism string, cr sasl.Credentials) error {
	client, err := sasl.New(mechanism, cr)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrArgument, err)
	}
	x := &exchanger{client: client, mechanism: mechanism}
	c.guard.secrets, c.guard.steps = true, 0
	switch mechanism {
	case sasl.Login, sasl.CRAMMD5, sasl.OAuthBearer, sasl.XOAuth2:
		c.guard.veiled = false
	default:
		c.guard.veiled = true
	}
	defer func() { c.guard.secrets = false }()
	err = c.replied("AUTH", c.smtp.Auth(x))
	if err == nil {
		x.failed = sasl.Finished(client)
	}
	var refused *Error
	var broken base64.CorruptInputError
	switch {
	case errors.As(err, &refused), c.guard.failure() != nil:
		return err
	case errors.As(err, &broken):
		return c.guard.fail(fmt.Errorf("%w: its challenge is not base64", ErrProtocol))
	case x.failed != nil:
		return c.guard.fail(fmt.Errorf("%w: AUTH %s: %w", ErrProtocol, mechanism, x.failed))
	}
	return err
}

// exchanger is a mechanism as go-smtp has to see it.
type exchanger struct {
	client    gosasl.Client
	mechanism string
	initial   []byte // the initial response, until the first challenge has come
	failed    error
}

// maxCommand limits a command with its CRLF, RFC 5321 section 4.5.3.1.4. RFC 4954 section 4 has an initial response that
// does not fit, a long token for one, wait until it is asked for.
const maxCommand = 512

// Start implements sasl.Client.
func (x *exchanger) Start() (string, []byte, error) {
	_, initial, err := x.client.Start()
	if x.failed, x.initial = err, initial; err != nil {
		return "", nil, err
	}
	if len("AUTH  \r\n")+len(x.mechanism)+base64.StdEncoding.EncodedLen(len(initial)) > maxCommand {
		return x.mechanism, nil, nil
	}
	return x.mechanism, initial, nil
}

// Next implements sasl.Client.
func (x *exchanger) Next(challenge []byte) ([]byte, error) {
	initial := x.initial
	x.initial = nil
	if len(challenge) == 0 && len(initial) > 0 { // QUIRK: or the server did not look at what came with AUTH
		return initial, nil
	}
	response, err := x.client.Next(challenge)
	if err != nil {
		x.failed = err
		return nil, err
	}
	if response == nil {
		response = []byte{} // go-smtp takes nil for the end
	}
	return response, nil
}
