package pop3d

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/postern-mail/postern/gateway/mailserver/account"
)

// capa lists what this connection can do now (RFC 2449 §5): a way to log in
// that would be refused is not offered.
func (s *session) capa(string) error {
	s.ok("capability list follows")
	list := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"}
	if s.secret() {
		list = append(list, "USER", "SASL PLAIN")
	}
	if s.state == authorization && !s.tls && s.srv.cfg.TLS != nil {
		list = append(list, "STLS")
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

// auth is AUTH PLAIN (RFC 5034).
func (s *session) auth(arg string) error {
	mechanism, initial, _ := strings.Cut(arg, " ")
	if !strings.EqualFold(mechanism, sasl.Plain) {
		return s.bad("the only mechanism is PLAIN")
	}
	if !s.secret() {
		return s.bad(needTLS)
	}
	if initial == "" {
		if _, err := s.out.WriteString("+ \r\n"); err != nil {
			return err
		}
		line, err := s.readLine(maxResponse)
		switch {
		case errors.Is(err, errLongLine):
			return s.bad("a SASL response has at most 12,288 octets (RFC 5034 section 4)")
		case err != nil:
			return err
		case line == "*":
			return s.err("cancelled")
		}
		initial = line
	}
	if initial == "=" {
		initial = ""
	}
	response, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return s.bad("that is not base64")
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
	if response == nil {
		response = []byte{}
	}
	if _, _, err := plain.Next(response); err != nil && malformed {
		return s.bad("that is not a PLAIN response")
	}
	return answer
}

// login leads to the TRANSACTION state: the password is right and the maildrop
// locked, or the session stays where it is (RFC 1939 §4).
func (s *session) login(user, password string) error {
	ctx := s.srv.ctx
	who, err := s.srv.cfg.Accounts.Authenticate(ctx, s.raw.RemoteAddr(), user, password)
	switch {
	case err == nil:
	case errors.Is(err, account.ErrDenied):
		s.log.Info("pop3: login refused", "user", fmt.Sprintf("%.100s", user))
		return s.denied("name or password is wrong")
	case errors.Is(err, context.Canceled):
		return errClosing
	case errors.Is(err, account.ErrBusy):
		return s.err("[SYS/TEMP] too many logins at once; try again in a minute")
	default:
		s.log.Error("pop3: cannot check a password", "error", err)
		return s.err("[SYS/TEMP] the server cannot check passwords now")
	}
	drop, err := s.srv.cfg.Maildrops.Lock(ctx, who.Email)
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
	s.state = transaction
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
