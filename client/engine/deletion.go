package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
)

const (
	// deepest is how deep a folder is emptied, and mostDeleted how many things one deletion removes: a server that invents folders
	// in folders ends there.
	deepest     = 100
	mostDeleted = 1_000_000
)

// DeleteFiles removes files and folders, after a while in which that can be taken back.
func (e *Engine) DeleteFiles(_ context.Context, r api.DeleteFiles) (api.Transfer, error) {
	s, err := e.site(r.Site)
	if err != nil {
		return api.Transfer{}, err
	}
	if len(r.Paths) == 0 || len(r.Paths) > api.MaxDelete {
		return api.Transfer{}, &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("%d files to delete", len(r.Paths))}
	}
	var paths []string
	for _, p := range r.Paths {
		path, err := octets(p)
		if err != nil {
			return api.Transfer{}, err
		}
		path = trimSlash(path)
		if _, name := parentOf(path); !(ftp.Entry{Name: name, Kind: ftp.File}).Usable() {
			return api.Transfer{}, &api.Problem{Code: api.CodeBadRequest, Technical: "that cannot be deleted"}
		}
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	t, err := e.transfers.addDeletion(s, paths)
	if err != nil {
		return api.Transfer{}, problemOf(err)
	}
	s.tell(s.tree.hide(paths, 1)...)
	return t.snapshot(), nil
}

func (x *transfers) addDeletion(s *site, paths []string) (*transfer, error) {
	until := x.e.Clock.Now().Add(api.UndoTime)
	return x.addWith(s, transferRecord{Direction: api.Deleting, Path: crossing(paths[0]), Size: int64(len(paths))}, func(t *transfer) {
		t.paths, t.until, t.hiding = paths, until, true
	})
}

// UndoDelete takes a deletion back that has not begun.
func (e *Engine) UndoDelete(_ context.Context, id api.TransferID) error {
	t, err := e.transfers.find(id)
	if err != nil {
		return err
	}
	t.mu.Lock()
	deletion, waits := t.rec.Direction == api.Deleting, t.rec.State == api.TransferWaiting && t.running == nil && !t.gone
	if deletion && waits {
		t.rec.State = api.TransferPaused // it does not begin any more
	}
	t.mu.Unlock()
	switch {
	case !deletion:
		return &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("transfer %d is no deletion", id)}
	case !waits:
		return &api.Problem{Code: api.CodeTooLate}
	}
	t.show()
	e.transfers.forget(t)
	return nil
}

// show lets what was to be deleted be seen again, as far as it is there.
func (t *transfer) show() {
	t.mu.Lock()
	hiding := t.hiding
	t.hiding = false
	t.mu.Unlock()
	if hiding {
		t.site.tell(t.site.tree.hide(t.paths, -1)...)
	}
}

// delete removes what is to be removed. It goes on after what is refused, and answers the first refusal.
func (t *transfer) delete(ctx context.Context, x *siteSession) error {
	d := &deleting{t: t, x: x, total: len(t.paths)}
	for _, path := range t.paths {
		if err := d.remove(ctx, path, 0); err != nil {
			return err
		}
	}
	return d.refused
}

// deleting is a deletion under way.
type deleting struct {
	t       *transfer
	x       *siteSession
	total   int
	done    int
	refused error // the first
}

func (d *deleting) progress() {
	d.t.mu.Lock()
	d.t.rec.Size = int64(d.total)
	d.t.mu.Unlock()
	d.t.progress(int64(d.done))
}

// remove removes what is at a path. A refusal is kept for later; an error ends it all.
//
// A folder may be a link to another one, by a server that does not tell: what is behind that is not to be deleted. DELE takes a link
// away and no folder, so it is said first. A folder is emptied when RMD does not take it as it is.
func (d *deleting) remove(ctx context.Context, path string, depth int) error {
	err := d.x.Dele(ctx, path)
	if isFTPRefusal(err) {
		if failed := d.x.Rmd(ctx, path); !isFTPRefusal(failed) {
			err = failed
		} else if emptied, failed := d.empty(ctx, path, depth); failed != nil {
			return failed
		} else if emptied {
			err = d.x.Rmd(ctx, path)
		}
	}
	switch {
	case err == nil || errors.Is(err, ftp.ErrNoFile) && d.missing(ctx, path):
		d.done++
		d.t.site.removed(path)
		d.t.site.tree.forgetBelow(path)
		d.progress()
		return nil
	case isFTPRefusal(err):
		if d.refused == nil {
			d.refused = err
		}
		return nil
	}
	return err
}

// missing says that nothing is at a path any more: what is to be deleted is gone.
func (d *deleting) missing(ctx context.Context, path string) bool {
	there, err := d.x.there(ctx, path)
	return err == nil && !there
}

// empty removes what is in a folder, and says whether it is one.
func (d *deleting) empty(ctx context.Context, path string, depth int) (folder bool, err error) {
	if known, ok := d.t.site.tree.entry(path); ok && known.kind == ftp.Link {
		return false, nil
	}
	if depth >= deepest {
		return false, &api.Problem{Code: api.CodeServerProtocol, Technical: fmt.Sprintf("more than %d folders in each other", deepest)}
	}
	var within []string
	for e, err := range d.x.List(ctx, path) {
		if isFTPRefusal(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		inside, err := e.Path(path)
		if err != nil {
			continue // RMD will say that it is not empty
		}
		within = append(within, inside)
		if d.total+len(within) > mostDeleted {
			return false, &api.Problem{Code: api.CodeServerProtocol, Technical: fmt.Sprintf("more than %d files", mostDeleted)}
		}
	}
	d.total += len(within)
	for _, p := range within {
		if err := d.remove(ctx, p, depth+1); err != nil {
			return false, err
		}
	}
	return true, nil
}
