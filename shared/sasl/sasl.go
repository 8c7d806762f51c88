// Package sasl is the client's side of the SASL mechanisms with which one logs in to a mail server, over the interface
// of github.com/emersion/go-sasl, and the server's side of SCRAM ([SCRAMServer]), which that has not:
//
//   - PLAIN (RFC 4616)
//   - LOGIN (draft-murchison-sasl-login, which never became an RFC)
//   - CRAM-MD5 (RFC 2195)
//   - SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding
//   - OAUTHBEARER (RFC 7628), with the bearer tokens of RFC 6750
//   - XOAUTH2, its forerunner of Google's
//
// # User names and passwords beyond ASCII
//
// They are sent as UTF-8, just as they were typed. RFC 4616 and RFC 5802 want SASLprep (RFC 4013) first, that is NFKC and
// a few deletions; Dovecot, Cyrus by default and most others hash what was given to them when the password was set, and
// so a client that maps where they do not locks its user out. Keyboards and input methods produce NFC, on which NFKC
// changes little but ligatures and full-width forms; and the tables of NFKC would weigh more than this whole package.
//
// # What a server may ask for
//
// A server that does not know the password can still make the client work. SCRAM's iteration count is bounded both ways
// (see [MinIterations] and [MaxIterations]), challenges by [MaxChallenge], and the hashing lets others run: see scram.go.
package sasl

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	gosasl "github.com/emersion/go-sasl"
)

// Credentials are what one logs in with: a password, or a token in its place.
type Credentials struct {
	User     string
	Password string
	Token    string // of OAuth 2.0, a bearer token; if it is set, no password is used
	Host     string // the server's name and port as the user gave them, which OAUTHBEARER tells it; may be empty
	Port     int
}

// The mechanisms, by their registered names.
const (
	Plain       = "PLAIN"
	Login       = "LOGIN"
	CRAMMD5     = "CRAM-MD5"
	SCRAMSHA256 = "SCRAM-SHA-256"
	OAuthBearer = "OAUTHBEARER"
	XOAuth2     = "XOAUTH2"
)

// MaxChallenge is the longest challenge that a mechanism reads, in octets. The longest that has a use, OAUTHBEARER's
// account of what is wrong with a token, has a few hundred.
const MaxChallenge = 8 << 10

var (
	// ErrUnsupported says that this package has no such mechanism.
	ErrUnsupported = errors.New("sasl: unknown mechanism")
	// ErrNoMechanism says that the server announced no mechanism that could be used. What it did announce is in the text.
	ErrNoMechanism = errors.New("sasl: no way to log in that both sides know")
	// ErrPlaintext says that the password would have to cross an unprotected connection.
	ErrPlaintext = errors.New("sasl: refusing to send the password unprotected")
	// ErrCredentials says that the mechanism cannot carry this user name, password or token.
	ErrCredentials = errors.New("sasl: user name or password cannot be sent")
	// ErrChallenge says that the server's challenge is not one of the mechanism, or asks for too much.
	ErrChallenge = errors.New("sasl: unexpected challenge")
	// ErrServerProof says that the server accepted the password and could not prove that it knows it: it is
	// an impostor, and nothing that it says is to be believed.
	ErrServerProof = errors.New("sasl: the server could not prove that it knows the password")
)

// New makes the client's side of one exchange of a mechanism.
func New(mechanism string, c Credentials) (gosasl.Client, error) {
	begin, ok := map[string]func(Credentials) gosasl.Client{
		Plain:       newPlain,
		Login:       newLogin,
		CRAMMD5:     newCRAMMD5,
		SCRAMSHA256: newSCRAM,
		OAuthBearer: newOAuthBearer,
		XOAuth2:     newXOAuth2,
	}[strings.ToUpper(mechanism)]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnsupported, mechanism)
	}
	if err := c.check(strings.ToUpper(mechanism)); err != nil {
		return nil, err
	}
	return begin(c), nil
}

// Finished is to be called when the server has said that the exchange succeeded. It returns [ErrServerProof] if the
// mechanism lets the server prove itself and the server has not: then the session must end.
func Finished(c gosasl.Client) error {
	if f, ok := c.(interface{ finished() error }); ok {
		return f.finished()
	}
	return nil
}

func (c *Credentials) check(mechanism string) error {
	secret := c.Password
	if mechanism == OAuthBearer || mechanism == XOAuth2 {
		secret = c.Token
		// RFC 6750 section 2.1: a token has printable ASCII alone; 0x01 ends a field of both mechanisms.
		if secret == "" || strings.ContainsFunc(secret, func(r rune) bool { return r < 0x21 || r > 0x7E }) || strings.ContainsRune(c.User+c.Host, 1) {
			return fmt.Errorf("%w: no token", ErrCredentials)
		}
	}
	switch {
	case c.User == "":
		return fmt.Errorf("%w: no user name", ErrCredentials)
	case !utf8.ValidString(c.User) || !utf8.ValidString(secret):
		return fmt.Errorf("%w: not UTF-8", ErrCredentials)
	case strings.ContainsRune(c.User+secret, 0): // RFC 4616 section 2, RFC 5802 section 5.1
		return fmt.Errorf("%w: a NUL", ErrCredentials)
	case mechanism == CRAMMD5 && strings.HasSuffix(c.User, " "): // the last space ends the name: RFC 2195 section 2
		return fmt.Errorf("%w: a name that ends in a space", ErrCredentials)
	}
	return nil
}
