package smtpd

import (
	"context"
	"errors"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/postern-mail/postern/gateway/mailserver/account"
	scram "github.com/postern-mail/postern/shared/sasl"
)

var _ smtp.AuthSession = (*session)(nil)

// AuthMechanisms are offered to users over TLS and to nobody else.
func (s *session) AuthMechanisms() []string {
	if !s.srv.cfg.Submission || s.link.tls == nil {
		return nil
	}
	return s.srv.cfg.Accounts.Mechanisms(s.srv.ctx)
}

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if len(s.AuthMechanisms()) == 0 {
		return nil, refusal(503, smtp.EnhancedCode{5, 5, 1}, "there is no AUTH here; users submit mail on the submission ports")
	}
	switch mechanism {
	case scram.SCRAMSHA256:
		return &scramServer{s, s.srv.cfg.Accounts.SCRAM(s.srv.ctx, s.link.RemoteAddr())}, nil
	case sasl.Plain:
		return strict{sasl.NewPlainServer(s.login)}, nil
	case sasl.Login:
		return &loginServer{check: func(user, password string) error { return s.login("", user, password) }}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// strict gives a malformed response the answer of RFC 4954 §4.
type strict struct{ sasl.Server }

func (m strict) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = m.Server.Next(response)
	var answer *smtp.SMTPError
	if err != nil && !errors.As(err, &answer) {
		err = refusal(501, smtp.EnhancedCode{5, 5, 2}, "malformed response")
	}
	return challenge, done, err
}

// loginServer is the LOGIN mechanism (draft-murchison-sasl-login), which go-sasl
// has for clients only.
type loginServer struct {
	asked int
	user  string
	check func(user, password string) error
}

func (m *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil || m.asked == 0 && len(response) == 0 {
		m.asked = 1
		return []byte("Username:"), false, nil
	}
	if m.asked <= 1 { // the name, asked for or given with AUTH
		m.asked, m.user = 2, string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, m.check(m.user, string(response))
}

func (s *session) login(identity, user, password string) error {
	who, err := account.Account{}, account.ErrDenied
	if identity == "" || account.Canonical(identity) == account.Canonical(user) {
		who, err = s.srv.cfg.Accounts.Authenticate(s.srv.ctx, s.link.RemoteAddr(), user, password)
	}
	return s.admit(who, err)
}

// admit lets in whom the accounts know, and answers others.
func (s *session) admit(who account.Account, err error) error {
	switch {
	case err == nil:
		s.user = who.Email
		return nil
	case errors.Is(err, account.ErrDenied):
		s.srv.log.Info("smtp: login refused", "remote", s.link.RemoteAddr()) // and not who: people type their password there
		s.failures++
		s.link.hangup = s.failures >= s.srv.cfg.AuthFailures
		return smtp.ErrAuthFailed
	case errors.Is(err, account.ErrBusy):
		return refusal(454, smtp.EnhancedCode{4, 7, 0}, "too many logins at once; try again in a minute")
	case errors.Is(err, context.Canceled):
		return s.shuttingDown()
	}
	s.srv.log.Error("smtp: cannot check a password", "error", err)
	return refusal(454, smtp.EnhancedCode{4, 7, 0}, "the server cannot check passwords now")
}

// scramServer is SCRAM-SHA-256 (RFC 5802, RFC 7677) with SMTP's answers.
type scramServer struct {
	session  *session
	exchange *account.Exchange
}

func (m *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = m.exchange.Next(response)
	switch {
	case errors.Is(err, scram.ErrResponse):
		err = refusal(501, smtp.EnhancedCode{5, 5, 2}, "malformed response")
	case err != nil:
		err = m.session.admit(account.Account{}, err)
	case done:
		err = m.session.admit(m.exchange.Account(), nil)
	}
	return challenge, done, err
}
