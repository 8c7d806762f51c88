package ui

import "github.com/vugu/vugu"

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
