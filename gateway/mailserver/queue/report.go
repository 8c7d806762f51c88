package queue

import (
	"context"
	"errors"
	"fmt"

	"time"

	"github.com/postern-mail/postern/gateway/mailserver/dsn"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/idn"
)

// report is what a sender is told about one message.
type report struct {
	row        maildrop.Queued // one of them
	recipients []dsn.Recipient
	settles    []maildrop.Settlement
}

// unreported is after how long it is tried again where a report cannot be stored.
const unreported = 5 * time.Minute

// report stores a report for the sender and settles what it is about, in one. If that cannot be done, because the disk is
// full, the rows wait and are tried again: a failure that nobody is told of would be a loss.
func (q *Queue) report(ctx context.Context, r *report, now time.Time) {
	err := q.send(context.WithoutCancel(ctx), r, now)
	switch {
	case err == nil || errors.Is(err, maildrop.ErrClosed):
		return
	case errors.Is(err, maildrop.ErrNoAccount):
		q.log.Warn("queue: the sender of a message that is reported on is not here any more", "from", r.row.Sender)
		q.settle(r.settles)
		return
	case errors.Is(err, maildrop.ErrSettled):
		q.log.Warn("queue: a row was changed while it was sent", "row", r.row.ID)
		return
	}
	q.log.Error("queue: a report cannot be stored; what it is about is tried again", "from", r.row.Sender, "error", err)
	var again []maildrop.Settlement
	for i, o := range r.settles {
		if r.recipients[i].Action == dsn.Relayed { // to send it again would be worse than to say nothing
			again = append(again, o)
			continue
		}
		o.Gone, o.DelayTold, o.NextTry = false, o.Row.DelayTold, now.Add(unreported)
		again = append(again, o)
	}
	q.settle(again)
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
	in, err := q.cfg.Store.Create()
	if err != nil {
		return err
	}
	defer in.Discard()
	if _, err := in.Write(text); err != nil {
		return err
	}
	to := maildrop.Envelope{UTF8: report.UTF8, Trace: "Return-Path: <>\r\n", Settles: r.settles}
	if local {
		to.Local = mailboxes
	} else {
		to.Remote = []maildrop.Recipient{{Address: r.row.Sender, Notify: []string{"NEVER"}}}
	}
	if err := in.Deliver(ctx, to); err != nil {
		return err
	}
	q.log.Info("queue: reported", "to", r.row.Sender, "about", len(r.recipients), "action", r.recipients[0].Action)
	if !local {
		q.Kick()
	}
	return nil
}
