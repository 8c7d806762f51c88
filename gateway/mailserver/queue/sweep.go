package queue

import (
	"context"
	"slices"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
)

// swept is how many rows are read and settled together.
const swept = 200

// mostSwept is how long a transcript may be, in octets, to be kept with rows that it is not about. That no server answers is
// said in a few hundred.
const mostSwept = 2 << 10

// sweep lets whatever else is due for a destination share what was found: that none of its servers could be reached. Each
// message would find the same, and the thousandth would find it days late. So all are reported on and given up in their time,
// at the cost of one look at the destination.
func (q *Queue) sweep(ctx context.Context, destination string, down delivery.Result, text string, now time.Time) {
	if len(text) > mostSwept {
		text = ""
	}
	for ctx.Err() == nil {
		rows, err := q.cfg.Store.DueRows(ctx, destination, now, swept)
		if err != nil && ctx.Err() == nil {
			q.log.Error("queue: the rows for a destination that is down cannot be read", "destination", destination, "error", err)
		}
		if err != nil || len(rows) == 0 {
			return
		}
		var quiet []outcome
		for len(rows) > 0 {
			var one []maildrop.Queued // message
			first := rows[0].Content
			one, rows = part(rows, func(r maildrop.Queued) bool { return r.Content == first })
			untold, rep := q.judge(ctx, one, slices.Repeat([]delivery.Result{down}, len(one)), text, now)
			quiet = append(quiet, untold...)
			q.report(ctx, rep, now)
		}
		q.settle(ctx, quiet)
	}
}

// part divides rows into those that are chosen and the rest.
func part(rows []maildrop.Queued, chosen func(maildrop.Queued) bool) (these, others []maildrop.Queued) {
	for _, r := range rows {
		if chosen(r) {
			these = append(these, r)
		} else {
			others = append(others, r)
		}
	}
	return these, others
}
