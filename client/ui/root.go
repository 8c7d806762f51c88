package ui

import "github.com/postern-mail/postern/client/view"

// Root is the whole page.
type Root struct {
	App   *view.App
	Frame MessageFrame // shows HTML mail; nil shows its text alone
}

func (c *Root) ready() string { return boolText(c.App.Ready()) }

func (c *Root) pane() string { return string(c.App.Pane()) }

// inert keeps the focus in the sheet before the page.
func inert(a *view.App) any {
	if a.Trust.Certificate != nil || a.Question.Asked() {
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
