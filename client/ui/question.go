package ui

import "github.com/postern-mail/postern/client/view"

// Question is the sheet before something that nobody can take back.
type Question struct{ App *view.App }
