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
// some milliseconds each time, a twelfth of a large fetch with half of these; a person watches the list grow.
const (
	batchMessages = 200
	batchOctets   = 8 << 20
	batchAge      = 500 * time.Millisecond
)

// lastFetchKey is the Meta key of the time of the last complete fetch that is worth remembering.
const lastFetchKey = "last-fetch"

// fetch is one session with a maildrop: it brings what is new, newest first, and marks what is to go from the server.
type fetch struct {
	account  *account
	session  *pop3.Client
	settings api.Settings
	trouble  *trouble
	last     *lastLook // nil when the next look has to be a whole one
	spare    bool      // nothing is to be removed in this session

	serverTerms
	plan     plan
	count    int              // messages on the server when the session began
	stored   int              // messages made durable
	renamed  int              // of those received, the ones that were here under another identity
	newest   api.Row          // of those stored, but not of the junk
	junk     int              // of those stored
	batch    []arrival        // received and not yet durable
	room     []byte           // where their octets are
	octets   int              //
	since    time.Time        // the age of the batch
	got      map[int]received // received whole in this session and durable, by number; kept if something may be removed
	removing int              // messages that were to be removed
	marked   []spot           // DELE was answered with +OK
	kept     int              // messages that the server was told to remove, and has still
	more     bool             // to be removed in another session
	fault    *api.Problem     // why nothing was removed
	grumbles int              // what was refused, and told to the log
	toTell   chan struct{}    // holds a token when there is progress to be told
}

// mostGrumbles is how much of what a server refuses in one session is told to the log: one that refuses everything can do so
// half a million times.
const mostGrumbles = 20

// grumble tells the log of something that the server refused.
func (f *fetch) grumble(format string, args ...any) {
	if f.grumbles++; f.grumbles <= mostGrumbles {
		f.account.e.Logf("account %s: "+format, append([]any{f.account.id}, args...)...)
	}
	if f.grumbles == mostGrumbles {
		f.account.e.Logf("account %s: more of that is not told", f.account.id)
	}
}

// arrival is a message received, or its beginning.
type arrival struct {
	spot
	entry   store.Entry
	content []byte
}

// run fetches. What was received whole before an error is kept.
func (f *fetch) run(ctx context.Context) error {
	if err := f.learnTerms(ctx); err != nil {
		return err
	}
	look, same, err := f.look(ctx)
	if err != nil {
		return err
	}
	f.count = look.count
	if same {
		f.plan = f.last.left // what was left on the server still is
		return nil
	}
	f.last = nil
	if f.count, err = f.makePlan(ctx, look); err != nil {
		return err
	}
	if n := len(f.plan.wanted) + len(f.plan.begin); n > 0 {
		f.account.setSync(func(s *api.Sync) { s.State, s.Done, s.Total = api.Syncing, 0, n })
		defer f.tellProgress(ctx)()
	}
	if f.leaves() {
		f.got = make(map[int]received)
	}
	err = f.fetchRests(ctx)
	if err == nil {
		err = f.retrieve(ctx)
	}
	if err == nil {
		err = f.retrieveBeginnings(ctx)
	}
	if stored := f.flush(); err == nil {
		err = stored
	}
	f.tellNewMail()
	if f.stored > 0 {
		ask(f.account.toWarm) // not before: reading texts ahead would take a fifth of the time that fetching has
	}
	if err != nil {
		return err
	}
	f.countRenames(f.count)
	if err := f.remove(ctx); err != nil {
		return err
	}
	f.remember(ctx, look)
	return nil
}

// makePlan lists the maildrop and says what to do with it. It answers how many messages there are.
func (f *fetch) makePlan(ctx context.Context, look *lastLook) (total int, err error) {
	a := f.account
	believed := !f.renames()
	var ids []pop3.UniqueID
	if believed {
		ids, err = f.session.UIDL(ctx)
		if err != nil && !errors.Is(err, pop3.ErrUnsupported) {
			return 0, err
		}
	}
	listing, err := f.session.List(ctx)
	if err != nil {
		return 0, err
	}
	look.believe(listing)
	ids = a.inMaildrop(ids)
	sure, doubtful := identify(ids, listing, believed)
	for i := 0; i < len(sure); i++ { // those under whose unique-id another message was seen
		if f.trouble.foreign[sure[i].uid] {
			doubtful = append(doubtful, spot{Listing: sure[i].Listing})
			sure[i] = sure[len(sure)-1]
			sure = sure[:len(sure)-1]
			i--
		}
	}
	look.doubtful = len(doubtful)
	if err := f.resolve(ctx, doubtful); err != nil {
		return 0, err
	}
	in := terms{known: a.box.Named, get: a.box.Get, asked: a.rests.wants, limit: a.e.Limits.Message, cap: f.settings.SizeCap, top: f.canTop}
	seen := make(map[string]bool, len(listing))
	for _, list := range [][]spot{sure, doubtful} {
		for _, s := range list {
			f.plan.add(s, in, seen, f.trouble)
		}
	}
	for _, id := range ids { // also those that are not believed
		seen[id.UID] = true
	}
	f.trouble.forget(seen, [][]spot{sure, doubtful})
	f.plan.order(f.trouble)
	return len(listing), nil
}

// retrieve asks for every message wanted and stores them as they come.
func (f *fetch) retrieve(ctx context.Context) error {
	f.makeRoom()
	defer func() { f.room = nil }()
	return f.receiveAll(ctx, f.plan.wanted, f.session.RetrAll, func(s *spot, content []byte) error {
		e := store.Entry{UID: s.uid}
		if s.uid == "" || !s.headed(content) {
			e.UID = contentIdentity(content)
		}
		return f.add(s, e, content)
	})
}

// receiveAll asks for something of each message and gives what came to take. What the server refuses is passed over.
func (f *fetch) receiveAll(ctx context.Context, spots []spot, ask asking, take func(s *spot, content []byte) error) error {
	if len(spots) == 0 {
		return nil
	}
	next, whole := 0, 0 // the message on its way; how many came
	var tooLarge error
	ours := false // the failure: of the mailbox, not of the session
	err := ask(ctx, listings(spots), func(_ int, body io.Reader) error {
		s := &spots[next]
		next++
		content, err := f.receive(body, s.Size)
		var refused *pop3.Error
		switch {
		case errors.As(err, &refused): // it is gone, or the server cannot read it: the others can still come
			f.grumble("%v", err)
			f.trouble.stumbled(s)
			f.plan.refused++
			whole = next
			return nil
		case errors.Is(err, pop3.ErrTooLong): // larger than the scan listing said
			f.trouble.tooLarge(s)
			tooLarge = &api.Problem{Code: api.CodeTooLarge, Technical: err.Error()}
			return err
		case err != nil:
			return err
		}
		whole = next
		if err := take(s, content); err != nil {
			ours = true
			return err
		}
		return nil
	})
	if err != nil && ctx.Err() == nil && !ours && f.account.e.online() && whole < len(spots) {
		f.trouble.stumbled(&spots[whole]) // next time the others come first
	}
	if tooLarge != nil { // what RetrAll says then is that the session is over
		return tooLarge
	}
	return err
}

// asking is a pipelined command of pop3.Client.
type asking func(ctx context.Context, msgs []pop3.Listing, fn func(number int, body io.Reader) error) error

// receive reads one message, of the size that the server named: a hint, it says what it likes. The octets are good until
// the batch that they are in is durable, or until the next message if they are in none: the next batch takes their room.
func (f *fetch) receive(body io.Reader, size int64) ([]byte, error) {
	const mostHint = 1 << 20
	if len(f.batch) == 0 {
		f.room = f.room[:0]
	}
	n := len(f.room)
	b := bytes.NewBuffer(f.room[n:n])
	hint := int(min(max(size, 0), mostHint)) + bytes.MinRead
	inRoom := hint <= cap(f.room)-n
	if !inRoom {
		b = new(bytes.Buffer)
		b.Grow(hint)
	}
	_, err := io.Copy(b, body)
	if m := n + b.Len(); inRoom && m <= cap(f.room) {
		f.room = f.room[:m] // where it was read to, unless it was larger than the server had said and went elsewhere
	}
	return b.Bytes(), err
}

// makeRoom is for batches of what is wanted.
func (f *fetch) makeRoom() {
	octets := int64(0)
	for i := range f.plan.wanted {
		if octets += f.plan.wanted[i].Size + bytes.MinRead; octets > batchOctets+batchOctets/8 {
			break
		}
	}
	f.room = make([]byte, 0, min(max(octets, 0), batchOctets+batchOctets/8))
}

// add takes a message into the batch.
func (f *fetch) add(s *spot, e store.Entry, content []byte) error {
	a := f.account
	if len(f.batch) == 0 {
		f.since = a.e.Clock.Now()
	}
	e.Folder, e.Flags, e.Summary = a.arrivesIn(content), store.Flags{Unread: true}, a.e.Mail.Summarize(content)
	f.batch = append(f.batch, arrival{*s, e, content})
	f.octets += len(content)
	if len(f.batch) >= a.e.batch || f.octets >= batchOctets || a.e.Clock.Now().Sub(f.since) >= batchAge {
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
	fresh := make([]bool, len(batch))
	renamed := 0
	err := a.box.Update(func(tx *store.Tx) error {
		for i, m := range batch {
			id, added, err := tx.AddOnce(m.entry, m.content)
			if errors.Is(err, store.ErrKnownUID) {
				continue
			}
			if err != nil {
				return err
			}
			if fresh[i] = added; added {
				ids = append(ids, id)
			} else {
				renamed++
			}
		}
		return nil
	})
	if err != nil {
		return storing(err)
	}
	f.stored += len(ids)
	f.renamed += renamed
	f.noteReceived(batch, fresh)
	for _, id := range ids {
		e, ok := a.box.Get(id)
		if ok && e.Folder == junk {
			f.junk++
		} else if ok && (f.newest.ID == 0 || e.Summary.Date.After(f.newest.Date)) {
			f.newest = a.row(&e)
		}
	}
	f.progressed(len(batch))
	return nil
}

// tellNewMail announces what arrived, but not what was there when the account was new: that is no news.
func (f *fetch) tellNewMail() {
	a := f.account
	if f.stored == f.junk || a.lastFetch().IsZero() {
		return
	}
	news := api.NewMail{Account: a.id, Count: f.stored - f.junk, First: f.newest}
	a.e.events.emit(func() api.Event { return api.Event{NewMail: &news} })
}

// fetched marks the account as up to date; unconfirmed is what became of the removal, if that is not known.
func (a *account) fetched(f *fetch, unconfirmed *api.Problem) {
	now := a.e.Clock.Now()
	if f.stored > 0 || a.lastFetch().IsZero() { // the others are not worth a write each half minute
		value, _ := json.Marshal(now.UTC()) // a time of this era
		if err := a.box.Update(func(tx *store.Tx) error { return tx.SetMeta(lastFetchKey, value) }); err != nil {
			a.e.Logf("account %s: remembering the fetch: %v", a.id, err)
		}
	}
	problem := unconfirmed
	if problem == nil {
		problem = f.leftOver()
	}
	a.setSync(func(s *api.Sync) {
		*s = api.Sync{State: api.SyncIdle, Last: now, Problem: problem, OnServer: f.onServer(unconfirmed != nil)}
	})
}

// onServer counts the messages that are still on the server.
func (f *fetch) onServer(unconfirmed bool) *int {
	n := f.count - len(f.marked)
	if unconfirmed || n < 0 {
		return nil
	}
	return &n
}

// leftOver says what a complete fetch left undone, if anything.
func (f *fetch) leftOver() *api.Problem {
	p := f.plan
	switch {
	case f.fault != nil:
		return f.fault
	case p.large > 0:
		most := f.account.e.Limits.Message
		if f.settings.SizeCap > 0 && !f.canTop {
			most = min(most, f.settings.SizeCap)
		}
		return &api.Problem{Code: api.CodeTooLarge, Detail: megabytes(most), Technical: fmt.Sprintf("%d larger messages stay on the server", p.large)}
	case p.refused > 0:
		return &api.Problem{Code: api.CodeServerRefused, Detail: fmt.Sprintf("%d messages cannot be had", p.refused)}
	case f.kept > 0:
		return &api.Problem{Code: api.CodeServerRefused, Detail: fmt.Sprintf("%d messages are still there after it said that they were deleted", f.kept)}
	}
	return f.expiry()
}

func (a *account) lastFetch() (t time.Time) {
	if value, ok := a.box.Meta(lastFetchKey); ok && json.Unmarshal(value, &t) != nil {
		return time.Time{}
	}
	return t
}
