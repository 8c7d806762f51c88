package mailserver

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/dsn"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/gateway/mailserver/smtpd"
	"github.com/postern-mail/postern/shared/idn"
)

// confirm tells a sender who asked for it (NOTIFY=SUCCESS, RFC 3461 section 4.1)
// that a message is in the maildrops of this server. What goes to the queue is
// reported by it. The message is delivered whatever becomes of the report, so a
// report that cannot be stored is a line in the log.
func (s *Server) confirm(env smtpd.Envelope) {
	var told []dsn.Recipient
	now := time.Now()
	for _, r := range env.Local {
		if slices.Contains(r.Notify, "SUCCESS") {
			told = append(told, dsn.Recipient{Action: dsn.Delivered, Address: r.Address, Original: r.Original, Status: "2.1.5", LastAttempt: now})
		}
	}
	if env.From == "" || len(told) == 0 {
		return
	}
	if err := s.report(env, told, now); err != nil && !errors.Is(err, maildrop.ErrNoAccount) {
		s.log.Warn("a sender could not be told that a message was delivered", "error", err)
	}
}

func (s *Server) report(env smtpd.Envelope, told []dsn.Recipient, now time.Time) error {
	ctx := context.Background() // the session may be over by then
	mailboxes, local, err := s.lookupSender(ctx, env.From)
	if err != nil {
		return err
	}
	wide := env.UTF8 || !idn.IsASCII(env.From)
	text, err := dsn.Compose(dsn.Report{
		ReportingMTA: s.cfg.Hostname, From: s.postmaster(), To: env.From, Date: now, Arrival: now, EnvelopeID: env.EnvelopeID, UTF8: wide, Recipients: told,
	})
	if err != nil {
		return err
	}
	to := maildrop.Envelope{UTF8: wide, Trace: "Return-Path: <>\r\n", Local: mailboxes}
	if !local {
		to.Remote = []maildrop.Recipient{{Address: env.From, Notify: []string{"NEVER"}}}
		defer s.sender.kick()
	}
	return s.store.Put(ctx, text, to)
}
