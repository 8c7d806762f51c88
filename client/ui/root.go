package ui

import (
	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/view"
)

// Root is the whole page.
type Root struct {
	App   *view.App
	Frame MessageFrame // shows HTML mail; nil shows its text alone

	keys js.Func
}

func (c *Root) ready() string { return boolText(c.App.Ready()) }

func (c *Root) pane() string { return string(c.App.Pane()) }

// listen hears keys wherever the focus is, also when it is on nothing.
func (c *Root) listen(js.Value) {
	if !c.keys.IsUndefined() {
		return
	}
	c.keys = js.FuncOf(func(_ js.Value, args []js.Value) any {
		e := args[0]
		if e.Get("defaultPrevented").Bool() || e.Get("isComposing").Bool() {
			return nil
		}
		meant := false
		c.App.Do(func() { meant = c.App.Key(readKey(e)) })
		if meant {
			e.Call("preventDefault")
		}
		return nil
	})
	js.Global().Get("document").Call("addEventListener", "keydown", c.keys)
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
