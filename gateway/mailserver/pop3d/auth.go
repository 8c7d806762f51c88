package pop3d

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	gosasl "github.com/emersion/go-sasl"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/shared/sasl"
)

// auth is AUTH (RFC 5034) with SCRAM-SHA-256 (RFC 7677), PLAIN (RFC 4616) and
// LOGIN (draft-murchison-sasl-login).
func (s *session) auth(arg string) error {
	mechanism, initial, _ := strings.Cut(arg, " ")
	mechanism = strings.ToUpper(mechanism)
	offered := s.srv.cfg.Accounts.Mechanisms(s.srv.ctx)
	if !slices.Contains(offered, mechanism) {
		return s.bad("the mechanisms are %s", strings.Join(offered, " "))
	}
	if !s.secret() {
		return s.bad(needTLS)
	}
	switch mechanism {
	case sasl.SCRAMSHA256:
		return s.authSCRAM(initial)
	case gosasl.Login:
		return s.authLogin(initial)
	}
	return s.authPlain(initial)
}

func (s *session) authSCRAM(initial string) error {
	x := s.srv.cfg.Accounts.SCRAM(s.srv.ctx, s.raw.RemoteAddr())
	challenge := []byte{}
	for {
		response, ok, err := s.response(string(challenge), initial)
		if !ok {
			return err
		}
		initial = ""
		var done bool
		challenge, done, err = x.Next(response)
		switch {
		case done:
			return s.enter(x.Account())
		case errors.Is(err, sasl.ErrResponse):
			return s.bad("that is not SCRAM: %v", err)
		case err != nil:
			return s.refused(err)
		}
	}
}

func (s *session) authPlain(initial string) error {
	response, ok, err := s.response("", initial)
	if !ok {
		return err
	}
	var answer error
	malformed := true
	plain := gosasl.NewPlainServer(func(identity, user, password string) error {
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
