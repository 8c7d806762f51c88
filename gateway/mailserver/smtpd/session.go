package smtpd

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"

	"github.com/emersion/go-smtp"
	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
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

	mu sync.Mutex // a message by BDAT is read by a goroutine of its own
	transaction
}

// transaction is what was said of the present message (RFC 5321 §3.3).
type transaction struct {
	begun  bool // MAIL was said
	env    Envelope
	size   int64                // as the client declares it, 0 if it does not
	client netip.Addr           // whose message it is
	sender *authenticity.Sender // the same, to be evaluated; nil if it is not
	seen   map[string]bool      // mailboxes and remote addresses that are in the envelope
	trace  trace
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{srv: s, link: c.Conn().(*link), conn: c}, nil
}

// Reset forgets the message.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transaction = transaction{}
	s.link.cut = NoCut
}

func (s *session) Logout() error { return nil }

func (s *session) shuttingDown() error {
	s.link.hangup = true
	return refusal(421, smtp.EnhancedCode{4, 3, 2}, "%s is shutting down, please come back later", s.srv.cfg.Hostname)
}

// Data takes the message, and returns when it is on the disk. The answer to it
// is always an *smtp.SMTPError, because go-smtp shows others' text.
func (s *session) Data(r io.Reader) error {
	s.srv.deliveries.Add(1)
	defer s.srv.deliveries.Done()
	s.mu.Lock()
	if !s.begun || len(s.env.Local)+len(s.env.Remote) == 0 {
		s.mu.Unlock()
		return refusal(503, smtp.EnhancedCode{5, 5, 1}, "MAIL and RCPT come first")
	}
	m, cut := s.transaction, s.link.cut
	s.mu.Unlock()

	env := &m.env
	id, err := s.receive(r, &m)
	log := s.srv.log.With("id", id, "remote", s.link.RemoteAddr(), "recipients", len(env.Local)+len(env.Remote))
	var answer *smtp.SMTPError
	switch {
	case err == nil:
		log.Info("smtp: message accepted", "queued", len(env.Remote))
		if cut == CutAfter {
			s.link.sever()
		}
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
