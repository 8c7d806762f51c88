package render

import "github.com/vugu/vugu"

// document is what the comparison asks of a DOM. N is a handle of a node: a js.Value in the browser, a struct in tests.
//
// It is a type parameter rather than an interface value so that a handle is never boxed: a large list has tens of
// thousands of them.
type document[N any] interface {
	element(namespace, tag string) N
	text(data string) N
	comment(data string) N

	// setData replaces the characters of a text node or comment.
	setData(node N, data string)
	setAttribute(el N, a vugu.VGAttribute)
	removeAttribute(el N, a vugu.VGAttribute)
	// setContent replaces the children of el by a piece of HTML, or by one text node when it holds text alone.
	setContent(el N, html string)
	// setProperty assigns a JavaScript property. When live, it is one that a person can change: it is left alone when it
	// has that value already, and not touched (settled is false) while an input method is composing in el.
	setProperty(el N, p vugu.VGProperty, live bool) (settled bool)

	appendChild(parent, node N)
	// move puts node, which is new or elsewhere in parent, before next; at the end when last.
	move(parent, node, next N, last, isNew bool)
	remove(node N)

	// listen and unlisten keep one listener for a type and phase; what it runs is found in the mounted node.
	listen(el N, l listener)
	unlisten(el N, l listener)
	// bind makes el's events and live properties findable as id; unbind forgets it.
	bind(el N, id uint32)

	// hand gives an element to a component's vg-js-create or vg-js-populate code.
	hand(el N, h vugu.JSValueHandler)
}

// listener is a registration with addEventListener.
type listener struct {
	Type    string
	Capture bool
	Passive bool
}
