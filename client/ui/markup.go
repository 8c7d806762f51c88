package ui

import (
	"slices"
	"strings"

	"github.com/vugu/vugu"
)

// piece is an element or a text of the components' markup: what of them never changes, see client/internal/compact.
type piece struct {
	namespace, name string // of an element
	text            string
	// Nodes share attributes: adding one copies.
	attributes []vugu.VGAttribute
	children   []piece
}

var (
	lines = strings.Split(markup, "\n")
	known = make([][]piece, len(lines)) // those that were shown already
)

// named are the characters that mean something in markup, or to Go around it.
var named = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#96;", "`", "&#10;", "\n", "&amp;", "&")

// pieces answers a line of the markup.
func pieces(number int) []piece {
	if known[number] == nil {
		known[number], _ = parse(lines[number])
	}
	return known[number]
}

// parse reads markup up to the end of the element that it stands in, and answers what follows.
//
// It is simpler than HTML: every element is closed, every attribute is quoted, and few characters have a name.
func parse(html string) (list []piece, rest string) {
	for html != "" {
		if text, _, _ := strings.Cut(html, "<"); text != "" {
			list = append(list, piece{text: named.Replace(text)})
			html = html[len(text):]
			continue
		}
		tag, inside, _ := strings.Cut(html[1:], ">")
		if tag[0] == '/' {
			return list, inside
		}
		var p piece
		p.name, tag, _ = strings.Cut(tag, " ")
		if space, name, ok := strings.Cut(p.name, ":"); ok {
			p.namespace, p.name = space, name
		}
		for tag != "" {
			var a vugu.VGAttribute
			a.Key, tag, _ = strings.Cut(tag, `="`)
			a.Val, tag, _ = strings.Cut(tag, `"`)
			a.Val = named.Replace(a.Val)
			tag = strings.TrimPrefix(tag, " ")
			p.attributes = append(p.attributes, a)
		}
		p.attributes = slices.Clip(p.attributes)
		p.children, html = parse(inside)
		list = append(list, p)
	}
	return list, ""
}

// node makes a node of a piece.
func (p *piece) node() *vugu.VGNode {
	if p.text != "" {
		return &vugu.VGNode{Type: vugu.TextNode, Data: p.text}
	}
	n := &vugu.VGNode{Type: vugu.ElementNode, Namespace: p.namespace, Data: p.name, Attr: p.attributes}
	for i := range p.children {
		n.AppendChild(p.children[i].node())
	}
	return n
}
