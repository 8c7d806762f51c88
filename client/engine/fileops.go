package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
	"github.com/postern-mail/postern/shared/printable"
)

// MakeFolder makes a folder in another.
func (e *Engine) MakeFolder(ctx context.Context, r api.MakeFolder) (api.File, error) {
	s, err := e.site(r.Site)
	if err != nil {
		return api.File{}, err
	}
	f, err := s.makeFolder(ctx, r)
	return f, asError(problemOf(err))
}

func (s *site) makeFolder(ctx context.Context, r api.MakeFolder) (api.File, error) {
	parent, err := s.resolve(ctx, r.Folder)
	if err != nil {
		return api.File{}, err
	}
	path, err := within(parent, r.Name)
	if err != nil {
		return api.File{}, err
	}
	err = s.look(ctx, func(x *siteSession) error {
		_, err := x.Mkd(ctx, path)
		if isFTPRefusal(err) { // for which servers have no code
			if there, looked := x.there(ctx, path); looked == nil && there {
				return fileExists(r.Name)
			}
		}
		return err
	})
	if err != nil {
		return api.File{}, err
	}
	made := fileEntry{name: r.Name, size: -1, modified: s.e.Clock.Now().Unix(), kind: ftp.Folder, usable: true}
	s.placed(path, made)
	return made.file(parent), nil
}

func fileExists(name string) *api.Problem {
	return &api.Problem{Code: api.CodeFileExists, Detail: printable.Short(name, 80)}
}

// RenameFile gives a file or a folder another name, or another folder.
func (e *Engine) RenameFile(ctx context.Context, r api.RenameFile) (api.File, error) {
	s, err := e.site(r.Site)
	if err != nil {
		return api.File{}, err
	}
	f, err := s.rename(ctx, r)
	return f, asError(problemOf(err))
}

func (s *site) rename(ctx context.Context, r api.RenameFile) (api.File, error) {
	from, err := octets(r.Path)
	if err != nil {
		return api.File{}, err
	}
	from = trimSlash(from)
	parent, name := parentOf(from)
	if name == "" {
		return api.File{}, &api.Problem{Code: api.CodeBadRequest, Technical: "the root has no name"}
	}
	if r.Folder != "" {
		if parent, err = octets(r.Folder); err != nil {
			return api.File{}, err
		}
		parent = trimSlash(parent)
	}
	to, err := (ftp.Entry{Name: name, Kind: ftp.File}).Path(parent)
	if r.Name != "" {
		to, err = within(parent, r.Name)
	}
	if err != nil {
		return api.File{}, err
	}
	_, name = parentOf(to)
	for path, id := range s.e.transfers.claims(s) { // of the file, or of one in the folder
		if p, _ := octets(path); p == from || strings.HasPrefix(p, from+"/") {
			return api.File{}, &api.Problem{Code: api.CodeServerBusy, Detail: "The file is being transferred", Technical: fmt.Sprintf("transfer %d", id)}
		}
	}
	moved, known := s.tree.entry(from)
	if !known {
		moved = fileEntry{kind: ftp.File, size: -1, modified: noTime}
	}
	if to != from {
		err = s.look(ctx, func(x *siteSession) error {
			if there, err := x.there(ctx, to); err != nil {
				return err
			} else if there {
				return fileExists(name)
			}
			return x.Rename(ctx, from, to)
		})
		if err != nil {
			return api.File{}, err
		}
		s.removed(from)
		s.tree.forgetBelow(from)
		s.placed(to, moved)
	}
	moved.name, moved.usable = name, true
	return moved.file(parent), nil
}

// there says whether something is at a path: by MLST, or SIZE, or else by what the folder lists. Servers that replace a file on
// RNTO and STOR do it without a word.
func (x *siteSession) there(ctx context.Context, path string) (bool, error) {
	if there, sure, err := x.fileThere(ctx, path); sure || err != nil {
		return there, err
	}
	return x.isListed(ctx, path)
}

// isListed says whether the folder of a path lists it.
func (x *siteSession) isListed(ctx context.Context, path string) (listed bool, err error) {
	parent, name := parentOf(path)
	for e, err := range x.List(ctx, parent) {
		if err != nil {
			return false, err
		}
		if e.Name == name {
			return true, nil
		}
	}
	return false, nil
}

// fileThere says whether a file is at a path, by MLST or SIZE, or by the listing where the server has neither. It is not sure of a No
// where a folder may be there, which no file ever replaces.
func (x *siteSession) fileThere(ctx context.Context, path string) (there, sure bool, err error) {
	if x.features.MLST {
		_, err := x.Stat(ctx, path)
		switch {
		case err == nil:
			return true, true, nil
		case errors.Is(err, ftp.ErrNoFile):
			return false, true, nil
		case !errors.Is(err, ftp.ErrUnsupported):
			return false, false, err
		}
	}
	if _, err = x.Size(ctx, path); err == nil {
		return true, true, nil
	}
	switch {
	case errors.Is(err, ftp.ErrUnsupported):
		there, err = x.isListed(ctx, path)
		return there, err == nil, err
	case isFTPRefusal(err):
		return false, false, nil
	}
	return false, false, err
}

// remote is what a server says of a file.
type remote struct {
	Size     int64 `json:"size"`               // -1: it does not say
	Modified int64 `json:"modified,omitempty"` // seconds since 1970; 0: it does not say
}

// same says that a file is what it was, as far as the server tells: one that does not tell its size is not the same.
func (r remote) same(o remote) bool {
	return r.Size >= 0 && r.Size == o.Size && r.Modified == o.Modified
}

// look asks for size and time of a file. It is ftp.ErrNoFile if there is none, where the server tells.
func (x *siteSession) look(ctx context.Context, path string) (remote, error) {
	if x.features.MLST {
		e, err := x.Stat(ctx, path)
		switch {
		case err == nil && e.Kind == ftp.Folder:
			return remote{}, errFolder
		case err == nil && e.Size >= 0 && e.Precision > 0:
			return remote{Size: e.Size, Modified: e.Modified.Unix()}, nil
		case err != nil && !errors.Is(err, ftp.ErrUnsupported):
			return remote{}, err
		}
	}
	r := remote{Size: -1}
	size, err := x.Size(ctx, path)
	switch {
	case err == nil:
		r.Size = size
	case !isFTPRefusal(err) || errors.Is(err, ftp.ErrNoFile):
		return r, err
	}
	modified, err := x.Mdtm(ctx, path)
	switch {
	case err == nil:
		r.Modified = modified.Unix()
	case x.State().Phase != ftp.Ready:
		return r, err
	}
	return r, nil
}

// isFTPRefusal says that a server has said no, and the session goes on.
func isFTPRefusal(err error) bool {
	var refused *ftp.Error
	return errors.As(err, &refused) && refused.Code != 421 || errors.Is(err, ftp.ErrUnsupported)
}
