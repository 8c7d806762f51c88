package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/control"
	"github.com/postern-mail/postern/shared/smtp"
)

// Queue is a page of what waits at the account's mail server.
func (e *Engine) Queue(ctx context.Context, q api.QueueQuery) (p api.QueuePage, err error) {
	if q.Limit <= 0 || q.Limit > api.MaxQueueLimit {
		q.Limit = api.MaxQueueLimit
	}
	err = e.atDesk(ctx, q.Account, askCounter, func(c *control.Client) error {
		v, err := c.ViewQueue(ctx, control.QueueFilter{Text: q.Text, State: string(q.State), After: q.After, Limit: q.Limit})
		p = api.QueuePage{Revision: v.Revision, Now: v.Now, Last: v.Last, Matching: v.Matching, Waiting: v.Waiting, Held: v.Held, Sending: v.Sending}
		for _, r := range v.Rows {
			p.Rows = append(p.Rows, queueRow(r))
		}
		return err
	})
	return p, err
}

func queueRow(r control.QueueRow) api.QueueRow {
	return api.QueueRow{ID: r.ID, Sender: r.Sender, Recipient: r.Recipient, Destination: r.Destination, Size: r.Size, State: api.QueueState(r.State),
		Attempts: r.Attempts, Created: r.Created, NextTry: r.NextTry, Problem: r.Problem}
}

// QueueItem is all that is known of one of those messages.
func (e *Engine) QueueItem(ctx context.Context, r api.QueueRef) (i api.QueueItem, err error) {
	err = e.atDesk(ctx, r.Account, askCounter, func(c *control.Client) error {
		d, err := c.ShowQueue(ctx, r.ID)
		i = api.QueueItem{QueueRow: queueRow(d.QueueRow), Tried: d.Tried, Code: d.Code, Enhanced: d.Enhanced, Server: d.Server, TLS: d.TLS,
			Own: d.Own, Unknown: d.Unknown, Transcript: transcriptLines(d.Transcript), Header: d.Header}
		if d.Code != 0 || d.Enhanced != "" {
			i.Means = (&smtp.Error{Code: d.Code, Enhanced: d.Enhanced}).Explain()
		}
		return err
	})
	return i, err
}

// transcriptLines reads what the server's queue has written down of an attempt: lines of the time of day, who says
// it ("C" is the server itself, as a client) and what.
func transcriptLines(text string) (lines []api.WireLine) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		l := api.WireLine{Seq: uint64(len(lines) + 1), Who: api.Remark, Text: line}
		if stamp, rest, ok := strings.Cut(line, " "); ok {
			at, err := time.Parse("15:04:05.000", stamp)
			who, said, ok := strings.Cut(rest, " ")
			speaker, known := map[string]api.Speaker{"C": api.ClientSays, "S": api.ServerSays, "*": api.Remark}[who]
			if err == nil && ok && known {
				l.At, l.Who, l.Text = at, speaker, said
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// ChangeQueue does something to some of those messages.
func (e *Engine) ChangeQueue(ctx context.Context, r api.QueueChange) (n int, err error) {
	if len(r.IDs) > api.MaxQueueIDs {
		return 0, &api.Problem{Code: api.CodeBadRequest, Technical: "too many messages at once"}
	}
	f := control.QueueFilter{IDs: r.IDs, Text: r.Text, State: string(r.State), UpTo: r.UpTo}
	if len(r.IDs) > 0 {
		f.Text, f.State, f.UpTo = "", "", 0
	}
	err = e.atDesk(ctx, r.Account, askCounter, func(c *control.Client) (err error) {
		n, err = c.ChangeQueue(ctx, control.QueueAction(r.Action), f)
		return err
	})
	return n, err
}

// WatchQueue waits for a change there.
func (e *Engine) WatchQueue(ctx context.Context, w api.QueueWatch) (revision uint64, err error) {
	err = e.atDesk(ctx, w.Account, watchCounter, func(c *control.Client) (err error) {
		revision, err = c.WatchQueue(ctx, w.Revision)
		return err
	})
	return revision, err
}

// World is the demo world that the server is in, after a change if there is one.
func (e *Engine) World(ctx context.Context, r api.WorldChange) (w api.World, err error) {
	err = e.atDesk(ctx, r.Account, askCounter, func(c *control.Client) error {
		var s control.WorldState
		var err error
		switch {
		case r.Fault != nil:
			s, err = c.SetFault(ctx, control.Fault{Domain: r.Fault.Domain, Kind: control.FaultKind(r.Fault.Kind), For: r.Fault.For})
		case r.Rate != 0 || r.Jump != 0:
			s, err = c.SetClock(ctx, control.ClockChange{Rate: r.Rate, Jump: r.Jump})
		default:
			s, err = c.ShowWorld(ctx)
			var told *control.Error
			if errors.As(err, &told) && told.Kind == control.Unsupported {
				return nil // the real world
			}
		}
		if err != nil {
			return err
		}
		w = api.World{Now: s.Now, Rate: s.Rate, Ahead: s.Ahead}
		for _, x := range s.Servers {
			w.Servers = append(w.Servers, api.WorldServer{Hostname: x.Hostname, Domains: x.Domains, Accounts: x.Accounts, Waiting: x.Waiting})
		}
		for _, f := range s.Faults {
			w.Faults = append(w.Faults, api.WorldFault{Domain: f.Domain, Kind: api.FaultKind(f.Kind), For: f.For})
		}
		return nil
	})
	return w, err
}
