package view

import (
	"context"
	"slices"

	"github.com/postern-mail/postern/client/api"
)

// LargestFile bounds an attachment before the engine is asked: what mail servers commonly take is 25 MB, a third of it
// lost to base64.
const LargestFile = 25 << 20

// Attach adds a file to the message being written; the engine keeps its bytes.
func (c *Composer) Attach(name, mediaType string, data []byte) {
	if !c.Open {
		return
	}
	if mediaType == "" {
		mediaType = "application/octet-stream"
	}
	if len(data) > LargestFile {
		c.TooLarge(name, mediaType, int64(len(data)), nil)
		return
	}
	c.serials++
	x := Attachment{DraftAttachment: api.DraftAttachment{Name: name, Type: mediaType, Size: int64(len(data))}, serial: c.serials, Uploading: true}
	c.Attachments = append(c.Attachments, x)
	c.Wrong.Attachments = ""
	serial, message := x.serial, c.Serial
	up := api.Upload{Account: c.draft.Account, Name: name, Type: mediaType}
	var kept api.DraftAttachment
	c.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		kept, err = svc.Upload(ctx, up, data)
		return err
	}, func(p *api.Problem) {
		i := slices.IndexFunc(c.Attachments, func(x Attachment) bool { return x.serial == serial })
		if message != c.Serial || i < 0 {
			return
		}
		list := slices.Clone(c.Attachments)
		list[i].Uploading, list[i].Problem = false, p
		if p == nil {
			list[i].DraftAttachment = kept
		}
		c.Attachments = list
		c.touched()
	})
}

// TooLarge says of a file that it cannot be attached. Files over LargestFile are not even read: there may be no memory
// for them. The file itself, if it is there, can be put on a file server instead.
func (c *Composer) TooLarge(name, mediaType string, size int64, file LocalFile) {
	if !c.Open {
		return
	}
	c.serials++
	c.Attachments = append(c.Attachments, Attachment{
		DraftAttachment: api.DraftAttachment{Name: name, Type: mediaType, Size: size}, serial: c.serials, file: file,
		Problem: &api.Problem{Code: api.CodeTooLarge, Detail: Size(LargestFile)},
	})
	c.app.Voice.Cry(name + " is too large")
}

// Unattach takes a file away again.
func (c *Composer) Unattach(i int) {
	if i < 0 || i >= len(c.Attachments) {
		return
	}
	c.Attachments = slices.Delete(slices.Clone(c.Attachments), i, i+1)
	c.app.platform.Focus(`[data-testid="compose-attach"]`)
	c.touched()
}

// AttachedSize is what all files are together.
func (c *Composer) AttachedSize() (n int64) {
	for _, x := range c.Attachments {
		n += x.Size
	}
	return n
}

// TooMuch says that the message would be larger than its mail server takes, as far as that has told, or than any message may be.
func (c *Composer) TooMuch() bool { return c.limit() > 0 }

// limit is what a message may be which this one would exceed; 0: it would not.
func (c *Composer) limit() int64 {
	var n int64
	for _, x := range c.Attachments {
		if x.kept() && x.Transfer == 0 {
			n += x.Size
		}
	}
	most := c.app.AccountOf(c.draft.Account).LargestMail
	switch {
	case n > 0 && most > 0 && api.MailSize(n, int64(len(c.Text))) > most:
		return most
	case n > LargestFile:
		return LargestFile
	}
	return 0
}

// SizeNote is what all files are together, and whether that is too much.
func (c *Composer) SizeNote() string {
	s := Size(c.AttachedSize()) + " in all"
	if most := c.limit(); most > 0 {
		s += ", too much for a mail of at most " + Size(most)
	}
	return s
}

// takeAttachments carries the files of a message that is forwarded.
func (c *Composer) takeAttachments(ref api.MessageRef) {
	message := c.Serial
	var files []api.DraftAttachment
	c.app.ask(func(ctx context.Context, svc api.Service) (err error) {
		files, err = svc.Forwardable(ctx, ref)
		return err
	}, func(p *api.Problem) {
		if message != c.Serial {
			return
		}
		if p != nil {
			c.Problem = p
			return
		}
		list := slices.DeleteFunc(slices.Clone(c.Attachments), func(x Attachment) bool { return x.Uploading && x.serial == 0 })
		for _, f := range files {
			list = append(list, Attachment{DraftAttachment: f})
		}
		c.Attachments = list
		c.saved = c.print()
	})
}
