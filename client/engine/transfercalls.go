package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
)

// over says that nothing happens to a transfer by itself any more.
func over(s api.TransferState) bool { return s == api.TransferDone || s == api.TransferFailed }

// PauseTransfer has a transfer stand still.
func (e *Engine) PauseTransfer(_ context.Context, id api.TransferID) error {
	t, err := e.transfers.find(id)
	if err != nil {
		return err
	}
	t.mu.Lock()
	state, running := t.rec.State, t.running
	pause := t.durable() && !over(state) && state != api.TransferPaused
	if pause {
		t.rec.State, t.rec.Problem, t.retryAt = api.TransferPaused, nil, time.Time{}
	}
	t.mu.Unlock()
	if !pause {
		return nil
	}
	err = t.keep(func(r *transferRecord) {})
	if running != nil {
		running.cancel()
	}
	t.feed.close()
	t.announce()
	return asError(problemOf(err))
}

// ResumeTransfer has a transfer go on.
func (e *Engine) ResumeTransfer(_ context.Context, r api.ResumeTransfer) (api.Transfer, error) {
	t, err := e.transfers.find(r.ID)
	if err != nil {
		return api.Transfer{}, err
	}
	rec := t.record()
	if r.File != nil && (rec.File == nil || !sameFile(*rec.File, *r.File)) {
		return api.Transfer{}, &api.Problem{Code: api.CodeOtherFile, Detail: r.File.Name}
	}
	needs := rec.File != nil && !rec.Whole && r.File == nil
	t.mu.Lock()
	resume := false
	switch t.rec.State {
	case api.TransferPaused, api.TransferFailed:
		resume = true
	case api.TransferNeedsFile:
		resume = !needs
	case api.TransferWaiting:
		t.retryAt, t.blocked = time.Time{}, false
	}
	if resume {
		t.rec.State, t.rec.Problem, t.retryAt, t.blocked, t.tries, t.hurried = api.TransferWaiting, nil, time.Time{}, false, 0, 0
	}
	t.mu.Unlock()
	t.site.forgive()
	if resume {
		err = t.keep(func(r *transferRecord) {})
		t.announce()
	}
	e.transfers.wake()
	return t.snapshot(), asError(problemOf(err))
}

// sameFile says whether a file is the one that an upload began with, as far as a page can tell.
func sameFile(a, b api.LocalFile) bool {
	return a.Name == b.Name && a.Size == b.Size && a.Modified.UnixMilli() == b.Modified.UnixMilli()
}

// CancelTransfer ends a transfer, with what there is of it here and there.
func (e *Engine) CancelTransfer(_ context.Context, id api.TransferID) error {
	t, err := e.transfers.find(id)
	if err != nil {
		return err
	}
	rec := t.record()
	if rec.State == api.TransferDone {
		return nil
	}
	t.show()
	e.transfers.forget(t)
	if rec.Direction == api.Uploading && rec.Begun {
		e.transfers.removeTemp(t)
	}
	return nil
}

// leftoverTime is how long it may take to remove from the server what there is of an upload.
const leftoverTime = 30 * time.Second

// removeTemp removes from the server what there is of an upload that was canceled, if it can be reached.
func (x *transfers) removeTemp(t *transfer) {
	temp, err := octets(t.record().Temp)
	if err != nil || !x.e.online() {
		return
	}
	t.mu.Lock()
	running := t.running
	t.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	ctx := x.running
	if ctx == nil {
		return
	}
	x.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, leftoverTime)
		defer cancel()
		if running != nil {
			<-running.done
		}
		remove := func(s *siteSession) error { return s.Dele(ctx, temp) }
		err := t.site.session(ctx, remove)
		if errors.Is(err, ftp.ErrNoFile) { // a server that has not noticed the end may have still to write it
			select {
			case <-x.e.Clock.After(leftoverTime / 3):
			case <-ctx.Done():
			}
			err = t.site.session(ctx, remove)
		}
		if err != nil && !errors.Is(err, ftp.ErrNoFile) {
			x.e.Logf("transfer %d: removing what was sent: %v", t.rec.ID, err)
			return
		}
		t.site.removed(temp)
	})
}

// ClearTransfers forgets transfers that are over.
func (e *Engine) ClearTransfers(_ context.Context, ids []api.TransferID) error {
	if len(ids) == 0 {
		var failed []api.TransferID
		for _, t := range e.transfers.all() {
			switch rec := t.record(); rec.State {
			case api.TransferDone:
				ids = append(ids, rec.ID)
			case api.TransferFailed:
				failed = append(failed, rec.ID)
			}
		}
		if len(ids) == 0 {
			ids = failed
		}
	}
	for _, id := range ids {
		t, err := e.transfers.find(id)
		if err != nil {
			continue // it is gone already
		}
		switch rec := t.record(); {
		case rec.State == api.TransferDone:
			e.transfers.forget(t)
		case rec.State == api.TransferFailed:
			if err := e.CancelTransfer(context.Background(), id); err != nil {
				return err
			}
		default:
			return &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("transfer %d is not over", id)}
		}
	}
	return nil
}
