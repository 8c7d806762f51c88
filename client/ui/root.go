package ui

import "github.com/postern-mail/postern/client/view"

// Root is the whole page.
type Root struct {
	App   *view.App
	Frame MessageFrame // shows HTML mail; nil shows its text alone
}

func (c *Root) ready() string { return boolText(c.App.Ready()) }

func (c *Root) pane() string { return string(c.App.Pane()) }

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
