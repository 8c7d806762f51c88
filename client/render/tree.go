package render

import (
	"github.com/vugu/vugu"
)

// mounted is a node that stands in the DOM, with the build's node that it was made from.
type mounted[N any] struct {
	built *vugu.VGNode
	attrs []vugu.VGAttribute // built.Attr, each name once
	owner any                // the component that the node stands for, nil for none
	node  N
	kids  []*mounted[N]
	live  bool   // has a property that a person can change
	id    uint32 // 0 unless it listens or has a live property

	// touched says that the application has seen an input event of this element since the last render, so that its
	// answer counts even when the model's value is what it was.
	touched bool
}

// tree is what stands below a mount point. Its methods are not safe for use from several goroutines.
type tree[N any] struct {
	dom   document[N]
	mount N
	kids  []*mounted[N]

	byID map[uint32]*mounted[N]
	free []uint32 // numbers of removed nodes, used again
	last uint32

	// writes counts changes of children and attributes, so that a select knows whether its options changed.
	writes int

	rendered []any // components of this pass that want to know when they stand in the DOM
	build    *vugu.BuildResults
}

func newTree[N any](dom document[N], mount N) *tree[N] {
	return &tree[N]{dom: dom, mount: mount, byID: map[uint32]*mounted[N]{}}
}

// render makes the DOM below the mount point what br says.
func (t *tree[N]) render(br *vugu.BuildResults) {
	t.build = br
	t.rendered = t.rendered[:0]
	var want []ref
	for _, n := range br.Out.Out {
		want = t.resolve(want, n)
	}
	t.kids = t.children(t.mount, t.kids, want)
	t.build = nil
}

// reset forgets everything that was rendered, and what a render that panicked left. The DOM nodes are the caller's to
// remove. Numbers are not used again, because those nodes still bear them.
func (t *tree[N]) reset() {
	t.kids, t.free = nil, nil
	t.byID = map[uint32]*mounted[N]{}
}

// ref is a node that a build wants, templates and components resolved.
type ref struct {
	node  *vugu.VGNode
	owner any
}

// resolve appends the real nodes that n stands for. A component that gives exactly one node owns it, and of components
// nested directly in each other the outermost does, because that is the one that a vg-key in a list names.
func (t *tree[N]) resolve(out []ref, n *vugu.VGNode) []ref {
	switch {
	case n.Component != nil:
		switch n.Component.(type) {
		case renderedPlain, renderedContext:
			t.rendered = append(t.rendered, n.Component)
		}
		b := t.build.ResultFor(n.Component)
		if b == nil {
			return out
		}
		from := len(out)
		for _, o := range b.Out {
			out = t.resolve(out, o)
		}
		if len(out) == from+1 {
			out[from].owner = n.Component
		}
	case n.IsTemplate():
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			out = t.resolve(out, c)
		}
	default:
		out = append(out, ref{node: n})
	}
	return out
}

func (t *tree[N]) wanted(n *vugu.VGNode) []ref {
	if n.FirstChild == nil {
		return nil
	}
	count := 0
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		count++
	}
	out := make([]ref, 0, count)
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		out = t.resolve(out, c)
	}
	return out
}

func (t *tree[N]) create(w ref) *mounted[N] {
	n := w.node
	m := &mounted[N]{built: n, owner: w.owner}
	switch n.Type {
	case vugu.TextNode:
		m.node = t.dom.text(n.Data)
		return m
	case vugu.ElementNode:
	default: // a comment; nothing else occurs below a component's root
		m.node = t.dom.comment(n.Data)
		return m
	}
	m.node = t.dom.element(n.Namespace, n.Data)
	m.attrs = once(n.Attr)
	for _, a := range m.attrs {
		t.dom.setAttribute(m.node, a)
	}
	t.relisten(m, nil, n.DOMEventHandlerSpecList)
	if n.JSCreateHandler != nil {
		t.dom.hand(m.node, n.JSCreateHandler)
	}
	if n.InnerHTML != nil {
		if *n.InnerHTML != "" {
			t.dom.setContent(m.node, *n.InnerHTML)
		}
	} else {
		want := t.wanted(n)
		if len(want) > 0 {
			m.kids = make([]*mounted[N], len(want))
			for i, c := range want {
				m.kids[i] = t.create(c)
				t.dom.appendChild(m.node, m.kids[i].node)
			}
		}
	}
	// Properties come after the children: a select has no value before it has options.
	for _, p := range n.Prop {
		live := isLive(p.Key)
		if live && !m.live {
			m.live = true
			t.identify(m)
		}
		t.dom.setProperty(m.node, p, live)
	}
	if n.JSPopulateHandler != nil {
		t.dom.hand(m.node, n.JSPopulateHandler)
	}
	return m
}

// patch makes m, which is of the same kind, what w says.
func (t *tree[N]) patch(m *mounted[N], w ref) {
	old, n := m.built, w.node
	m.built, m.owner = n, w.owner
	if n.Type != vugu.ElementNode {
		if old.Data != n.Data {
			t.writes++
			t.dom.setData(m.node, n.Data)
		}
		return
	}
	if !sameAttributes(old.Attr, n.Attr) {
		attrs := once(n.Attr)
		t.attributes(m.node, m.attrs, attrs)
		m.attrs = attrs
	} else if len(m.attrs) == len(n.Attr) {
		m.attrs = n.Attr // let go of the build before
	}
	t.relisten(m, old.DOMEventHandlerSpecList, n.DOMEventHandlerSpecList)
	writes := t.writes
	switch {
	case n.InnerHTML != nil:
		if old.InnerHTML == nil {
			t.releaseAll(m.kids)
			m.kids = nil
		}
		if old.InnerHTML == nil || *old.InnerHTML != *n.InnerHTML {
			t.writes++
			t.dom.setContent(m.node, *n.InnerHTML)
		}
	default:
		if old.InnerHTML != nil {
			t.dom.setContent(m.node, "")
		}
		if m.kids != nil || n.FirstChild != nil {
			m.kids = t.children(m.node, m.kids, t.wanted(n))
		}
	}
	settled := true
	reselect := n.Data == "select" && t.writes != writes // a browser selects for itself when options change
	for i, p := range n.Prop {
		live := isLive(p.Key)
		if string(old.Prop[i].JSONVal) != string(p.JSONVal) || live && (m.touched || reselect) {
			settled = t.dom.setProperty(m.node, p, live) && settled
		}
	}
	m.touched = !settled
	if n.JSPopulateHandler != nil {
		t.dom.hand(m.node, n.JSPopulateHandler)
	}
}

func (t *tree[N]) attributes(el N, old, now []vugu.VGAttribute) {
	t.writes++
	for _, a := range now {
		if i := find(old, a); i < 0 || old[i].Val != a.Val {
			t.dom.setAttribute(el, a)
		}
	}
	for _, a := range old {
		if find(now, a) < 0 {
			t.dom.removeAttribute(el, a)
		}
	}
}

// relisten brings the registrations from those that old needs to those that now needs. What a registration runs is read
// from the mounted node when the event comes, so that a new closure in each build costs nothing.
func (t *tree[N]) relisten(m *mounted[N], old, now []vugu.DOMEventHandlerSpec) {
	if len(now) == 0 && len(old) == 0 || sameSpecs(old, now) {
		return
	}
	before, after := listeners(old), listeners(now)
	for _, l := range before {
		if !contains(after, l) {
			t.dom.unlisten(m.node, l)
		}
	}
	for _, l := range after {
		if !contains(before, l) {
			t.identify(m)
			t.dom.listen(m.node, l)
		}
	}
}

// identify gives m a number by which an event finds it.
func (t *tree[N]) identify(m *mounted[N]) {
	if m.id != 0 {
		return
	}
	if n := len(t.free); n > 0 {
		m.id, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.last++
		m.id = t.last
	}
	t.byID[m.id] = m
	t.dom.bind(m.node, m.id)
}

// release forgets a node and all below it, so that no event of theirs finds a handler any more. It comes before the
// removal from the DOM, which can fire events (blur).
func (t *tree[N]) release(m *mounted[N]) {
	if m.id != 0 {
		delete(t.byID, m.id)
		t.dom.bind(m.node, 0)
		t.free = append(t.free, m.id)
		m.id = 0
	}
	t.releaseAll(m.kids)
}

func (t *tree[N]) releaseAll(kids []*mounted[N]) {
	for _, k := range kids {
		t.release(k)
	}
}

// handlers lists what an event of the element with that number runs.
func (t *tree[N]) handlers(id uint32, eventType string, capture bool) []func(vugu.DOMEvent) {
	m := t.byID[id]
	if m == nil {
		return nil
	}
	var fs []func(vugu.DOMEvent)
	for i := range m.built.DOMEventHandlerSpecList {
		if s := &m.built.DOMEventHandlerSpecList[i]; s.EventType == eventType && s.Capture == capture && s.Func != nil {
			fs = append(fs, s.Func)
		}
	}
	return fs
}

// touch notes that the application saw an input event of the element with that number.
func (t *tree[N]) touch(id uint32) {
	if m := t.byID[id]; m != nil && m.live {
		m.touched = true
	}
}
