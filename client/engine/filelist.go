package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/printable"
)

// listedFor is how long a listing is answered from memory.
const listedFor = time.Minute

// fileEntry is an entry of a folder, in as little memory as a folder of 200,000 asks for.
type fileEntry struct {
	name     string // the server's octets; of one that cannot be read, its line
	target   string
	size     int64
	modified int64 // seconds since 1970; noTime if it is not known
	kind     ftp.Kind
	exact    bool
	usable   bool
}

const noTime = -1 << 63

func entryOf(e *ftp.Entry) fileEntry {
	f := fileEntry{name: strings.Clone(e.Name), size: e.Size, modified: noTime, kind: e.Kind, exact: e.Precision > 0 && e.Precision <= time.Second, usable: e.Usable()}
	if e.Kind == ftp.Unknown {
		f.name = strings.Clone(e.Line)
	}
	if e.Target != "" {
		f.target = strings.Clone(printable.Line(e.Target))
	}
	if e.Precision > 0 {
		f.modified = e.Modified.Unix()
	}
	return f
}

// octets is the memory that its names take.
func (f *fileEntry) octets() int { return len(f.name) + len(f.target) }

func (f *fileEntry) shown() string {
	if f.kind == ftp.Unknown {
		return f.name
	}
	return printable.Line(f.name)
}

// path is where it is in its folder; "" if it is not usable.
func (f *fileEntry) path(folder string) string {
	path, err := (ftp.Entry{Name: f.name, Kind: f.kind}).Path(folder)
	if err != nil || !f.usable {
		return ""
	}
	return path
}

var kindNames = map[ftp.Kind]api.FileKind{
	ftp.Unknown: api.KindUnknown, ftp.File: api.KindFile, ftp.Folder: api.KindFolder, ftp.Link: api.KindLink, ftp.Other: api.KindOther,
}

func (f *fileEntry) file(folder string) api.File {
	file := api.File{Path: crossing(f.path(folder)), Name: f.shown(), Kind: kindNames[f.kind], Size: f.size, Exact: f.exact, Target: f.target, Usable: f.usable}
	if f.modified != noTime {
		file.Modified = time.Unix(f.modified, 0).UTC()
	}
	return file
}

// ListFiles answers a window of a folder.
func (e *Engine) ListFiles(ctx context.Context, q api.FilesQuery) (api.FilesPage, error) {
	s, err := e.site(q.Site)
	if err != nil {
		return api.FilesPage{}, err
	}
	p, err := s.list(ctx, q)
	return p, asError(problemOf(err))
}

func (s *site) list(ctx context.Context, q api.FilesQuery) (api.FilesPage, error) {
	if q.Limit <= 0 || q.Limit > api.MaxFilesLimit {
		q.Limit = api.MaxFilesLimit
	}
	if !slices.Contains([]api.FileSort{api.SortName, api.SortSize, api.SortDate}, q.Sort) {
		return api.FilesPage{}, &api.Problem{Code: api.CodeBadRequest, Technical: "no such order"}
	}
	path, err := s.resolve(ctx, q.Path)
	if err != nil {
		return api.FilesPage{}, err
	}
	if err := s.listed(ctx, path, q.Fresh); err != nil {
		return api.FilesPage{}, err
	}
	page, ok := s.tree.window(path, q)
	if !ok { // it was evicted at once: others were listed meanwhile
		return api.FilesPage{}, &api.Problem{Code: api.CodeServerBusy, Technical: "too many folders at a time"}
	}
	page.Path, page.Crumbs = crossing(path), crumbsOf(path)
	claims := maps.Collect(s.e.transfers.claims(s))
	for i := range page.Files {
		page.Files[i].Transfer = uint64(claims[page.Files[i].Path])
	}
	return page, nil
}

// resolve is the path in the server's octets. The empty one is where one is after the login.
func (s *site) resolve(ctx context.Context, path api.FilePath) (string, error) {
	p, err := octets(path)
	if err != nil {
		return "", err
	}
	if p != "" {
		return trimSlash(p), nil
	}
	home := s.record().Home
	if home == "" {
		if err := s.look(ctx, func(x *siteSession) error { return nil }); err != nil {
			return "", err
		}
		home = s.record().Home
	}
	return octets(home)
}

// listed makes sure that a folder is in memory. One folder is listed at a time; who waited may find it done.
func (s *site) listed(ctx context.Context, path string, fresh bool) error {
	since, begun := s.e.Clock.Now().Add(-listedFor), 0
	if fresh {
		begun = s.tree.begun() + 1 // a listing that begins from now on
	}
	if s.tree.has(path, since, begun) {
		return nil
	}
	return s.look(ctx, func(x *siteSession) error {
		if s.tree.has(path, since, begun) {
			return nil
		}
		return s.fetchList(ctx, x, path)
	})
}

// fetchList lists a folder. What breaks off after some entries leaves these, and says so.
func (s *site) fetchList(ctx context.Context, x *siteSession, path string) error {
	f := &folder{path: path, listed: s.e.Clock.Now()}
	changes := s.tree.begin(f)
	for e, err := range x.List(ctx, path) {
		if err != nil {
			if ctx.Err() != nil || len(f.entries) == 0 && !errors.Is(err, ftp.ErrTruncated) {
				return err
			}
			failure := x.place.failure(x.rec, err, true)
			f.problem = failure.problem
			break
		}
		entry := entryOf(&e)
		f.octets += entry.octets()
		if len(f.entries) >= s.e.Limits.Folder || f.octets > s.e.Limits.Names {
			f.cut = true
			break
		}
		f.entries = append(f.entries, entry)
	}
	s.met(nil)
	s.tree.put(f, changes)
	return nil
}
