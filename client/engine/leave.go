package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/pop3"
)

// What becomes of mail on the server (api.Leave). Nothing is written down for it: which messages are to go follows, at
// each whole look, from what is in the mailbox and from the account's settings. So a message that was put into
// Trash and back before the next fetch (the page offers that for 8 seconds; polls are 30 apart) stays on the server; one
// taken out later is still here, whole.
//
// DELE is said only of a message
//
//   - that is here whole, durably, and was read back and its SHA-256 compared in this very session; if one cannot be read
//     back, nothing at all is removed in this session, the account says so, and the message is fetched again;
//   - or that the user erased here, and that the server has just shown to be the one: its SHA-256 is that of what was
//     erased;
//   - and that came under its number in this session, or whose header the server has just shown (TOP) to be the one
//     here, so that a unique-id that names another message by now takes nothing away; where there is no TOP, all of it
//     is fetched again and compared.
//
// The server removes when it answers QUIT (RFC 1939 section 6), and not if the session ends otherwise. An answer to QUIT
// that is a refusal, or does not come, leaves it open what was removed: the account says so (api.CodeUnconfirmed), and the
// next look settles it, for what is still there is removed then. Until a removal is confirmed the next one waits ever
// longer. What a server still has after it confirmed three times is left in peace, and said.

const (
	// mostRemovals bounds what one session removes. It is halved when a session ends before its QUIT, for then all was
	// for nothing: a server that drops the line after so many commands is got empty too.
	mostRemovals = 50_000
	// mostConfirmed is how often a server may say that it removed a message that it goes on listing.
	mostConfirmed = 3
	removalsTold  = 50 // after so many, progress is told
)

// removal is a message that is to go from the server.
type removal struct {
	spot
	id     store.ID
	shown  bool // it came under its number in this session
	erased bool // it is not here any more
}

// received is what became of a message received in this session.
type received struct {
	id   store.ID
	sure bool // it is the message of that number
}

func (f *fetch) leaves() bool { return f.settings.Leave != api.LeaveAlways }

// noteReceived remembers what came in this session. fresh says which of a batch were not here before.
func (f *fetch) noteReceived(batch []arrival, fresh []bool) {
	if f.got == nil {
		return
	}
	for i, m := range batch {
		if m.entry.Partial() || m.uid != "" && m.entry.UID != m.uid {
			continue // not all of it, or not what the server had shown of it
		}
		if id, ok := f.account.box.Named(m.entry.UID); ok {
			// What was here before, or is of another size than it was said to be, may be another message's content.
			proper := fresh[i] && int64(len(m.content)) == m.Size
			f.got[m.Number] = received{id, m.uid == "" || !f.canTop || proper}
		}
	}
}

// due says whether a message is to go from the server now.
func (f *fetch) due(id store.ID, now time.Time) (due, erased bool) {
	e, here := f.account.box.Get(id)
	if !here {
		gone, ok := f.account.box.Erased(id)
		if !ok || gone.Whole > 0 {
			return false, true // what was here was not all of it
		}
		return f.settings.Leave != api.LeaveDays || !now.Before(f.dayOf(gone.Stored)), true
	}
	switch {
	case e.Partial() || f.trouble.damaged[id]:
		return false, false
	case f.settings.Leave == api.LeaveDays:
		return !now.Before(f.dayOf(e.Stored)), false
	case f.settings.Leave == api.LeaveUntilErased:
		return e.Folder == trash, false
	}
	return f.settings.Leave == api.LeaveNever, false
}

// dayOf is when a message that was fetched then is to go from the server.
func (f *fetch) dayOf(fetched time.Time) time.Time {
	return fetched.Add(time.Duration(max(f.settings.LeaveDays, 1)) * 24 * time.Hour)
}

// nextDue is when the passing of time makes the next message due; zero if it does not.
func (f *fetch) nextDue() (next time.Time) {
	if f.settings.Leave != api.LeaveDays {
		return next
	}
	for _, s := range f.plan.here {
		if id, ok := f.account.box.Named(s.uid); ok {
			if e, here := f.account.box.Get(id); here && !e.Partial() {
				if at := f.dayOf(e.Stored); next.IsZero() || at.Before(next) {
					next = at
				}
			}
		}
	}
	return next
}

// removals are what is to go from the server in this session.
func (f *fetch) removals() (list []removal) {
	now := f.account.e.Clock.Now()
	removed := make(map[string]int) // of those that are still there
	for _, spots := range [][]spot{f.plan.here, f.plan.wanted} {
		for _, s := range spots {
			got, shown := f.got[s.Number]
			if !shown {
				if got.id, shown = f.account.box.Named(s.uid); !shown {
					continue
				}
			}
			n := f.trouble.removed[s.name()]
			if n > 0 {
				removed[s.name()] = n
			}
			due, erased := f.due(got.id, now)
			switch {
			case !due:
			case n >= mostConfirmed:
				f.kept++
			case len(list) == f.trouble.removals():
				f.more = true
			default:
				list = append(list, removal{s, got.id, got.sure, erased})
			}
		}
	}
	f.trouble.removed = removed
	return list
}

// remove marks on the server what is to go from it. Its QUIT is the poller's.
func (f *fetch) remove(ctx context.Context) error {
	if !f.leaves() {
		return nil
	}
	list := f.removals()
	if len(list) == 0 {
		return nil
	}
	if f.spare {
		f.more = true
		return nil
	}
	a := f.account
	a.setSync(func(s *api.Sync) { s.State, s.Done, s.Total = api.SyncRemoving, 0, len(list) })
	f.removing = len(list)
	list, err := f.verify(ctx, list)
	if f.fault != nil || err != nil {
		return err
	}
	next := 0
	numbers := make([]int, len(list))
	for i, r := range list {
		numbers[i] = r.Number
	}
	return f.session.DeleAll(ctx, numbers, func(_ int, err error) {
		r := &list[next]
		next++
		if refused := refusal(err); refused != nil {
			f.grumble("DELE %d: %v", r.Number, err)
			note(&f.trouble.removed, r.name(), f.trouble.removed[r.name()]+1)
			return
		}
		f.marked = append(f.marked, r.spot)
	})
}

// confirmed takes note of what the server confirmed.
func (f *fetch) confirmed() {
	for i := range f.marked {
		s := &f.marked[i]
		note(&f.trouble.removed, s.name(), f.trouble.removed[s.name()]+1)
	}
}

// verify answers those of list that the server has shown to be the messages that they are taken for, and that can be
// read back. If one cannot, f.fault says so.
func (f *fetch) verify(ctx context.Context, list []removal) ([]removal, error) {
	var sure, byHeader, byContent []removal
	for _, r := range list {
		switch {
		case r.erased || r.copy || !r.shown && !f.canTop:
			byContent = append(byContent, r)
		case r.shown:
			sure = append(sure, r)
		default:
			byHeader = append(byHeader, r)
		}
	}
	passed := make([]removal, 0, len(list))
	pass := func(r *removal) {
		if passed = append(passed, *r); len(passed)%removalsTold == 0 {
			f.account.setSync(func(s *api.Sync) { s.Done = len(passed) })
		}
	}
	for i := range sure {
		if f.readBack(&sure[i]) == nil {
			return nil, nil
		}
		pass(&sure[i])
	}
	top := func(ctx context.Context, msgs []pop3.Listing, fn func(int, io.Reader) error) error {
		return f.session.TopAll(ctx, msgs, 0, fn)
	}
	err := f.compare(ctx, byHeader, top, func(r *removal, body io.Reader) (same bool, err error) {
		header, err := io.ReadAll(body)
		if err != nil {
			return false, err
		}
		e := f.readBack(r)
		return e != nil && headerSum(e) == headerSum(header), nil
	}, pass)
	if err != nil || f.fault != nil {
		return nil, err
	}
	err = f.compare(ctx, byContent, f.session.RetrAll, func(r *removal, body io.Reader) (same bool, err error) {
		box := f.account.box
		h := box.Hash()
		if _, err := io.Copy(h, body); err != nil {
			return false, err
		}
		sum := store.Sum(h.Sum(nil))
		if gone, ok := box.Erased(r.id); ok {
			return gone.Sum == sum, nil
		}
		content := f.readBack(r)
		return content != nil && box.Sum(content) == sum, nil
	}, pass)
	if err != nil || f.fault != nil {
		return nil, err
	}
	return passed, nil
}

// compare asks the server for something of each message, and passes those that are the same here.
func (f *fetch) compare(ctx context.Context, list []removal, ask asking, same func(*removal, io.Reader) (bool, error), pass func(*removal)) error {
	if len(list) == 0 {
		return nil
	}
	msgs := make([]pop3.Listing, len(list))
	for i, r := range list {
		msgs[i] = r.Listing
	}
	next := 0
	err := ask(ctx, msgs, func(_ int, body io.Reader) error {
		r := &list[next]
		next++
		ok, err := same(r, body)
		switch {
		case refusal(err) != nil:
			f.grumble("before DELE %d: %v", r.Number, err)
			return nil
		case err != nil:
			return err
		case f.fault != nil:
			return errNotReadBack
		case ok:
			pass(r)
			return nil
		}
		f.grumble("message %d is not the one known by %q", r.Number, r.uid)
		if r.copy || f.trouble.foreign[r.uid] {
			note(&f.trouble.removed, r.name(), mostConfirmed)
			return nil
		}
		note(&f.trouble.foreign, r.uid, true)
		f.more = true
		return nil
	})
	if errors.Is(err, errNotReadBack) {
		return nil
	}
	return err
}

var errNotReadBack = errors.New("a message cannot be read back")

// readBack answers what is stored of a message, or nil, and then f.fault says why.
func (f *fetch) readBack(r *removal) []byte {
	content, err := f.account.box.Content(r.id)
	if err == nil {
		return content
	}
	if errors.Is(err, store.ErrCorrupt) {
		note(&f.trouble.damaged, r.id, true) // and it is fetched again
	}
	f.fault = problemOf(storing(fmt.Errorf("nothing was removed from the server: %w", err)))
	return nil
}
