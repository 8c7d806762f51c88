package ui

import (
	"github.com/vugu/vugu"
	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/view"
)

// Composer is the message being written: a sheet at the lower right, a page of its own where there is room for one.
type Composer struct{ App *view.App }

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

// caret puts the caret above what is quoted.
func (c *Composer) caret(el js.Value) { el.Call("setSelectionRange", 0, 0) }

func (c *Composer) attach(e vugu.DOMEvent) {
	input := e.JSEventTarget()
	c.take(input.Get("files"))
	input.Set("value", "") // so that the same file can be chosen again after it was taken away
}

func (c *Composer) take(files js.Value) {
	filesOf(files, func(name, mediaType string, data []byte) {
		c.App.Do(func() { c.App.Composer.Attach(name, mediaType, data) })
	})
}

// drop takes files that are dropped on the sheet or pasted into it.
func (c *Composer) drop(el js.Value) {
	hasFiles := func(e js.Value, from string) bool {
		t := e.Get(from)
		return t.Truthy() && t.Get("files").Truthy() && (from == "clipboardData" && t.Get("files").Length() > 0 ||
			from == "dataTransfer" && t.Get("types").Call("includes", "Files").Bool())
	}
	on := func(name, from string, fn func(e js.Value)) {
		el.Call("addEventListener", name, js.FuncOf(func(_ js.Value, args []js.Value) any {
			if hasFiles(args[0], from) {
				args[0].Call("preventDefault")
				fn(args[0])
			}
			return nil
		}))
	}
	mark := func(b bool) { el.Get("classList").Call("toggle", "composer-drop", b) }
	on("dragover", "dataTransfer", func(js.Value) { mark(true) })
	on("dragleave", "dataTransfer", func(js.Value) { mark(false) })
	on("drop", "dataTransfer", func(e js.Value) { mark(false); c.take(e.Get("dataTransfer").Get("files")) })
	on("paste", "clipboardData", func(e js.Value) { c.take(e.Get("clipboardData").Get("files")) })
}

func fileNote(a view.Attachment) string {
	switch {
	case a.Problem != nil:
		return view.WordsFor(a.Problem).Title
	case a.Uploading:
		return view.Size(a.Size) + ", reading…"
	}
	return view.Size(a.Size)
}
