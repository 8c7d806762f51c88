package viewtest

import (
	"context"

	"github.com/postern-mail/postern/client/api"
)

// The calls of api.Service about files. There are none yet.
var errNoFiles = &api.Problem{Code: api.CodeInternal, Technical: "viewtest has no files"}

// AddSite implements api.Service.
func (*Service) AddSite(context.Context, api.AddSite) (api.Site, error) {
	return api.Site{}, errNoFiles
}

// RemoveSite implements api.Service.
func (*Service) RemoveSite(context.Context, api.AccountID) error { return errNoFiles }

// ListFiles implements api.Service.
func (*Service) ListFiles(context.Context, api.FilesQuery) (api.FilesPage, error) {
	return api.FilesPage{}, errNoFiles
}

// MakeFolder implements api.Service.
func (*Service) MakeFolder(context.Context, api.MakeFolder) (api.File, error) {
	return api.File{}, errNoFiles
}

// RenameFile implements api.Service.
func (*Service) RenameFile(context.Context, api.RenameFile) (api.File, error) {
	return api.File{}, errNoFiles
}

// DeleteFiles implements api.Service.
func (*Service) DeleteFiles(context.Context, api.DeleteFiles) (api.Transfer, error) {
	return api.Transfer{}, errNoFiles
}

// UndoDelete implements api.Service.
func (*Service) UndoDelete(context.Context, api.TransferID) error { return errNoFiles }

// DownloadFile implements api.Service.
func (*Service) DownloadFile(context.Context, api.FileRef) (api.Transfer, error) {
	return api.Transfer{}, errNoFiles
}

// UploadFile implements api.Service.
func (*Service) UploadFile(context.Context, api.UploadFile) (api.Transfer, error) {
	return api.Transfer{}, errNoFiles
}

// SavePart implements api.Service.
func (*Service) SavePart(context.Context, api.SavePart) (api.Transfer, error) {
	return api.Transfer{}, errNoFiles
}

// AttachFile implements api.Service.
func (*Service) AttachFile(context.Context, api.AttachFile) (api.DraftAttachment, error) {
	return api.DraftAttachment{}, errNoFiles
}

// PauseTransfer implements api.Service.
func (*Service) PauseTransfer(context.Context, api.TransferID) error { return errNoFiles }

// ResumeTransfer implements api.Service.
func (*Service) ResumeTransfer(context.Context, api.ResumeTransfer) (api.Transfer, error) {
	return api.Transfer{}, errNoFiles
}

// CancelTransfer implements api.Service.
func (*Service) CancelTransfer(context.Context, api.TransferID) error { return errNoFiles }

// ClearTransfers implements api.Service.
func (*Service) ClearTransfers(context.Context, []api.TransferID) error { return errNoFiles }

// TakenOver implements api.Service.
func (*Service) TakenOver(context.Context, api.TransferID) error { return errNoFiles }

// PutChunk implements api.Service.
func (*Service) PutChunk(context.Context, api.PutChunk, []byte) (api.Wanted, error) {
	return api.Wanted{}, errNoFiles
}

// ReadDownload implements api.Service.
func (*Service) ReadDownload(context.Context, api.ReadDownload) ([]byte, error) {
	return nil, errNoFiles
}
