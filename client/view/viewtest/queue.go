package viewtest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// queue is what waits at the mail server, and the demo world that it is in.
type queue struct {
	rows     []api.QueueItem
	revision uint64
	changed  chan struct{} // closed at the next change
	ahead    time.Duration // the server's clock
	world    api.World
	did      []api.QueueChange
	asked    []api.QueueQuery
}

// Wait puts rows into the queue; those that have an ID that is there take its place.
func (s *Service) Wait(list ...api.QueueItem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range list {
		if i := slices.IndexFunc(s.queue.rows, func(o api.QueueItem) bool { return o.ID == r.ID }); i >= 0 {
			s.queue.rows[i] = r
		} else {
			s.queue.rows = append(s.queue.rows, r)
		}
	}
	s.stir()
}

// Leave takes a row out of the queue.
func (s *Service) Leave(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.rows = slices.DeleteFunc(s.queue.rows, func(o api.QueueItem) bool { return o.ID == id })
	s.stir()
}

func (s *Service) stir() {
	s.queue.revision++
	close(s.queue.changed)
	s.queue.changed = make(chan struct{})
}

// InWorld puts the server into a demo world.
func (s *Service) InWorld(w api.World) { s.mu.Lock(); s.queue.world = w; s.mu.Unlock() }

// Done are the changes of the queue that were asked for; Asked the pages.
func (s *Service) Done() []api.QueueChange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queue.did)
}

// Asked are the pages of the queue that were asked for.
func (s *Service) Asked() []api.QueueQuery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queue.asked)
}

func matches(r api.QueueItem, text string, state api.QueueState) bool {
	return strings.Contains(strings.ToLower(r.Sender+" "+r.Recipient), strings.ToLower(text)) && (state == "" || r.State == state)
}

// Queue implements api.Service.
func (s *Service) Queue(ctx context.Context, q api.QueueQuery) (p api.QueuePage, err error) {
	if err := s.enter(ctx, "Queue"); err != nil {
		return p, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.asked = append(s.queue.asked, q)
	p.Revision, p.Now = s.queue.revision, time.Now().Add(s.queue.ahead)
	for _, r := range s.queue.rows {
		p.Last = max(p.Last, r.ID)
		switch r.State {
		case api.QueueWaiting:
			p.Waiting++
		case api.QueueHeld:
			p.Held++
		case api.QueueSending:
			p.Sending++
		}
		if matches(r, q.Text, q.State) {
			if p.Matching++; r.ID > q.After && len(p.Rows) < q.Limit {
				p.Rows = append(p.Rows, r.QueueRow)
			}
		}
	}
	return p, nil
}

// QueueItem implements api.Service.
func (s *Service) QueueItem(ctx context.Context, r api.QueueRef) (api.QueueItem, error) {
	if err := s.enter(ctx, "QueueItem"); err != nil {
		return api.QueueItem{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.queue.rows {
		if o.ID == r.ID {
			return o, nil
		}
	}
	return api.QueueItem{}, &api.Problem{Code: api.CodeNoSuchMessage}
}

// ChangeQueue implements api.Service.
func (s *Service) ChangeQueue(ctx context.Context, c api.QueueChange) (n int, err error) {
	if err := s.enter(ctx, "ChangeQueue"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.did = append(s.queue.did, c)
	var left []api.QueueItem
	for _, r := range s.queue.rows {
		meant := slices.Contains(c.IDs, r.ID) || len(c.IDs) == 0 && matches(r, c.Text, c.State) && (c.UpTo == 0 || r.ID <= c.UpTo)
		gone := false
		switch {
		case !meant || r.State == api.QueueSending:
			meant = false
		case c.Action == api.QueueHold && r.State == api.QueueWaiting:
			r.State = api.QueueHeld
		case c.Action == api.QueueRelease && r.State == api.QueueHeld:
			r.State = api.QueueWaiting
		case c.Action == api.QueueRetry && r.State == api.QueueWaiting:
			r.NextTry = time.Now()
		case c.Action == api.QueueDrop, c.Action == api.QueueReturn:
			gone = true
		default:
			meant = false
		}
		if meant {
			n++
		}
		if !gone {
			left = append(left, r)
		}
	}
	s.queue.rows = left
	s.stir()
	return n, nil
}

// WatchQueue implements api.Service.
func (s *Service) WatchQueue(ctx context.Context, w api.QueueWatch) (uint64, error) {
	if err := s.enter(ctx, "WatchQueue"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	now, changed := s.queue.revision, s.queue.changed
	s.mu.Unlock()
	if now == w.Revision {
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.revision, nil
}

// World implements api.Service.
func (s *Service) World(ctx context.Context, c api.WorldChange) (api.World, error) {
	if err := s.enter(ctx, "World"); err != nil {
		return api.World{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.queue.world
	if f := c.Fault; f != nil {
		w.Faults = slices.DeleteFunc(w.Faults, func(o api.WorldFault) bool { return o.Domain == f.Domain })
		if f.Kind != api.FaultOff {
			w.Faults = append(w.Faults, *f)
		}
	}
	if c.Rate != 0 {
		w.Rate = c.Rate
	}
	w.Ahead += c.Jump
	s.queue.ahead += c.Jump
	out := *w
	if len(out.Servers) > 0 {
		out.Now = time.Now().Add(w.Ahead)
	}
	out.Faults = slices.Clone(w.Faults)
	return out, nil
}
