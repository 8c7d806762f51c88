package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// errNoFeed says that nobody hands over the file of an upload any more.
var errNoFeed = errors.New("the page that has the file is gone")

// fedAhead is how many pieces are held that the network has not taken.
const fedAhead = 2

// feeder is where an upload gets its file from: pieces that a page hands over (api.PutChunk). A nil one is of a transfer that
// has no page.
type feeder struct {
	clock Clock
	size  int64

	mu      sync.Mutex
	whole   []byte // all of the file, if the page has sent it along; then no page is asked
	opened  bool
	wanted  int64 // the offset of the next piece; -1: nothing is, yet
	pieces  [][]byte
	pages   int       // that wait for what is wanted
	left    bool      // the last of them went away
	heard   time.Time // when the last was heard of
	changed chan struct{}
}

func newFeeder(clock Clock, size int64) *feeder {
	return &feeder{clock: clock, size: size, changed: make(chan struct{})}
}

// tell wakes whoever waits. Call it with mu held.
func (f *feeder) tell() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// open has pages wait for what will be wanted.
func (f *feeder) open() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened, f.wanted, f.pieces, f.left = true, -1, nil, false
	f.tell()
}

// close sends the pages away.
func (f *feeder) close() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened, f.wanted, f.pieces = false, -1, nil
	f.tell()
}

// fed says that no page is needed for the file.
func (f *feeder) fed() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.whole != nil || f.size == 0
}

// drop lets go of a file that was sent along, and answers how long it was.
func (f *feeder) drop() int {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.whole)
	f.whole = nil
	return n
}

// read answers the file from an offset on.
func (f *feeder) read(ctx context.Context, from int64) io.Reader {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.whole != nil {
		return bytes.NewReader(f.whole[from:])
	}
	f.wanted, f.pieces, f.heard = from, nil, f.clock.Now()
	f.tell()
	return &fed{f: f, ctx: ctx, left: f.size - from}
}

// fed reads what a feeder is given.
type fed struct {
	f     *feeder
	ctx   context.Context
	left  int64 // octets to the end of the file
	piece []byte
}

// Read implements io.Reader. It is errNoFeed when the pieces do not come.
func (r *fed) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	for len(r.piece) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	r.left -= int64(n)
	return n, nil
}

// next waits for a piece.
func (r *fed) next() error {
	f := r.f
	for {
		f.mu.Lock()
		if len(f.pieces) > 0 {
			r.piece, f.pieces = f.pieces[0], f.pieces[1:]
			f.tell() // there is room for one more
			f.mu.Unlock()
			return nil
		}
		changed, left, patience := f.changed, f.left, api.FeedPatience-f.clock.Now().Sub(f.heard)
		f.mu.Unlock()
		if left || patience <= 0 {
			return errNoFeed
		}
		select {
		case <-changed:
		case <-f.clock.After(patience):
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
	}
}

// put takes a piece and answers which one is wanted next, when one is.
func (f *feeder) put(ctx context.Context, offset int64, piece []byte) (api.Wanted, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opened && len(piece) > 0 && offset == f.wanted && len(f.pieces) < fedAhead && int64(len(piece)) <= f.size-offset {
		f.pieces = append(f.pieces, piece)
		f.wanted += int64(len(piece))
		f.tell()
	}
	f.pages++
	f.left = false
	for {
		f.heard = f.clock.Now()
		if !f.opened {
			f.pages--
			return api.Wanted{Over: true}, nil
		}
		if f.wanted >= 0 && f.wanted < f.size && len(f.pieces) < fedAhead {
			f.pages--
			return api.Wanted{Offset: f.wanted, Length: int(min(api.MaxChunk, f.size-f.wanted))}, nil
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		f.mu.Lock()
		if ctx.Err() != nil {
			if f.pages--; f.pages == 0 {
				f.left = true
				f.tell()
			}
			return api.Wanted{}, ctx.Err()
		}
	}
}
