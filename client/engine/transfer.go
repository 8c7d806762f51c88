package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/printable"
)

// transferRecord is what the journal keeps of a transfer. Paths are in the form in which they cross.
type transferRecord struct {
	ID        api.TransferID    `json:"id"`
	Site      api.AccountID     `json:"site"`
	Direction api.Direction     `json:"direction"`
	Path      api.FilePath      `json:"path"`
	Size      int64             `json:"size"` // -1: not known
	State     api.TransferState `json:"state"`
	Problem   *api.Problem      `json:"problem,omitempty"`
	Added     time.Time         `json:"added"`
	Begun     bool              `json:"begun,omitempty"`    // something may be there, or here
	Canceled  bool              `json:"canceled,omitempty"` // it is a leftover
	Anew      bool              `json:"anew,omitempty"`

	NoRest bool `json:"noRest,omitempty"` // the server does not go on where it is told to

	// Of a download. Safe octets of the file are on the device, synced, and are those of Remote.
	Safe   int64  `json:"safe,omitempty"`
	Remote remote `json:"remote,omitzero"`
	Saved  bool   `json:"saved,omitempty"` // the browser has it

	// Of an upload: from where, and where it is until it is whole.
	File   *api.LocalFile `json:"file,omitempty"`
	Part   *api.PartRef   `json:"part,omitempty"`
	Blob   api.BlobID     `json:"blob,omitempty"` // of a draft of the account of Part
	Temp   api.FilePath   `json:"temp,omitempty"`
	Aside  api.FilePath   `json:"aside,omitempty"` // where the file that it replaces is, or may be
	Exists api.Exists     `json:"exists,omitempty"`
	Whole  bool           `json:"whole,omitempty"` // all of it is in Temp, and was found to be
}

// transfer is something on its way.
type transfer struct {
	e    *Engine
	site *site
	feed *feeder // of an upload from a page

	memory *memoryFile   // where a file for a draft is
	over   chan struct{} // of one for a draft: closed when nothing happens to it any more

	keeping   sync.Mutex // held while the journal is told of it; taken before mu
	unwritten bool       // the journal could not be told that it is gone; guarded by keeping

	mu       sync.Mutex // guards what follows; never held while emitting
	rec      transferRecord
	paths    []string // of a deletion
	hiding   bool     // they are not shown
	until    time.Time
	done     int64
	rate     meter
	retryAt  time.Time
	tries    int   // without progress
	reached  int64 // at the last try
	blocked  bool  // until something about its site changes
	session  uint64
	running  *task // what runs; nil when it does not
	gone     bool
	url      string
	timed    bool // what was sent has the time of the file here
	told     time.Time
	hurried  int // how often a file changed under a download
	takenAt  time.Time
	deviceAt string
}

// progressTold is how often a page is told of the progress of one transfer.
const progressTold = 500 * time.Millisecond

// snapshot is the transfer as a page sees it.
func (t *transfer) snapshot() api.Transfer {
	t.mu.Lock()
	defer t.mu.Unlock()
	path, _ := octets(t.rec.Path)
	parent, name := parentOf(path)
	s := api.Transfer{
		ID: t.rec.ID, Site: t.rec.Site, Direction: t.rec.Direction, Name: printable.Line(name), Path: t.rec.Path, Folder: crossing(parent),
		Size: t.rec.Size, Done: t.done, State: t.rec.State, Problem: t.rec.Problem, Anew: t.rec.Anew, Session: t.session, Added: t.rec.Added,
		File: t.rec.File, Saved: t.rec.Saved, URL: t.url, Count: len(t.paths),
	}
	switch s.State {
	case api.TransferRunning:
		s.Rate = t.rate.perSecond()
	case api.TransferWaiting:
		s.RetryAt, s.Until = t.retryAt, t.until
	case api.TransferDone:
		if s.Direction == api.Downloading && t.e.Device != "" && t.deviceAt != "" {
			s.Device = t.e.Device + transfersFolder + "/" + t.deviceAt
		}
	}
	return s
}

func (t *transfer) announce() {
	t.e.events.emit(func() api.Event {
		s := t.snapshot()
		return api.Event{Transfer: &s}
	})
}

// durable says that it is kept over restarts.
func (t *transfer) durable() bool {
	return t.rec.Direction != api.Deleting && t.rec.Direction != api.Attaching
}

// keep changes what is kept of the transfer, and makes it durable. The change is made even if it cannot be made durable: then
// the journal has an older state, from which everything can go on as well. Nothing is kept of one that is gone: it is to end.
func (t *transfer) keep(change func(r *transferRecord)) error {
	t.keeping.Lock()
	defer t.keeping.Unlock()
	t.mu.Lock()
	change(&t.rec)
	rec, gone := t.rec, t.gone
	t.mu.Unlock()
	switch {
	case gone:
		return context.Canceled
	case !t.durable():
		return nil
	}
	if rec.State == api.TransferRunning || rec.State == api.TransferNeedsFile {
		rec.State = api.TransferWaiting
	}
	return storing(t.e.transfers.log.put(rec))
}

// progress notes how far it is, and tells of it now and then.
func (t *transfer) progress(done int64) {
	now := t.e.Clock.Now()
	t.mu.Lock()
	t.done = done
	tell := now.Sub(t.told) >= progressTold
	if tell {
		t.told = now
		t.rate.add(now, done)
	}
	t.mu.Unlock()
	if tell {
		t.announce()
	}
}

func (t *transfer) record() transferRecord {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rec
}

// path is the file's at the server.
func (t *transfer) path() string {
	p, _ := octets(t.record().Path)
	return p
}

// meter tells the rate of late.
type meter struct {
	at   time.Time
	done int64
	rate float64
}

func (m *meter) begin(now time.Time, done int64) { *m = meter{at: now, done: done} }

func (m *meter) add(now time.Time, done int64) {
	elapsed := now.Sub(m.at).Seconds()
	if elapsed <= 0 {
		return
	}
	rate := float64(done-m.done) / elapsed
	if m.rate > 0 {
		rate = 0.6*m.rate + 0.4*rate
	}
	m.at, m.done, m.rate = now, done, max(rate, 0)
}

func (m *meter) perSecond() int64 { return int64(m.rate) }

// run makes one attempt, and settles what came of it.
func (t *transfer) run(ctx context.Context) {
	t.announce()
	err := t.site.session(ctx, func(x *siteSession) error {
		t.mu.Lock()
		t.session = x.rec.id()
		t.mu.Unlock()
		switch t.record().Direction {
		case api.Downloading, api.Attaching:
			return t.download(ctx, x)
		case api.Uploading:
			return t.upload(ctx, x)
		}
		return t.delete(ctx, x)
	})
	t.settle(ctx, err)
}

const (
	// mostTries is how often an attempt may come to nothing before a person has to say that it is to go on.
	mostTries = 8
	// fewTries is the same of what is hardly going to be otherwise the next time.
	fewTries = 3
)

// transferPauses are between attempts that came to nothing.
var transferPauses = []time.Duration{time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute}

// settle is what an attempt leaves.
func (t *transfer) settle(ctx context.Context, err error) {
	problem := problemOf(err)
	t.mu.Lock()
	if t.done > t.reached {
		t.tries = 0
	}
	t.reached = t.done
	t.mu.Unlock()
	var state api.TransferState
	switch {
	case err == nil:
		state = api.TransferDone
	case ctx.Err() != nil: // the engine ends
		state, problem = api.TransferWaiting, nil
	case errors.Is(err, errNoFeed):
		state, problem = api.TransferNeedsFile, nil
	default:
		state = t.judge(problem)
	}
	kept := t.keep(func(r *transferRecord) {
		if r.State == api.TransferRunning || err == nil { // else somebody has said what it is to be
			r.State, r.Problem = state, problem
		}
	})
	if kept != nil && !errors.Is(kept, context.Canceled) {
		t.e.Logf("transfer %d: %v", t.rec.ID, kept)
	}
	t.feed.close()
	t.mu.Lock()
	t.running = nil
	t.mu.Unlock()
	t.ended(err == nil)
	t.e.transfers.wake()
}

// judge says what becomes of a transfer that could not go on.
func (t *transfer) judge(p *api.Problem) api.TransferState {
	t.mu.Lock()
	defer t.mu.Unlock()
	most := mostTries
	switch p.Code {
	case api.CodeGatewayOffline:
		t.retryAt = time.Time{}
		if !t.e.online() {
			return api.TransferWaiting // as long as that takes
		}
	case api.CodePasswordNeeded, api.CodeLocked, api.CodeWrongPassword, api.CodeCertificate, api.CodeTokenNeeded:
		if t.rec.Direction == api.Attaching {
			return api.TransferFailed // somebody waits
		}
		t.blocked = true
		return api.TransferWaiting
	case api.CodeServerClosed, api.CodeServerTimeout, api.CodeServerUnreachable, api.CodeServerBusy, api.CodeGatewayBusy, api.CodeGatewayCut, api.CodeCanceled:
	case api.CodeNoData, api.CodeDataElsewhere, api.CodeTruncated, api.CodeServerProtocol:
		most = fewTries
	default:
		return api.TransferFailed
	}
	if t.rec.Direction == api.Deleting {
		return api.TransferFailed // a person looks at what is left
	}
	if t.tries++; t.tries >= most {
		return api.TransferFailed
	}
	t.retryAt = t.e.Clock.Now().Add(transferPauses[min(t.tries, len(transferPauses))-1])
	return api.TransferWaiting
}
