package ui

import "github.com/postern-mail/postern/client/view"

// Root is the whole page.
type Root struct {
	App   *view.App
	Frame MessageFrame // shows HTML mail; nil shows its text alone
}
