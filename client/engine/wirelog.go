package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
)

// What an account's transcript keeps in memory. A session that ended well goes when so many of its protocol have come
// after it; one that did not stays until as many that did not have come (keptFailures). A connection takes some 20
// lines of 50 octets, so that all of them are 40 KB; what a server can make of them is wireOctets.
const (
	quietSessions = 12
	wireOctets    = 1 << 20
)

// keptFailures is how many sessions of a protocol that failed are kept, in memory and over restarts.
var keptFailures = map[api.Protocol]int{api.SMTP: 10, api.POP3: 6, api.FTP: 10}

// wireLog is the transcript of an account or a site: what was said on its connections. A nil one keeps nothing.
type wireLog struct {
	clock   Clock
	logf    func(format string, args ...any)
	durable func() bool // there is a folder to keep it in
	file    wireFile
	loaded  sync.Once

	mu       sync.Mutex
	last     uint64          // Seq
	sessions []*wireRecorder // the oldest first
	newest   map[api.Protocol]*wireRecorder
	changed  chan struct{} // closed at the next line; nil when nobody waits
	closed   bool
	ended    chan struct{} // closed with the account
}

func newWireLog(a *account) *wireLog {
	logf := func(format string, args ...any) { a.e.Logf("account "+string(a.id)+": "+format, args...) }
	return wireLogIn(a.wireFolder, a.e.Clock, logf, func() bool { return a.box != nil })
}

// wireLogIn is a transcript in a folder.
func wireLogIn(folder func() (store.FS, error), clock Clock, logf func(string, ...any), durable func() bool) *wireLog {
	w := &wireLog{clock: clock, logf: logf, durable: durable, newest: make(map[api.Protocol]*wireRecorder), ended: make(chan struct{})}
	w.file.open = folder
	// The time in microseconds: no run says a million lines a second, so that each begins above the last one's end,
	// and nothing has to be written for it.
	w.last = uint64(max(0, clock.Now().UnixMicro()))
	return w
}

// begin opens the transcript of one connection.
func (w *wireLog) begin(p api.Protocol, server string) *wireRecorder {
	if w == nil {
		return nil
	}
	r := &wireRecorder{log: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	for _, o := range w.sessions {
		if !o.session.Ended.IsZero() {
			o.secrets = nil // nothing is added to it any more
		}
	}
	r.session = api.WireSession{ID: w.last + 1, Protocol: p, Server: server, Began: now.UTC()}
	w.sessions = append(w.sessions, r)
	w.newest[p] = r
	r.add(wireEntry{at: now, who: api.Remark, text: "Connecting to " + server + " through the gateway"})
	return r
}

// latest is the transcript of this run's last connection in that protocol, nil if there was none.
func (w *wireLog) latest(p api.Protocol) *wireRecorder {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest[p]
}

// close ends every wait. Nothing is written to the device any more.
func (w *wireLog) close() {
	if w == nil {
		return
	}
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.ended)
	}
	w.mu.Unlock()
	w.file.shut()
}

// load takes up the sessions that failed in earlier runs, when they are first needed: an engine's start has no time for them.
func (w *wireLog) load() {
	if !w.durable() {
		return // an account that is none yet has no folder
	}
	w.loaded.Do(func() {
		old, err := w.file.read()
		if err != nil {
			w.logf("reading the transcripts: %v", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, r := range old {
			r.log = w
			w.last = max(w.last, r.lastSeq()) // the clock was set back
		}
		w.sessions = append(old, w.sessions...)
	})
}

// prune lets sessions go that nobody will ask for any more. Call it with w.mu held.
func (w *wireLog) prune() {
	quiet, failed, octets := map[api.Protocol]int{}, map[api.Protocol]int{}, 0
	kept := w.sessions[:0:0]
	for _, r := range slices.Backward(w.sessions) {
		p := r.session.Protocol
		switch {
		case r.session.Ended.IsZero():
		case r.session.Problem != nil:
			if failed[p]++; failed[p] > keptFailures[p] {
				continue
			}
		default:
			if quiet[p]++; quiet[p] > quietSessions || octets > wireOctets {
				continue
			}
		}
		octets += r.octets()
		kept = append(kept, r)
	}
	slices.Reverse(kept)
	w.sessions = kept
}

// followPause is how long a page that follows the transcript is kept waiting after a line, for those that come with it:
// a fetch says thousands a second.
const followPause = 50 * time.Millisecond

// Wire answers what was said on the wire.
func (e *Engine) Wire(ctx context.Context, q api.WireQuery) (api.WirePage, error) {
	var wire *wireLog
	if isSite(q.Account) {
		s, err := e.site(q.Account)
		if err != nil {
			return api.WirePage{}, err
		}
		wire = s.wire
	} else {
		a, err := e.account(q.Account)
		if err != nil {
			return api.WirePage{}, err
		}
		wire = a.wire
	}
	p, err := wire.query(ctx, q)
	return p, asError(problemOf(err))
}

func (w *wireLog) query(ctx context.Context, q api.WireQuery) (api.WirePage, error) {
	if w == nil {
		return api.WirePage{}, nil
	}
	if q.Limit <= 0 || q.Limit > api.MaxWireLimit {
		q.Limit = api.MaxWireLimit
	}
	w.load()
	for {
		page, changed := w.page(q)
		if len(page.Lines) == q.Limit || !q.Wait {
			return page, nil
		}
		var pause <-chan time.Time
		if len(page.Lines) > 0 {
			q.Wait = false // this page, and what comes in a moment
			changed, pause = nil, w.clock.After(followPause)
		}
		select {
		case <-changed:
		case <-pause:
		case <-ctx.Done():
			return api.WirePage{}, ctx.Err()
		case <-w.ended:
			return api.WirePage{}, errClosed
		}
	}
}

// page answers the lines there are, and what will be closed when there is another.
func (w *wireLog) page(q api.WireQuery) (p api.WirePage, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.sessions {
		p.Sessions = append(p.Sessions, r.session)
		if (q.Session == 0 || q.Session == r.session.ID) && r.lastSeq() > q.After {
			p.Lines = r.lines(p.Lines, q.After)
		}
	}
	slices.SortStableFunc(p.Lines, func(x, y api.WireLine) int { return int(int64(x.Seq) - int64(y.Seq)) })
	if len(p.Lines) > q.Limit {
		p.Lines = slices.Clone(p.Lines[:q.Limit])
	}
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return p, w.changed
}
