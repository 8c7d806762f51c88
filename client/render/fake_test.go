package render

import (
	"fmt"
	"html"
	"slices"
	"sort"
	"strings"

	"github.com/vugu/vugu"
)

// fakeNode is a DOM node as far as the comparison can tell.
type fakeNode struct {
	tag, ns  string
	data     string // of text and comments; tag is "#text" or "#comment"
	attrs    map[string]string
	props    map[string]string
	inner    string // HTML that is not in kids
	kids     []*fakeNode
	parent   *fakeNode
	heard    map[listener]bool
	id       uint32
	birth    int
	composes bool
}

// fakeDOM counts what is done to it.
type fakeDOM struct {
	made, writes, moves, removals int
	handed                        []string
}

var _ document[*fakeNode] = (*fakeDOM)(nil)

func (d *fakeDOM) make(tag string) *fakeNode {
	d.made++
	return &fakeNode{tag: tag, attrs: map[string]string{}, props: map[string]string{}, heard: map[listener]bool{}, birth: d.made}
}

func (d *fakeDOM) element(ns, tag string) *fakeNode {
	n := d.make(tag)
	n.ns = ns
	return n
}

func (d *fakeDOM) text(data string) *fakeNode {
	n := d.make("#text")
	n.data = data
	return n
}

func (d *fakeDOM) comment(data string) *fakeNode {
	n := d.make("#comment")
	n.data = data
	return n
}

func (d *fakeDOM) setData(n *fakeNode, data string) { d.writes++; n.data = data }

func (d *fakeDOM) setAttribute(n *fakeNode, a vugu.VGAttribute) {
	d.writes++
	n.attrs[a.Namespace+":"+a.Key] = a.Val
}

func (d *fakeDOM) removeAttribute(n *fakeNode, a vugu.VGAttribute) {
	d.writes++
	if _, ok := n.attrs[a.Namespace+":"+a.Key]; !ok {
		panic("removes an attribute that is not there: " + a.Key)
	}
	delete(n.attrs, a.Namespace+":"+a.Key)
}

func (d *fakeDOM) setContent(n *fakeNode, html string) {
	d.writes++
	for _, k := range n.kids {
		k.parent = nil
	}
	n.kids, n.inner = nil, html
}

func (d *fakeDOM) setProperty(n *fakeNode, p vugu.VGProperty, live bool) bool {
	if live && n.composes {
		return false
	}
	want := string(p.JSONVal)
	if live && n.props[p.Key] == want {
		return true
	}
	if n.tag == "select" && p.Key == "value" && !slices.ContainsFunc(n.kids, func(o *fakeNode) bool { return `"`+o.attrs[":value"]+`"` == want }) {
		want = `""`
	}
	d.writes++
	n.props[p.Key] = want
	return true
}

func (d *fakeDOM) appendChild(p, n *fakeNode) { d.put(p, n, len(p.kids)) }

func (d *fakeDOM) put(p, n *fakeNode, at int) {
	if n.parent != nil {
		panic("put: still elsewhere")
	}
	if p.inner != "" {
		panic("put: into an element with HTML of its own")
	}
	n.parent = p
	p.kids = slices.Insert(p.kids, at, n)
}

func (d *fakeDOM) move(p, n, next *fakeNode, last, isNew bool) {
	if isNew != (n.parent == nil) {
		panic("move: new and old confused")
	}
	if !isNew {
		d.moves++
		d.remove(n)
		d.removals--
	}
	at := len(p.kids)
	if !last {
		if next.parent != p {
			panic("move: next is not a child")
		}
		at = slices.Index(p.kids, next)
	}
	d.put(p, n, at)
}

func (d *fakeDOM) remove(n *fakeNode) {
	d.removals++
	p := n.parent
	at := slices.Index(p.kids, n)
	p.kids = slices.Delete(p.kids, at, at+1)
	n.parent = nil
}

func (d *fakeDOM) listen(n *fakeNode, l listener) {
	if n.heard[l] {
		panic("listens twice")
	}
	n.heard[l] = true
}

func (d *fakeDOM) unlisten(n *fakeNode, l listener) {
	if !n.heard[l] {
		panic("unlistens what it did not hear")
	}
	delete(n.heard, l)
}

func (d *fakeDOM) bind(n *fakeNode, id uint32) { n.id = id }

func (d *fakeDOM) hand(n *fakeNode, h vugu.JSValueHandler) {
	d.handed = append(d.handed, n.tag)
	h.(vugu.JSValueFunc)(nil2())
}

// dump writes a node as a person reads it; two DOMs are the same when their dumps are.
func (n *fakeNode) dump(sb *strings.Builder, depth int) {
	pad := strings.Repeat(" ", depth)
	switch n.tag {
	case "#text":
		fmt.Fprintf(sb, "%s%q\n", pad, n.data)
		return
	case "#comment":
		fmt.Fprintf(sb, "%s<!--%s-->\n", pad, n.data)
		return
	}
	fmt.Fprintf(sb, "%s<%s %s", pad, n.tag, n.ns)
	for _, m := range []map[string]string{n.attrs, n.props} {
		keys := make([]string, 0, len(m))
		for k := range m {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			fmt.Fprintf(sb, " %s=%q", k, html.EscapeString(m[k]))
		}
	}
	var heard []string
	for l := range n.heard {
		heard = append(heard, fmt.Sprint(l))
	}
	sort.Strings(heard)
	fmt.Fprintf(sb, " %v>%s\n", heard, n.inner)
	for _, k := range n.kids {
		k.dump(sb, depth+1)
	}
}

func (n *fakeNode) String() string {
	var sb strings.Builder
	n.dump(&sb, 0)
	return sb.String()
}
