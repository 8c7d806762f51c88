package engine

import (
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
)

// errFileChanged says that what the server has is not what was begun.
var errFileChanged = &api.Problem{Code: api.CodeFileChanged}

// DownloadFile begins to fetch a file to this device.
func (e *Engine) DownloadFile(_ context.Context, r api.FileRef) (api.Transfer, error) {
	s, err := e.site(r.Site)
	if err != nil {
		return api.Transfer{}, err
	}
	path, err := octets(r.Path)
	if err != nil {
		return api.Transfer{}, err
	}
	if _, name := parentOf(path); name == "" {
		return api.Transfer{}, &api.Problem{Code: api.CodeBadRequest, Technical: "the root is no file"}
	}
	size := int64(-1)
	if known, ok := s.tree.entry(trimSlash(path)); ok {
		if known.kind == ftp.Folder {
			return api.Transfer{}, &api.Problem{Code: api.CodeBadRequest, Detail: "A folder cannot be fetched as one file"}
		}
		size = known.size
	}
	t, err := e.transfers.add(s, transferRecord{Direction: api.Downloading, Path: crossing(trimSlash(path)), Size: size})
	if err != nil {
		return api.Transfer{}, problemOf(err)
	}
	return t.snapshot(), nil
}

// download fetches the file, or the rest of it. What is here counts only if the server still has the file that it is of.
func (t *transfer) download(ctx context.Context, x *siteSession) error {
	path := t.path()
	found, err := x.look(ctx, path)
	if err != nil {
		return err
	}
	rec := t.record()
	anew := rec.Begun && rec.Safe > 0 && !rec.Remote.same(found)
	if err := t.keep(func(r *transferRecord) {
		if anew || !r.Begun {
			r.Safe = 0
		}
		r.Remote, r.Size, r.Begun, r.Anew = found, found.Size, true, r.Anew || anew
	}); err != nil {
		return err
	}
	if err := t.e.room(ctx, found.Size-t.record().Safe); err != nil {
		return err
	}
	file, err := t.e.transfers.open(rec.ID)
	if err != nil {
		return storing(err)
	}
	defer file.Close()
	w, err := t.writer(file)
	if err != nil {
		return storing(err)
	}
	from := w.at
	if found.Size < 0 || from < found.Size || from == 0 {
		if _, err = x.Retr(ctx, path, from, found.Size, w); err != nil {
			return t.broken(w, err)
		}
	}
	if found.Size >= 0 && w.at != found.Size { // it grew while it was fetched
		return t.hurry()
	}
	if err := w.sync(); err != nil {
		return t.broken(w, err)
	}
	return t.keep(func(r *transferRecord) { r.Size = w.at })
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
	if errors.As(err, &refused) && refused.Command == "REST" && w.from > 0 { // it cannot go on in the middle
		return errors.Join(t.keep(func(r *transferRecord) { r.Safe, r.Anew = 0, true }), t.again())
	}
	if failed := w.sync(); failed != nil && w.err == nil {
		w.err = failed
	}
	if w.err == nil {
		return err
	}
	if errors.Is(w.err, store.ErrFull) { // the mail needs the room that is left
		err := t.keep(func(r *transferRecord) { r.Safe = 0 })
		t.progress(0)
		return errors.Join(storing(w.err), err, w.file.Truncate(0))
	}
	return storing(w.err)
}

// hurry begins a download again of a file that changed meanwhile.
func (t *transfer) hurry() error {
	t.mu.Lock()
	t.hurried++
	enough := t.hurried >= mostHurried
	t.mu.Unlock()
	if err := t.keep(func(r *transferRecord) { r.Safe, r.Anew = 0, true }); err != nil {
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

// deviceWriter writes a download to the device.
type deviceWriter struct {
	t      *transfer
	file   store.File
	from   int64 // where it began
	at     int64
	synced int64
	last   time.Time
	err    error
}

// writer goes on in a file from what is safe of it. What is behind that may be anything.
func (t *transfer) writer(file store.File) (*deviceWriter, error) {
	safe := t.record().Safe
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	if size < safe { // somebody has been at it
		safe = 0
	}
	if err := file.Truncate(safe); err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.done = safe
	t.rate.begin(t.e.Clock.Now(), safe)
	t.mu.Unlock()
	return &deviceWriter{t: t, file: file, from: safe, at: safe, synced: safe, last: t.e.Clock.Now()}, nil
}

// Write implements io.Writer.
func (w *deviceWriter) Write(p []byte) (int, error) {
	n, err := w.file.WriteAt(p, w.at)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	w.at += int64(max(n, 0))
	if err == nil && (w.at-w.synced >= syncedOctets || w.t.e.Clock.Now().Sub(w.last) >= syncedAfter) {
		err = w.sync()
	}
	if err != nil {
		w.err = err
		return n, err
	}
	w.t.progress(w.at)
	return n, nil
}

// sync makes what was written safe, and says so in the journal.
func (w *deviceWriter) sync() error {
	if w.at == w.synced && w.at > 0 {
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
