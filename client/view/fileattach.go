package view

import (
	"context"
	"slices"
	"strings"

	"github.com/postern-mail/postern/client/api"
)

// HasFiles says that there is a file server, or could be one by a click.
func (a *App) HasFiles() bool { return len(a.Sites) > 0 || len(a.Offered()) > 0 }

// AttachToNew begins a message with files of a server.
func (a *App) AttachToNew(site api.AccountID, list []api.File) {
	if !a.Composer.Open {
		a.Compose()
	}
	for _, x := range list {
		if x.Kind != api.KindFolder && x.Usable {
			a.Composer.attachFile(site, x)
		}
	}
}

// FromFiles asks for files of a server, and attaches them.
func (c *Composer) FromFiles() {
	message := c.Serial
	c.app.Picker.ask(PickFiles, "Attach from files", "Attach", "", "", func(site api.AccountID, _ api.FilePath, files []api.File) {
		if message != c.Serial || !c.Open {
			return
		}
		for _, x := range files {
			c.attachFile(site, x)
		}
		c.app.platform.Focus(`[data-testid="attach-from-files"]`)
	})
	c.app.Picker.back = `[data-testid="attach-from-files"]`
}

func (c *Composer) attachFile(site api.AccountID, x api.File) {
	c.serials++
	a := Attachment{DraftAttachment: api.DraftAttachment{Name: x.Name, Type: "application/octet-stream", Size: max(x.Size, 0)}, serial: c.serials, Uploading: true, From: SiteLabel(c.app.Site(site))}
	c.Attachments = append(c.Attachments, a)
	c.Wrong.Attachments = ""
	serial, message := a.serial, c.Serial
	r := api.AttachFile{FileRef: api.FileRef{Site: site, Path: x.Path}, Account: c.draft.Account}
	var kept api.DraftAttachment
	c.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		kept, err = svc.AttachFile(ctx, r)
		return err
	}, func(p *api.Problem) {
		if p != nil && p.Code == api.CodeCanceled { // in the tray
			c.Attachments = slices.DeleteFunc(slices.Clone(c.Attachments), func(x Attachment) bool { return message == c.Serial && x.serial == serial })
			return
		}
		c.settle(message, serial, func(a *Attachment) {
			if a.Uploading, a.Problem = false, p; p == nil {
				a.DraftAttachment = kept
				c.app.Voice.Say(a.Name + " is attached")
				return
			}
			c.app.Voice.Cry(a.Name + ": " + FileWords(p).Title)
		})
	})
}

// settle changes an attachment of the message that it was added to, if both are still there.
func (c *Composer) settle(message, serial int, change func(*Attachment)) {
	i := slices.IndexFunc(c.Attachments, func(x Attachment) bool { return x.serial == serial })
	if message != c.Serial || i < 0 {
		return
	}
	list := slices.Clone(c.Attachments)
	change(&list[i])
	c.Attachments = list
	c.touched()
}

// CanLink says that a file which is too large to be mailed can be put on a server, and a link to it into the message: one of this device,
// or one that is attached and with which the message is more than its mail server takes.
func (c *Composer) CanLink(a Attachment) bool {
	if !c.app.HasFiles() || a.Uploading {
		return false
	}
	if a.Problem != nil {
		return a.Problem.Code == api.CodeTooLarge && a.file != nil
	}
	return a.Blob != "" && c.TooMuch()
}

// link says which message an upload becomes a link in.
type link struct{ message, serial int }

// UploadInstead asks for a folder, puts the file there, and when it is there a link into the text.
func (c *Composer) UploadInstead(i int) {
	if i < 0 || i >= len(c.Attachments) || !c.CanLink(c.Attachments[i]) {
		return
	}
	a, message := &c.Attachments[i], c.Serial
	if a.serial == 0 { // of a draft that was opened
		c.serials++
		a.serial = c.serials
	}
	file, serial, draft, kept := a.file, a.serial, c.draft.Account, a.DraftAttachment
	c.app.Picker.ask(PickFolder, "Upload "+a.Name+" and link to it", "Upload here", "", "", func(site api.AccountID, folder api.FilePath, _ []api.File) {
		then := func(x api.Transfer) {
			c.app.Transfers.linked[x.ID] = link{message, serial}
			c.settle(message, serial, func(a *Attachment) { a.Problem, a.Uploading, a.Transfer = nil, true, x.ID })
		}
		c.app.platform.Focus(`[data-testid="compose-body"]`)
		if file != nil {
			c.app.Transfers.upload(site, folder, file, then, nil)
			return
		}
		r := api.SavePart{Part: api.PartRef{MessageRef: api.MessageRef{Account: draft}}, Attachment: &kept, Site: site, Folder: folder}
		c.app.Transfers.send(kept.Name, func(ctx context.Context, svc api.Service, exists api.Exists) (api.Transfer, error) {
			r.Exists = exists
			return svc.SavePart(ctx, r)
		}, api.ExistsAsk, then, nil)
	})
	c.app.Picker.back = `[data-testid="upload-instead"]`
}

// linkUp follows an upload that is to become a link.
func (t *Transfers) linkUp(x api.Transfer) {
	l, ok := t.linked[x.ID]
	if !ok {
		return
	}
	c := &t.app.Composer
	switch x.State {
	case api.TransferDone:
		delete(t.linked, x.ID)
		if l.message != c.Serial {
			t.app.Toasts.Show(Toast{Text: x.Name + " is uploaded", Action: "Copy the link", Do: func() { t.app.platform.Copy(x.URL) }})
			return
		}
		c.Attachments = slices.DeleteFunc(slices.Clone(c.Attachments), func(a Attachment) bool { return a.serial == l.serial })
		c.insertLink(x)
		t.app.Toasts.Say("The link to " + x.Name + " is in the message. It opens for those who can log in at the server.")
	case api.TransferFailed, "": // or it was canceled
		delete(t.linked, x.ID)
		c.settle(l.message, l.serial, func(a *Attachment) {
			a.Uploading, a.Transfer = false, 0
			if a.file == nil {
				return // it is still attached
			}
			a.Problem = &api.Problem{Code: api.CodeTooLarge, Detail: Size(LargestFile)}
			if x.Problem != nil {
				a.Problem.Technical = x.Problem.Error()
			}
		})
	}
}

// insertLink puts the address of a file into the text: below what is written, above what is quoted and the signature.
func (c *Composer) insertLink(x api.Transfer) {
	line := x.Name + " (" + Size(x.Size) + "): " + x.URL + "\n"
	at := len(c.Text)
	if i := strings.Index(c.Text, "\n-- \n"); i >= 0 {
		at = i
	}
	if c.tail != "" {
		if i := strings.LastIndex(c.Text, strings.TrimLeft(c.tail, "\n")); i >= 0 && i < at {
			at = i
		}
	}
	before, after := strings.TrimRight(c.Text[:at], "\n"), c.Text[at:]
	if before != "" {
		before += "\n\n"
	}
	if after != "" && after[0] != '\n' {
		line += "\n"
	}
	c.Text = before + line + after
	c.touched()
}

// SaveToFiles asks for a folder of a server, and puts an attachment of the message there.
func (r *Reader) SaveToFiles(index int) {
	if r.Message == nil {
		return
	}
	i := slices.IndexFunc(r.Message.Parts, func(p api.Part) bool { return p.Index == index })
	if i < 0 {
		return
	}
	part, ref := r.Message.Parts[i], api.PartRef{MessageRef: r.MessageRef, Index: index}
	r.app.Picker.ask(PickFolder, "Save "+part.Name+" to files", "Save here", "", "", func(site api.AccountID, folder api.FilePath, _ []api.File) {
		r.app.Transfers.send(part.Name, func(ctx context.Context, svc api.Service, exists api.Exists) (api.Transfer, error) {
			return svc.SavePart(ctx, api.SavePart{Part: ref, Site: site, Folder: folder, Exists: exists})
		}, api.ExistsAsk, func(api.Transfer) {}, nil)
		r.app.platform.Focus(saveToFiles(index))
	})
	r.app.Picker.back = saveToFiles(index)
}

func saveToFiles(index int) string {
	return `[data-testid="save-to-files"][data-index="` + idText(api.MessageID(index)) + `"]`
}
