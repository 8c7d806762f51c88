package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
		known, ok := t.site.tree.entry(path)
		if !ok {
			known.kind = ftp.Unknown
		}
		if err := d.remove(ctx, path, known.kind, 0); err != nil {
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
	octets  int // of the names that are held
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
func (d *deleting) remove(ctx context.Context, path string, kind ftp.Kind, depth int) error {
	err := d.x.Dele(ctx, path)
	if isFTPRefusal(err) && (kind == ftp.Folder || kind == ftp.Unknown) {
		if failed := d.x.Rmd(ctx, path); !isFTPRefusal(failed) {
			err = failed
		} else if folder, failed := d.isFolder(ctx, path, kind); failed != nil {
			return failed
		} else if folder {
			if err = d.empty(ctx, path, depth); err == nil {
				err = d.x.Rmd(ctx, path)
			}
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

// isFolder says whether a path is one. Where a listing has not told, one can go there or not.
func (d *deleting) isFolder(ctx context.Context, path string, kind ftp.Kind) (bool, error) {
	if kind == ftp.Folder {
		return true, nil
	}
	before := d.x.State().Dir
	_, err := d.x.Cwd(ctx, path)
	if err == nil && before != "" {
		if _, err := d.x.Cwd(ctx, before); err != nil && !isFTPRefusal(err) { // QUIRK: Windows removes no folder in which somebody is
			return false, err
		}
	}
	if err != nil && !isFTPRefusal(err) {
		return false, err
	}
	return err == nil, nil
}

// doomed is what is to be removed from a folder.
type doomed struct {
	name string
	kind ftp.Kind
}

// empty removes what is in a folder.
func (d *deleting) empty(ctx context.Context, path string, depth int) error {
	if depth >= deepest {
		return &api.Problem{Code: api.CodeServerProtocol, Technical: fmt.Sprintf("more than %d folders in each other", deepest)}
	}
	var within []doomed
	octets := 0
	for e, err := range d.x.List(ctx, path) {
		if err != nil {
			return err
		}
		if e.Usable() { // else RMD will say that it is not empty
			within = append(within, doomed{strings.Clone(e.Name), e.Kind})
			octets += len(e.Name)
		}
		if d.total+len(within) > mostDeleted || d.octets+octets > 2*d.t.e.Limits.Names {
			return &api.Problem{Code: api.CodeServerProtocol, Technical: fmt.Sprintf("more than %d files", mostDeleted)}
		}
	}
	d.total += len(within)
	d.octets += octets
	defer func() { d.octets -= octets }()
	for _, e := range within {
		inside, err := ftp.Entry{Name: e.name, Kind: ftp.File}.Path(path)
		if err == nil {
			err = d.remove(ctx, inside, e.kind, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
