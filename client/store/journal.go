package store

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/postern-mail/postern/shared/mail"
)

// A journal frame's payload is one update:
//
//	sequence uvarint  one more than that of the update before
//	next uvarint      the ID that the next message gets
//	key [16]byte      the mailbox's, the same in every update (sum.go)
//	ops               each: kind byte, length uvarint, body
//
// Numbers are uvarints (signed ones zig-zag), strings and octets have their length before them, lists their count, a
// time is a byte 0 or a byte 1, seconds since 1970 (signed) and nanoseconds.

type opKind byte

const (
	opPut      opKind = 1 // a record, new or replacing the one with its ID
	opFlags    opKind = 2 // ID, flags
	opFolder   opKind = 3 // ID, folder; the one before becomes Previous
	opDelivery opKind = 4 // ID, delivery
	opRemove   opKind = 5 // ID
	opBlob     opKind = 6 // location
	opMeta     opKind = 7 // key, 1 and value; or key, 0
	opName     opKind = 8 // ID, a further unique-id of that message
)

// location is where octets lie in content.log.
type location struct {
	off  int64 // of the frame
	size int64 // of its payload
	sum  Sum
}

// record is an Entry and where its content is. A record that readers can see is never changed, only replaced.
type record struct {
	Entry
	off int64
}

func (r *record) location() location { return location{r.off, r.Size, r.Sum} }

// op is one decoded change.
type op struct {
	kind     opKind
	id       ID
	rec      *record
	flags    Flags
	folder   Folder
	delivery *Delivery
	loc      location
	key      string
	value    []byte
	present  bool
}

// journalUpdate is what one frame of the journal says.
type journalUpdate struct {
	seq  uint64
	next ID
	key  key
	ops  []op
}

var errUpdate = errors.New("store: update cannot be read")

type encoder struct{ b []byte }

func (e *encoder) uint(n uint64)   { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) int(n int64)     { e.b = binary.AppendVarint(e.b, n) }
func (e *encoder) string(s string) { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) octets(p []byte) { e.uint(uint64(len(p))); e.b = append(e.b, p...) }

func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) time(t time.Time) {
	e.bool(!t.IsZero())
	if !t.IsZero() {
		e.int(t.Unix())
		e.uint(uint64(t.Nanosecond()))
	}
}

func (e *encoder) flags(f Flags) {
	var n uint64
	for i, v := range [...]bool{f.Unread, f.Flagged, f.Answered} {
		if v {
			n |= 1 << i
		}
	}
	e.uint(n)
}

func (e *encoder) strings(l []string) {
	e.uint(uint64(len(l)))
	for _, s := range l {
		e.string(s)
	}
}

func (e *encoder) addresses(l []mail.Address) {
	e.uint(uint64(len(l)))
	for _, a := range l {
		e.string(a.Name)
		e.string(a.Addr)
	}
}

func (e *encoder) location(l location) {
	e.uint(uint64(l.off))
	e.uint(uint64(l.size))
	e.b = append(e.b, l.sum[:]...)
}

func (e *encoder) delivery(d *Delivery) {
	e.bool(d != nil)
	if d == nil {
		return
	}
	e.string(d.State)
	e.string(d.From)
	e.strings(d.To)
	e.int(int64(d.Attempts))
	e.time(d.NextTry)
	e.octets(d.Problem)
}

func (e *encoder) record(r *record) {
	e.uint(uint64(r.ID))
	e.string(string(r.Folder))
	e.string(string(r.Previous))
	e.string(r.UID)
	e.flags(r.Flags)
	s := &r.Summary
	e.string(s.MessageID)
	e.string(s.InReplyTo)
	e.strings(s.References)
	for _, l := range [...][]mail.Address{s.From, s.Sender, s.ReplyTo, s.To, s.Cc, s.Bcc} {
		e.addresses(l)
	}
	e.string(s.Subject)
	e.time(s.Date)
	e.string(s.Snippet)
	e.uint(uint64(s.Attachments))
	e.location(r.location())
	e.time(r.Stored)
	e.delivery(r.Delivery)
	if r.Whole != 0 { // most records are of whole messages
		e.uint(uint64(r.Whole))
	}
}

// op appends one op. Its body is built behind it and moved into place, for the length comes first.
func (e *encoder) op(o *op) {
	body := encoder{b: make([]byte, 0, 256)}
	switch o.kind {
	case opPut:
		body.record(o.rec)
	case opFlags:
		body.uint(uint64(o.id))
		body.flags(o.flags)
	case opFolder:
		body.uint(uint64(o.id))
		body.string(string(o.folder))
	case opDelivery:
		body.uint(uint64(o.id))
		body.delivery(o.delivery)
	case opRemove:
		body.uint(uint64(o.id))
	case opBlob:
		body.location(o.loc)
	case opMeta:
		body.string(o.key)
		body.bool(o.present)
		if o.present {
			body.octets(o.value)
		}
	case opName:
		body.uint(uint64(o.id))
		body.string(o.key)
	}
	e.b = append(e.b, byte(o.kind))
	e.octets(body.b)
}

// decoder reads what encoder wrote. Strings are parts of one string, so that a frame costs one allocation for all.
// After an error every read answers zero.
type decoder struct {
	s   string
	bad bool
}

func (d *decoder) fail() { d.bad, d.s = true, "" }

func (d *decoder) uint() uint64 {
	var n uint64
	for i := 0; i < len(d.s) && i < binary.MaxVarintLen64; i++ {
		c := d.s[i]
		if i == binary.MaxVarintLen64-1 && c > 1 {
			break
		}
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.s = d.s[i+1:]
			return n
		}
	}
	d.fail()
	return 0
}

func (d *decoder) int() int64 {
	n := d.uint()
	return int64(n>>1) ^ -int64(n&1)
}

// size reads a number that cannot be more than what is left, at unit octets for each.
func (d *decoder) size(unit int) int {
	n := d.uint()
	if n > uint64(len(d.s)/unit) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.size(1)
	s := d.s[:n]
	d.s = d.s[n:]
	return s
}

func (d *decoder) octets() []byte {
	if s := d.string(); s != "" {
		return []byte(s)
	}
	return nil
}

func (d *decoder) byte() byte {
	if d.s == "" {
		d.fail()
		return 0
	}
	c := d.s[0]
	d.s = d.s[1:]
	return c
}

func (d *decoder) bool() bool { return d.byte() != 0 }

func (d *decoder) time() time.Time {
	if !d.bool() {
		return time.Time{}
	}
	s, n := d.int(), d.uint()
	if n >= 1e9 {
		d.fail()
		return time.Time{}
	}
	return time.Unix(s, int64(n)).UTC()
}

func (d *decoder) flags() Flags {
	n := d.uint()
	return Flags{Unread: n&1 != 0, Flagged: n&2 != 0, Answered: n&4 != 0}
}

func (d *decoder) strings() []string {
	n := d.size(1)
	if n == 0 {
		return nil
	}
	l := make([]string, n)
	for i := range l {
		l[i] = d.string()
	}
	return l
}

func (d *decoder) addresses() []mail.Address {
	n := d.size(2)
	if n == 0 {
		return nil
	}
	l := make([]mail.Address, n)
	for i := range l {
		l[i].Name = d.string()
		l[i].Addr = d.string()
	}
	return l
}

func (d *decoder) location() location {
	l := location{off: int64(d.uint()), size: int64(d.uint())}
	if len(d.s) < len(l.sum) || l.off < 0 || l.size < 0 {
		d.fail()
		return location{}
	}
	copy(l.sum[:], d.s)
	d.s = d.s[len(l.sum):]
	return l
}

func (d *decoder) key() (k key) {
	if len(d.s) < len(k) {
		d.fail()
		return k
	}
	d.s = d.s[copy(k[:], d.s):]
	return k
}

func (d *decoder) delivery() *Delivery {
	if !d.bool() {
		return nil
	}
	return &Delivery{
		State: d.string(), From: d.string(), To: d.strings(), Attempts: int(d.int()), NextTry: d.time(), Problem: d.octets(),
	}
}

func (d *decoder) record() *record {
	r := &record{}
	r.ID = ID(d.uint())
	r.Folder = Folder(d.string())
	r.Previous = Folder(d.string())
	r.UID = d.string()
	r.Flags = d.flags()
	s := &r.Summary
	s.MessageID = d.string()
	s.InReplyTo = d.string()
	s.References = d.strings()
	for _, l := range [...]*[]mail.Address{&s.From, &s.Sender, &s.ReplyTo, &s.To, &s.Cc, &s.Bcc} {
		*l = d.addresses()
	}
	s.Subject = d.string()
	s.Date = d.time()
	s.Snippet = d.string()
	s.Attachments = int(uint32(d.uint()))
	l := d.location()
	r.off, r.Size, r.Sum = l.off, l.size, l.sum
	r.Stored = d.time()
	r.Delivery = d.delivery()
	if d.s != "" {
		r.Whole = int64(d.uint())
		d.bad = d.bad || r.Whole <= 0
	}
	return r
}

// decodeUpdate reads one update whole before anything of it is applied: an update that cannot be read to its end
// changes nothing.
func decodeUpdate(payload []byte) (u journalUpdate, err error) {
	d := decoder{s: string(payload)}
	u.seq, u.next, u.key = d.uint(), ID(d.uint()), d.key()
	for d.s != "" {
		o := op{kind: opKind(d.byte())}
		b := decoder{s: d.string()}
		switch o.kind {
		case opPut:
			o.rec = b.record()
			o.id = o.rec.ID
		case opFlags:
			o.id, o.flags = ID(b.uint()), b.flags()
		case opFolder:
			o.id, o.folder = ID(b.uint()), Folder(b.string())
		case opDelivery:
			o.id, o.delivery = ID(b.uint()), b.delivery()
		case opRemove:
			o.id = ID(b.uint())
		case opBlob:
			o.loc = b.location()
		case opMeta:
			o.key = b.string()
			if o.present = b.bool(); o.present {
				o.value = b.octets()
			}
		case opName:
			o.id, o.key = ID(b.uint()), b.string()
		default:
			return journalUpdate{}, errUpdate
		}
		if b.bad || b.s != "" {
			return journalUpdate{}, errUpdate
		}
		u.ops = append(u.ops, o)
	}
	if d.bad {
		return journalUpdate{}, errUpdate
	}
	return u, nil
}
