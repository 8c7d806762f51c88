package ui

import (
	"strconv"

	"github.com/vugu/vugu"
	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Composer is the message being written: a sheet at the lower right, a page of its own where there is room for one.
type Composer struct {
	App *view.App

	placed bool // the caret has been put in its place
}

func (c *Composer) submit(e vugu.DOMEvent) {
	e.PreventDefault()
	c.App.Composer.Send()
}

func (c *Composer) growText() string {
	if c.App.Composer.Full {
		return "Make it small"
	}
	return "Make it large"
}

func (c *Composer) growIcon() string {
	if c.App.Composer.Full {
		return "shrink"
	}
	return "expand"
}

func (c *Composer) wrongCc() string {
	w := c.App.Composer.Wrong
	if w.Cc != "" {
		return w.Cc
	}
	return w.Bcc
}

func (c *Composer) from(value string) {
	if i, err := strconv.Atoi(value); err == nil {
		c.App.Composer.SetSender(i)
	}
}

// caret puts the caret above what is quoted.
func (c *Composer) caret(el js.Value) {
	if !c.placed {
		c.placed = true
		el.Call("setSelectionRange", 0, 0)
	}
}

func (c *Composer) attach(e vugu.DOMEvent) {
	input := e.JSEventTarget()
	c.take(input.Get("files"))
	input.Set("value", "") // so that the same file can be chosen again after it was taken away
}

func (c *Composer) take(files js.Value) {
	filesOf(files, func(name, mediaType string, data []byte) {
		c.App.Do(func() { c.App.Composer.Attach(name, mediaType, data) })
	}, func(name, mediaType string, size int64, file view.LocalFile) {
		c.App.Do(func() { c.App.Composer.TooLarge(name, mediaType, size, file) })
	})
}

// paste takes files from the clipboard; text goes where the caret is.
func (c *Composer) paste(e vugu.DOMEvent) {
	clip := e.JSEvent().Get("clipboardData")
	if clip.Truthy() && clip.Get("files").Length() > 0 {
		e.PreventDefault()
		c.take(clip.Get("files"))
	}
}

func (c *Composer) fileNote(a view.Attachment) string {
	switch {
	case a.Problem != nil:
		w := view.WordsFor(a.Problem)
		if a.From != "" || a.Problem.Code == api.CodeTooLarge {
			w = view.FileWords(a.Problem)
		}
		return w.Title + ". " + w.Means
	case a.Transfer != 0:
		if t, ok := c.App.Transfers.Of(a.Transfer); ok {
			return "To be linked to: " + c.App.Transfers.WordsOf(t).Text
		}
		return "Uploading…"
	case a.Uploading && a.From != "":
		return view.Size(a.Size) + ", from " + a.From + "…"
	case a.Uploading:
		return view.Size(a.Size) + ", reading…"
	}
	return view.Size(a.Size)
}
