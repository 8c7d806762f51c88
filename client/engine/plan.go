package engine

import (
	"slices"

	"github.com/postern-mail/postern/shared/pop3"
)

// wanted is a message to be fetched.
type wanted struct {
	pop3.Listing
	uid string
}

// plan is what a fetch is to do.
type plan struct {
	wanted   []wanted
	large    int // messages left on the server for their size
	nameless int // messages in the scan listing without a unique-id: nobody could know them again
	refused  int // messages that the server would not give, counted while fetching
}

// trouble remembers the messages that made trouble, while the engine runs.
type trouble struct {
	stumbles map[string]int  // by unique-id: how many fetches ended at it
	large    map[string]bool // larger than the scan listing said, and than the limit
}

func (t *trouble) stumbled(uid string) {
	if t.stumbles == nil {
		t.stumbles = make(map[string]int)
	}
	t.stumbles[uid]++
}

func (t *trouble) tooLarge(uid string) {
	if t.large == nil {
		t.large = make(map[string]bool)
	}
	t.large[uid] = true
}

// planFetch chooses the messages whose unique-id is not known, the newest (highest numbered) first, so that the inbox
// is of use at once; but those at which fetches ended come last, so that one bad message holds up none of the others.
// Messages with the same unique-id are copies (RFC 1939 section 7), and one is enough.
func planFetch(ids []pop3.UniqueID, listing []pop3.Listing, known func(uid string) bool, limit int64, t *trouble) plan {
	sizes := make(map[int]int64, len(listing))
	for _, l := range listing {
		sizes[l.Number] = l.Size
	}
	var p plan
	seen := make(map[string]bool)
	for _, id := range ids {
		size, listed := sizes[id.Number]
		if !listed {
			continue // also the second unique-id of one message
		}
		delete(sizes, id.Number)
		if id.UID == "" {
			p.nameless++
			continue
		}
		if seen[id.UID] || known(id.UID) {
			continue
		}
		seen[id.UID] = true
		if size > limit || t.large[id.UID] {
			p.large++
			continue
		}
		p.wanted = append(p.wanted, wanted{pop3.Listing{Number: id.Number, Size: size}, id.UID})
	}
	p.nameless += len(sizes)
	slices.SortFunc(p.wanted, func(x, y wanted) int {
		if d := t.stumbles[x.uid] - t.stumbles[y.uid]; d != 0 {
			return d
		}
		return y.Number - x.Number
	})
	return p
}
