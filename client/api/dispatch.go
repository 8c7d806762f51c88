package api

import (
	"context"

	json "github.com/postern-mail/postern/client/internal/wirejson"
)

// dispatch makes the call that a frame asks for.
func dispatch(ctx context.Context, svc Service, f Frame) (out any, blob []byte, err error) {
	switch f.Method {
	case "Status":
		out, err = svc.Status(ctx)
	case "SignIn":
		out, err = ask(ctx, f, svc.SignIn)
	case "SignOut":
		err = tell(ctx, f, svc.SignOut)
	case "Discover":
		out, err = ask(ctx, f, svc.Discover)
	case "Settings":
		out, err = ask(ctx, f, svc.Settings)
	case "Configure":
		out, err = ask(ctx, f, svc.Configure)
	case "Trust":
		err = tell(ctx, f, svc.Trust)
	case "Unlock":
		err = tell(ctx, f, svc.Unlock)
	case "SetPassphrase":
		err = tell(ctx, f, svc.SetPassphrase)
	case "Wire":
		out, err = ask(ctx, f, svc.Wire)
	case "Queue":
		out, err = ask(ctx, f, svc.Queue)
	case "QueueItem":
		out, err = ask(ctx, f, svc.QueueItem)
	case "ChangeQueue":
		out, err = ask(ctx, f, svc.ChangeQueue)
	case "WatchQueue":
		out, err = ask(ctx, f, svc.WatchQueue)
	case "World":
		out, err = ask(ctx, f, svc.World)
	case "List":
		out, err = ask(ctx, f, svc.List)
	case "Message":
		out, err = ask(ctx, f, svc.Message)
	case "FetchRest":
		err = tell(ctx, f, svc.FetchRest)
	case "Source":
		blob, err = ask(ctx, f, svc.Source)
	case "Attachment":
		var r PartRef
		if err = decode(f, &r); err == nil {
			out, blob, err = svc.Attachment(ctx, r)
		}
	case "Mark":
		err = tell(ctx, f, svc.Mark)
	case "Move":
		err = tell(ctx, f, svc.Move)
	case "Erase":
		err = tell(ctx, f, svc.Erase)
	case "Upload":
		var r Upload
		if err = decode(f, &r); err == nil {
			out, err = svc.Upload(ctx, r, f.Blob)
		}
	case "Forwardable":
		out, err = ask(ctx, f, svc.Forwardable)
	case "OpenDraft":
		out, err = ask(ctx, f, svc.OpenDraft)
	case "SaveDraft":
		out, err = ask(ctx, f, svc.SaveDraft)
	case "Send":
		out, err = ask(ctx, f, svc.Send)
	case "Retry":
		err = tell(ctx, f, svc.Retry)
	case "Unsend":
		err = tell(ctx, f, svc.Unsend)
	case "AddSite":
		out, err = ask(ctx, f, svc.AddSite)
	case "RemoveSite":
		err = tell(ctx, f, svc.RemoveSite)
	case "ListFiles":
		out, err = ask(ctx, f, svc.ListFiles)
	case "MakeFolder":
		out, err = ask(ctx, f, svc.MakeFolder)
	case "RenameFile":
		out, err = ask(ctx, f, svc.RenameFile)
	case "DeleteFiles":
		out, err = ask(ctx, f, svc.DeleteFiles)
	case "UndoDelete":
		err = tell(ctx, f, svc.UndoDelete)
	case "DownloadFile":
		out, err = ask(ctx, f, svc.DownloadFile)
	case "UploadFile":
		out, err = ask(ctx, f, func(ctx context.Context, r UploadFile) (Transfer, error) { return svc.UploadFile(ctx, r, f.Blob) })
	case "PutChunk":
		var r PutChunk
		if err = decode(f, &r); err == nil {
			out, err = svc.PutChunk(ctx, r, f.Blob)
		}
	case "SavePart":
		out, err = ask(ctx, f, svc.SavePart)
	case "AttachFile":
		out, err = ask(ctx, f, svc.AttachFile)
	case "PauseTransfer":
		err = tell(ctx, f, svc.PauseTransfer)
	case "ResumeTransfer":
		out, err = ask(ctx, f, svc.ResumeTransfer)
	case "CancelTransfer":
		err = tell(ctx, f, svc.CancelTransfer)
	case "ClearTransfers":
		err = tell(ctx, f, svc.ClearTransfers)
	case "ReadDownload":
		blob, err = ask(ctx, f, svc.ReadDownload)
	case "TakenOver":
		err = tell(ctx, f, svc.TakenOver)
	case "SyncNow":
		err = tell(ctx, f, svc.SyncNow)
	case "Prepare":
		err = svc.Prepare(ctx)
	case "Admit":
		err = tell(ctx, f, svc.Admit)
	case "Reconnect":
		err = svc.Reconnect(ctx)
	default:
		err = &Problem{Code: CodeBadRequest, Technical: "no such method: " + clip(f.Method)}
	}
	return out, blob, err
}

func ask[In, Out any](ctx context.Context, f Frame, method func(context.Context, In) (Out, error)) (out Out, err error) {
	var in In
	if err := decode(f, &in); err != nil {
		return out, err
	}
	return method(ctx, in)
}

func tell[In any](ctx context.Context, f Frame, method func(context.Context, In) error) error {
	var in In
	if err := decode(f, &in); err != nil {
		return err
	}
	return method(ctx, in)
}

func decode(f Frame, in any) error {
	if err := json.Unmarshal(f.Body, in); err != nil {
		return &Problem{Code: CodeBadRequest, Technical: f.Method + ": " + err.Error()}
	}
	return nil
}

// clip shortens what a stranger chose, for a message.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
