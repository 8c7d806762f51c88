package render

import "strings"

var unescape = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&#34;", `"`, "&#39;", "'")

// plain gives the text of a piece of HTML that is text alone, as vg-content makes it: a text node needs no HTML parser.
func plain(html string) (string, bool) {
	if !strings.ContainsAny(html, "<&") {
		return html, true
	}
	if strings.IndexByte(html, '<') >= 0 {
		return "", false
	}
	for s := html; ; {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			return unescape.Replace(html), true
		}
		s = s[i:]
		switch {
		case strings.HasPrefix(s, "&lt;"), strings.HasPrefix(s, "&gt;"), strings.HasPrefix(s, "&amp;"),
			strings.HasPrefix(s, "&#34;"), strings.HasPrefix(s, "&#39;"):
			s = s[1:]
		default:
			return "", false // some other entity: the browser's parser knows it
		}
	}
}
