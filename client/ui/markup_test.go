package ui

import (
	"strings"
	"testing"

	"github.com/vugu/vugu"
)

func TestMarkup(t *testing.T) {
	for _, html := range []string{
		`just words &amp; &quot;more&quot;&#10;&#96;&lt;b&gt;&#96; &amp;amp;`,
		`<p></p>`,
		`<p class="a b" hidden=""></p>`,
		`one <b>two</b> three<i></i> `,
		`<svg:svg class="icon"><svg:use href="/icons.svg#a"></svg:use></svg:svg>`,
		`<a title="it's &quot;0&quot; &lt; 1 &amp; 2 &gt; 1"><b><i>deep</i></b></a><a></a>`,
	} {
		list, rest := parse(html)
		parent := &vugu.VGNode{}
		for _, p := range list {
			parent.AppendChild(p.node())
		}
		if got := written(parent); got != html || rest != "" {
			t.Errorf("%s is read as %s, and then %q", html, got, rest)
		}
	}
}

// Every line of the generated markup says what it was read as.
func TestAllMarkup(t *testing.T) {
	for i, html := range lines {
		parent := &vugu.VGNode{}
		fixed(parent, i)
		if got := written(parent); got != html {
			t.Errorf("line %d: %s is read as %s", i, html, got)
		}
	}
}

var escaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "`", "&#96;", "\n", "&#10;")

// written writes what is below n as markup.
func written(n *vugu.VGNode) string {
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == vugu.TextNode {
			b.WriteString(escaped.Replace(c.Data))
			continue
		}
		name := c.Data
		if c.Namespace != "" {
			name = c.Namespace + ":" + name
		}
		b.WriteString("<" + name)
		for _, a := range c.Attr {
			b.WriteString(" " + a.Key + `="` + escaped.Replace(a.Val) + `"`)
		}
		b.WriteString(">" + written(c) + "</" + name + ">")
	}
	return b.String()
}
