package mailtest

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	realsasl "github.com/postern-mail/postern/shared/sasl"
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
		return newSCRAM(a)
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

// saslSCRAM is SCRAM-SHA-256. A server that is forged lets anybody in, and cannot prove itself.
type saslSCRAM struct{ *realsasl.SCRAMServer }

var errWrong = errors.New("wrong user or password")

func newSCRAM(a *accounts) sasl {
	return saslSCRAM{&realsasl.SCRAMServer{
		Keys: func(user string) (realsasl.Keys, error) {
			password := a.passwords[user]
			switch {
			case password == "":
				return realsasl.Keys{}, errWrong
			case a.forged:
				password += "?"
			}
			return realsasl.DeriveKeys(password, []byte("salt of a test"), realsasl.MinIterations), nil
		},
		Decide: func(_ string, right bool) error {
			if !right && !a.forged {
				return errWrong
			}
			return nil
		},
	}}
}

func (s saslSCRAM) next(response []byte) ([]byte, saslVerdict) {
	challenge, done, err := s.Next(response)
	switch {
	case err != nil:
		return nil, rejected
	case done:
		return nil, accepted
	}
	return challenge, undecided
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
