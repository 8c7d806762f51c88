package engine

import (
	"context"

	"github.com/postern-mail/postern/client/api"
)

var errNotYet = &api.Problem{Code: api.CodeInternal, Technical: "not yet"}

func (*Engine) AddSite(context.Context, api.AddSite) (api.Site, error) {
	return api.Site{}, errNotYet
}

func (*Engine) RemoveSite(context.Context, api.AccountID) error { return errNotYet }

func (*Engine) ListFiles(context.Context, api.FilesQuery) (api.FilesPage, error) {
	return api.FilesPage{}, errNotYet
}

func (*Engine) MakeFolder(context.Context, api.MakeFolder) (api.File, error) {
	return api.File{}, errNotYet
}

func (*Engine) RenameFile(context.Context, api.RenameFile) (api.File, error) {
	return api.File{}, errNotYet
}

func (*Engine) DeleteFiles(context.Context, api.DeleteFiles) (api.Transfer, error) {
	return api.Transfer{}, errNotYet
}

func (*Engine) UndoDelete(context.Context, api.TransferID) error { return errNotYet }

func (*Engine) DownloadFile(context.Context, api.FileRef) (api.Transfer, error) {
	return api.Transfer{}, errNotYet
}

func (*Engine) UploadFile(context.Context, api.UploadFile) (api.Transfer, error) {
	return api.Transfer{}, errNotYet
}

func (*Engine) SavePart(context.Context, api.SavePart) (api.Transfer, error) {
	return api.Transfer{}, errNotYet
}

func (*Engine) AttachFile(context.Context, api.AttachFile) (api.DraftAttachment, error) {
	return api.DraftAttachment{}, errNotYet
}

func (*Engine) PauseTransfer(context.Context, api.TransferID) error { return errNotYet }

func (*Engine) ResumeTransfer(context.Context, api.ResumeTransfer) (api.Transfer, error) {
	return api.Transfer{}, errNotYet
}

func (*Engine) CancelTransfer(context.Context, api.TransferID) error { return errNotYet }

func (*Engine) ClearTransfers(context.Context, []api.TransferID) error { return errNotYet }

func (*Engine) TakenOver(context.Context, api.TransferID) error { return errNotYet }

func (*Engine) PutChunk(context.Context, api.PutChunk, []byte) (api.Wanted, error) {
	return api.Wanted{}, errNotYet
}

func (*Engine) ReadDownload(context.Context, api.ReadDownload) ([]byte, error) {
	return nil, errNotYet
}
