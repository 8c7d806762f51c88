package queue

import (
	"context"

	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// returned is what the sender is told when an administrator gives a message back.
var returned = delivery.Result{Outcome: delivery.Failed, Code: 554, Enhanced: "5.7.0", Text: "Those who run this mail server took the message out of their queue.", Local: true}

// Return gives messages that wait, or are held, back to their senders, with a report, as if they had failed: who asked not to be told
// of failures is not. It answers how many rows that is about. Those that are being sent at the moment are left alone, and so is what
// comes meanwhile: the reports themselves may wait here.
func (q *Queue) Return(ctx context.Context, f maildrop.Filter) (count int, err error) {
	newest, err := q.cfg.Store.Newest(ctx)
	if err != nil || newest == 0 {
		return 0, err
	}
	f = f.Until(newest)
	f.Limit = swept
	for {
		rows, err := q.cfg.Store.Queue(ctx, f)
		if err != nil || len(rows) == 0 {
			return count, err
		}
		f.After = rows[len(rows)-1].ID
		_, rows = part(rows, func(r maildrop.Queued) bool { return r.State == maildrop.Sending })
		for len(rows) > 0 {
			var one []maildrop.Queued
			first := rows[0].Content
			one, rows = part(rows, func(r maildrop.Queued) bool { return r.Content == first })
			results := make([]delivery.Result, len(one))
			for i := range results {
				results[i] = returned
			}
			q.conclude(ctx, one, results, "", q.cfg.Clock.Now())
			if err := ctx.Err(); err != nil {
				return count, err
			}
			count += len(one)
		}
	}
}
