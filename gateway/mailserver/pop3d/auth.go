package pop3d

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/postern-mail/postern/gateway/mailserver/account"
)

// auth is AUTH (RFC 5034) with the mechanisms to which a hash of the password is
// enough: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login). SCRAM would
// want keys of its own kept for each account, made by PBKDF2, which is weaker
// against theft of the store than the argon2id that is kept.
func (s *session) auth(arg string) error {
	mechanism, initial, _ := strings.Cut(arg, " ")
	mechanism = strings.ToUpper(mechanism)
	if mechanism != sasl.Plain && mechanism != sasl.Login {
		return s.bad("the mechanisms are PLAIN and LOGIN")
	}
	if !s.secret() {
		return s.bad(needTLS)
	}
	if mechanism == sasl.Login {
		return s.authLogin(initial)
	}
	return s.authPlain(initial)
}

func (s *session) authPlain(initial string) error {
	response, ok, err := s.response("", initial)
	if !ok {
		return err
	}
	var answer error
	malformed := true
	plain := sasl.NewPlainServer(func(identity, user, password string) error {
		malformed = false
		if identity != "" && account.Canonical(identity) != account.Canonical(user) {
			answer = s.denied("nobody acts for another here") // RFC 4616 §2: authorization identity
			return nil
		}
		answer = s.login(user, password)
		return nil
	})
	if _, _, err := plain.Next(response); err != nil && malformed {
		return s.bad("that is not a PLAIN response")
	}
	return answer
}

func (s *session) authLogin(initial string) error {
	user, ok, err := s.response("Username:", initial)
	if !ok {
		return err
	}
	password, ok, err := s.response("Password:", "")
	if !ok {
		return err
	}
	return s.login(string(user), string(password))
}

// response is what the client answers to a challenge, unless it came with the
// command. Without one, not ok, the exchange is over and answered.
func (s *session) response(challenge, initial string) (response []byte, ok bool, err error) {
	if initial == "" {
		if _, err := s.out.WriteString("+ " + base64.StdEncoding.EncodeToString([]byte(challenge)) + "\r\n"); err != nil {
			return nil, false, err
		}
		line, err := s.readLine(maxResponse)
		switch {
		case errors.Is(err, errLongLine):
			return nil, false, s.bad("a SASL response has at most 12,288 octets (RFC 5034 section 4)")
		case err != nil:
			return nil, false, err
		case line == "*":
			return nil, false, s.err("cancelled")
		}
		initial = line
	}
	if initial == "=" {
		initial = ""
	}
	response, err = base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return nil, false, s.bad("that is not base64")
	}
	if response == nil {
		response = []byte{}
	}
	return response, true, nil
}
