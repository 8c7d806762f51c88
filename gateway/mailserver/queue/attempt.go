package queue

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/dsn"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// attempt tries rows of one message and one destination. It answers false when the destination is to be left alone.
func (q *Queue) attempt(ctx context.Context, destination string, rows []maildrop.Queued) bool {
	first := rows[0]
	m := delivery.Message{
		From: first.Sender, UTF8: first.UTF8, Size: first.Size, Return: first.Return, EnvelopeID: first.EnvelopeID,
		Open: func() (io.ReadCloser, error) { return q.cfg.Store.OpenContent(first) },
	}
	for _, r := range rows {
		m.Recipients = append(m.Recipients, delivery.Recipient{Address: r.Recipient, Notify: r.Notify, Original: r.Original})
	}
	results, said := q.cfg.Deliverer.Deliver(ctx, destination, m)
	text := q.transcript(said)
	now := q.cfg.Clock.Now()

	var quiet []maildrop.Settlement
	reports := map[string]*report{}
	unreached := 0
	for i, row := range rows {
		r := results[i]
		if r.Local && (r.Enhanced == "4.4.1" || r.Enhanced == "4.4.3") {
			unreached++
		}
		cut := ctx.Err() != nil && r.Local && r.Outcome == delivery.Deferred
		o := q.outcome(row, r, now, cut)
		o.Transcript = text
		q.tell(row, r, o)
		action, told := q.action(row, r, o, now)
		if !told || row.Sender == "" {
			if told {
				q.log.Info("queue: nobody is told that a report could not be delivered", "row", row.ID, "to", row.Recipient)
			}
			quiet = append(quiet, o.Settlement)
			continue
		}
		rep := reports[row.Sender]
		if rep == nil {
			rep = &report{row: row}
			reports[row.Sender] = rep
		}
		o.DelayTold = o.DelayTold || action == dsn.Delayed
		rep.settles = append(rep.settles, o.Settlement)
		rep.recipients = append(rep.recipients, dsn.Recipient{
			Action: action, Address: row.Recipient, Original: row.Original, Code: r.Code, Status: r.Enhanced, Text: r.Text, Own: r.Local,
			Server: r.Server, LastAttempt: now, RetryUntil: row.Created.Add(q.cfg.Schedule.GiveUp), GaveUp: o.gaveUp,
		})
	}
	q.settle(quiet)
	for _, rep := range reports {
		q.report(ctx, rep, now)
	}
	switch {
	case ctx.Err() != nil:
		return false
	case unreached == len(rows):
		q.rest(destination)
		return false
	case unreached == 0:
		q.works(destination)
	}
	return true
}

// outcome is what becomes of a row.
type outcome struct {
	maildrop.Settlement
	gaveUp bool
}

func (q *Queue) outcome(row maildrop.Queued, r delivery.Result, now time.Time, cut bool) outcome {
	o := outcome{Settlement: maildrop.Settlement{
		Row: row, State: maildrop.Waiting, Attempts: row.Attempts + 1, DelayTold: row.DelayTold, Unknown: row.Unknown, NextTry: now,
		Last: maildrop.Attempt{At: now, Code: r.Code, Enhanced: r.Enhanced, Problem: r.Text, Server: r.Server, TLS: r.TLS, Own: r.Local},
	}}
	switch r.Outcome {
	case delivery.Delivered, delivery.Relayed, delivery.Failed:
		o.Gone = true
		return o
	case delivery.Unknown:
		o.Unknown++
	}
	if cut { // by ourselves, before anything could have come of it
		o.Attempts, o.Last = row.Attempts, row.Last
		return o
	}
	if now.Sub(row.Created) >= q.cfg.Schedule.GiveUp && o.Attempts >= leastAttempts {
		o.Gone, o.gaveUp = true, true
		return o
	}
	o.NextTry = now.Add(q.cfg.Schedule.interval(o.Attempts))
	if last := row.Created.Add(q.cfg.Schedule.GiveUp); o.NextTry.After(last) && last.After(now) {
		o.NextTry = last // once more before it is given up
	}
	return o
}

// interval is how long to wait after so many attempts. Up to a tenth is added by chance, so that what failed together is not
// tried together for ever.
func (s Schedule) interval(attempts int) time.Duration {
	d := float64(s.First) * math.Pow(s.Growth, float64(attempts-1))
	return time.Duration(min(d, float64(max(s.Most, s.First))) * (1 + rand.Float64()/10))
}

// tell writes the log's line.
func (q *Queue) tell(row maildrop.Queued, r delivery.Result, o outcome) {
	log := q.log.With("row", row.ID, "from", row.Sender, "to", row.Recipient, "outcome", r.Outcome, "attempts", o.Attempts, "server", r.Server, "tls", r.TLS, "answer", r.Text)
	switch {
	case r.Outcome == delivery.Unknown:
		log.Warn("queue: cut after the message and before the answer; the other server may have it, and may get it twice")
	case o.gaveUp:
		log.Warn("queue: given up")
	default:
		log.Info("queue: tried")
	}
}

// action is what the sender is told of, if anything.
func (q *Queue) action(row maildrop.Queued, r delivery.Result, o outcome, now time.Time) (a dsn.Action, told bool) {
	switch {
	case r.Outcome == delivery.Delivered: // the other server does, from here on
		return "", false
	case r.Outcome == delivery.Relayed:
		a = dsn.Relayed
	case o.Gone:
		a = dsn.Failed
	case !row.DelayTold && q.cfg.Schedule.Delay >= 0 && now.Sub(row.Created) >= q.cfg.Schedule.Delay && o.Attempts > row.Attempts:
		a = dsn.Delayed
	default:
		return "", false
	}
	return a, dsn.Wanted(row.Notify, a)
}

// settle makes outcomes durable. It does not give up while the store is open: what is not settled is sent again after a
// restart, to whom has it.
func (q *Queue) settle(list []maildrop.Settlement) {
	if len(list) == 0 {
		return
	}
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := q.cfg.Store.Settle(context.Background(), list)
		switch {
		case err == nil || errors.Is(err, maildrop.ErrClosed):
			return
		case errors.Is(err, maildrop.ErrSettled):
			q.settleEach(list)
			return
		}
		q.log.Error("queue: what came of an attempt cannot be noted; it is tried again", "error", err)
		time.Sleep(wait)
	}
}

// settleEach settles what an administrator has not changed meanwhile.
func (q *Queue) settleEach(list []maildrop.Settlement) {
	for _, o := range list {
		if err := q.cfg.Store.Settle(context.Background(), []maildrop.Settlement{o}); err != nil {
			q.log.Warn("queue: a row was changed while it was sent", "row", o.Row.ID, "error", err)
		}
	}
}

// transcript writes down what was said, as much of it as is kept.
func (q *Queue) transcript(said delivery.Transcript) string {
	var b strings.Builder
	for _, l := range said {
		line := l.Time.UTC().Format("15:04:05.000") + " " + string(rune(l.Who)) + " " + l.Text + "\n"
		if b.Len()+len(line) > q.cfg.Limits.Transcript {
			b.WriteString("(and more)\n")
			break
		}
		b.WriteString(line)
	}
	return b.String()
}
