package pop3d

import (
	"context"
	"errors"
	"strings"

	"github.com/postern-mail/postern/gateway/mailserver/account"
)

// capa lists what this connection can do now (RFC 2449 §5): a way to log in
// that would be refused is not offered.
func (s *session) capa(string) error {
	s.ok("capability list follows")
	list := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER", "LANG"}
	if s.secret() {
		list = append(list, "USER", "SASL "+strings.Join(s.srv.cfg.Accounts.Mechanisms(s.srv.ctx), " "))
	}
	if s.state == authorization && !s.tls && !s.utf8 && s.srv.cfg.TLS != nil {
		list = append(list, "STLS")
	}
	if s.admin { // so that a page knows whom to show what
		list = append(list, "X-POSTERN-ADMIN")
	}
	list = append(list, "X-POSTERN-WAIT", "IMPLEMENTATION Postern")
	_, err := s.out.WriteString(strings.Join(list, "\r\n") + "\r\n.\r\n")
	return err
}

func (s *session) stls(string) error {
	if s.tls {
		return s.bad("TLS is on already")
	}
	if s.srv.cfg.TLS == nil {
		return s.bad("this server has no TLS")
	}
	if s.utf8 { // RFC 6856 §2.1
		return s.bad("STLS comes before UTF8")
	}
	s.ok("begin TLS")
	if err := s.flush(); err != nil {
		return err
	}
	s.user = "" // what was said in the clear may have been said by another
	if err := s.startTLS(); err != nil {
		s.log.Debug("pop3: TLS handshake failed", "error", err)
		return errQuit
	}
	return nil
}

const needTLS = "a password is taken only over TLS: use STLS, or the port for POP3 over TLS"

func (s *session) userCommand(arg string) error {
	if !s.secret() {
		return s.bad(needTLS)
	}
	s.user = arg
	return s.ok("now the password") // whether there is such a user is not told
}

func (s *session) pass(arg string) error {
	if !s.secret() {
		return s.bad(needTLS)
	}
	if s.user == "" {
		return s.bad("USER comes before PASS")
	}
	user := s.user
	s.user = ""
	return s.login(user, arg)
}

// login checks a name and password.
func (s *session) login(user, password string) error {
	who, err := s.srv.cfg.Accounts.Authenticate(s.srv.ctx, s.raw.RemoteAddr(), user, password)
	if err != nil {
		return s.refused(err)
	}
	return s.enter(who)
}

// refused answers a login that failed: the session stays where it is.
func (s *session) refused(err error) error {
	switch {
	case errors.Is(err, account.ErrDenied):
		s.log.Info("pop3: login refused") // and not who: people type their password there
		return s.denied("name or password is wrong")
	case errors.Is(err, context.Canceled):
		return errClosing
	case errors.Is(err, account.ErrBusy):
		return s.err("[SYS/TEMP] too many logins at once; try again in a minute")
	}
	s.log.Error("pop3: cannot check a password", "error", err)
	return s.err("[SYS/TEMP] the server cannot check passwords now")
}

// enter leads to the TRANSACTION state: who is known, and the maildrop locked,
// or the session stays where it is (RFC 1939 §4).
func (s *session) enter(who account.Account) error {
	drop, err := s.srv.cfg.Maildrops.Lock(s.srv.ctx, who.Email)
	switch {
	case err == nil:
	case errors.Is(err, ErrInUse):
		return s.err("[IN-USE] another session has this maildrop open")
	case errors.Is(err, context.Canceled):
		return errClosing
	default:
		s.log.Error("pop3: cannot open a maildrop", "user", who.Email, "error", err)
		return s.err("[SYS/TEMP] the server cannot open the maildrop now")
	}
	s.drop, s.messages, s.deleted = drop, drop.Messages(), map[int]bool{}
	s.state, s.admin = transaction, who.Admin
	s.log.Debug("pop3: logged in", "user", who.Email, "messages", len(s.messages))
	count, octets := s.total()
	return s.ok("%d messages (%d octets)", count, octets)
}

func (s *session) denied(why string) error {
	s.err("[AUTH] %s", why)
	if s.failures++; s.failures >= s.srv.cfg.AuthFailures {
		return errQuit
	}
	return nil
}
