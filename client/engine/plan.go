package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/pop3"
)

// spot is a message in the maildrop of this session, and what it is known by over sessions.
type spot struct {
	pop3.Listing
	uid  string // its unique-id, or an identity of our own making (identity.go); empty: only its content tells
	copy bool   // another message of this session has the same identity
}

// name is what trouble with it is remembered under.
func (s *spot) name() string {
	if s.uid != "" {
		return s.uid
	}
	return fmt.Sprintf("number %d of %d octets", s.Number, s.Size)
}

// plan is what a fetch is to do.
type plan struct {
	wanted  []spot // to be fetched whole
	begin   []spot // of which the beginning is to be fetched
	rest    []rest // of which the beginning is here, and all is wanted; or whose content here is damaged
	here    []spot // known from before
	large   int    // left on the server for their size, or there in part for the same reason
	refused int    // messages that the server would not give, counted while fetching
}

// rest is a message that takes the place of what is here of it.
type rest struct {
	spot
	id store.ID
}

// identify tells the messages whose unique-id is theirs alone from the doubtful ones: without a unique-id (RFC 1939
// makes UIDL optional, and some servers leave it empty or send what is none), or with one that repeats. A repeated one
// may name copies, which RFC 1939 section 7 allows, or different messages, which it does not.
func identify(ids []pop3.UniqueID, listing []pop3.Listing, believed bool) (sure, doubtful []spot) {
	sizes := make(map[int]int64, len(listing))
	for _, l := range listing {
		sizes[l.Number] = l.Size
	}
	repeats := make(map[string]bool, len(ids))
	for _, id := range ids {
		_, before := repeats[id.UID]
		repeats[id.UID] = before
	}
	for _, id := range ids {
		size, listed := sizes[id.Number]
		if !listed {
			continue // also the second unique-id of one message
		}
		if believed && id.UID != "" && !repeats[id.UID] {
			delete(sizes, id.Number)
			sure = append(sure, spot{Listing: pop3.Listing{Number: id.Number, Size: size}, uid: id.UID})
		}
	}
	for _, l := range listing {
		if _, left := sizes[l.Number]; left {
			delete(sizes, l.Number)
			doubtful = append(doubtful, spot{Listing: l})
		}
	}
	return sure, doubtful
}

// terms are what a plan is made under.
type terms struct {
	known func(uid string) (store.ID, bool)
	get   func(store.ID) (store.Entry, bool)
	asked func(store.ID) bool // whose rest somebody waits for
	limit int64               // of the engine, for one message
	cap   int64               // of the account, for what is fetched by itself; 0: none
	top   bool                // the server may be asked for the beginning of a message
}

// add puts a message of the maildrop where it belongs in the plan.
func (p *plan) add(s spot, in terms, seen map[string]bool, t *trouble) {
	if s.uid != "" && seen[s.uid] {
		s.copy = true
		p.here = append(p.here, s)
		return
	}
	seen[s.uid] = true
	tooLarge := s.Size > in.limit || t.large[s.name()]
	capped := in.cap > 0 && (s.Size > in.cap || tooLarge)
	if tooLarge {
		p.large++
	}
	if id, known := in.known(s.uid); known {
		p.here = append(p.here, s)
		e, here := in.get(id)
		if here && !tooLarge && (e.Partial() && (!capped || in.asked(id)) || t.damaged[id]) {
			p.rest = append(p.rest, rest{s, id})
		}
		return
	}
	switch {
	case capped && in.top && s.uid != "":
		p.begin = append(p.begin, s)
	case capped && !tooLarge:
		p.large++
	case tooLarge:
	default:
		p.wanted = append(p.wanted, s)
	}
}

// order puts the newest (highest numbered) first, so that the inbox is of use at once; but those at which fetches ended
// come last, so that one bad message holds up none of the others.
func (p *plan) order(t *trouble) {
	for _, list := range [][]spot{p.wanted, p.begin} {
		slices.SortFunc(list, func(x, y spot) int {
			if d := t.stumbles[x.name()] - t.stumbles[y.name()]; d != 0 {
				return d
			}
			return y.Number - x.Number
		})
	}
}

// trouble remembers the messages that made trouble, while the engine runs.
type trouble struct {
	stumbles map[string]int    // by identity: how many fetches ended at it
	large    map[string]bool   // larger than the scan listing said, and than the limit
	damaged  map[store.ID]bool // their content cannot be read back
	removed  map[string]int    // how often the server said that it had removed it
	foreign  map[string]bool   // their unique-id is not to be believed: the server shows another message under it
	halved   int               // how often mostRemovals was
}

// removals is how many messages a session may remove.
func (t *trouble) removals() int { return max(1, mostRemovals>>min(t.halved, 30)) }

// cutShort takes note of a session that ended before it could remove n messages.
func (t *trouble) cutShort(n int) {
	for t.removals() >= n && n > 1 {
		t.halved++
	}
}

// forget lets go of messages that the maildrop has no longer: one that names half a million messages, anew at each look, and
// gives none of them, would fill the memory with their names.
func (t *trouble) forget(uids map[string]bool, spots [][]spot) {
	if len(t.stumbles)+len(t.large)+len(t.foreign) == 0 {
		return
	}
	there := make(map[string]bool)
	for _, list := range spots {
		for i := range list {
			there[list[i].name()] = true
		}
	}
	maps.DeleteFunc(t.stumbles, func(name string, _ int) bool { return !there[name] })
	maps.DeleteFunc(t.large, func(name string, _ bool) bool { return !there[name] })
	maps.DeleteFunc(t.foreign, func(name string, _ bool) bool { return !there[name] && !uids[name] })
}

func note[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[key] = value
}

func (t *trouble) stumbled(s *spot) { note(&t.stumbles, s.name(), t.stumbles[s.name()]+1) }
func (t *trouble) tooLarge(s *spot) { note(&t.large, s.name(), true) }
