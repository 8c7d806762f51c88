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

// rootedHTML is the same for a piece of a template that does not change, of which vugu makes one string. In text that comes
// from elsewhere the quotes are escaped.
func rootedHTML(html string, at func(string) string) string {
	if at == nil || !strings.Contains(html, `="/`) {
		return html
	}
	for _, attribute := range []string{` href="`, ` src="`} {
		parts := strings.Split(html, attribute)
		for i, p := range parts[1:] {
			if path, rest, ok := strings.Cut(p, `"`); ok && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
				parts[i+1] = at(path) + `"` + rest
			}
		}
		html = strings.Join(parts, attribute)
	}
	return html
}
