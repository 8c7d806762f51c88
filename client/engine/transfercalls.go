package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/postern-mail/postern/client/api"
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
	pause := t.rec.Direction != api.Deleting && !over(state) && state != api.TransferPaused
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
	if t.record().State == api.TransferDone {
		return nil
	}
	t.show()
	e.transfers.forget(t)
	return nil
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
