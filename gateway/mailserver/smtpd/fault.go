package smtpd

import (
	"net/netip"

	"github.com/emersion/go-smtp"
)

// Fault is what a server does wrong on purpose, of a world in which people want
// to see what becomes of their mail then. The zero Fault is none.
type Fault struct {
	// Code, Enhanced and Text are the answer to a recipient who would be taken; 0:
	// he is.
	Code     int
	Enhanced [3]int
	Text     string
	Cut      Cut
}

// Cut says where the connection ends, without a word.
type Cut int

// The cuts.
const (
	NoCut     Cut = iota
	CutBefore     // when the message is to begin: nobody has it
	CutAfter      // when the message is with its recipients, and that is to be said
)

// fault asks what is to go wrong with a recipient who would be taken.
func (s *session) fault(client netip.Addr, to string) error {
	if s.srv.cfg.Fault == nil || s.srv.cfg.Submission {
		return nil
	}
	f := s.srv.cfg.Fault(client, s.env.From, to)
	if f.Code != 0 {
		return refusal(f.Code, smtp.EnhancedCode(f.Enhanced), "%s", f.Text)
	}
	s.link.cut = max(s.link.cut, f.Cut)
	return nil
}

// sever ends the connection as a cable does that is pulled out. It may be called
// while the link is read.
func (l *link) sever() {
	l.mute.Store(true)
	l.raw.Close()
}
