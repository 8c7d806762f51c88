package queue

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
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
	if len(results) != len(rows) { // so many words, and none of them for somebody
		q.log.Error("queue: an attempt has not a result for each recipient", "results", len(results), "recipients", len(rows))
		results = slices.Repeat([]delivery.Result{{Outcome: delivery.Unknown, Enhanced: "4.3.0", Text: "this server has lost what came of it", Local: true}}, len(rows))
	}
	now := q.cfg.Clock.Now()
	reached, down := false, results[0]
	for _, r := range results {
		reached = reached || !unreached(r)
	}
	if !reached && ctx.Err() == nil {
		q.rest(destination, now)
	}
	q.conclude(ctx, rows, results, q.transcript(said), now)
	switch {
	case ctx.Err() != nil || crowded(down):
		return false
	case reached:
		q.works(destination)
		return true
	}
	q.sweep(ctx, destination, down, q.transcript(said), now)
	return false
}

// unreached says of a result that no server was reached. It is one of the whole destination.
func unreached(r delivery.Result) bool {
	return r.Local && r.Outcome == delivery.Deferred && (r.Enhanced == "4.4.1" || r.Enhanced == "4.4.3")
}

// crowded says of a result that nothing was tried, because this server has too much to do.
func crowded(r delivery.Result) bool {
	return r.Local && r.Outcome == delivery.Deferred && r.Enhanced == "4.4.5"
}

// conclude settles what came of an attempt at rows of one message, and tells the sender what there is to be told.
func (q *Queue) conclude(ctx context.Context, rows []maildrop.Queued, results []delivery.Result, text string, now time.Time) {
	quiet, rep := q.judge(ctx, rows, results, text, now)
	q.settle(ctx, quiet)
	q.report(ctx, rep, now)
}

// judge parts what comes of an attempt into that which nobody is told of and that which the sender is.
func (q *Queue) judge(ctx context.Context, rows []maildrop.Queued, results []delivery.Result, text string, now time.Time) (quiet []outcome, rep *report) {
	rep = &report{row: rows[0]}
	for i, row := range rows {
		o := q.outcome(row, results[i], now, ctx.Err() != nil)
		if o.tried {
			o.Transcript = text
		}
		q.tell(o)
		action, told := q.action(o, now)
		if told && row.Sender == "" { // a report, or what a program sent as nobody
			if action == dsn.Failed {
				q.log.Warn("queue: nobody is told that a message without a sender could not be delivered", "row", row.ID)
			}
			told = false
		}
		if !told {
			quiet = append(quiet, o)
			continue
		}
		o.DelayTold = o.DelayTold || action == dsn.Delayed
		rep.add(o, action, row.Created.Add(q.cfg.Schedule.GiveUp))
	}
	return quiet, rep
}

// outcome is what becomes of a row.
type outcome struct {
	maildrop.Settlement
	result delivery.Result
	tried  bool // it counts as an attempt
	gaveUp bool
}

func (q *Queue) outcome(row maildrop.Queued, r delivery.Result, now time.Time, stopped bool) outcome {
	o := outcome{result: r, tried: true, Settlement: maildrop.Settlement{
		Row: row, State: maildrop.Waiting, Attempts: row.Attempts + 1, DelayTold: row.DelayTold, Unknown: row.Unknown, NextTry: now,
		Last: maildrop.Attempt{At: now, Code: r.Code, Enhanced: r.Enhanced, Problem: r.Text, Server: r.Server, TLS: r.TLS, Own: r.Local},
	}}
	switch {
	case r.Outcome == delivery.Delivered, r.Outcome == delivery.Relayed, r.Outcome == delivery.Failed:
		o.Gone = true
		return o
	case r.Outcome == delivery.Unknown:
		o.Unknown++
	case stopped && r.Local: // cut off by ourselves, before anything could have come of it
		o.tried, o.Attempts, o.Last = false, row.Attempts, row.Last
		return o
	case crowded(r):
		o.tried, o.Attempts, o.NextTry = false, row.Attempts, now.Add(q.cfg.Schedule.Pause)
		return o
	}
	s := q.cfg.Schedule
	age := now.Sub(row.Created)
	switch {
	case age >= s.GiveUp && !s.slept(row, now):
		o.Gone, o.gaveUp = true, true
		return o
	case age >= s.GiveUp:
		o.NextTry = now.Add(s.First)
	default:
		o.NextTry = now.Add(s.interval(o.Attempts))
	}
	if unreached(r) { // not before somebody looks there again
		if until := q.Resting(row.Destination); until.After(o.NextTry) {
			o.NextTry = until
		}
	}
	// At these moments it is known anew whether there is anything to tell the sender.
	for _, moment := range []time.Duration{s.Delay, s.GiveUp} {
		if at := row.Created.Add(moment); moment > age && o.NextTry.After(at) {
			o.NextTry = at
		}
	}
	return o
}

// slept says that nothing was tried for far longer than it should have been: this server was off, or asleep, or its clock
// jumped ahead. Then a message that is over its time gets another chance half an hour later: when a computer wakes up, its
// network does so last.
func (s Schedule) slept(row maildrop.Queued, now time.Time) bool {
	last := row.Last.At
	if last.IsZero() {
		last = row.Created
	}
	return now.Sub(last) > 2*(s.longest()+s.Pause)
}

// interval is how long to wait after so many attempts. Up to a tenth is added by chance, so that what failed together is not
// tried together for ever.
func (s Schedule) interval(attempts int) time.Duration {
	d := float64(s.First) * math.Pow(s.Growth, float64(attempts-1))
	return time.Duration(min(d, float64(max(s.Most, s.First))) * (1 + rand.Float64()/10))
}

// longestPause is for how long at most a destination is left alone.
func (s Schedule) longestPause() time.Duration { return max(s.First, s.Pause) }

// longest is the longest interval.
func (s Schedule) longest() time.Duration { return max(s.Most, s.First) * 11 / 10 }

// tell writes the log's line. It names the recipient, of whom nothing else may be left when the row is gone; a log that must
// not have addresses has something else there (the gateway's does: package redact). The other server's words are not in it,
// for they may be about anything: who asks the queue for the row sees them.
func (q *Queue) tell(o outcome) {
	row, r := o.Row, o.result
	log := q.log.With("row", row.ID, "to", row.Recipient, "outcome", r.Outcome, "attempts", o.Attempts, "server", r.Server, "tls", r.TLS, "code", r.Code, "status", r.Enhanced)
	if r.Local {
		log = log.With("problem", r.Text)
	}
	if r.Outcome == delivery.Unknown {
		log.Warn("queue: cut after the message and before the answer; the other server may have it, and may get it twice")
	}
	switch {
	case o.gaveUp:
		log.Warn("queue: given up")
	case r.Outcome != delivery.Unknown:
		log.Info("queue: tried")
	}
}

// action is what the sender is told of, if anything.
func (q *Queue) action(o outcome, now time.Time) (a dsn.Action, told bool) {
	row, r := o.Row, o.result
	switch {
	case r.Outcome == delivery.Delivered: // the other server does, from here on
		return "", false
	case r.Outcome == delivery.Relayed:
		a = dsn.Relayed
	case o.Gone:
		a = dsn.Failed
	case !row.DelayTold && q.cfg.Schedule.Delay >= 0 && now.Sub(row.Created) >= q.cfg.Schedule.Delay && o.tried:
		a = dsn.Delayed
	default:
		return "", false
	}
	return a, dsn.Wanted(row.Notify, a)
}

// settle makes outcomes durable, and then says that they are.
func (q *Queue) settle(ctx context.Context, list []outcome) {
	if len(list) == 0 {
		return
	}
	err := q.insist(ctx, "what came of an attempt cannot be noted", func() error { return q.cfg.Store.Settle(context.Background(), settlements(list)) })
	if errors.Is(err, maildrop.ErrSettled) && len(list) > 1 { // one of them was changed by hand meanwhile: it alone is not settled
		for _, o := range list {
			q.settle(ctx, []outcome{o})
		}
		return
	}
	if err != nil {
		q.log.Warn("queue: what came of an attempt was not noted", "row", list[0].Row.ID, "and", len(list)-1, "error", err)
		return
	}
	q.announce(list)
}

func settlements(list []outcome) (l []maildrop.Settlement) {
	for _, o := range list {
		l = append(l, o.Settlement)
	}
	return l
}

// insist writes to the store until it succeeds: when the disk is full, what another server has taken must not be sent to it
// again. It gives up when the queue ends, and for errors that no waiting mends.
func (q *Queue) insist(ctx context.Context, problem string, write func() error) error {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := write()
		if err == nil || errors.Is(err, maildrop.ErrClosed) || errors.Is(err, maildrop.ErrSettled) || ctx.Err() != nil {
			return err
		}
		q.log.Error("queue: "+problem+"; it is tried again", "error", err)
		timer, stop := q.cfg.Clock.After(wait)
		select {
		case <-timer:
		case <-ctx.Done():
		}
		stop()
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
