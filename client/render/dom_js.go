package render

import (
	"strings"
	"syscall/js"

	"github.com/vugu/vugu"
	vjs "github.com/vugu/vugu/js"
)

// expando is the property of an element that holds its number in the tree.
const expando = "posternNode"

// Limits of the tables of strings that live on the JavaScript side. A string that crosses anew costs an encoding, an
// object and a finalizer, so names (and short values such as classes and roles) are kept. The tables stop growing at a
// size that no template reaches; a value that changes with every row is then passed as it is.
const (
	maxNames    = 1024
	maxValues   = 4096
	maxValueLen = 48
)

var namespaces = map[string]string{
	"svg":  "http://www.w3.org/2000/svg",
	"math": "http://www.w3.org/1998/Math/MathML",
}

const xlink = "http://www.w3.org/1999/xlink"

// jsDocument is the browser's DOM. Methods of it are called as bound functions: syscall/js would otherwise look the
// method up by a freshly decoded name at every call.
type jsDocument struct {
	doc js.Value

	createElement, createElementNS, createText, createComment js.Value
	setAttr, setAttrNS, removeAttr, removeAttrNS              js.Value
	append, insertBefore, moveBefore, detach                  js.Value
	parse                                                     js.Value
	null                                                      js.Value

	names, values map[string]js.Value

	rooted func(path string) string // nil: paths are as they are

	bubble, capture js.Func // the two listeners of all elements
	passiveOptions  [2]js.Value

	// composing is the element in which an input method is composing, or undefined.
	composing js.Value
	composed  [2]js.Func
}

var _ document[js.Value] = (*jsDocument)(nil)

// newDocument takes what an event runs, told the phase in which its listener was called, and what is to be done when an
// input method has finished.
func newDocument(dispatch func(event js.Value, capture bool), composed func()) *jsDocument {
	g := js.Global()
	call := g.Get("Function").Get("prototype").Get("call")
	method := func(class, name string) js.Value {
		m := g.Get(class).Get("prototype").Get(name)
		if m.Type() != js.TypeFunction {
			return js.Undefined()
		}
		return call.Call("bind", m)
	}
	d := &jsDocument{
		doc:          g.Get("document"),
		setAttr:      method("Element", "setAttribute"),
		setAttrNS:    method("Element", "setAttributeNS"),
		removeAttr:   method("Element", "removeAttribute"),
		removeAttrNS: method("Element", "removeAttributeNS"),
		append:       method("Node", "appendChild"),
		insertBefore: method("Node", "insertBefore"),
		moveBefore:   method("Element", "moveBefore"),
		detach:       method("Node", "removeChild"),
		parse:        g.Get("JSON").Get("parse"),
		null:         js.Null(),
		names:        map[string]js.Value{},
		values:       map[string]js.Value{},
		composing:    js.Undefined(),
	}
	bind := func(name string) js.Value { return d.doc.Get(name).Call("bind", d.doc) }
	d.createElement, d.createElementNS = bind("createElement"), bind("createElementNS")
	d.createText, d.createComment = bind("createTextNode"), bind("createComment")

	d.bubble = js.FuncOf(func(_ js.Value, a []js.Value) any { dispatch(a[0], false); return nil })
	d.capture = js.FuncOf(func(_ js.Value, a []js.Value) any { dispatch(a[0], true); return nil })
	for i := range d.passiveOptions {
		d.passiveOptions[i] = js.ValueOf(map[string]any{"passive": true, "capture": i == 1})
	}
	d.composed[0] = js.FuncOf(func(_ js.Value, a []js.Value) any { d.composing = a[0].Get("target"); return nil })
	d.composed[1] = js.FuncOf(func(js.Value, []js.Value) any { d.composing = js.Undefined(); composed(); return nil })
	d.doc.Call("addEventListener", "compositionstart", d.composed[0], true)
	d.doc.Call("addEventListener", "compositionend", d.composed[1], true)
	return d
}

// close takes the document's own listeners off.
func (d *jsDocument) close() {
	d.doc.Call("removeEventListener", "compositionstart", d.composed[0], true)
	d.doc.Call("removeEventListener", "compositionend", d.composed[1], true)
	for _, f := range []js.Func{d.bubble, d.capture, d.composed[0], d.composed[1]} {
		f.Release()
	}
}

func (d *jsDocument) name(s string) js.Value { return interned(d.names, s, maxNames) }

func (d *jsDocument) short(s string) js.Value {
	if len(s) > maxValueLen {
		return js.ValueOf(s)
	}
	return interned(d.values, s, maxValues)
}

func interned(table map[string]js.Value, s string, limit int) js.Value {
	if v, ok := table[s]; ok {
		return v
	}
	v := js.ValueOf(s)
	if len(table) < limit {
		table[strings.Clone(s)] = v
	}
	return v
}

func (d *jsDocument) element(namespace, tag string) js.Value {
	if uri := namespaces[namespace]; uri != "" {
		return d.createElementNS.Invoke(d.name(uri), d.name(tag))
	}
	return d.createElement.Invoke(d.name(tag))
}

func (d *jsDocument) text(data string) js.Value    { return d.createText.Invoke(d.short(data)) }
func (d *jsDocument) comment(data string) js.Value { return d.createComment.Invoke(data) }

func (d *jsDocument) setData(node js.Value, data string) { node.Set("data", data) }

func (d *jsDocument) setAttribute(el js.Value, a vugu.VGAttribute) {
	if a.Namespace == "xlink" {
		d.setAttrNS.Invoke(el, d.name(xlink), d.name("xlink:"+a.Key), d.short(a.Val))
		return
	}
	if a.Key == "style" {
		// A policy without unsafe-inline forbids the attribute, and allows the same declarations this way.
		el.Get("style").Set("cssText", a.Val)
		return
	}
	d.setAttr.Invoke(el, d.name(a.Key), d.short(rooted(a, d.rooted)))
}

func (d *jsDocument) removeAttribute(el js.Value, a vugu.VGAttribute) {
	if a.Namespace == "xlink" {
		d.removeAttrNS.Invoke(el, d.name(xlink), d.name(a.Key))
		return
	}
	d.removeAttr.Invoke(el, d.name(a.Key))
}

func (d *jsDocument) setContent(el js.Value, html string) {
	if s, ok := plain(html); ok {
		el.Set("textContent", s)
		return
	}
	el.Set("innerHTML", html)
}

func (d *jsDocument) setProperty(el js.Value, p vugu.VGProperty, live bool) bool {
	want := d.value(p.JSONVal)
	if !live {
		el.Set(p.Key, want)
		return true
	}
	if d.composing.Equal(el) {
		return false
	}
	if el.Get(p.Key).Equal(want) {
		return true
	}
	if p.Key != "value" || !d.doc.Get("activeElement").Equal(el) {
		el.Set(p.Key, want)
		return true
	}
	// The person is writing here: the caret stays where it was as far as there still is text.
	start, end := el.Get("selectionStart"), el.Get("selectionEnd")
	el.Set(p.Key, want)
	if start.Type() == js.TypeNumber && end.Type() == js.TypeNumber {
		el.Call("setSelectionRange", start, end)
	}
	return true
}

// value is the JavaScript value of a JSON expression.
func (d *jsDocument) value(json []byte) js.Value {
	switch s := string(json); {
	case s == "true":
		return js.ValueOf(true)
	case s == "false":
		return js.ValueOf(false)
	case len(s) >= 2 && s[0] == '"' && !strings.ContainsRune(s, '\\'):
		return js.ValueOf(s[1 : len(s)-1])
	default:
		return d.parse.Invoke(s)
	}
}

func (d *jsDocument) appendChild(parent, node js.Value) { d.append.Invoke(parent, node) }

// move uses moveBefore where the browser has it: a node moved so keeps focus, scroll position, running transitions and
// loaded frames. Elsewhere focus is given back by hand.
func (d *jsDocument) move(parent, node, next js.Value, last, isNew bool) {
	if last {
		next = d.null
	}
	switch {
	case isNew:
		d.insertBefore.Invoke(parent, node, next)
	case !d.moveBefore.IsUndefined() && parent.Get("isConnected").Bool():
		d.moveBefore.Invoke(parent, node, next)
	default:
		active := d.doc.Get("activeElement")
		held := active.Truthy() && node.Call("contains", active).Bool()
		d.insertBefore.Invoke(parent, node, next)
		if held {
			active.Call("focus", map[string]any{"preventScroll": true})
		}
	}
}

func (d *jsDocument) remove(node js.Value) {
	if p := node.Get("parentNode"); p.Truthy() { // something else (an extension) may have taken it out
		d.detach.Invoke(p, node)
	}
}

func (d *jsDocument) listen(el js.Value, l listener)   { d.register("addEventListener", el, l) }
func (d *jsDocument) unlisten(el js.Value, l listener) { d.register("removeEventListener", el, l) }

func (d *jsDocument) register(method string, el js.Value, l listener) {
	f, phase := d.bubble, 0
	if l.Capture {
		f, phase = d.capture, 1
	}
	if l.Passive {
		el.Call(method, d.name(l.Type), f, d.passiveOptions[phase])
		return
	}
	el.Call(method, d.name(l.Type), f, l.Capture)
}

func (d *jsDocument) bind(el js.Value, id uint32) { el.Set(expando, id) }

// identity reads the number that bind gave, 0 for none.
func identity(el js.Value) uint32 {
	if el.Type() != js.TypeObject && el.Type() != js.TypeFunction {
		return 0
	}
	if v := el.Get(expando); v.Type() == js.TypeNumber {
		return uint32(v.Float())
	}
	return 0
}

func (d *jsDocument) hand(el js.Value, h vugu.JSValueHandler) { h.JSValueHandle(vjs.Value(el)) }
