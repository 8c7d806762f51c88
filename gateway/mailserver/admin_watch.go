package mailserver

import (
	"context"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/control"
)

// queueSettles is how long a queue that changes is let change on before who watches
// it is told: so he asks for it a few times a second, and not a thousand times.
const queueSettles = 250 * time.Millisecond

// ViewQueue is a page of the queue. Its revision is read first, so that no change
// after it is missed, and the rows that it counts are those up to Last.
func (a *Admin) ViewQueue(ctx context.Context, f control.QueueFilter) (v control.QueueView, err error) {
	filter := queueFilter(f)
	if filter.Limit <= 0 || filter.Limit > control.MaxQueueView {
		filter.Limit = control.MaxQueueView
	}
	v.Revision, _ = a.store.QueueRevision()
	v.Now = a.now()
	if v.Last, err = a.store.Newest(ctx); err != nil {
		return v, answer(err)
	}
	filter = filter.Until(v.Last)
	rows, err := a.store.Queue(ctx, filter)
	if err != nil {
		return v, answer(err)
	}
	for _, q := range rows {
		v.Rows = append(v.Rows, a.queueRow(q))
	}
	tally, err := a.store.Tally(ctx)
	if err != nil {
		return v, answer(err)
	}
	v.Waiting, v.Held, v.Sending = tally[maildrop.Waiting], tally[maildrop.Held], tally[maildrop.Sending]
	v.Matching, err = a.store.Count(ctx, filter)
	return v, answer(err)
}

// WatchQueue waits until the queue has changed.
func (a *Admin) WatchQueue(ctx context.Context, since uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, control.MaxQueueWatch)
	defer cancel()
	if number, changed := a.store.QueueRevision(); number == since {
		select {
		case <-changed:
		case <-ctx.Done():
			return number, nil
		}
	}
	select {
	case <-time.After(queueSettles):
	case <-ctx.Done():
	}
	number, _ := a.store.QueueRevision()
	return number, nil
}
