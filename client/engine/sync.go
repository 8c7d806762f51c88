package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/pop3"
)

// A batch of fetched messages is made durable when it has so many messages or octets or is so old. Durability costs
// some milliseconds each time; a person watches the list grow.
const (
	batchMessages = 100
	batchOctets   = 4 << 20
	batchAge      = 300 * time.Millisecond
)

// lastFetchKey is the Meta key of the time of the last complete fetch that is worth remembering.
const lastFetchKey = "last-fetch"

// fetch brings what is new in a maildrop, newest first, and leaves it on the server.
type fetch struct {
	account *account
	session *pop3.Client
	trouble *trouble
	last    *lastLook // nil when the next look has to be a whole one

	plan     plan
	canWatch bool      // the server announces X-POSTERN-WAIT
	stored   int       // messages made durable
	newest   api.Row   // of those
	batch    []arrival // received and not yet durable
	octets   int
	since    time.Time // the age of the batch
}

// arrival is a message received.
type arrival struct {
	entry   store.Entry
	content []byte
}

// lastLook is a maildrop in which nothing was new. One with as many messages and octets is taken for the same, for a
// while: the unique-ids of 10,000 messages are 300 KB, at every poll. A message that came as another of the same size
// went has to wait for the end of that while.
type lastLook struct {
	at     time.Time
	count  int
	octets int64
	plan   plan
}

const wholeLookEvery = 10 * time.Minute

func (l *lastLook) same(now lastLook) bool {
	return l.count == now.count && l.octets == now.octets && now.at.Sub(l.at) < wholeLookEvery
}

// run fetches. What was received whole before an error is kept.
func (f *fetch) run(ctx context.Context) error {
	caps, err := f.session.Capa(ctx)
	if err != nil {
		var refused *pop3.Error
		if !errors.As(err, &refused) { // a server from before RFC 2449 refuses CAPA and may still do UIDL
			return err
		}
	}
	f.canWatch = caps != nil && caps.Wait
	look := lastLook{at: f.account.e.Clock.Now()}
	if look.count, look.octets, err = f.session.Stat(ctx); err != nil {
		return err
	}
	if f.last != nil && f.last.same(look) {
		f.plan = f.last.plan // what was left on the server still is
		return nil
	}
	f.last = nil
	ids, err := f.session.UIDL(ctx)
	if errors.Is(err, pop3.ErrUnsupported) {
		return &api.Problem{Code: api.CodeServerRefused, Detail: "UIDL is not supported. Without it new mail cannot be told from old", Technical: err.Error()}
	} else if err != nil {
		return err
	}
	listing, err := f.session.List(ctx)
	if err != nil {
		return err
	}
	f.plan = planFetch(ids, listing, f.account.box.HasUID, f.account.e.Limits.Message, f.trouble)
	if len(f.plan.wanted) == 0 {
		look.plan, f.last = f.plan, &look
		return nil
	}
	f.account.setSync(func(s *api.Sync) { s.State, s.Done, s.Total = api.Syncing, 0, len(f.plan.wanted) })
	err = f.retrieve(ctx)
	if stored := f.flush(); err == nil {
		err = stored
	}
	f.tellNewMail()
	return err
}

// retrieve asks for every message wanted and stores them as they come.
func (f *fetch) retrieve(ctx context.Context) error {
	wanted := f.plan.wanted
	messages := make([]pop3.Listing, len(wanted))
	for i, w := range wanted {
		messages[i] = w.Listing
	}
	next := 0 // the message on its way
	var tooLarge error
	ours := false // the failure: of the mailbox, not of the session
	err := f.session.RetrAll(ctx, messages, func(_ int, body io.Reader) error {
		w := wanted[next]
		next++
		content, err := receive(body, w.Size)
		var refused *pop3.Error
		switch {
		case errors.As(err, &refused): // it is gone, or the server cannot read it: the others can still come
			f.account.e.Logf("account %s: RETR %d: %v", f.account.id, w.Number, err)
			f.trouble.stumbled(w.uid)
			f.plan.refused++
			return nil
		case errors.Is(err, pop3.ErrTooLong): // larger than the scan listing said
			f.trouble.tooLarge(w.uid)
			tooLarge = &api.Problem{Code: api.CodeTooLarge, Technical: err.Error()}
			return err
		case err != nil:
			return err
		}
		if err := f.add(w, content); err != nil {
			ours = true
			return err
		}
		return nil
	})
	if err != nil && ctx.Err() == nil && !ours && f.account.e.online() {
		f.trouble.stumbled(wanted[max(next-1, 0)].uid) // next time the others come first
	}
	if tooLarge != nil { // what RetrAll says then is that the session is over
		return tooLarge
	}
	return err
}

// receive reads one message. The size the server named is a hint: it says what it likes.
func receive(body io.Reader, size int64) ([]byte, error) {
	const mostHint = 1 << 20
	var b bytes.Buffer
	b.Grow(int(min(max(size, 0), mostHint)) + bytes.MinRead)
	_, err := io.Copy(&b, body)
	return b.Bytes(), err
}

// add takes a message into the batch.
func (f *fetch) add(w wanted, content []byte) error {
	a := f.account
	if len(f.batch) == 0 {
		f.since = a.e.Clock.Now()
	}
	f.batch = append(f.batch, arrival{
		entry:   store.Entry{Folder: inbox, UID: w.uid, Flags: store.Flags{Unread: true}, Summary: a.e.Mail.Summarize(content)},
		content: content,
	})
	f.octets += len(content)
	if len(f.batch) >= batchMessages || f.octets >= batchOctets || a.e.Clock.Now().Sub(f.since) >= batchAge {
		return f.flush()
	}
	return nil
}

// flush makes the batch durable, all of it or none.
func (f *fetch) flush() error {
	if len(f.batch) == 0 {
		return nil
	}
	a, batch := f.account, f.batch
	f.batch, f.octets = nil, 0
	ids := make([]store.ID, 0, len(batch))
	err := a.box.Update(func(tx *store.Tx) error {
		for _, m := range batch {
			id, err := tx.Add(m.entry, m.content)
			if errors.Is(err, store.ErrKnownUID) {
				continue
			}
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return storing(err)
	}
	f.stored += len(ids)
	ask(a.toWarm)
	for _, id := range ids {
		if e, ok := a.box.Get(id); ok && (f.newest.ID == 0 || e.Summary.Date.After(f.newest.Date)) {
			f.newest = a.row(&e)
		}
	}
	a.setSync(func(s *api.Sync) { s.Done += len(batch) })
	return nil
}

// tellNewMail announces what arrived, but not what was there when the account was new: that is no news.
func (f *fetch) tellNewMail() {
	a := f.account
	if f.stored == 0 || a.lastFetch().IsZero() {
		return
	}
	news := api.NewMail{Account: a.id, Count: f.stored, First: f.newest}
	a.e.events.emit(func() api.Event { return api.Event{NewMail: &news} })
}

// fetched marks the account as up to date.
func (a *account) fetched(f *fetch) {
	now := a.e.Clock.Now()
	if f.stored > 0 || a.lastFetch().IsZero() { // the others are not worth a write each half minute
		value, _ := json.Marshal(now.UTC()) // a time of this era
		if err := a.box.Update(func(tx *store.Tx) error { return tx.SetMeta(lastFetchKey, value) }); err != nil {
			a.e.Logf("account %s: remembering the fetch: %v", a.id, err)
		}
	}
	a.setSync(func(s *api.Sync) { *s = api.Sync{State: api.SyncIdle, Last: now, Problem: f.leftOver()} })
}

// leftOver says what a complete fetch left on the server, if anything.
func (f *fetch) leftOver() *api.Problem {
	p := f.plan
	switch {
	case p.large > 0:
		return &api.Problem{Code: api.CodeTooLarge, Detail: megabytes(f.account.e.Limits.Message), Technical: fmt.Sprintf("%d larger messages stay on the server", p.large)}
	case p.refused > 0:
		return &api.Problem{Code: api.CodeServerRefused, Detail: fmt.Sprintf("%d messages cannot be had", p.refused)}
	case p.nameless > 0:
		return &api.Problem{Code: api.CodeServerRefused, Detail: fmt.Sprintf("%d messages have no unique-id", p.nameless)}
	}
	return nil
}

func (a *account) lastFetch() (t time.Time) {
	if value, ok := a.box.Meta(lastFetchKey); ok && json.Unmarshal(value, &t) != nil {
		return time.Time{}
	}
	return t
}
