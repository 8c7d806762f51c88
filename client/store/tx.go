package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/postern-mail/postern/shared/mail"
)

// Tx is an update being made, valid within the function given to Update and in its goroutine. Its methods see what it
// changed before; readers of the Mailbox see nothing of it until it is durable.
type Tx struct {
	m       *Mailbox
	done    bool
	next    ID
	ops     []op
	frames  []frame // for content.log
	end     int64   // of content.log, once frames are written
	entries map[ID]*record
	uids    map[string]ID
	sums    map[content]ID
	blobs   map[Sum]struct{}
}

// Update runs fn and makes the changes it asked for: all of them, durably, when it answers nil, and otherwise none. An
// error of fn is answered as it is. A full device is ErrFull. Updates wait for each other; fn must not call Update or Close.
func (m *Mailbox) Update(fn func(tx *Tx) error) error {
	m.writer.Lock()
	defer m.writer.Unlock()
	if m.closed {
		return ErrClosed
	}
	tx := &Tx{m: m, next: m.s.next, end: m.content.end, entries: map[ID]*record{}, uids: map[string]ID{}, sums: map[content]ID{}, blobs: map[Sum]struct{}{}}
	defer func() { tx.done = true }()
	if err := fn(tx); err != nil {
		return err
	}
	tx.done = true
	if len(tx.ops) == 0 {
		return nil
	}
	return m.commit(tx)
}

func (m *Mailbox) commit(tx *Tx) error {
	seq := m.s.seq + 1
	var e encoder
	e.uint(seq)
	e.uint(uint64(tx.next))
	e.b = append(e.b, m.key[:]...)
	for i := range tx.ops {
		e.op(&tx.ops[i])
	}
	if int64(len(e.b)) > m.maxUpdate {
		return fmt.Errorf("%w: an update of %d octets, at most %d", ErrTooLarge, len(e.b), m.maxUpdate)
	}
	contentEnd := m.content.end
	if len(tx.frames) > 0 {
		var err error
		if contentEnd, err = m.content.write(tx.frames...); err != nil {
			return errors.Join(err, m.content.undo())
		}
	}
	journalEnd, err := m.journal.write(checked(e.b))
	if err != nil {
		err = errors.Join(err, m.journal.undo())
		if len(tx.frames) > 0 {
			err = errors.Join(err, m.content.undo())
		}
		return err
	}
	m.content.end, m.journal.end = contentEnd, journalEnd
	m.mu.Lock()
	defer m.mu.Unlock()
	m.s.apply(journalUpdate{seq, tx.next, m.key, tx.ops})
	return nil
}

// Get answers a message as this update leaves it so far.
func (tx *Tx) Get(id ID) (Entry, bool) {
	if r := tx.record(id); r != nil {
		return r.Entry, true
	}
	return Entry{}, false
}

// record needs no lock: only an Update changes the state, and this is it.
func (tx *Tx) record(id ID) *record {
	if r, ok := tx.entries[id]; ok {
		return r
	}
	return tx.m.s.entries[id]
}

// Add stores a new message. The ID, Size and Sum of e are set here, and Stored if it is zero. The octets must stay as they
// are until Update returns. A UID that was stored before is ErrKnownUID: no message is kept twice.
func (tx *Tx) Add(e Entry, octets []byte) (ID, error) {
	if err := tx.unknown(e.UID); err != nil {
		return 0, err
	}
	loc, err := tx.locate(octets)
	if err != nil {
		return 0, err
	}
	return tx.insert(e, octets, loc), nil
}

// AddOnce is Add for a message that was fetched, unless one with the same octets was fetched before, under another
// unique-id: then e.UID becomes a further name of that one, which is answered, and added is false. The one may have been
// removed since. The beginning of a message is the same only as the beginning of one as large.
func (tx *Tx) AddOnce(e Entry, octets []byte) (id ID, added bool, err error) {
	if err := tx.unknown(e.UID); err != nil {
		return 0, false, err
	}
	loc, err := tx.locate(octets)
	if err != nil {
		return 0, false, err
	}
	if id, known := tx.fetched(content{loc.sum, e.Whole}); known && e.UID != "" {
		tx.uids[e.UID] = id
		tx.ops = append(tx.ops, op{kind: opName, id: id, key: e.UID})
		return id, false, nil
	}
	return tx.insert(e, octets, loc), true, nil
}

// fetched answers the message that had this content first, of those that were fetched.
func (tx *Tx) fetched(c content) (ID, bool) {
	id, known := tx.m.s.sums[c]
	if !known {
		id, known = tx.sums[c]
	}
	return id, known
}

// unknown refuses a unique-id that was stored before.
func (tx *Tx) unknown(uid string) error {
	if tx.done {
		return ErrTxDone
	}
	if uid == "" {
		return nil
	}
	_, known := tx.uids[uid]
	if _, before := tx.m.s.uids[uid]; known || before {
		return fmt.Errorf("%w: %q", ErrKnownUID, uid)
	}
	return nil
}

// insert queues a new message whose octets were located.
func (tx *Tx) insert(e Entry, octets []byte, loc location) ID {
	tx.write(octets, loc.sum)
	e.ID = tx.next
	if e.Stored.IsZero() {
		e.Stored = tx.m.now()
	}
	e.Stored, e.Summary.Date = utc(e.Stored), utc(e.Summary.Date)
	e.Summary = cloneSummary(e.Summary)
	e.Delivery = cloneDelivery(e.Delivery)
	e.Size, e.Sum = loc.size, loc.sum
	tx.next++
	r := &record{Entry: e, off: loc.off}
	tx.add(op{kind: opPut, id: r.ID, rec: r}, r)
	return r.ID
}

// Replace gives a message new content under its old number: a draft that is saved again. Stored becomes the present.
func (tx *Tx) Replace(id ID, s mail.Summary, content []byte) error {
	old, err := tx.known(id)
	if err != nil {
		return err
	}
	loc, err := tx.put(content)
	if err != nil {
		return err
	}
	r := *old
	r.Summary = cloneSummary(s)
	r.Summary.Date = utc(s.Date)
	r.Stored = utc(tx.m.now())
	r.Size, r.Sum, r.off = loc.size, loc.sum, loc.off
	tx.add(op{kind: opPut, id: id, rec: &r}, &r)
	return nil
}

// Complete puts the whole of a message in the place of its beginning, or sound octets in the place of damaged ones.
// Everything but the content and what is said of it stays, Stored too.
func (tx *Tx) Complete(id ID, s mail.Summary, octets []byte) error {
	old, err := tx.known(id)
	if err != nil {
		return err
	}
	loc, err := tx.put(octets)
	if err != nil {
		return err
	}
	r := *old
	r.Summary = cloneSummary(s)
	r.Summary.Date = utc(s.Date)
	r.Size, r.Sum, r.off, r.Whole = loc.size, loc.sum, loc.off, 0
	tx.add(op{kind: opPut, id: id, rec: &r}, &r)
	return nil
}

// SetFlags sets all flags of a message.
func (tx *Tx) SetFlags(id ID, f Flags) error {
	return tx.change(op{kind: opFlags, id: id, flags: f})
}

// SetFolder moves a message; the folder it was in becomes its Previous. Moving it to where it is changes nothing.
func (tx *Tx) SetFolder(id ID, f Folder) error {
	if r, err := tx.known(id); err != nil || r.Folder == f {
		return err
	}
	return tx.change(op{kind: opFolder, id: id, folder: f})
}

// SetDelivery sets what the outbox knows of a message; nil when it is no longer on its way.
func (tx *Tx) SetDelivery(id ID, d *Delivery) error {
	return tx.change(op{kind: opDelivery, id: id, delivery: cloneDelivery(d)})
}

// Remove takes a message out of the mailbox for good. Its UID stays known.
func (tx *Tx) Remove(id ID) error { return tx.change(op{kind: opRemove, id: id}) }

// PutBlob stores octets and answers the name they have here, their sum. Octets that are there already are not stored
// again. Data must stay as it is until Update returns.
func (tx *Tx) PutBlob(data []byte) (name string, err error) {
	if tx.done {
		return "", ErrTxDone
	}
	loc, err := tx.locate(data)
	if err != nil {
		return "", err
	}
	_, before := tx.m.s.blobs[loc.sum]
	if _, now := tx.blobs[loc.sum]; !before && !now {
		tx.write(data, loc.sum)
		tx.blobs[loc.sum] = struct{}{}
		tx.ops = append(tx.ops, op{kind: opBlob, loc: loc})
	}
	return loc.sum.String(), nil
}

// SetMeta sets a value of the mailbox's own; nil removes it.
func (tx *Tx) SetMeta(key string, value []byte) error {
	if tx.done {
		return ErrTxDone
	}
	tx.ops = append(tx.ops, op{kind: opMeta, key: key, value: slices.Clone(value), present: value != nil})
	return nil
}

// put queues octets for content.log and says where they will be.
func (tx *Tx) put(p []byte) (location, error) {
	loc, err := tx.locate(p)
	if err == nil {
		tx.write(p, loc.sum)
	}
	return loc, err
}

// locate says where octets would be if they were written next.
func (tx *Tx) locate(p []byte) (location, error) {
	if int64(len(p)) > tx.m.maxContent {
		return location{}, fmt.Errorf("%w: content of %d octets, at most %d", ErrTooLarge, len(p), tx.m.maxContent)
	}
	return location{off: tx.end, size: int64(len(p)), sum: tx.m.key.sum(p)}, nil
}

// write queues octets for content.log.
func (tx *Tx) write(p []byte, sum Sum) {
	if len(p) > 0 { // a frame has at least one octet; nothing is written for nothing
		tx.frames = append(tx.frames, frame{p, sum.check()})
		tx.end += frameHeader + int64(len(p))
	}
}

func (tx *Tx) known(id ID) (*record, error) {
	if tx.done {
		return nil, ErrTxDone
	}
	if r := tx.record(id); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("%w: %d", ErrNoMessage, id)
}

func (tx *Tx) change(o op) error {
	r, err := tx.known(o.id)
	if err != nil {
		return err
	}
	tx.add(o, r.with(&o))
	return nil
}

func (tx *Tx) add(o op, r *record) {
	tx.ops = append(tx.ops, o)
	tx.entries[o.id] = r
	if o.kind != opPut || r.UID == "" {
		return
	}
	tx.uids[r.UID] = r.ID
	if _, known := tx.fetched(r.contents()); !known {
		tx.sums[r.contents()] = r.ID
	}
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.Unix(t.Unix(), int64(t.Nanosecond())).UTC() // without the monotonic clock, as it will be read back
}

// cloneSummary copies the slices, which the caller may change later.
func cloneSummary(s mail.Summary) mail.Summary {
	s.References = slices.Clone(s.References)
	for _, l := range [...]*[]mail.Address{&s.From, &s.Sender, &s.ReplyTo, &s.To, &s.Cc, &s.Bcc} {
		*l = slices.Clone(*l)
	}
	return s
}

func cloneDelivery(d *Delivery) *Delivery {
	if d == nil {
		return nil
	}
	c := *d
	c.To, c.Problem, c.NextTry = slices.Clone(d.To), slices.Clone(d.Problem), utc(d.NextTry)
	return &c
}
