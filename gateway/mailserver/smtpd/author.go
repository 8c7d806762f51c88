package smtpd

import (
	"io"

	"github.com/emersion/go-smtp"
	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
)

// checkAuthor lets a user write only as himself and his aliases (RFC 6409
// §6.1): what the From field says is what others see. That goes for resent
// messages too, whose author is another: a field more would be all that a
// forger needs.
func (s *session) checkAuthor(h *header) error {
	fields := h.named("from")
	if s.srv.cfg.AnyAuthor || len(fields) == 0 {
		return nil
	}
	if len(fields) > 1 {
		return refusal(550, smtp.EnhancedCode{5, 6, 0}, "the message has more than one From field")
	}
	addresses, err := authenticity.Addresses(fields[0])
	if err != nil || len(addresses) == 0 {
		return refusal(550, smtp.EnhancedCode{5, 6, 0}, "the From field cannot be read")
	}
	for _, a := range addresses {
		wire, _, err := mailbox(a)
		if err != nil {
			wire = "that address"
		}
		if err := s.owns(a, refusal(550, smtp.EnhancedCode{5, 7, 1}, "you are logged in as %s and may not write as %s", s.user, wire)); err != nil {
			return err
		}
	}
	return nil
}

// dropForged takes away what only this server may say of a message.
func (s *session) dropForged(h *header) {
	h.drop("return-path") // final delivery adds the true one (RFC 5321 §4.4)
	h.dropIf(func(f []byte) bool { return authenticity.Forged(f, s.srv.cfg.Hostname) })
}

// heed makes a verdict part of the message, or refuses it.
func (s *session) heed(v authenticity.Verdict, m *transaction) error {
	s.srv.log.Info("smtp: message evaluated", "client", m.client, "spf", v.SPF.Result, "dkim", len(v.DKIM), "dmarc", v.DMARC.Result, "author", v.DMARC.From, "junk", v.Junk)
	if v.Refuse && s.srv.cfg.RefuseForged {
		return refusal(550, smtp.EnhancedCode{5, 7, 1}, "%s", v.Junk) // RFC 7489 §10.3
	}
	m.env.Trace += v.Field
	if v.Junk != "" {
		m.env.Trace += authenticity.Junk(v.Junk)
	}
	return nil
}

// signed is a message that is being signed. It waits in the spool: the
// signature goes before it.
type signed struct {
	signing *authenticity.Signing
	spool   spool
}

// sign begins to sign a message with that header; nil means that it is not to
// be.
func (s *session) sign(h *header) (*signed, error) {
	if s.srv.cfg.Signer == nil {
		return nil, nil
	}
	signing, err := s.srv.cfg.Signer.Begin(h.fields)
	if signing == nil || err != nil {
		return nil, err
	}
	return &signed{signing: signing, spool: spool{dir: s.srv.cfg.Spool}}, nil
}

func (g *signed) Write(p []byte) (int, error) {
	if _, err := g.signing.Write(p); err != nil {
		return 0, err
	}
	return g.spool.Write(p)
}

func (g *signed) finish(to io.Writer) error {
	fields, err := g.signing.End()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(to, fields); err != nil {
		return err
	}
	_, err = g.spool.WriteTo(to)
	return err
}

func (g *signed) abandon() {
	g.signing.Abandon()
	g.spool.Close()
}
