package render

import (
	"strings"

	"github.com/vugu/vugu"
)

// rooted is an attribute's value with its path where the page is on its host. See Options.Rooted.
func rooted(a vugu.VGAttribute, at func(string) string) string {
	if at == nil || a.Key != "href" && a.Key != "src" || !strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "//") {
		return a.Val
	}
	return at(a.Val)
}
