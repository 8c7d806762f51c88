package ui

import (
	"strconv"

	"github.com/vugu/vugu"
)

// What the generated code calls for every node (see client/internal/compact). Not inlined: that they are calls is what
// makes the page small.

// root adds markup, which is one element, to what a component shows.
//
//go:noinline
func root(out *vugu.BuildOut, number int) *vugu.VGNode {
	n := pieces(number)[0].node()
	out.Out = append(out.Out, n)
	return n
}

// element adds markup, which is one element, to parent.
//
//go:noinline
func element(parent *vugu.VGNode, number int) *vugu.VGNode {
	n := pieces(number)[0].node()
	parent.AppendChild(n)
	return n
}

// fixed adds markup of which nothing will be set to parent.
//
//go:noinline
func fixed(parent *vugu.VGNode, number int) {
	for _, p := range pieces(number) {
		parent.AppendChild(p.node())
	}
}

// component adds a component to parent, or to what the component around it shows: the one that was there at the last
// rendering, or a new one.
//
//go:noinline
func component(in *vugu.BuildIn, out *vugu.BuildOut, parent *vugu.VGNode, id uint64, key any, made func() vugu.Builder) vugu.Builder {
	k := vugu.MakeCompKey(id^in.CurrentPositionHash(), key)
	c := in.BuildEnv.CachedComponent(k)
	if c == nil {
		c = made()
		in.BuildEnv.WireComponent(c)
	}
	in.BuildEnv.UseComponent(k, c)
	out.Components = append(out.Components, c)
	n := &vugu.VGNode{Component: c}
	if parent == nil {
		out.Out = append(out.Out, n)
	} else {
		parent.AppendChild(n)
	}
	return c
}

// on makes n answer an event.
//
//go:noinline
func on(n *vugu.VGNode, event string, handle func(vugu.DOMEvent)) {
	n.DOMEventHandlerSpecList = append(n.DOMEventHandlerSpecList, vugu.DOMEventHandlerSpec{EventType: event, Func: handle})
}

//go:noinline
func onClick(n *vugu.VGNode, handle func(vugu.DOMEvent)) { on(n, "click", handle) }

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
