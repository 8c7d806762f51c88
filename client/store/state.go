package store

import "maps"

// state is all that the journal says, derived. While the journal is replayed (bulk) the orders and counts are left
// alone; finish makes them at once.
type state struct {
	seq     uint64 // of the last update
	next    ID     // the next message's
	entries map[ID]*record
	folders map[Folder]*folder
	uids    map[string]ID  // every unique-id ever stored, and whose it is, also of messages removed since
	sums    map[content]ID // every content that a fetched message ever had, and whose it was first
	erased  map[ID]Erased  // the fetched messages that were removed
	blobs   map[Sum]location
	meta    map[string][]byte
	bulk    bool
	strays  int // changes to messages that are not there: their arrival was in a lost update
}

// content is what a fetched message is known again by, whatever its unique-id.
type content struct {
	sum   Sum
	whole int64 // Entry.Whole: the beginning of a message is not the message that ends there
}

func (r *record) contents() content { return content{r.Sum, r.Whole} }

type folder struct {
	order    order
	unread   int
	revision uint64
}

func newState() *state {
	return &state{
		next:    1,
		entries: map[ID]*record{},
		folders: map[Folder]*folder{},
		uids:    map[string]ID{},
		sums:    map[content]ID{},
		erased:  map[ID]Erased{},
		blobs:   map[Sum]location{},
		meta:    map[string][]byte{},
		bulk:    true,
	}
}

// apply makes one update's changes.
func (s *state) apply(u journalUpdate) {
	s.seq = u.seq
	s.next = max(s.next, u.next)
	for i := range u.ops {
		s.change(&u.ops[i])
	}
}

func (s *state) change(o *op) {
	switch o.kind {
	case opBlob:
		s.blobs[o.loc.sum] = o.loc
		return
	case opMeta:
		if o.present {
			s.meta[o.key] = o.value
		} else {
			delete(s.meta, o.key)
		}
		return
	}
	old := s.entries[o.id]
	if o.kind == opPut {
		s.next = max(s.next, o.id+1)
		s.remember(o.rec)
		s.swap(old, o.rec)
		return
	}
	if o.kind == opName {
		if _, removed := s.erased[o.id]; old == nil && !removed {
			s.strays++ // and the server's message is fetched again
			return
		}
		s.uids[o.key] = o.id
		return
	}
	if old == nil {
		s.strays++
		return
	}
	if o.kind == opRemove && old.UID != "" {
		s.erased[old.ID] = Erased{Sum: old.Sum, Stored: old.Stored, Whole: old.Whole}
	}
	s.swap(old, old.with(o))
}

// remember takes note of what a fetched message is known again by.
func (s *state) remember(r *record) {
	if r.UID == "" {
		return
	}
	s.uids[r.UID] = r.ID
	if _, taken := s.sums[r.contents()]; !taken {
		s.sums[r.contents()] = r.ID
	}
}

// with answers the record as o changes it: nil when it removes it.
func (r *record) with(o *op) *record {
	if o.kind == opRemove {
		return nil
	}
	c := *r
	switch o.kind {
	case opFlags:
		c.Flags = o.flags
	case opFolder:
		c.Previous, c.Folder = r.Folder, o.folder
	case opDelivery:
		c.Delivery = o.delivery
	}
	return &c
}

// swap puts r in the place of old; either may be nil.
func (s *state) swap(old, r *record) {
	if r != nil {
		s.entries[r.ID] = r
	} else if old != nil {
		delete(s.entries, old.ID)
	}
	if old != nil {
		s.folder(old.Folder).revision = s.seq
	}
	if r != nil {
		s.folder(r.Folder).revision = s.seq
	}
	if s.bulk {
		return
	}
	if old != nil && r != nil && old.Folder == r.Folder && old.when().Equal(r.when()) {
		f := s.folder(r.Folder)
		f.order.replace(old, r, s.seq)
		f.unread += unread(r) - unread(old)
		return
	}
	if old != nil {
		f := s.folder(old.Folder)
		f.order.remove(old, s.seq)
		f.unread -= unread(old)
	}
	if r != nil {
		f := s.folder(r.Folder)
		f.order.insert(r, s.seq)
		f.unread += unread(r)
	}
}

func unread(r *record) int {
	if r.Flags.Unread {
		return 1
	}
	return 0
}

func (s *state) folder(name Folder) *folder {
	f := s.folders[name]
	if f == nil {
		f = &folder{}
		s.folders[name] = f
	}
	return f
}

// finish ends the bulk: every folder is sorted once.
func (s *state) finish() {
	per := map[Folder][]*record{}
	for r := range maps.Values(s.entries) {
		per[r.Folder] = append(per[r.Folder], r)
		s.folder(r.Folder).unread += unread(r)
	}
	for name, recs := range per {
		s.folder(name).order = sorted(recs)
	}
	s.bulk = false
}
