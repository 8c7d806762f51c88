package engine

import (
	"maps"
	"sync"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

// copies are the messages here that the server had too when it was last looked at: they are what a person does not lose who
// erases an account from this device.
type copies struct {
	mu       sync.Mutex
	known    bool
	ids      map[store.ID]struct{}
	erasures int // in the mailbox, when ids had nothing that is not here
}

// learn takes note of what a whole look has shown, once what was new is here and what was marked is about to go.
func (c *copies) learn(box *store.Mailbox, f *fetch) {
	gone := make(map[int]bool, len(f.marked))
	for i := range f.marked {
		gone[f.marked[i].Number] = true
	}
	ids, nameless := make(map[store.ID]struct{}, f.count), 0
	erasures := box.Erasures()
	for _, spots := range [][]spot{f.plan.here, f.plan.wanted, f.plan.begin} {
		for i := range spots {
			s := &spots[i]
			id, named := box.Named(s.uid)
			if got, ok := f.got[s.Number]; ok {
				id, named = got.id, true
			}
			if !named {
				nameless++
			} else if _, here := box.Get(id); here && !gone[s.Number] {
				ids[id] = struct{}{}
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// What has no name that it is known by afterwards was refused, or it is here under a name made of its content.
	c.known = nameless <= f.plan.refused
	c.ids, c.erasures = ids, erasures
}

// count is how many of them are here still, nil if that is not known.
func (c *copies) count(box *store.Mailbox) *int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return nil
	}
	if e := box.Erasures(); e != c.erasures {
		maps.DeleteFunc(c.ids, func(id store.ID, _ struct{}) bool { _, here := box.Get(id); return !here })
		c.erasures = e
	}
	n := len(c.ids)
	return &n
}

// onServer is how many of the messages here the server has too, as the page is told of it. While mail is coming in, and after
// a removal that was not confirmed, nobody knows.
func (a *account) onServer(s *api.Sync) *int {
	if s.OnServer == nil || s.State != api.SyncIdle || a.box == nil {
		return nil
	}
	return a.copies.count(a.box)
}
