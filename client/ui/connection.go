package ui

import "github.com/postern-mail/postern/client/view"

// Connection is the quiet chip that says how the page stands with the gateway.
type Connection struct{ App *view.App }
