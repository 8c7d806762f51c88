package engine

import (
	"slices"

	"github.com/postern-mail/postern/client/api"
)

// forget takes a transfer out of the list, with what it has on this device, and what is at the server of an upload. The journal is told
// at once, so that it does not come back.
func (x *transfers) forget(t *transfer) {
	x.mu.Lock()
	x.list = slices.DeleteFunc(slices.Clone(x.list), func(o *transfer) bool { return o == t })
	x.mu.Unlock()
	t.keeping.Lock()
	t.mu.Lock()
	again := t.gone
	t.gone = true
	running, rec := t.running, t.rec
	t.mu.Unlock()
	rec.Canceled = t.leaves(&rec)
	var err error
	switch {
	case again || !t.durable():
	case rec.Canceled:
		err = x.log.put(rec)
	default:
		err = x.log.remove(rec.ID)
	}
	t.unwritten = err != nil
	t.keeping.Unlock()
	if again {
		return
	}
	if err != nil {
		x.e.Logf("transfer %d: %v", rec.ID, err)
	}
	if running != nil {
		running.cancel()
	} else {
		x.cleanUp(t)
	}
	t.feed.close()
	t.end()
	x.e.events.emit(func() api.Event { return api.Event{TransferGone: rec.ID} })
	x.wake()
	if rec.Canceled {
		x.leave(&leftover{site: t.site, rec: rec, running: running})
	}
}

// cleanUp removes the file on this device of a download that is gone and does not run.
func (x *transfers) cleanUp(t *transfer) {
	if t.rec.Direction != api.Downloading {
		return
	}
	fs, err := x.log.folder()
	if err == nil {
		err = fs.RemoveAll(deviceName(t.rec.ID))
	}
	t.keeping.Lock()
	defer t.keeping.Unlock()
	if err == nil && t.unwritten { // there is room for it now
		err = x.log.remove(t.rec.ID)
	}
	if err != nil {
		x.e.Logf("transfer %d: removing its file: %v", t.rec.ID, err)
	}
}

// ended is called when what ran has ended.
func (t *transfer) ended(done bool) {
	x := t.e.transfers
	t.mu.Lock()
	gone, direction, state := t.gone, t.rec.Direction, t.rec.State
	if state == api.TransferDone && direction == api.Downloading {
		t.deviceAt = deviceName(t.rec.ID)
	}
	t.mu.Unlock()
	switch {
	case gone:
		x.cleanUp(t)
	case direction == api.Attaching && over(state):
		t.end()
	case direction == api.Deleting:
		t.show()
		if done {
			x.forget(t)
			return
		}
		t.announce()
	default:
		t.announce()
	}
}

// end tells who waits for a transfer that nothing happens to it any more.
func (t *transfer) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over != nil {
		close(t.over)
		t.over = nil
	}
}

// dropSite forgets the transfers of a site that is being removed, and waits until none runs.
func (x *transfers) dropSite(s *site) {
	for {
		x.mu.Lock()
		l := x.leftoverOf(s)
		x.mu.Unlock()
		if l == nil {
			break
		}
		x.forgetLeftover(l)
	}
	for _, t := range x.all() {
		if t.site != s {
			continue
		}
		t.mu.Lock()
		running := t.running
		t.mu.Unlock()
		x.forget(t)
		if running != nil {
			<-running.done
		}
	}
}
