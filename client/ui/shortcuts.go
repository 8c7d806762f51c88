package ui

import (
	"strings"

	"github.com/postern-mail/postern/client/view"
)

// Shortcuts is the sheet that lists the keys.
type Shortcuts struct{ App *view.App }

func keysOf(s string) []string { return strings.Fields(s) }
