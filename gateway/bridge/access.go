package bridge

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/postern-mail/postern/gateway/bridge/reach"
	"github.com/postern-mail/postern/shared/wire"
)

// Access says who may use the gateway. The zero Access is open: everybody may use its own mail servers; those that the
// policy allows besides may be reached from this machine alone (see local). With Tokens a client has to present one of them, with
// UserHeader the proxy has to name its user; with both, either will do.
type Access struct {
	Tokens []Token
	// UserHeader is the field in which a proxy says whom it has let in, after a login by OpenID Connect for instance:
	// Remote-User, X-Forwarded-User, X-Auth-Request-User. The proxy has to take it out of what clients send.
	UserHeader string
	// UserProxies are the networks of those proxies. The field counts on a connection from there, and nowhere else.
	UserProxies []netip.Prefix
}

// Token is a secret that lets in, under a name for the operator's log and the limits of each user.
type Token struct {
	Name   string // one word
	Secret string // 16 characters at least, one line
}

// shortestToken is how many characters a token has at least. A guess a second from each of ten thousand addresses would take a
// thousand million years to find one of sixteen random letters and digits.
const shortestToken = 16

const (
	longestToken = 512 // octets: what a Hello carries
	longestUser  = 256 // octets of a user's name
	longestName  = 32
	mostTokens   = 1000 // each is compared with what is presented
)

// Open reports whether nobody is asked who he is.
func (a *Access) Open() bool { return len(a.Tokens) == 0 && a.UserHeader == "" }

// Validate says what is wrong with a, if anything. It names no secret.
func (a *Access) Validate() error {
	if (a.UserHeader != "") != (len(a.UserProxies) > 0) {
		return errors.New("access: a user's header needs the networks of the proxies that may send it, and they need its name")
	}
	if strings.ContainsFunc(a.UserHeader, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return fmt.Errorf("access: %q is no name of a header", a.UserHeader)
	}
	if err := reach.CheckNetworks(a.UserProxies); err != nil {
		return fmt.Errorf("access: %w", err)
	}
	if len(a.Tokens) > mostTokens {
		return fmt.Errorf("access: %d tokens, at most %d", len(a.Tokens), mostTokens)
	}
	names, secrets := make(map[string]bool), make(map[string]bool)
	for i, t := range a.Tokens {
		who := t.Name
		if who == "" || len(who) > longestName || strings.ContainsFunc(who, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }) {
			return fmt.Errorf("access: token %d: its name must be one word of at most %d octets", i+1, longestName)
		}
		switch {
		case names[who]:
			return fmt.Errorf("access: token %s: the name is there twice", who)
		case len(t.Secret) < shortestToken || len(t.Secret) > longestToken:
			return fmt.Errorf("access: token %s: it has %d characters, and must have %d to %d", who, len(t.Secret), shortestToken, longestToken)
		case strings.ContainsFunc(t.Secret, func(r rune) bool { return !unicode.IsPrint(r) }):
			return fmt.Errorf("access: token %s: it has characters that cannot be typed", who)
		case secrets[t.Secret]:
			return fmt.Errorf("access: token %s: another is the same", who)
		}
		names[who], secrets[t.Secret] = true, true
	}
	return nil
}

// ParseTokens reads tokens as a file has them: a line for each, of its name, a colon and the secret. A line without a colon
// is a secret, whose name is the line's number. Empty lines and those that begin with # are passed over; where there is no other,
// that is an error, for without a token everybody would be let in.
func ParseTokens(r io.Reader) ([]Token, error) {
	var tokens []Token
	lines := bufio.NewScanner(r)
	n := 1
	for ; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, secret, ok := strings.Cut(line, ":")
		if !ok {
			name, secret = fmt.Sprint(n), line
		}
		tokens = append(tokens, Token{Name: strings.TrimSpace(name), Secret: strings.TrimSpace(secret)})
	}
	if n > 1 && len(tokens) == 0 {
		return nil, errors.New("access: no line has a token")
	}
	a := Access{Tokens: tokens}
	return tokens, errors.Join(lines.Err(), a.Validate())
}

// tokens compares in a time that tells nothing, not even lengths.
type tokens struct {
	names  []string
	hashes [][sha256.Size]byte
	key    [16]byte // of this process: what is remembered of a token tells nothing elsewhere
}

func newTokens(list []Token) *tokens {
	t := new(tokens)
	_, _ = rand.Read(t.key[:]) // it does not fail
	for _, one := range list {
		t.names = append(t.names, one.Name)
		t.hashes = append(t.hashes, t.hash(one.Secret))
	}
	return t
}

func (t *tokens) hash(secret string) [sha256.Size]byte {
	return sha256.Sum256(append(t.key[:len(t.key):len(t.key)], secret...))
}

// find answers the name of the token that was presented; "" if it is none. It looks at all of them.
func (t *tokens) find(hash [sha256.Size]byte) string {
	found := -1
	for i := range t.hashes {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(t.hashes[i][:], hash[:]), i, found)
	}
	if found < 0 {
		return ""
	}
	return t.names[found]
}

// userOf is whom a trusted proxy says a request is from; "" if it does not say, or nobody does whose word counts. The name may be an
// address of somebody: what is kept of it, for limits and log, is a fingerprint under a key of this process.
func (b *Bridge) userOf(r *http.Request) (string, error) {
	a := &b.c.Access
	if a.UserHeader == "" || !contains(a.UserProxies, peerOf(r)) {
		return "", nil
	}
	given := r.Header.Values(a.UserHeader)
	switch {
	case len(given) == 0 || len(given) == 1 && given[0] == "":
		return "", nil
	case len(given) > 1:
		return "", fmt.Errorf("%d users for one request", len(given))
	case len(given[0]) > longestUser || strings.ContainsFunc(given[0], func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", errors.New("a user whose name nobody has")
	}
	hash := b.tokens.hash(given[0])
	return "user:" + hex.EncodeToString(hash[:6]), nil
}

// local is true of a request from this very machine that no proxy has brought: its user is the operator, or somebody whom
// he lets work at his machine. Not every proxy says that it is one, and behind one everybody comes from here: where the operator
// has named a proxy on this machine, or another place that the page is at, nobody does.
func (b *Bridge) local(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	peer := peerOf(r)
	return peer.IsLoopback() && loopback(r.Host) && !contains(b.c.TrustedProxies, peer) && !b.public
}

// admit says who a client is, by the token in its hello where the proxy has not said so, or why it may not come in.
func (b *Bridge) admit(ctx context.Context, s *session, token string) *wire.RefusedError {
	a := &b.c.Access
	if s.user != "" || a.Open() {
		return nil
	}
	if len(a.Tokens) == 0 {
		return refuse(wire.NoLogin, "the proxy before this gateway has not said whose request this is")
	}
	hash := b.tokens.hash(token)
	name := b.tokens.find(hash)
	now := time.Now()
	var until time.Time
	if token == "" {
		until = b.lockouts.until(s.client, now)
	} else {
		until = b.lockouts.try(s.client, hash, name != "", now)
	}
	switch {
	case !until.IsZero():
		return refuse(wire.LockedOut, "too many wrong access tokens came from your address; it has to wait until "+until.UTC().Format(time.RFC3339))
	case token == "":
		return refuse(wire.BadToken, "this gateway wants an access token") // no guess: a page cannot know before it asks
	case name != "":
		s.user = "token:" + name
		return nil
	}
	b.delay(ctx)
	return refuse(wire.BadToken, "wrong access token")
}
