package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/pop3"
)

// beginningLines is how much of the body of a message over the account's size cap is fetched: a screenful.
const beginningLines = 40

// leastBeginning is how long a beginning may be whatever the cap: its header has to be there.
const leastBeginning = 256 << 10

// retrieveBeginnings fetches the header and some lines of the messages over the size cap.
func (f *fetch) retrieveBeginnings(ctx context.Context) error {
	top := func(ctx context.Context, msgs []pop3.Listing, fn func(int, io.Reader) error) error {
		return f.session.TopAll(ctx, msgs, beginningLines, fn)
	}
	before := f.plan.refused
	err := f.receiveAll(ctx, f.plan.begin, top, func(s *spot, content []byte) error {
		if most := max(f.settings.SizeCap, leastBeginning); int64(len(content)) > most { // lines may have any length
			content = content[:most]
		}
		return f.add(s, store.Entry{UID: s.uid, Whole: max(s.Size, 1)}, content)
	})
	if f.plan.refused > before { // an old server without TOP says so only now
		f.plan.large += f.plan.refused - before
		f.plan.refused, f.canTop = before, false
	}
	return err
}

// rests are the messages of an account whose rest somebody waits for. The fetch that comes next brings it: a maildrop
// takes one session at a time.
type rests struct {
	mu    sync.Mutex
	asked map[store.ID][]chan error
}

// FetchRest fetches the whole of a message of which only the beginning is here.
func (e *Engine) FetchRest(ctx context.Context, r api.MessageRef) error {
	a, m, err := e.message(r)
	if err != nil {
		return err
	}
	if !m.Partial() {
		return nil
	}
	if m.Whole > e.Limits.Message {
		return &api.Problem{Code: api.CodeTooLarge, Detail: megabytes(e.Limits.Message), Technical: fmt.Sprintf("%d octets", m.Whole)}
	}
	if !e.online() {
		e.Gateway.Kick()
		return gatewayProblem(e.Gateway.State().Err)
	}
	done := a.rests.ask(m.ID)
	ask(a.toFetch)
	select {
	case err := <-done:
		return asError(problemOf(err))
	case <-ctx.Done():
		return problemOf(ctx.Err())
	}
}

func (q *rests) ask(id store.ID) <-chan error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asked == nil {
		q.asked = make(map[store.ID][]chan error)
	}
	done := make(chan error, 1)
	q.asked[id] = append(q.asked[id], done)
	return done
}

func (q *rests) wants(id store.ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.asked[id]) > 0
}

func (q *rests) any() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.asked) > 0
}

// answer tells who waits for a message what became of it.
func (q *rests) answer(id store.ID, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, done := range q.asked[id] {
		done <- err
	}
	delete(q.asked, id)
}

// answerAll tells everybody who waits why there was no fetch.
func (q *rests) answerAll(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, waiting := range q.asked {
		for _, done := range waiting {
			done <- err
		}
	}
	q.asked = nil
}

// fetchRests fetches what is wanted whole: before everything else, for somebody waits.
func (f *fetch) fetchRests(ctx context.Context) error {
	a := f.account
	a.rests.refuseMissing(f.plan.rest)
	spots := make([]spot, len(f.plan.rest))
	for i, r := range f.plan.rest {
		spots[i] = r.spot
	}
	next := 0
	ask := func(ctx context.Context, msgs []pop3.Listing, fn func(int, io.Reader) error) error {
		return f.session.RetrAll(ctx, msgs, func(number int, body io.Reader) error {
			r := f.plan.rest[next]
			next++
			watched := &watchedBody{Reader: body}
			err := fn(number, watched)
			if refused := refusal(watched.err); refused != nil {
				a.rests.answer(r.id, refused)
			}
			return err
		})
	}
	return f.receiveAll(ctx, spots, ask, func(s *spot, content []byte) error {
		r := f.plan.rest[next-1]
		err := f.complete(r.id, content)
		a.rests.answer(r.id, err)
		var own *api.Problem
		if errors.As(err, &own) { // it is another message, to be fetched as one
			note(&f.trouble.foreign, s.uid, true)
			return nil
		}
		if errors.Is(err, store.ErrNoMessage) { // erased meanwhile
			return nil
		}
		return err
	})
}

// watchedBody remembers why reading it failed.
type watchedBody struct {
	io.Reader
	err error
}

func (w *watchedBody) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.err = err
	return n, err
}

// complete puts the whole of a message in the place of what is here of it, durably.
func (f *fetch) complete(id store.ID, content []byte) error {
	a := f.account
	e, ok := a.box.Get(id)
	if !ok {
		return store.ErrNoMessage
	}
	if e.Partial() {
		beginning, err := a.box.Content(id)
		if err == nil && headerSum(beginning) != headerSum(content) {
			return &api.Problem{Code: api.CodeServerRefused, Detail: "it has another message in the place of this one now"}
		}
	} else if a.box.Sum(content) != e.Sum {
		return &api.Problem{Code: api.CodeServerRefused, Detail: "it has another message in the place of this one now"}
	}
	err := a.box.Update(func(tx *store.Tx) error { return tx.Complete(id, a.e.Mail.Summarize(content), content) })
	if err != nil {
		return storing(err)
	}
	delete(f.trouble.damaged, id)
	ask(a.toWarm)
	a.announce()
	return nil
}

// refuseMissing answers for the messages that the server does not have any more.
func (q *rests) refuseMissing(there []rest) {
	q.mu.Lock()
	var missing []store.ID
	for id := range q.asked {
		found := false
		for _, r := range there {
			found = found || r.id == id
		}
		if !found {
			missing = append(missing, id)
		}
	}
	q.mu.Unlock()
	for _, id := range missing {
		q.answer(id, &api.Problem{Code: api.CodeNoSuchMessage, Detail: "The server does not have this message any more"})
	}
}
