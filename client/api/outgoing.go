package api

import (
	"context"
	"strconv"
	"sync"

	json "github.com/postern-mail/postern/client/internal/wirejson"
)

// maxPending bounds what waits for a page. Only messages that arrive or change their state in the outbox add to it (the
// other events give way to their successors), so a page that is so far behind does not read any more.
const maxPending = 10_000

// outgoing is the queue of what waits to be sent to one page.
type outgoing struct {
	mu     sync.Mutex
	queue  []pending
	signal chan struct{} // holds one token when the queue may hold something
}

// pending is an answer, or an event under the key by which its successor replaces it ("" for one that is kept).
type pending struct {
	answer *Frame
	event  Event
	key    string
}

func newOutgoing() *outgoing { return &outgoing{signal: make(chan struct{}, 1)} }

func (o *outgoing) answer(f Frame) {
	o.mu.Lock()
	o.queue = append(o.queue, pending{answer: &f})
	o.mu.Unlock()
	o.wake()
}

// event adds an event at the end and drops the one that it replaces. It says false when too many wait.
func (o *outgoing) event(e Event) bool {
	key := eventKey(e)
	o.mu.Lock()
	if len(o.queue) >= maxPending {
		o.mu.Unlock()
		return false
	}
	if key != "" {
		for i, p := range o.queue {
			if p.key == key {
				o.queue = append(o.queue[:i], o.queue[i+1:]...)
				break
			}
		}
	}
	o.queue = append(o.queue, pending{event: e, key: key})
	o.mu.Unlock()
	o.wake()
	return true
}

// eventKey is what an event replaces: the last state of the gateway, of an account (its removal too: nothing is left
// to say of it before), of a site or a transfer likewise, of a folder of files, or the progress of a message that is still
// being sent.
func eventKey(e Event) string {
	switch {
	case e.Gateway != nil:
		return "gateway"
	case e.Account != nil:
		return "account " + string(e.Account.ID)
	case e.Removed != "":
		return "account " + string(e.Removed)
	case e.Outbox != nil && e.Outbox.Row.State == StateSending:
		return "sending " + string(e.Outbox.Account) + " " + strconv.FormatUint(uint64(e.Outbox.Row.ID), 10)
	case e.Site != nil:
		return "site " + string(e.Site.ID)
	case e.SiteGone != "":
		return "site " + string(e.SiteGone)
	case e.Transfer != nil:
		return transferKey(e.Transfer.ID)
	case e.TransferGone != 0:
		return transferKey(e.TransferGone)
	case e.Files != nil:
		return "files " + string(e.Files.Site) + " " + string(e.Files.Path)
	}
	return ""
}

func transferKey(id TransferID) string { return "transfer " + strconv.FormatUint(uint64(id), 10) }

func (o *outgoing) wake() {
	select {
	case o.signal <- struct{}{}:
	default:
	}
}

// next waits for the next frame to send; false when ctx ended.
func (o *outgoing) next(ctx context.Context) (Frame, bool) {
	for {
		o.mu.Lock()
		if len(o.queue) > 0 {
			p := o.queue[0]
			o.queue[0] = pending{}
			o.queue = o.queue[1:]
			o.mu.Unlock()
			if p.answer != nil {
				return *p.answer, true
			}
			body, err := json.Marshal(p.event)
			if err != nil { // a NaN in it, say: an event is not worth the connection
				continue
			}
			return Frame{Kind: KindEvent, Body: body}, true
		}
		o.mu.Unlock()
		select {
		case <-o.signal:
		case <-ctx.Done():
			return Frame{}, false
		}
	}
}
