package mailserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/shared/control"
)

var _ control.Queue = (*Admin)(nil)

// queuePage is the most rows of one answer; control.Limits have room for more.
const queuePage = 10_000

// maxHeader is how much of a message's header is shown.
const maxHeader = 64 << 10

// ListQueue lists what waits for other servers, in the order it came.
func (a *Admin) ListQueue(ctx context.Context, f control.QueueFilter) ([]control.QueueRow, error) {
	filter := queueFilter(f)
	if filter.Limit <= 0 || filter.Limit > queuePage {
		filter.Limit = queuePage
	}
	rows, err := a.store.Queue(ctx, filter)
	var list []control.QueueRow
	for _, q := range rows {
		list = append(list, a.queueRow(q))
	}
	return list, answer(err)
}

// ShowQueue is all that is known of a row, with its message's header.
func (a *Admin) ShowQueue(ctx context.Context, id int64) (control.QueueDetail, error) {
	rows, err := a.store.Queue(ctx, maildrop.Filter{IDs: []int64{id}})
	if err == nil && len(rows) == 0 {
		err = maildrop.ErrNotQueued
	}
	if err != nil {
		return control.QueueDetail{}, answer(err)
	}
	q := rows[0]
	d := control.QueueDetail{QueueRow: a.queueRow(q), Tried: q.Last.At, Code: q.Last.Code, Enhanced: q.Last.Enhanced, Server: q.Last.Server,
		TLS: q.Last.TLS, Own: q.Last.Own, Unknown: q.Unknown}
	if d.Transcript, err = a.store.Transcript(ctx, id); err != nil {
		return d, answer(err)
	}
	r, err := a.store.OpenContent(q)
	if errors.Is(err, maildrop.ErrDamaged) {
		return d, nil // the row says what it can
	}
	if err != nil {
		return d, answer(err)
	}
	defer r.Close()
	d.Header, err = header(r)
	return d, answer(err)
}

// header reads to the empty line, or as far as is shown.
func header(r io.Reader) (string, error) {
	var b strings.Builder
	in := bufio.NewReader(io.LimitReader(r, maxHeader))
	for {
		line, err := in.ReadString('\n')
		if strings.TrimRight(line, "\r\n") == "" || err != nil {
			if err == io.EOF {
				b.WriteString(line)
				err = nil
			}
			return b.String(), err
		}
		b.WriteString(line)
	}
}

// ChangeQueue does something to the rows that a filter chooses. Those that are
// being sent at the moment are left alone.
func (a *Admin) ChangeQueue(ctx context.Context, action control.QueueAction, f control.QueueFilter) (n int, err error) {
	filter := queueFilter(f)
	switch action {
	case control.Retry:
		n, err = a.store.Hasten(ctx, filter, a.now())
	case control.Hold:
		n, err = a.store.Hold(ctx, filter)
	case control.Release:
		n, err = a.store.Release(ctx, filter, a.now())
	case control.Return:
		if a.giveBack == nil {
			return 0, &control.Error{Kind: control.Invalid, Text: "only a server that runs and sends mail gives it back"}
		}
		n, err = a.giveBack(ctx, filter)
	case control.Drop:
		n, err = a.store.Discard(ctx, filter)
	default:
		return 0, &control.Error{Kind: control.Invalid, Text: fmt.Sprintf("%.40q is nothing that can be done to a queue", action)}
	}
	if n > 0 && a.tryNow != nil && (action == control.Retry || action == control.Release) {
		a.tryNow(ctx)
	}
	return n, answer(err)
}

func queueFilter(f control.QueueFilter) maildrop.Filter {
	return maildrop.Filter{IDs: f.IDs, State: maildrop.State(f.State), Destination: strings.ToLower(f.Destination), Sender: f.Sender, Text: f.Text, After: f.After, UpTo: f.UpTo, Limit: f.Limit}
}

// queueRow is a row as it is seen: one that is due, and whose destination is left alone because it did not answer another message, waits
// for that.
func (a *Admin) queueRow(q maildrop.Queued) control.QueueRow {
	r := control.QueueRow{ID: q.ID, Sender: q.Sender, Recipient: q.Recipient, Destination: q.Destination, Size: q.Size, State: string(q.State),
		Attempts: q.Attempts, Created: q.Created, NextTry: q.NextTry, Problem: q.Last.Problem}
	if a.resting == nil || q.State != maildrop.Waiting {
		return r
	}
	if until := a.resting(q.Destination); until.After(r.NextTry) && until.After(a.now()) {
		r.NextTry = until
		if r.Problem == "" {
			r.Problem = "The server of " + r.Destination + " did not answer for another message: this one waits with it."
		}
	}
	return r
}
