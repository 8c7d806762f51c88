package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/dsn"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/idn"
)

// report is what a sender is told about one message.
type report struct {
	row        maildrop.Queued // one of them
	recipients []dsn.Recipient
	outcomes   []outcome
}

func (r *report) add(o outcome, action dsn.Action, until time.Time) {
	r.outcomes = append(r.outcomes, o)
	r.recipients = append(r.recipients, dsn.Recipient{
		Action: action, Address: o.Row.Recipient, Original: o.Row.Original, Code: o.result.Code, Status: o.result.Enhanced, Text: o.result.Text, Own: o.result.Local,
		Server: o.result.Server, LastAttempt: o.Last.At, RetryUntil: until, GaveUp: o.gaveUp,
		Doubtful: o.Row.Unknown > 0 && o.result.Outcome != delivery.Unknown, // that finding says so itself
	})
}

// unreported is after how long it is tried again where a report cannot be stored.
const unreported = 5 * time.Minute

// report stores a report for the sender and settles what it is about, in one. If that cannot be done, because the disk is
// full, the rows wait and are tried again: a failure that nobody is told of would be a loss.
func (q *Queue) report(ctx context.Context, r *report, now time.Time) {
	if len(r.outcomes) == 0 {
		return
	}
	err := q.send(context.WithoutCancel(ctx), r, now)
	switch {
	case err == nil:
		q.announce(r.outcomes)
		return
	case errors.Is(err, maildrop.ErrClosed):
		return
	case errors.Is(err, maildrop.ErrNoAccount):
		q.log.Warn("queue: the sender of a message that is reported on is not here any more", "row", r.row.ID)
		q.settle(ctx, r.outcomes)
		return
	case errors.Is(err, maildrop.ErrSettled) && len(r.outcomes) > 1: // an administrator was faster with one of them
		for i := range r.outcomes {
			q.report(ctx, &report{row: r.outcomes[i].Row, recipients: r.recipients[i : i+1], outcomes: r.outcomes[i : i+1]}, now)
		}
		return
	case errors.Is(err, maildrop.ErrSettled):
		q.log.Warn("queue: a row was changed while it was sent", "row", r.row.ID)
		return
	}
	q.log.Error("queue: a report cannot be stored; what it is about is tried again", "row", r.row.ID, "error", err)
	var again []outcome
	for i, o := range r.outcomes {
		if r.recipients[i].Action != dsn.Relayed { // that again would be worse than to say nothing
			o.Gone, o.gaveUp, o.DelayTold, o.NextTry = false, false, o.Row.DelayTold, now.Add(unreported)
		}
		again = append(again, o)
	}
	q.settle(ctx, again)
}

func (q *Queue) send(ctx context.Context, r *report, now time.Time) error {
	mailboxes, local, err := q.cfg.Lookup(ctx, r.row.Sender)
	if err != nil {
		return err
	}
	report := dsn.Report{
		ReportingMTA: q.cfg.Hostname, From: q.cfg.Postmaster, To: r.row.Sender, Date: now, Arrival: r.row.Created,
		EnvelopeID: r.row.EnvelopeID, Return: r.row.Return, UTF8: r.row.UTF8 || !idn.IsASCII(r.row.Sender), Recipients: r.recipients,
	}
	if content, err := q.cfg.Store.OpenContent(r.row); err == nil {
		defer content.Close()
		report.Original = content
	}
	text, err := dsn.Compose(report)
	if err != nil {
		return fmt.Errorf("composing a report: %w", err)
	}
	to := maildrop.Envelope{UTF8: report.UTF8, Trace: "Return-Path: <>\r\n", Settles: settlements(r.outcomes)}
	if local {
		to.Local = mailboxes
	} else {
		to.Remote = []maildrop.Recipient{{Address: r.row.Sender, Notify: []string{"NEVER"}}}
	}
	if err := q.cfg.Store.Put(ctx, text, to); err != nil {
		return err
	}
	q.log.Info("queue: reported", "row", r.row.ID, "about", len(r.recipients), "action", r.recipients[0].Action)
	if !local {
		q.Kick()
	}
	return nil
}
