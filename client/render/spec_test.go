package render

import (
	"strings"

	"github.com/vugu/vugu"
	"github.com/vugu/vugu/js"
)

type jsValue = js.Value

func nil2() jsValue { return js.Undefined() }

// spec is a piece of template: what a component's Build makes.
type spec struct {
	tag, ns   string
	text      string // a text node when tag is empty
	comment   bool
	template  bool
	key       string // stands in a component of its own with that vg-key
	attrs     []vugu.VGAttribute
	props     []vugu.VGProperty
	inner     *string
	events    []vugu.DOMEventHandlerSpec
	onCreate  vugu.JSValueHandler
	onPopulat vugu.JSValueHandler
	kids      []spec
}

func el(tag string, parts ...any) spec {
	s := spec{tag: tag}
	for _, p := range parts {
		switch p := p.(type) {
		case spec:
			s.kids = append(s.kids, p)
		case []spec:
			s.kids = append(s.kids, p...)
		case vugu.VGAttribute:
			s.attrs = append(s.attrs, p)
		case vugu.VGProperty:
			s.props = append(s.props, p)
		case vugu.DOMEventHandlerSpec:
			s.events = append(s.events, p)
		case string:
			s.kids = append(s.kids, spec{text: p})
		}
	}
	return s
}

func at(key, val string) vugu.VGAttribute { return vugu.VGAttribute{Key: key, Val: val} }
func prop(key, json string) vugu.VGProperty {
	return vugu.VGProperty{Key: key, JSONVal: []byte(json)}
}
func on(typ string) vugu.DOMEventHandlerSpec {
	return vugu.DOMEventHandlerSpec{EventType: typ, Func: func(vugu.DOMEvent) {}}
}
func keyed(key string, s spec) spec { s.key = key; return s }

// part is a component that builds a spec.
type part struct {
	host *host
	spec spec
}

func (p *part) Build(*vugu.BuildIn) *vugu.BuildOut {
	out := &vugu.BuildOut{}
	s := p.spec
	s.key = ""
	out.Out = []*vugu.VGNode{p.host.node(out, s)}
	return out
}

// host builds specs and renders them into a fake DOM.
type host struct {
	dom   *fakeDOM
	mount *fakeNode
	tree  *tree[*fakeNode]
	env   *vugu.BuildEnv
	root  *part
	parts map[string]*part
}

func newHost() *host {
	h := &host{dom: &fakeDOM{}, parts: map[string]*part{}}
	h.mount = h.dom.make("body")
	h.tree = newTree[*fakeNode](h.dom, h.mount)
	h.env, _ = vugu.NewBuildEnv()
	h.root = &part{host: h}
	return h
}

func (h *host) node(out *vugu.BuildOut, s spec) *vugu.VGNode {
	if s.key != "" {
		p := h.parts[s.key]
		if p == nil {
			p = &part{host: h}
			h.parts[s.key] = p
		}
		p.spec = s
		out.Components = append(out.Components, p)
		return &vugu.VGNode{Component: p}
	}
	n := &vugu.VGNode{Type: vugu.ElementNode, Data: s.tag, Namespace: s.ns}
	switch {
	case s.template:
		n.Data = ""
	case s.comment:
		return &vugu.VGNode{Type: vugu.CommentNode, Data: s.text}
	case s.tag == "":
		return &vugu.VGNode{Type: vugu.TextNode, Data: s.text}
	}
	n.Attr, n.Prop, n.InnerHTML = s.attrs, s.props, s.inner
	n.DOMEventHandlerSpecList = s.events
	n.JSCreateHandler, n.JSPopulateHandler = s.onCreate, s.onPopulat
	for _, k := range s.kids {
		n.AppendChild(h.node(out, k))
	}
	return n
}

// render draws s and returns what stands there. Components that s does not name are forgotten, as vugu forgets them.
func (h *host) render(s spec) string {
	h.dom.made, h.dom.writes, h.dom.moves, h.dom.removals, h.dom.handed = 0, 0, 0, 0, nil
	h.root.spec = s
	alive := map[string]bool{}
	keysOf(s, alive)
	for k := range h.parts {
		if !alive[k] {
			delete(h.parts, k)
		}
	}
	h.tree.render(h.env.RunBuild(h.root))
	return h.mount.String()
}

func keysOf(s spec, into map[string]bool) {
	if s.key != "" {
		into[s.key] = true
	}
	for _, k := range s.kids {
		keysOf(k, into)
	}
}

// fresh is what stands in a new document after s alone.
func fresh(s spec) string { return newHost().render(s) }

// find returns the first node whose attribute key is val.
func (n *fakeNode) find(key, val string) *fakeNode {
	if n.attrs != nil && n.attrs[":"+key] == val {
		return n
	}
	for _, k := range n.kids {
		if f := k.find(key, val); f != nil {
			return f
		}
	}
	return nil
}

func rows(keys string) []spec {
	var out []spec
	for _, k := range strings.Split(keys, "") {
		out = append(out, keyed(k, el("li", at("data-k", k), el("input", at("data-in", k)))))
	}
	return out
}
