package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

const (
	// mostRunning is how many transfers of one site run at a time: a second one fills the pauses of the first, and servers
	// allow few sessions for one user. Deletions, and files for a draft, for which somebody waits, run beside them, one at a time.
	mostRunning = 2
	// mostTransfers bounds those that are in the list.
	mostTransfers = 10_000
	// takenFor is how long a download stays here that the browser is reading.
	takenFor = 10 * time.Minute
	// mostHeld bounds the octets of small files that pages have sent along and that are not on their server yet.
	mostHeld = 16 << 20
)

// transfers are those of all sites.
type transfers struct {
	e   *Engine
	log *transferLog

	toRun chan struct{}
	tasks sync.WaitGroup

	held atomic.Int64 // see mostHeld

	mu      sync.Mutex
	list    []*transfer // by number
	last    api.TransferID
	running context.Context // nil before Run and after it

	leftovers []*leftover // the oldest first
	tidying   map[*site]bool
}

// openTransfers takes up the transfers of earlier runs. What belongs to none is removed.
func openTransfers(e *Engine) (*transfers, error) {
	log, err := openTransferLog(e.FS)
	if err != nil {
		return nil, fmt.Errorf("the list of transfers: %w", err)
	}
	x := &transfers{e: e, log: log, toRun: make(chan struct{}, 1), tidying: make(map[*site]bool)}
	x.last = max(log.last, api.TransferID(max(0, e.Clock.Now().UnixMilli()))) // deletions are numbered too, and not kept
	files := map[string]bool{logNames[0]: true, logNames[1]: true}
	for _, rec := range log.records() {
		s, err := e.site(rec.Site)
		if err != nil || rec.Saved || rec.Canceled && e.Clock.Now().Sub(rec.Added) > leftoverAge {
			if err := log.remove(rec.ID); err != nil {
				e.Logf("transfer %d: %v", rec.ID, err)
			}
			continue
		}
		if rec.Canceled {
			x.leftovers = append(x.leftovers, &leftover{site: s, rec: rec})
			continue
		}
		t := x.make(s, rec)
		if t.feed != nil && rec.State == api.TransferWaiting {
			t.rec.State = api.TransferNeedsFile
		}
		files[deviceName(rec.ID)] = rec.Direction == api.Downloading
		x.list = append(x.list, t)
	}
	if log.fs == nil {
		return x, nil
	}
	names, err := log.fs.List()
	for _, name := range names {
		if !files[name] {
			err = errors.Join(err, log.fs.RemoveAll(name))
		}
	}
	if err != nil {
		e.Logf("removing what no transfer names: %v", err)
	}
	return x, nil
}

// open opens the file of a download.
func (x *transfers) open(id api.TransferID) (store.File, error) {
	fs, err := x.log.folder()
	if err != nil {
		return nil, err
	}
	return fs.Open(deviceName(id))
}

func deviceName(id api.TransferID) string { return strconv.FormatUint(uint64(id), 10) }

func (x *transfers) make(s *site, rec transferRecord) *transfer {
	t := &transfer{e: x.e, site: s, rec: rec, done: rec.Safe, reached: rec.Safe}
	if rec.File != nil {
		t.feed = newFeeder(x.e.Clock, rec.File.Size)
	}
	if rec.State == api.TransferDone {
		t.done = max(rec.Size, 0)
		if rec.Direction == api.Downloading {
			t.deviceAt = deviceName(rec.ID)
		} else {
			t.url = t.address()
		}
	}
	return t
}

// add makes a transfer durable, and has it run when it is its turn.
func (x *transfers) add(s *site, rec transferRecord) (*transfer, error) {
	return x.addWith(s, rec, func(*transfer) {})
}

func (x *transfers) addWith(s *site, rec transferRecord, with func(t *transfer)) (*transfer, error) {
	x.mu.Lock()
	if len(x.list) >= mostTransfers {
		x.mu.Unlock()
		return nil, &api.Problem{Code: api.CodeTooLarge, Detail: fmt.Sprintf("%d transfers", mostTransfers)}
	}
	x.last++
	rec.ID = x.last
	x.mu.Unlock()
	rec.Site, rec.Added, rec.State = s.id, x.e.Clock.Now().UTC(), api.TransferWaiting
	t := x.make(s, rec)
	with(t)
	if t.durable() {
		if err := x.log.put(rec); err != nil {
			x.drop(t)
			return nil, storing(err)
		}
	}
	x.mu.Lock()
	x.list = append(x.list, t)
	slices.SortFunc(x.list, func(a, b *transfer) int { return int(int64(a.rec.ID) - int64(b.rec.ID)) })
	x.mu.Unlock()
	t.announce()
	x.wake()
	return t, nil
}

// hold gives a transfer, which nobody else has yet, the file that was sent along, if there is room for it.
func (x *transfers) hold(t *transfer, data []byte) {
	n := int64(len(data))
	if n == 0 || n != t.rec.Size || n > api.MaxSmall {
		return
	}
	if x.held.Add(n) > mostHeld {
		x.held.Add(-n)
		return
	}
	t.feed.whole = data
}

// drop lets go of that file.
func (x *transfers) drop(t *transfer) { x.held.Add(-int64(t.feed.drop())) }

func (x *transfers) all() []*transfer {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.list)
}

func (x *transfers) snapshots() (list []api.Transfer) {
	for _, t := range x.all() {
		list = append(list, t.snapshot())
	}
	return list
}

// find answers the transfer of a number.
func (x *transfers) find(id api.TransferID) (*transfer, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i, ok := slices.BinarySearchFunc(x.list, id, func(t *transfer, id api.TransferID) int { return int(int64(t.rec.ID) - int64(id)) })
	if !ok {
		return nil, &api.Problem{Code: api.CodeNoSuchTransfer, Technical: fmt.Sprintf("no transfer %d", id)}
	}
	return x.list[i], nil
}

// under are the transfers of a site that are not done, by the paths that they have to do with.
func (x *transfers) under(s *site) map[api.FilePath]uint64 {
	under := map[api.FilePath]uint64{}
	for _, t := range x.all() {
		if r := t.record(); t.site == s && r.Direction != api.Deleting && r.State != api.TransferDone {
			under[r.Path] = uint64(r.ID)
			if r.Temp != "" {
				under[r.Temp] = uint64(r.ID)
			}
		}
	}
	return under
}

// claimed says whether under has a path, without the work for all.
func (x *transfers) claimed(s *site, path api.FilePath) bool {
	for _, t := range x.all() {
		if t.site != s {
			continue
		}
		t.mu.Lock()
		claimed := (t.rec.Path == path || t.rec.Temp == path) && t.rec.Direction != api.Deleting && t.rec.State != api.TransferDone
		t.mu.Unlock()
		if claimed {
			return true
		}
	}
	return false
}

func (x *transfers) wake() { ask(x.toRun) }

// unblock lets transfers of a site go on that waited for something about it.
func (x *transfers) unblock(s *site) {
	for _, t := range x.all() {
		if t.site == s {
			t.mu.Lock()
			t.blocked, t.retryAt = false, time.Time{}
			t.mu.Unlock()
		}
	}
	x.wake()
	x.tidy(s)
}

// gatewayHere lets them go on that waited for the gateway, or for the next attempt.
func (x *transfers) gatewayHere() {
	for _, t := range x.all() {
		t.mu.Lock()
		t.retryAt = time.Time{}
		t.mu.Unlock()
	}
	x.wake()
	x.tidyAll()
}

// keepTransferring runs transfers until ctx ends, and waits for them.
func (x *transfers) keepTransferring(ctx context.Context) {
	x.mu.Lock()
	x.running = ctx
	x.mu.Unlock()
	x.tidyAll()
	defer func() {
		x.mu.Lock()
		x.running = nil
		x.mu.Unlock()
		x.tasks.Wait()
	}()
	for ctx.Err() == nil {
		var wait <-chan time.Time
		if next := x.startDue(ctx); !next.IsZero() {
			wait = x.e.Clock.After(max(next.Sub(x.e.Clock.Now()), 0))
		}
		select {
		case <-x.toRun:
		case <-wait:
		case <-ctx.Done():
		}
	}
}

// lane is where transfers of a site run one after another, or two at a time. direction is that of those which have one of their own.
type lane struct {
	site      *site
	direction api.Direction
}

func (t *transfer) lane() lane {
	l := lane{site: t.site}
	if !t.durable() {
		l.direction = t.rec.Direction
	}
	return l
}

func (l lane) most() int {
	if l.direction != "" {
		return 1
	}
	return mostRunning
}

// startDue starts what may run, and says when there may be more: zero for when somebody says so.
func (x *transfers) startDue(ctx context.Context) (next time.Time) {
	now, online := x.e.Clock.Now(), x.e.online()
	list := x.all()
	busy := map[lane]int{}
	for _, t := range list {
		t.mu.Lock()
		if t.running != nil {
			busy[t.lane()]++
		}
		t.mu.Unlock()
	}
	soonest := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for _, t := range list {
		t.mu.Lock()
		due := t.retryAt
		if t.rec.Direction == api.Deleting {
			due = t.until
		}
		if !t.takenAt.IsZero() {
			soonest(t.takenAt.Add(takenFor))
			if now.Sub(t.takenAt) >= takenFor {
				t.mu.Unlock()
				x.forget(t)
				continue
			}
		}
		waiting := t.rec.State == api.TransferWaiting && t.running == nil && !t.blocked && !t.gone
		switch {
		case !waiting || !online:
		case due.After(now):
			soonest(due)
		case busy[t.lane()] >= t.lane().most():
		default:
			busy[t.lane()]++
			t.rec.State, t.rec.Problem, t.retryAt, t.until = api.TransferRunning, nil, time.Time{}, time.Time{}
			t.rate.begin(now, t.done)
			t.feed.open()
			ctx, cancel := context.WithCancel(ctx)
			t.running = &task{cancel: cancel, done: make(chan struct{})}
			done := t.running.done
			x.tasks.Go(func() {
				defer close(done)
				defer cancel()
				t.run(ctx)
			})
		}
		t.mu.Unlock()
	}
	return next
}

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
	x.drop(t)
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

func (x *transfers) close() {
	if err := x.log.close(); err != nil {
		x.e.Logf("the list of transfers: %v", err)
	}
}
