package engine

import (
	"context"
	"io"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
)

// AttachFile fetches a file for a draft. It is a transfer as others are, but in memory, and somebody waits for it.
func (e *Engine) AttachFile(ctx context.Context, r api.AttachFile) (api.DraftAttachment, error) {
	s, err := e.site(r.Site)
	if err != nil {
		return api.DraftAttachment{}, err
	}
	if _, err := e.mailbox(r.Account); err != nil {
		return api.DraftAttachment{}, err
	}
	rec, err := s.toFetch(r.Path)
	if err == nil {
		err = e.checkTotal(rec.Size)
	}
	if err != nil {
		return api.DraftAttachment{}, err
	}
	rec.Direction = api.Attaching
	over := make(chan struct{})
	t, err := e.transfers.addWith(s, rec, func(t *transfer) { t.memory, t.over = &memoryFile{}, over })
	if err != nil {
		return api.DraftAttachment{}, problemOf(err)
	}
	defer e.transfers.forget(t)
	select {
	case <-over:
	case <-ctx.Done():
	}
	switch rec := t.record(); {
	case rec.State == api.TransferFailed:
		return api.DraftAttachment{}, rec.Problem
	case rec.State != api.TransferDone:
		return api.DraftAttachment{}, &api.Problem{Code: api.CodeCanceled}
	}
	_, name := parentOf(t.path())
	shown := ftp.Entry{Name: name, Kind: ftp.File}.Shown()
	return e.Upload(ctx, api.Upload{Account: r.Account, Name: shown}, t.memory.octets)
}

// memoryFile is a store.File in memory, for one who reads and writes it.
type memoryFile struct{ octets []byte }

// ReadAt implements io.ReaderAt.
func (f *memoryFile) ReadAt(p []byte, at int64) (int, error) {
	n := copy(p, f.octets[min(at, int64(len(f.octets))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements io.WriterAt.
func (f *memoryFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.Truncate(max(at, int64(len(f.octets)))); err != nil {
		return 0, err
	}
	n := copy(f.octets[at:], p)
	f.octets = append(f.octets, p[n:]...)
	return len(p), nil
}

// Truncate makes it shorter, or longer by zeros.
func (f *memoryFile) Truncate(size int64) error {
	if more := size - int64(len(f.octets)); more > 0 {
		f.octets = append(f.octets, make([]byte, more)...)
	}
	f.octets = f.octets[:size]
	return nil
}

// Size answers how long it is.
func (f *memoryFile) Size() (int64, error) { return int64(len(f.octets)), nil }

// Sync and Close have nothing to do.
func (f *memoryFile) Sync() error  { return nil }
func (f *memoryFile) Close() error { return nil }
