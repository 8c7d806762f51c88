package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/store"
	"github.com/postern-mail/postern/shared/ftp"
)

const (
	// What is written of a download is synced after so many octets, or after so long. A cut costs no more than that.
	syncedOctets = 8 << 20
	syncedAfter  = 5 * time.Second
	// leftForMail is what a download leaves of the room on the device: mail that comes meanwhile is not to be turned away.
	leftForMail = 64 << 20
	// mostHurried is how often a file may change under a download.
	mostHurried = 3
	// overlap is how much of what is here is fetched again where a download goes on, to see that it is the same file, and that the
	// server begins where it was told to: some take REST and do not heed it.
	overlap = 64 << 10
)

var (
	// errFileChanged says that what the server has is not what was begun.
	errFileChanged = &api.Problem{Code: api.CodeFileChanged}
	// errOtherOctets says that what comes is not what belongs there.
	errOtherOctets = errors.New("what the server sends does not go on from what is here")
)

// DownloadFile begins to fetch a file to this device.
func (e *Engine) DownloadFile(_ context.Context, r api.FileRef) (api.Transfer, error) {
	s, err := e.site(r.Site)
	if err != nil {
		return api.Transfer{}, err
	}
	rec, err := s.toFetch(r.Path)
	if err != nil {
		return api.Transfer{}, err
	}
	t, err := e.transfers.add(s, rec)
	if err != nil {
		return api.Transfer{}, problemOf(err)
	}
	return t.snapshot(), nil
}

// toFetch is a transfer of a file to here.
func (s *site) toFetch(p api.FilePath) (transferRecord, error) {
	path, err := octets(p)
	if err != nil {
		return transferRecord{}, err
	}
	path = trimSlash(path)
	rec := transferRecord{Direction: api.Downloading, Path: crossing(path), Size: -1}
	known, ok := s.tree.entry(path)
	if ok {
		rec.Size = known.size
	}
	if _, name := parentOf(path); name == "" || known.kind == ftp.Folder {
		return rec, errFolder
	}
	return rec, nil
}

// errFolder says that a folder is no file.
var errFolder = &api.Problem{Code: api.CodeIsFolder}

// download fetches the file, or the rest of it. What is here counts only if the server still has the file that it is of.
func (t *transfer) download(ctx context.Context, x *siteSession) error {
	path := t.path()
	found, err := x.look(ctx, path)
	if err != nil {
		return err
	}
	rec := t.record()
	anew := rec.Begun && rec.Safe > 0 && (rec.NoRest || !rec.Remote.same(found))
	if err := t.keep(func(r *transferRecord) {
		if anew || !r.Begun {
			r.Safe = 0
		}
		r.Remote, r.Size, r.Begun, r.Anew = found, found.Size, true, r.Anew || anew
	}); err != nil {
		return err
	}
	if err := t.admits(ctx, found.Size, t.record().Safe); err != nil {
		return err
	}
	file, err := t.open()
	if err != nil {
		return storing(err)
	}
	defer file.Close()
	w, err := t.writer(ctx, file, found.Size)
	if err != nil {
		return storing(err)
	}
	if safe := w.synced; safe > 0 && safe == found.Size { // it was cut at its very end
		w.at, w.expected = safe, nil
	} else {
		_, err = x.Retr(ctx, path, w.at, found.Size, w)
		if errors.Is(w.err, errOtherOctets) {
			return t.hurry(len(w.expected) > 0)
		}
		if err != nil {
			return t.broken(w, err)
		}
	}
	if err := w.sync(); err != nil {
		return t.broken(w, err)
	}
	return t.keep(func(r *transferRecord) { r.Size = w.at })
}

// open opens the file of a download.
func (t *transfer) open() (store.File, error) {
	if t.memory != nil {
		return t.memory, nil
	}
	return t.e.transfers.open(t.rec.ID)
}

// admits says whether a file of that size can be kept, of which some octets are here. -1 is a size that is not known.
func (t *transfer) admits(ctx context.Context, size, have int64) error {
	if t.memory != nil {
		return t.e.checkTotal(max(size, have))
	}
	return t.e.room(ctx, max(size-have, 0))
}

// room says whether so many octets can be kept on the device, as far as that is known.
func (e *Engine) room(ctx context.Context, octets int64) error {
	if e.Room == nil {
		return nil
	}
	if room, known := e.Room(ctx); known && octets > room-leftForMail {
		return &api.Problem{Code: api.CodeStorageFull, Technical: fmt.Sprintf("%d octets, and room for %d", octets, room)}
	}
	return nil
}

// broken is a download that broke off with err: what came is kept.
func (t *transfer) broken(w *deviceWriter, err error) error {
	var refused *ftp.Error
	if errors.As(err, &refused) && refused.Command == "REST" && w.at > 0 { // it cannot go on in the middle
		return errors.Join(t.keep(func(r *transferRecord) { r.Safe, r.Anew, r.NoRest = 0, true, true }), t.again())
	}
	if failed := w.sync(); failed != nil && w.err == nil {
		w.err = failed
	}
	if w.err == nil {
		return err
	}
	if problemOf(w.err).Code == api.CodeStorageFull { // the mail needs the room that is left
		err := t.keep(func(r *transferRecord) { r.Safe = 0 })
		t.progress(0)
		return errors.Join(storing(w.err), err, w.file.Truncate(0))
	}
	return storing(w.err)
}

// hurry begins a download again of a file that changed meanwhile. It is not gone on with any more if it is not known where the server
// would go on.
func (t *transfer) hurry(noRest bool) error {
	t.mu.Lock()
	t.hurried++
	enough := t.hurried >= mostHurried
	t.mu.Unlock()
	if err := t.keep(func(r *transferRecord) { r.Safe, r.Anew, r.NoRest = 0, true, r.NoRest || noRest }); err != nil {
		return err
	}
	if enough {
		return errFileChanged
	}
	return t.again()
}

// again is what an attempt answers that is to be followed by another, soon.
func (t *transfer) again() error {
	return &api.Problem{Code: api.CodeServerBusy, Technical: "from the start again"}
}

// deviceWriter writes a download to where it is kept.
type deviceWriter struct {
	t        *transfer
	ctx      context.Context
	file     store.File
	size     int64  // of the whole; -1: not known
	expected []byte // is what comes first: it is here already
	at       int64
	synced   int64
	last     time.Time
	err      error
}

// writer goes on in a file from what is safe of it. What is behind that may be anything.
func (t *transfer) writer(ctx context.Context, file store.File, size int64) (*deviceWriter, error) {
	safe := t.record().Safe
	has, err := file.Size()
	if err != nil {
		return nil, err
	}
	if has < safe { // somebody has been at it
		safe = 0
	}
	if err := file.Truncate(safe); err != nil {
		return nil, err
	}
	w := &deviceWriter{t: t, ctx: ctx, file: file, size: size, at: safe, synced: safe, last: t.e.Clock.Now()}
	if safe > 0 {
		w.expected = make([]byte, min(safe, overlap))
		w.at -= int64(len(w.expected))
		if _, err := file.ReadAt(w.expected, w.at); err != nil && err != io.EOF {
			return nil, err
		}
	}
	t.mu.Lock()
	t.done = safe
	t.rate.begin(t.e.Clock.Now(), safe)
	t.mu.Unlock()
	return w, nil
}

// Write implements io.Writer.
func (w *deviceWriter) Write(p []byte) (int, error) {
	same := min(len(p), len(w.expected))
	if !bytes.Equal(p[:same], w.expected[:same]) || w.size >= 0 && w.at+int64(len(p)) > w.size { // it grew, or REST was not heeded
		w.err = errOtherOctets
		return 0, w.err
	}
	w.at, w.expected = w.at+int64(same), w.expected[same:]
	if same == len(p) {
		return same, nil
	}
	n, err := w.file.WriteAt(p[same:], w.at)
	if err == nil && n < len(p)-same {
		err = io.ErrShortWrite
	}
	w.at += int64(max(n, 0))
	if err == nil && (w.at-w.synced >= syncedOctets || w.t.e.Clock.Now().Sub(w.last) >= syncedAfter) {
		if err = w.sync(); err == nil {
			err = w.t.admits(w.ctx, w.size, w.at)
		}
	}
	if err != nil {
		w.err = err
		return same + n, err
	}
	w.t.progress(w.at)
	return len(p), nil
}

// sync makes what was written safe, and says so in the journal.
func (w *deviceWriter) sync() error {
	if w.at == w.synced && w.at > 0 || len(w.expected) > 0 {
		return nil
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := w.t.keep(func(r *transferRecord) { r.Safe = w.at }); err != nil {
		return err
	}
	w.synced, w.last = w.at, w.t.e.Clock.Now()
	w.t.mu.Lock()
	w.t.done = w.at
	w.t.mu.Unlock()
	return nil
}

// ReadDownload answers octets of a download that is done.
func (e *Engine) ReadDownload(_ context.Context, r api.ReadDownload) ([]byte, error) {
	t, err := e.transfers.find(r.ID)
	if err != nil {
		return nil, err
	}
	rec := t.record()
	if rec.Direction != api.Downloading || rec.State != api.TransferDone || r.Offset < 0 || r.Offset > rec.Size {
		return nil, &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("nothing to read at %d of transfer %d", r.Offset, r.ID)}
	}
	file, err := e.transfers.open(rec.ID)
	if err != nil {
		return nil, problemOf(storing(err))
	}
	defer file.Close()
	p := make([]byte, min(api.MaxChunk, rec.Size-r.Offset))
	if n, err := file.ReadAt(p, r.Offset); n < len(p) {
		return nil, problemOf(storing(fmt.Errorf("%d octets of %d: %w", n, len(p), err)))
	}
	return p, nil
}

// TakenOver says that the browser has a download, or is about to read it.
func (e *Engine) TakenOver(_ context.Context, id api.TransferID) error {
	t, err := e.transfers.find(id)
	if err != nil {
		return err
	}
	if rec := t.record(); rec.Direction != api.Downloading || rec.State != api.TransferDone {
		return &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("transfer %d is no download that is done", id)}
	}
	t.mu.Lock()
	if t.takenAt.IsZero() {
		t.takenAt = e.Clock.Now()
	}
	t.mu.Unlock()
	if err := t.keep(func(r *transferRecord) { r.Saved = true }); err != nil {
		return problemOf(err)
	}
	t.announce()
	e.transfers.wake()
	return nil
}
