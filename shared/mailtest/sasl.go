package mailtest

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// sasl is the server's side of one exchange. It is told each response, nil for none, and says how it stands; a challenge
// goes with undecided.
type sasl interface {
	next(response []byte) (challenge []byte, v saslVerdict)
}

type saslVerdict int

const (
	undecided saslVerdict = iota
	accepted
	rejected
)

// accounts are what exchanges are checked against.
type accounts struct {
	passwords map[string]string // by user
	tokens    map[string]string // bearer tokens, by user
	forged    bool              // SCRAM: the server does not know the password, and says that all is well
}

// exchange begins an exchange; nil for a mechanism that there is not.
func (a *accounts) exchange(mechanism string) sasl {
	switch mechanism {
	case "PLAIN":
		return &saslPlain{a}
	case "LOGIN":
		return &saslLogin{accounts: a}
	case "CRAM-MD5":
		return &saslCRAM{accounts: a}
	case "SCRAM-SHA-256":
		return &saslSCRAM{accounts: a}
	case "OAUTHBEARER", "XOAUTH2":
		return &saslBearer{accounts: a, mechanism: mechanism}
	}
	return nil
}

func (a *accounts) check(user, password string) saslVerdict {
	if want, ok := a.passwords[user]; ok && want == password {
		return accepted
	}
	return rejected
}

type saslPlain struct{ *accounts }

func (s *saslPlain) next(response []byte) ([]byte, saslVerdict) {
	if response == nil {
		return nil, undecided
	}
	parts := strings.Split(string(response), "\x00")
	if len(parts) != 3 {
		return nil, rejected
	}
	return nil, s.check(parts[1], parts[2])
}

type saslLogin struct {
	*accounts
	user *string
}

func (s *saslLogin) next(response []byte) ([]byte, saslVerdict) {
	text := string(response)
	switch {
	case response == nil:
		return []byte("Username:"), undecided
	case s.user == nil:
		s.user = &text
		return []byte("Password:"), undecided
	}
	return nil, s.check(*s.user, text)
}

// saslCRAM is RFC 2195.
type saslCRAM struct {
	*accounts
	challenge string
}

func (s *saslCRAM) next(response []byte) ([]byte, saslVerdict) {
	if s.challenge == "" {
		s.challenge = "<1896.697170952@mail.example.test>"
		return []byte(s.challenge), undecided
	}
	i := strings.LastIndexByte(string(response), ' ')
	if i < 0 {
		return nil, rejected
	}
	password, ok := s.passwords[string(response[:i])]
	mac := hmac.New(md5.New, []byte(password))
	mac.Write([]byte(s.challenge))
	if !ok || string(response[i+1:]) != hex.EncodeToString(mac.Sum(nil)) {
		return nil, rejected
	}
	return nil, accepted
}

// saslSCRAM is RFC 5802 with RFC 7677.
type saslSCRAM struct {
	*accounts
	step        int
	first       string // client-first-message-bare
	challenge   string
	nonce, salt string
	password    string
}

func (s *saslSCRAM) next(response []byte) ([]byte, saslVerdict) {
	if response == nil {
		return nil, undecided
	}
	s.step++
	switch s.step {
	case 1:
		bare, ok := strings.CutPrefix(string(response), "n,,")
		user, nonce, found := strings.Cut(bare, ",r=")
		if !ok || !found || !strings.HasPrefix(user, "n=") {
			return nil, rejected
		}
		user = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(user[2:])
		s.first, s.password, s.nonce, s.salt = bare, s.passwords[user], nonce+"server", "c2FsdCBvZiBhIHRlc3Q="
		if s.password == "" {
			return nil, rejected
		}
		s.challenge = "r=" + s.nonce + ",s=" + s.salt + ",i=4096"
		return []byte(s.challenge), undecided
	case 2:
		return s.verify(string(response))
	}
	return nil, accepted // the formality after the server's proof
}

func (s *saslSCRAM) verify(final string) ([]byte, saslVerdict) {
	bare, encoded, _ := strings.Cut(final, ",p=")
	proof, err := base64.StdEncoding.DecodeString(encoded)
	salt, _ := base64.StdEncoding.DecodeString(s.salt)
	salted, kerr := pbkdf2.Key(sha256.New, s.password, salt, 4096, sha256.Size)
	if err != nil || kerr != nil || bare != "c=biws,r="+s.nonce || len(proof) != sha256.Size {
		return nil, rejected
	}
	sign := func(key []byte, text string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	message := s.first + "," + s.challenge + "," + bare
	key := sign(salted, "Client Key")
	stored := sha256.Sum256(key)
	signature := sign(stored[:], message)
	for i := range signature {
		if signature[i]^key[i] != proof[i] && !s.forged {
			return nil, rejected
		}
	}
	server := sign(sign(salted, "Server Key"), message)
	if s.forged {
		server[0] ^= 1
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(server)), undecided
}

// saslBearer is RFC 7628, and XOAUTH2.
type saslBearer struct {
	*accounts
	mechanism string
	refused   bool
}

func (s *saslBearer) next(response []byte) ([]byte, saslVerdict) {
	if s.refused {
		return nil, rejected // the formality has come
	}
	if response == nil {
		return nil, undecided
	}
	fields := strings.Split(string(response), "\x01")
	user, ok := strings.CutPrefix(fields[0], "user=")
	if s.mechanism == "OAUTHBEARER" {
		user, ok = strings.CutPrefix(strings.TrimSuffix(fields[0], ","), "n,a=")
	}
	token, found := s.tokens[user]
	if want := fmt.Sprintf("auth=Bearer %s", token); ok && found && strings.Contains(string(response), "\x01"+want+"\x01\x01") {
		return nil, accepted
	}
	s.refused = true
	return []byte(`{"status":"invalid_token","schemes":"bearer"}`), undecided
}
