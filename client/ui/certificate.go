package ui

import "github.com/postern-mail/postern/client/view"

// Certificate is the sheet about a certificate that is not believed.
type Certificate struct{ App *view.App }

func (c *Certificate) words() view.Words { return c.App.Trust.Words() }
