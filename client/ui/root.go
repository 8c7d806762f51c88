package ui

import (
	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/view"
)

// Root is the whole page.
type Root struct {
	App   *view.App
	Frame MessageFrame // shows HTML mail; nil shows its text alone
}

func (c *Root) ready() string { return boolText(c.App.Ready()) }

// guard has the browser ask before it leaves settings that are not saved, or uploads of which this page has the files. What is written is in Drafts.
func (c *Root) guard(js.Value) {
	js.Global().Call("addEventListener", "beforeunload", js.FuncOf(func(_ js.Value, args []js.Value) any {
		if len(args) > 0 && (c.App.AccountForm.Changed() || c.App.Transfers.NeedsPage()) {
			args[0].Call("preventDefault")
		}
		return nil
	}))
}

func (c *Root) clash() bool { name, _ := c.App.Transfers.Clash(); return name != "" }

func (c *Root) pane() string { return string(c.App.Pane()) }

// inert keeps the focus in the sheet before the page.
func inert(a *view.App) any {
	if clash, _ := a.Transfers.Clash(); a.Trust.Certificate != nil || a.Question.Asked() || a.Picker.Asked || clash != "" {
		return ""
	}
	return nil
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
