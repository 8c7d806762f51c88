package sasl

import (
	"fmt"
	"strconv"
	"strings"

	gosasl "github.com/emersion/go-sasl"
)

// bearerToken is OAUTHBEARER and XOAUTH2: all is said in the initial response. A challenge is the server's account, in JSON,
// of why the token will not do; it is answered by a formality, and then the server refuses by the means of its protocol.
type bearerToken struct {
	mechanism, initial, formality string
	refused                       bool
}

// newOAuthBearer follows RFC 7628 section 3.1; the formality is of section 3.2.3.
func newOAuthBearer(c Credentials) gosasl.Client {
	var b strings.Builder
	b.WriteString("n,a=" + saslname(c.User) + ",\x01")
	if c.Host != "" {
		b.WriteString("host=" + c.Host + "\x01")
	}
	if c.Port > 0 {
		b.WriteString("port=" + strconv.Itoa(c.Port) + "\x01")
	}
	b.WriteString("auth=Bearer " + c.Token + "\x01\x01")
	return &bearerToken{mechanism: OAuthBearer, initial: b.String(), formality: "\x01"}
}

// newXOAuth2 follows https://developers.google.com/workspace/gmail/imap/xoauth2-protocol.
func newXOAuth2(c Credentials) gosasl.Client {
	return &bearerToken{mechanism: XOAuth2, initial: "user=" + c.User + "\x01auth=Bearer " + c.Token + "\x01\x01"}
}

func (b *bearerToken) Start() (string, []byte, error) { return b.mechanism, []byte(b.initial), nil }

func (b *bearerToken) Next([]byte) ([]byte, error) {
	if b.refused {
		return nil, fmt.Errorf("%w: %s has one at most", ErrChallenge, b.mechanism)
	}
	b.refused = true
	return []byte(b.formality), nil
}

// finished says that a server which complained about the token and then accepted it is not to be believed.
func (b *bearerToken) finished() error {
	if b.refused {
		return fmt.Errorf("%w: it refused the token and then took it", ErrChallenge)
	}
	return nil
}
