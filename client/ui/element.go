package ui

import (
	"strconv"

	"github.com/vugu/vugu"
)

// What the generated code calls for every node (see client/internal/compact). Not inlined: that they are calls is what
// makes the page small.

// element adds an element to parent. Attributes may be a table that other elements share.
//
//go:noinline
func element(parent *vugu.VGNode, namespace, name string, attributes []vugu.VGAttribute) *vugu.VGNode {
	n := &vugu.VGNode{Type: vugu.ElementNode, Namespace: namespace, Data: name, Attr: attributes}
	parent.AppendChild(n)
	return n
}

// words adds a text to parent.
//
//go:noinline
func words(parent *vugu.VGNode, text string) *vugu.VGNode {
	n := &vugu.VGNode{Type: vugu.TextNode, Data: text}
	parent.AppendChild(n)
	return n
}

// on makes n answer an event.
//
//go:noinline
func on(n *vugu.VGNode, event string, handle func(vugu.DOMEvent)) {
	n.DOMEventHandlerSpecList = append(n.DOMEventHandlerSpecList, vugu.DOMEventHandlerSpec{EventType: event, Func: handle})
}

// markup makes html, a constant of a component, n's content.
//
//go:noinline
func markup(n *vugu.VGNode, html string) { n.InnerHTML = &html }

// property sets a property of n's element to a string, a bool or an int.
//
//go:noinline
func property(n *vugu.VGNode, key string, value any) {
	var json []byte
	switch v := value.(type) {
	case string:
		json = quoted(v)
	case bool:
		json = strconv.AppendBool(nil, v)
	case int:
		json = strconv.AppendInt(nil, int64(v), 10)
	default:
		panic("ui: property " + key + " is neither string nor bool nor int")
	}
	n.Prop = append(n.Prop, vugu.VGProperty{Key: key, JSONVal: json})
}

// quoted is s as JSON, RFC 8259 section 7. Octets that are no UTF-8 become U+FFFD when the browser decodes them.
func quoted(s string) []byte {
	const hex = "0123456789abcdef"
	json := make([]byte, 0, len(s)+2)
	json = append(json, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			json = append(json, '\\', c)
		case c < 0x20:
			json = append(json, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			json = append(json, c)
		}
	}
	return append(json, '"')
}
