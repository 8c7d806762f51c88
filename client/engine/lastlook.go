package engine

import (
	"bytes"
	"context"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/pop3"
)

// lastLook is a maildrop in which there was nothing to do. One with as many messages and octets, whose newest message has
// the same header, is taken for the same, for a while: the unique-ids of 10,000 messages are 300 KB, at every poll. What
// a STAT that is wrong hides comes to light at the end of that while; one that the scan listing contradicts is
// not believed at all.
type lastLook struct {
	at     time.Time
	count  int
	octets int64
	number int      // of the newest message
	header [32]byte // its headerSum; zero where the server has no TOP

	leave    api.Leave // what the account said then
	days     int
	cap      int64
	trashed  uint64    // the revision of Trash
	erased   int       // how many fetched messages had been erased
	due      time.Time // when the next message is to go from the server; zero: none by the passing of time
	doubtful int       // messages that are expensive to know again

	wrong bool // STAT contradicts LIST
	left  plan // the figures of what was left
}

const (
	wholeLookEvery = 10 * time.Minute
	// A maildrop of so few messages is listed at each poll: some 8 KB.
	smallMaildrop = 200
)

// look says whether the maildrop is as it was at the last look, and begins a new one.
func (f *fetch) look(ctx context.Context) (look *lastLook, same bool, err error) {
	a := f.account
	look = &lastLook{
		at: a.e.Clock.Now(), leave: f.settings.Leave, days: f.settings.LeaveDays, cap: f.settings.SizeCap,
		trashed: a.box.Counts(trash).Revision, erased: a.box.Erasures(),
	}
	if look.count, look.octets, err = f.session.Stat(ctx); err != nil {
		return nil, false, err
	}
	if f.last == nil || !f.last.same(look) || a.rests.any() {
		return look, false, nil
	}
	if f.last.header == ([32]byte{}) {
		return look, true, nil
	}
	header, err := f.headerOf(ctx, f.last.number)
	return look, err == nil && header == f.last.header, err
}

func (l *lastLook) same(now *lastLook) bool {
	if l.count != now.count || l.octets != now.octets || now.at.Sub(l.at) >= wholeLookEvery ||
		l.leave != now.leave || l.days != now.days || l.cap != now.cap {
		return false
	}
	if l.leave == api.LeaveAlways {
		return true
	}
	return l.erased == now.erased && l.trashed == now.trashed && (l.due.IsZero() || now.at.Before(l.due))
}

// headerOf is the headerSum of a message, zero if the server does not give its header.
func (f *fetch) headerOf(ctx context.Context, number int) (sum [32]byte, err error) {
	var b bytes.Buffer
	_, err = f.session.Top(ctx, number, 0, &b)
	if refusal(err) != nil {
		return sum, nil
	}
	return headerSum(b.Bytes()), err
}

// believe compares STAT with the scan listing.
func (l *lastLook) believe(listing []pop3.Listing) {
	l.wrong = l.count != len(listing)
	for _, m := range listing {
		l.number = max(l.number, m.Number)
	}
}

// remember keeps the look for the next fetch if there was nothing to do, and it saves something.
func (f *fetch) remember(ctx context.Context, look *lastLook) {
	p := &f.plan
	done := f.stored + len(p.begin) + len(p.rest) + len(f.marked)
	for _, s := range p.wanted {
		if s.uid != "" { // the others are fetched at every look
			done++
		}
	}
	if look.wrong || done > 0 || f.more || f.fault != nil {
		return
	}
	if look.count <= smallMaildrop && look.doubtful == 0 {
		return
	}
	if f.announcesTop && look.number > 0 {
		header, err := f.headerOf(ctx, look.number)
		if err != nil {
			return // the session is over, and its work was done
		}
		look.header = header
	}
	look.due = f.nextDue()
	look.left = plan{large: p.large, refused: p.refused}
	f.last = look
}
