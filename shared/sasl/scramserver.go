package sasl

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	gosasl "github.com/emersion/go-sasl"
)

// ErrResponse says that a client's response is not one of the mechanism.
var ErrResponse = errors.New("sasl: malformed response")

// SCRAMServer is the server's side of one exchange of SCRAM-SHA-256, without channel binding: RFC 5802 with RFC 7677.
//
// Its last challenge is the server's proof, to which the client's answer is empty, as in protocols whose success carries no
// data (SMTP, POP3).
type SCRAMServer struct {
	// Keys gives the keys to check a user by; of a user that there is not, keys that nobody knows the password of. An error ends
	// the exchange.
	Keys func(user string) (Keys, error)
	// Decide is told whether the user has shown the password, and says whether to go on: nil is yes. It may take its time.
	Decide func(user string, right bool) error

	step    int
	user    string
	gs2     string // the header of the client's first message
	bare    string // client-first-message-bare
	first   string // server-first-message
	nonce   string
	keys    Keys
	refused error // sticky
}

var _ gosasl.Server = (*SCRAMServer)(nil)

const (
	serverNonce    = 18 // octets, 24 characters
	maxClientNonce = 256
	maxUser        = 1024
)

// Next takes a response; nil is none, and asks for one. Errors are [ErrResponse] or those of Keys and Decide.
func (s *SCRAMServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if s.refused != nil {
		return nil, false, s.refused
	}
	if response == nil && s.step == 0 {
		return []byte{}, false, nil
	}
	s.step++
	switch s.step {
	case 1:
		challenge, err = s.begin(string(response))
	case 2:
		challenge, err = s.finish(string(response))
	default:
		if done = len(response) == 0; !done {
			err = fmt.Errorf("%w: to the server's proof there is no answer", ErrResponse)
		}
		s.refused = fmt.Errorf("%w: the exchange is over", ErrResponse)
	}
	if err != nil {
		s.refused = err
	}
	return challenge, done, err
}

// begin answers client-first-message by server-first-message.
func (s *SCRAMServer) begin(first string) ([]byte, error) {
	bad := func(what string) ([]byte, error) { return nil, fmt.Errorf("%w: %s", ErrResponse, what) }
	binding, rest, ok := strings.Cut(first, ",")
	identity, bare, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		return bad("too few fields")
	}
	// "y" says that the client would bind the channel if the server could, which is so: RFC 5802 section 6.
	if binding != "n" && binding != "y" {
		return bad("there is no channel binding here")
	}
	name, rest, ok := strings.Cut(bare, ",")
	name, isName := strings.CutPrefix(name, "n=") // an "m=" before it is an extension that must be understood, and none is
	nonce, _, _ := strings.Cut(rest, ",")         // extensions
	nonce, isNonce := strings.CutPrefix(nonce, "r=")
	if !ok || !isName || !isNonce {
		return bad("no name or no nonce")
	}
	if nonce == "" || len(nonce) > maxClientNonce || strings.ContainsFunc(nonce, func(r rune) bool { return r < 0x21 || r > 0x7E }) {
		return bad("a nonce of the wrong letters or length")
	}
	user, ok := fromSaslname(name)
	if !ok {
		return bad("a name that is none")
	}
	if identity != "" {
		if acting, ok := fromSaslname(strings.TrimPrefix(identity, "a=")); !ok || !strings.HasPrefix(identity, "a=") || acting != user {
			return bad("nobody acts for another here")
		}
	}
	keys, err := s.Keys(user)
	if err != nil {
		return nil, err
	}
	var own [serverNonce]byte
	rand.Read(own[:])
	s.user, s.keys, s.bare, s.gs2 = user, keys, bare, binding+","+identity+","
	s.nonce = nonce + base64.StdEncoding.EncodeToString(own[:])
	s.first = fmt.Sprintf("r=%s,s=%s,i=%d", s.nonce, base64.StdEncoding.EncodeToString(keys.Salt), keys.Iterations)
	return []byte(s.first), nil
}

// finish answers client-final-message by the server's proof.
func (s *SCRAMServer) finish(final string) ([]byte, error) {
	i := strings.LastIndex(final, ",p=")
	if i < 0 {
		return nil, fmt.Errorf("%w: no proof", ErrResponse)
	}
	without := final[:i]
	binding, rest, _ := strings.Cut(without, ",")
	nonce, _, _ := strings.Cut(rest, ",") // extensions
	if binding != "c="+base64.StdEncoding.EncodeToString([]byte(s.gs2)) || nonce != "r="+s.nonce {
		return nil, fmt.Errorf("%w: of another exchange", ErrResponse)
	}
	proof, err := base64.StdEncoding.Strict().DecodeString(final[i+len(",p="):])
	if err != nil {
		return nil, fmt.Errorf("%w: a proof that is not base64", ErrResponse)
	}
	authMessage := s.bare + "," + s.first + "," + without
	if err := s.Decide(s.user, s.keys.proves(proof, authMessage)); err != nil {
		return nil, err
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(s.keys.ServerKey, authMessage))), nil
}

// fromSaslname reads what saslname wrote; "=" stands for nothing else: RFC 5802 section 5.1.
func fromSaslname(name string) (user string, ok bool) {
	if name == "" || len(name) > maxUser || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return "", false
	}
	user = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(name)
	return user, strings.Count(name, "=") == strings.Count(name, "=2C")+strings.Count(name, "=3D")
}
