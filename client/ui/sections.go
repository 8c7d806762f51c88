package ui

import "github.com/postern-mail/postern/client/view"

// Sections are a form, or what stands between its head and its foot.
type Sections struct{ List []view.Section }
