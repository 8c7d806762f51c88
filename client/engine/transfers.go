package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

const (
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

// claims are the paths that transfers of a site have to do with which are not done, and their numbers.
func (x *transfers) claims(s *site) iter.Seq2[api.FilePath, api.TransferID] {
	return func(yield func(api.FilePath, api.TransferID) bool) {
		for _, t := range x.all() {
			if t.site != s {
				continue
			}
			t.mu.Lock()
			open := t.rec.Direction != api.Deleting && t.rec.State != api.TransferDone
			id, path, temp := t.rec.ID, t.rec.Path, t.rec.Temp
			t.mu.Unlock()
			if open && (!yield(path, id) || temp != "" && !yield(temp, id)) {
				return
			}
		}
	}
}

// claimed says whether a path is one of them.
func (x *transfers) claimed(s *site, path api.FilePath) bool {
	for claim := range x.claims(s) {
		if claim == path {
			return true
		}
	}
	return false
}

func (x *transfers) close() {
	if err := x.log.close(); err != nil {
		x.e.Logf("the list of transfers: %v", err)
	}
}
