package render

import "github.com/vugu/vugu"

// children makes the child nodes of parent, which are old, what want says, and returns them.
//
// Most renders change no order, so the equal beginning and end are taken off first; what is left between them is
// matched by owner, then by name, then by kind, and moved as little as possible.
func (t *tree[N]) children(parent N, old []*mounted[N], want []ref) []*mounted[N] {
	kids := old
	if len(old) != len(want) {
		kids = make([]*mounted[N], len(want))
	}
	start := 0
	for start < len(old) && start < len(want) && alike(old[start], want[start]) {
		start++
	}
	if start == len(old) && start == len(want) {
		for i, w := range want {
			t.patch(old[i], w)
		}
		return old
	}
	t.writes++
	end := 0
	for end < len(old)-start && end < len(want)-start && alike(old[len(old)-1-end], want[len(want)-1-end]) {
		end++
	}
	oldMid, wantMid := old[start:len(old)-end], want[start:len(want)-end]
	from := t.match(oldMid, wantMid)

	// Removal comes before creation, so that ids and names are unique in the document at every moment.
	used := make([]bool, len(oldMid))
	for _, f := range from {
		if f >= 0 {
			used[f] = true
		}
	}
	for i, m := range oldMid {
		if !used[i] {
			t.release(m)
			t.dom.remove(m.node)
		}
	}
	mid := make([]*mounted[N], len(wantMid))
	for i, f := range from {
		if f >= 0 {
			mid[i] = oldMid[f]
		}
	}
	if len(old) != len(want) {
		copy(kids, old[:start])
		copy(kids[len(kids)-end:], old[len(old)-end:])
	}
	for i := 0; i < start; i++ {
		t.patch(kids[i], want[i])
	}
	for i, w := range wantMid {
		if mid[i] != nil {
			t.patch(mid[i], w)
		} else {
			mid[i] = t.create(w)
		}
	}
	copy(kids[start:], mid)
	for i := len(kids) - end; i < len(kids); i++ {
		t.patch(kids[i], want[i])
	}
	t.place(parent, kids, start, from)
	return kids
}

// place puts the nodes kids[start:start+len(from)] where they belong. from says where each was among the old ones (-1:
// new). Those of the longest run that is in order already stay; each of the others is moved once.
func (t *tree[N]) place(parent N, kids []*mounted[N], start int, from []int) {
	stay := increasing(from)
	for i := len(from) - 1; i >= 0; i-- {
		if stay[i] {
			continue
		}
		at := start + i
		var next N
		last := at+1 == len(kids)
		if !last {
			next = kids[at+1].node
		}
		t.dom.move(parent, kids[at].node, next, last, from[i] < 0)
	}
}

// match finds for each wanted node the old one that becomes it: its index, or -1.
func (t *tree[N]) match(old []*mounted[N], want []ref) []int {
	from := make([]int, len(want))
	for i := range from {
		from[i] = -1
	}
	if len(old) == 0 {
		return from
	}
	taken := make([]bool, len(old))

	owners := map[any]int{}
	named := map[kind][]int{}
	for i, m := range old {
		if m.owner != nil {
			owners[m.owner] = i
		} else {
			k := kindOf(m.built)
			named[k] = append(named[k], i)
		}
	}
	for i, w := range want {
		if w.owner != nil {
			if o, ok := owners[w.owner]; ok && !taken[o] && reusable(old[o].built, w.node) {
				from[i], taken[o] = o, true
			}
			continue
		}
		k := kindOf(w.node)
		for list := named[k]; len(list) > 0; {
			o := list[0]
			list = list[1:]
			named[k] = list
			if !taken[o] && reusable(old[o].built, w.node) {
				from[i], taken[o] = o, true
				break
			}
		}
	}

	// What is left differs in its id alone, or is a component that vugu has exchanged with one elsewhere: vugu finds a
	// component inside a keyed row by the row's position, so that a reorder swaps the inner ones between rows. An owner
	// that is gone from the page does not lend its element to another: typed text would jump rows.
	var rest map[kind][]int
	for i, m := range old {
		if taken[i] || m.owner != nil && t.build.ResultFor(m.owner) == nil {
			continue
		}
		if rest == nil {
			rest = map[kind][]int{}
		}
		k := kindOf(m.built).anonymous(m.owner != nil)
		rest[k] = append(rest[k], i)
	}
	if rest == nil {
		return from
	}
	for i, w := range want {
		if from[i] >= 0 {
			continue
		}
		k := kindOf(w.node).anonymous(w.owner != nil)
		for list := rest[k]; len(list) > 0; {
			o := list[0]
			list = list[1:]
			rest[k] = list
			if reusable(old[o].built, w.node) {
				from[i], taken[o] = o, true
				break
			}
		}
	}
	return from
}

// alike says that m, at its place, becomes w without a search.
func alike[N any](m *mounted[N], w ref) bool {
	if m.owner != w.owner {
		return false
	}
	return (w.owner != nil || sameName(m.built, w.node)) && reusable(m.built, w.node)
}

// increasing marks a longest run of from that is in increasing order, new nodes (-1) left out.
func increasing(from []int) []bool {
	stay := make([]bool, len(from))
	tails := make([]int, 0, len(from)) // tails[k]: index of the smallest end of a run of length k+1
	before := make([]int, len(from))
	for i, f := range from {
		if f < 0 {
			continue
		}
		lo, hi := 0, len(tails)
		for lo < hi {
			if mid := (lo + hi) / 2; from[tails[mid]] < f {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		before[i] = -1
		if lo > 0 {
			before[i] = tails[lo-1]
		}
		if lo == len(tails) {
			tails = append(tails, i)
		} else {
			tails[lo] = i
		}
	}
	if len(tails) > 0 {
		for i := tails[len(tails)-1]; i >= 0; i = before[i] {
			stay[i] = true
		}
	}
	return stay
}

// kind is what two nodes without an owner must share to be one and the same.
type kind struct {
	nodeType                            vugu.VGNodeType
	namespace, tag, testid, input, name string
	owned                               bool
}

// kindOf reads a node's kind; name is its id.
func kindOf(n *vugu.VGNode) kind {
	k := kind{nodeType: n.Type}
	if n.Type != vugu.ElementNode {
		return k
	}
	k.namespace, k.tag = n.Namespace, n.Data
	for i := range n.Attr {
		switch a := &n.Attr[i]; a.Key {
		case "data-testid":
			k.testid = a.Val
		case "id":
			k.name = a.Val
		case "type":
			if n.Data == "input" {
				k.input = a.Val
			}
		}
	}
	return k
}

func (k kind) anonymous(owned bool) kind {
	k.name, k.owned = "", owned
	return k
}
