package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/ftp"
)

// UploadFile begins to send a file that a page hands over.
func (e *Engine) UploadFile(ctx context.Context, r api.UploadFile) (api.Transfer, error) {
	if r.File.Size < 0 {
		return api.Transfer{}, &api.Problem{Code: api.CodeBadRequest, Technical: "a size below zero"}
	}
	rec := transferRecord{File: &r.File, Size: r.File.Size}
	t, err := e.beginUpload(ctx, r.Site, r.Folder, r.File.Name, r.Exists, rec)
	if err != nil {
		return api.Transfer{}, problemOf(err)
	}
	return t.snapshot(), nil
}

// SavePart begins to send an attachment of a message.
func (e *Engine) SavePart(ctx context.Context, r api.SavePart) (api.Transfer, error) {
	rec := transferRecord{Part: &r.Part}
	if r.Attachment != nil {
		rec.Blob = r.Attachment.Blob
	}
	part, data, err := e.partOf(ctx, &rec)
	if err != nil {
		return api.Transfer{}, problemOf(err)
	}
	if r.Attachment != nil {
		part.Name = partName(r.Attachment.Name)
	}
	rec.Size = int64(len(data))
	stem, ext := splitExt(part.Name) // whoever sent it may have given it any name
	t, err := e.beginUpload(ctx, r.Site, r.Folder, shortenName(stem, len(ext))+ext, r.Exists, rec)
	if err != nil {
		return api.Transfer{}, problemOf(err)
	}
	return t.snapshot(), nil
}

// partOf is what an upload sends that is no page's: an attachment of a message, or one of a draft.
func (e *Engine) partOf(ctx context.Context, rec *transferRecord) (part api.Part, data []byte, err error) {
	if rec.Blob == "" {
		return e.Attachment(ctx, *rec.Part)
	}
	a, err := e.mailbox(rec.Part.Account)
	if err == nil {
		data, err = a.box.Blob(string(rec.Blob))
	}
	return part, data, err
}

// beginUpload looks whether there is a file of that name, and has the upload wait for its turn.
func (e *Engine) beginUpload(ctx context.Context, id api.AccountID, folder api.FilePath, name string, exists api.Exists, rec transferRecord) (*transfer, error) {
	s, err := e.site(id)
	if err != nil {
		return nil, err
	}
	parent, err := s.resolve(ctx, folder)
	if err != nil {
		return nil, err
	}
	path, err := within(parent, name)
	if err != nil {
		return nil, err
	}
	switch exists {
	case api.ExistsReplace:
	case api.ExistsAsk, api.ExistsBoth:
		under := e.transfers.under(s)
		taken := func(path string) bool { // by another upload, or by a folder, which only the listing tells where there is no MLST
			known, ok := s.tree.entry(path)
			return under[crossing(path)] != 0 || ok && known.kind == ftp.Folder
		}
		err = s.look(ctx, func(x *siteSession) error {
			free, err := x.freeName(ctx, path, taken)
			if err == nil && free != path && exists == api.ExistsAsk {
				return fileExists(name)
			}
			path = free
			return err
		})
		if err != nil {
			return nil, err
		}
	default:
		return nil, &api.Problem{Code: api.CodeBadRequest, Technical: fmt.Sprintf("%q is nothing to do with a file that exists", exists)}
	}
	rec.Direction, rec.Path, rec.Exists = api.Uploading, crossing(path), exists
	rec.Temp = crossing(besidePath(path, ".part"))
	return e.transfers.add(s, rec)
}

// besidePath is a path of nobody else's in the folder of another: for a file until it is whole, or for one that is replaced.
func besidePath(path, ext string) string {
	var b [4]byte
	rand.Read(b[:]) // it never fails
	suffix := "." + hex.EncodeToString(b[:]) + ext
	parent, name := parentOf(path)
	path, err := ftp.Entry{Name: shortenName(name, len(suffix)) + suffix, Kind: ftp.File}.Path(parent)
	if err != nil { // it was a usable name
		return name + suffix
	}
	return path
}

// mostBeside is how many names are tried for a file beside others of its name.
const mostBeside = 1000

// freeName is a path for a file that is not there yet: that one, or one beside it. taken says that one is spoken for.
func (x *siteSession) freeName(ctx context.Context, path string, taken func(path string) bool) (string, error) {
	parent, name := parentOf(path)
	for n := 2; ; n++ {
		there := taken(path)
		if !there {
			var err error
			if there, _, err = x.fileThere(ctx, path); err != nil {
				return "", err
			}
		}
		if !there {
			return path, nil
		}
		if n > mostBeside {
			return "", fileExists(name)
		}
		var err error
		if path, err = (ftp.Entry{Name: besides(name, n), Kind: ftp.File}).Path(parent); err != nil {
			return "", err
		}
	}
}
