package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/postern-mail/postern/gateway/mailserver/account"
	scram "github.com/postern-mail/postern/shared/sasl"
)

func refusal(code int, enhanced smtp.EnhancedCode, format string, a ...any) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: fmt.Sprintf(format, a...)}
}

// session is go-smtp's view of a client: who it is and what it has said of the
// present message.
type session struct {
	srv      *Server
	link     *link
	conn     *smtp.Conn
	user     string // who has logged in, in canonical form; "" is nobody
	failures int    // wrong passwords

	mu     sync.Mutex // a message by BDAT is read by a goroutine of its own
	sender *string    // after MAIL; "" is the null sender
	utf8   bool
	size   int64 // as the client declares it, 0 if it does not
	local  []string
	remote []string
	trace  trace
	seen   map[string]bool
}

var _ smtp.AuthSession = (*session)(nil)

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{srv: s, link: c.Conn().(*link), conn: c}, nil
}

// Reset forgets the message.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sender, s.utf8, s.size, s.local, s.remote, s.trace, s.seen = nil, false, 0, nil, nil, trace{}, nil
}

func (s *session) Logout() error { return nil }

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
	return s.admit(who, user, err)
}

// admit lets in whom the accounts know, and answers others.
func (s *session) admit(who account.Account, user string, err error) error {
	switch {
	case err == nil:
		s.user = who.Email
		return nil
	case errors.Is(err, account.ErrDenied):
		s.srv.log.Info("smtp: login refused", "remote", s.link.RemoteAddr(), "user", fmt.Sprintf("%.100s", user))
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
		err = m.session.admit(account.Account{}, m.exchange.User(), err)
	case done:
		err = m.session.admit(m.exchange.Account(), "", nil)
	}
	return challenge, done, err
}

func (s *session) shuttingDown() error {
	s.link.hangup = true
	return refusal(421, smtp.EnhancedCode{4, 3, 2}, "%s is shutting down, please come back later", s.srv.cfg.Hostname)
}

// Mail takes the reverse-path.
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv.draining.Load() {
		return s.shuttingDown()
	}
	if s.srv.cfg.Submission && s.user == "" {
		return refusal(530, smtp.EnhancedCode{5, 7, 0}, "log in first (AUTH)")
	}
	if s.sender != nil {
		// QUIRK: go-smtp lets MAIL come twice, and keeps the recipients of the first.
		return refusal(503, smtp.EnhancedCode{5, 5, 1}, "MAIL was said already; RSET begins anew")
	}
	if from != "" { // a user may send as nobody: RFC 8098 §3 wants it of receipts
		wire, wide, err := mailbox(from)
		if err != nil {
			return refusal(553, smtp.EnhancedCode{5, 1, 7}, "that is not a sender's address")
		}
		if wide && !opts.UTF8 {
			return refusal(550, smtp.EnhancedCode{5, 6, 7}, "an address with such letters needs SMTPUTF8") // RFC 6531 §3.5
		}
		if s.user != "" {
			switch owns, err := s.srv.cfg.Post.Owns(s.srv.ctx, s.user, wire); {
			case err != nil:
				s.srv.log.Error("smtp: cannot look up a sender", "error", err)
				return refusal(451, smtp.EnhancedCode{4, 3, 0}, "the server cannot look up senders now")
			case !owns:
				return refusal(553, smtp.EnhancedCode{5, 7, 1}, "you are logged in as %s and may send as nobody else", s.user)
			}
		}
		from = wire
	}
	s.sender, s.utf8, s.size, s.seen = &from, opts.UTF8, opts.Size, map[string]bool{}
	s.trace = trace{helo: helo(s.conn.Hostname()), protocol: s.protocol(opts.UTF8)}
	return nil
}

// maxUnknown is how many wrong recipients a connection may try: more is
// somebody with a dictionary.
const maxUnknown = 20

// Rcpt takes a forward-path.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	wire, wide, err := mailbox(to)
	if err != nil {
		return refusal(553, smtp.EnhancedCode{5, 1, 3}, "that is not a recipient's address")
	}
	if wide && !s.utf8 {
		return refusal(553, smtp.EnhancedCode{5, 6, 7}, "an address with such letters needs SMTPUTF8")
	}
	boxes, local, err := s.srv.cfg.Post.Lookup(s.srv.ctx, wire)
	switch {
	case errors.Is(err, ErrNoMailbox):
		if s.link.junk > maxUnknown {
			s.link.hangup = true
		}
		return refusal(550, smtp.EnhancedCode{5, 1, 1}, "there is no <%s> here", wire)
	case errors.Is(err, context.Canceled):
		return s.shuttingDown()
	case err != nil:
		s.srv.log.Error("smtp: cannot look up a recipient", "error", err)
		return refusal(451, smtp.EnhancedCode{4, 3, 0}, "the server cannot look up recipients now")
	case !local && !s.srv.cfg.Submission:
		return refusal(550, smtp.EnhancedCode{5, 7, 1}, "<%s> is not ours, and this is no relay", wire)
	}
	if !local {
		boxes = []string{wire}
	}
	known := len(s.seen)
	for _, box := range boxes {
		if local && !s.seen[box] {
			switch full, err := s.srv.cfg.Post.Full(s.srv.ctx, box, s.size); {
			case err != nil:
				s.srv.log.Error("smtp: cannot look up a quota", "error", err)
				return refusal(451, smtp.EnhancedCode{4, 3, 0}, "the server cannot look up recipients now")
			case full: // for the time being: RFC 3463 §3.3
				return refusal(452, smtp.EnhancedCode{4, 2, 2}, "the mailbox of <%s> is full", wire)
			}
		}
	}
	for _, box := range boxes {
		if s.seen[box] {
			continue
		}
		s.seen[box] = true
		if local {
			s.local = append(s.local, box)
		} else {
			s.remote = append(s.remote, box)
		}
	}
	if known == 0 {
		s.trace.only = wire
	} else if len(s.seen) > known {
		s.trace.only = ""
	}
	return nil
}

// Data takes the message, and returns when it is on the disk. The answer to it
// is always an *smtp.SMTPError, because go-smtp shows others' text.
func (s *session) Data(r io.Reader) error {
	s.srv.deliveries.Add(1)
	defer s.srv.deliveries.Done()
	s.mu.Lock()
	if s.sender == nil || len(s.local)+len(s.remote) == 0 {
		s.mu.Unlock()
		return refusal(503, smtp.EnhancedCode{5, 5, 1}, "MAIL and RCPT come first")
	}
	env := Envelope{From: *s.sender, Local: s.local, Remote: s.remote, UTF8: s.utf8, Trace: "Return-Path: <" + *s.sender + ">\r\n"}
	t := s.trace
	s.mu.Unlock()

	id, err := s.receive(r, env, t)
	log := s.srv.log.With("id", id, "remote", s.link.RemoteAddr(), "from", env.From, "recipients", len(env.Local)+len(env.Remote))
	var answer *smtp.SMTPError
	switch {
	case err == nil:
		log.Info("smtp: message accepted", "queued", len(env.Remote))
		return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "OK " + id}
	case errors.As(err, &answer):
		log.Info("smtp: message refused", "answer", answer.Message)
		return answer
	case errors.Is(err, smtp.ErrDataReset), errors.Is(err, io.ErrUnexpectedEOF):
		log.Info("smtp: message was not finished")
		return refusal(451, smtp.EnhancedCode{4, 4, 2}, "the message was not finished")
	case errors.Is(err, os.ErrDeadlineExceeded):
		log.Info("smtp: message did not come in time")
		return refusal(421, smtp.EnhancedCode{4, 4, 2}, "the message did not come in time")
	case errors.Is(err, ErrFull):
		log.Error("smtp: the disk is full", "error", err)
		return refusal(452, smtp.EnhancedCode{4, 3, 1}, "there is no room on the server now; the message was not taken")
	}
	log.Error("smtp: message could not be stored", "error", err)
	return refusal(451, smtp.EnhancedCode{4, 3, 0}, "the message could not be stored; it was not taken")
}
