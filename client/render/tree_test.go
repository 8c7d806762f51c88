package render

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vugu/vugu"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnUnchangedBuildTouchesNothing(t *testing.T) {
	h := newHost()
	inner := "<b>hello</b>"
	page := func() spec {
		return el("div", at("class", "a"), at("class", "b"), el("p", "text"), el("ul", rows("abc")), on("click"),
			spec{tag: "section", inner: &inner}, el("input", prop("value", `"x"`), on("input")))
	}
	h.render(page())
	h.render(page())
	if h.dom.made+h.dom.writes+h.dom.moves+h.dom.removals != 0 {
		t.Fatalf("an unchanged build touched the DOM: %+v", h.dom)
	}
}

func TestPatchMakesWhatCreationMakes(t *testing.T) {
	hi, bye := "<i>hi</i>", "bye"
	svg := spec{tag: "svg", ns: "svg", kids: []spec{{tag: "path", ns: "svg", attrs: []vugu.VGAttribute{at("d", "M0 0")}}}}
	pages := []spec{
		el("div"),
		el("div", "text"),
		el("div", "other", el("p"), spec{comment: true, text: "note"}),
		el("div", at("class", "one"), at("class", "two")),
		el("div", at("class", "one"), at("class", "")),
		el("div", at("style", "color:red"), at("style", "top:0"), at("title", "x"), at("title", "y")),
		el("div", at("id", "x"), on("click")),
		el("div", at("id", "x"), on("click"), on("keydown"), vugu.DOMEventHandlerSpec{EventType: "scroll", Passive: true}),
		el("div", vugu.DOMEventHandlerSpec{EventType: "scroll"}, vugu.DOMEventHandlerSpec{EventType: "scroll", Capture: true}),
		el("div", rows("abc")),
		el("div", rows("cab")),
		el("div", el("p"), rows("xa"), el("p"), "end"),
		{tag: "div", inner: &hi},
		{tag: "div", inner: &bye},
		el("div", spec{template: true, kids: rows("ab")}, spec{template: true}, spec{template: true, kids: []spec{el("b"), {text: "t"}}}),
		el("div", svg),
		el("span", el("select", prop("value", `"y"`), el("option", at("value", "x")), el("option", at("value", "y")))),
		el("span", el("select", prop("value", `"y"`), el("option", at("value", "y")))),
		el("div", el("input", at("type", "text"), prop("value", `"a"`)), el("input", at("type", "checkbox"), prop("checked", "true"))),
		el("div", el("input", at("type", "checkbox"), prop("checked", "false")), el("input", at("type", "password"))),
	}
	for i, a := range pages {
		for j, b := range pages {
			h := newHost()
			h.render(a)
			if got, want := h.render(b), fresh(b); got != want {
				t.Errorf("from %d to %d:\n%s\nwant:\n%s", i, j, got, want)
			}
		}
	}
}

// genSpec draws a random tree. Keys are unique in it.
func genSpec(t *rapid.T, depth int, used map[string]bool) spec {
	s := spec{tag: rapid.SampledFrom([]string{"div", "p", "input", "select", "li"}).Draw(t, "tag")}
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0, 1:
		return spec{text: rapid.SampledFrom([]string{"one", "two", ""}).Draw(t, "text")}
	case 2:
		return spec{comment: true, text: "c"}
	case 3:
		if depth > 0 {
			s = spec{template: true}
		}
	case 4:
		inner := rapid.SampledFrom([]string{"", "<b>x</b>", "y"}).Draw(t, "inner")
		s.tag, s.inner = "div", &inner
	}
	if k := rapid.SampledFrom([]string{"", "", "a", "b", "c", "d", "e", "f"}).Draw(t, "key"); k != "" && !used[k] {
		used[k] = true
		s.key = k
	}
	if s.template {
		s.key = ""
	} else {
		for range rapid.IntRange(0, 2).Draw(t, "attrs") {
			s.attrs = append(s.attrs, at(rapid.SampledFrom([]string{"class", "id", "title", "data-testid", "style"}).Draw(t, "name"),
				rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, "value")))
		}
		for range rapid.IntRange(0, 2).Draw(t, "events") {
			s.events = append(s.events, vugu.DOMEventHandlerSpec{EventType: rapid.SampledFrom([]string{"click", "input"}).Draw(t, "type"),
				Capture: rapid.Bool().Draw(t, "capture"), Passive: rapid.Bool().Draw(t, "passive")})
		}
		if rapid.Bool().Draw(t, "prop") {
			s.props = append(s.props, prop("value", rapid.SampledFrom([]string{`"u"`, `"v"`}).Draw(t, "json")))
		}
	}
	if depth > 0 && s.inner == nil && s.tag != "input" {
		for range rapid.IntRange(0, 5).Draw(t, "kids") {
			s.kids = append(s.kids, genSpec(t, depth-1, used))
		}
	}
	return s
}

func genPage(t *rapid.T) spec {
	s := el("main")
	used := map[string]bool{}
	for range rapid.IntRange(0, 7).Draw(t, "top") {
		s.kids = append(s.kids, genSpec(t, 3, used))
	}
	return s
}

// owners maps each component to the DOM node that it owns.
func owners(kids []*mounted[*fakeNode], into map[any]*fakeNode) map[any]*fakeNode {
	for _, k := range kids {
		if k.owner != nil {
			into[k.owner] = k.node
		}
		owners(k.kids, into)
	}
	return into
}

func siblings(kids []*mounted[*fakeNode], parent *fakeNode, into map[any]*fakeNode) map[any]*fakeNode {
	for _, k := range kids {
		if k.owner != nil {
			into[k.owner] = parent
		}
		siblings(k.kids, k.node, into)
	}
	return into
}

func TestAnySequenceOfPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHost()
		h.render(genPage(t))
		for range rapid.IntRange(1, 4).Draw(t, "pages") {
			before := owners(h.tree.kids, map[any]*fakeNode{})
			parents := siblings(h.tree.kids, h.mount, map[any]*fakeNode{})
			page := genPage(t)
			if got, want := h.render(page), fresh(page); got != want {
				t.Fatalf("patched:\n%s\ncreated:\n%s", got, want)
			}
			after := owners(h.tree.kids, map[any]*fakeNode{})
			for c, n := range after {
				if o := before[c]; o != nil && o.tag == n.tag && len(o.props) == len(n.props) && parents[c] == siblings(h.tree.kids, h.mount, map[any]*fakeNode{})[c] && o != n {
					t.Fatalf("a component that stayed below its parent lost its element %s", n)
				}
			}
			for id, m := range h.tree.byID {
				if m.id != id || m.node.id != id {
					t.Fatalf("number %d is bound to %d", id, m.id)
				}
			}
		}
	})
}

func TestKeyedRowsKeepTheirElements(t *testing.T) {
	for _, c := range []struct {
		from, to string
		moves    int
	}{
		{"abc", "cba", 2}, {"abcd", "bcda", 1}, {"abcd", "dabc", 1}, {"abc", "c", 0}, {"abc", "xabc", 0}, {"abcdef", "afcdeb", 2},
	} {
		h := newHost()
		h.render(el("ul", rows(c.from)))
		before := map[string]*fakeNode{}
		for _, k := range strings.Split(c.from, "") {
			before[k] = h.mount.find("data-in", k)
		}
		h.render(el("ul", rows(c.to)))
		for _, k := range strings.Split(c.to, "") {
			if now := h.mount.find("data-in", k); before[k] != nil && before[k] != now {
				t.Errorf("%s to %s: the input of row %s was made anew", c.from, c.to, k)
			}
		}
		if h.dom.moves != c.moves {
			t.Errorf("%s to %s: %d moves, want %d", c.from, c.to, h.dom.moves, c.moves)
		}
	}
}

func TestAGoneRowLendsNothing(t *testing.T) {
	h := newHost()
	h.render(el("ul", rows("abc")))
	a := h.mount.find("data-in", "a")
	h.render(el("ul", rows("bcd")))
	if h.mount.find("data-in", "d") == a {
		t.Fatal("the new row took over the input, and what was typed in it, from the one that went")
	}
}

func TestOptionalSiblingsDoNotDisturbTheRest(t *testing.T) {
	h := newHost()
	page := func(note bool) spec {
		s := el("form")
		if note {
			s.kids = append(s.kids, el("p", at("role", "alert"), "wrong password"), spec{text: "\n"})
		}
		s.kids = append(s.kids, el("input", at("id", "email")), spec{text: "\n"}, el("input", at("id", "password")))
		return s
	}
	h.render(page(false))
	email, password := h.mount.find("id", "email"), h.mount.find("id", "password")
	h.render(page(true))
	if h.mount.find("id", "email") != email || h.mount.find("id", "password") != password || h.dom.moves > 0 {
		t.Fatal("an error message took the place of an input")
	}
	h.render(page(false))
	if h.mount.find("id", "email") != email || h.dom.made > 0 {
		t.Fatal("taking the message away made an input anew")
	}
}

func TestADifferentTestidIsADifferentThing(t *testing.T) {
	h := newHost()
	h.render(el("main", el("div", at("data-testid", "signin"))))
	was := h.mount.find("data-testid", "signin")
	h.render(el("main", el("div", at("data-testid", "mail"))))
	if h.mount.find("data-testid", "mail") == was {
		t.Fatal("one view's element became another's")
	}
}

func TestInnerComponentsFollowTheRow(t *testing.T) {
	// vugu finds a component inside a keyed row by the row's position: after a reorder the inner instances are swapped.
	h := newHost()
	row := func(k, inner string) spec {
		return keyed(k, el("li", at("data-k", k), keyed("i"+inner, el("b", at("data-in", k)))))
	}
	h.render(el("ul", row("a", "1"), row("b", "2")))
	a := h.mount.find("data-in", "a")
	h.render(el("ul", row("b", "1"), row("a", "2")))
	if h.mount.find("data-in", "a") != a {
		t.Fatal("the element inside row a is another one")
	}
}

func TestWhatAPersonTyped(t *testing.T) {
	page := func(v string) spec { return el("form", el("input", at("id", "q"), prop("value", v), on("input"))) }
	type step struct {
		typed    string // what the person makes of it, "" for nothing
		event    bool   // the application hears of it
		composes bool
		model    string
		want     string
	}
	for name, steps := range map[string][]step{
		"the model follows":                           {{typed: `"h"`, event: true, model: `"h"`, want: `"h"`}},
		"typing that the model does not hear of":      {{typed: `"h"`, model: `""`, want: `"h"`}},
		"the model changes by itself":                 {{typed: `"h"`, model: `"new"`, want: `"new"`}},
		"the model refuses":                           {{typed: `"h"`, event: true, model: `""`, want: `""`}},
		"the model refuses while a method composes":   {{typed: `"h"`, event: true, composes: true, model: `""`, want: `"h"`}, {model: `""`, want: `""`}},
		"the model is cleared after it was sent":      {{typed: `"h"`, event: true, model: `"h"`, want: `"h"`}, {model: `""`, want: `""`}},
		"a refusal does not hold for what comes next": {{typed: `"h"`, event: true, model: `""`, want: `""`}, {typed: `"x"`, model: `""`, want: `"x"`}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost()
			h.render(page(`""`))
			q := h.mount.find("id", "q")
			for i, s := range steps {
				if s.typed != "" {
					q.props["value"] = s.typed
				}
				if s.event {
					h.tree.touch(q.id)
				}
				q.composes = s.composes
				h.render(page(s.model))
				if q.props["value"] != s.want {
					t.Fatalf("step %d: value is %s, want %s", i, q.props["value"], s.want)
				}
			}
		})
	}
}

func TestASelectChoosesAfterItsOptionsCame(t *testing.T) {
	page := func(value string, options ...string) spec {
		s := el("select", at("id", "s"), prop("value", value))
		for _, o := range options {
			s.kids = append(s.kids, el("option", at("value", o)))
		}
		return el("form", s)
	}
	h := newHost()
	h.render(page(`"b"`))
	h.render(page(`"b"`, "a", "b"))
	if got := h.mount.find("id", "s").props["value"]; got != `"b"` {
		t.Fatalf("the select shows %s", got)
	}
}

func TestEventsFindTheHandlerOfTheLastBuild(t *testing.T) {
	h := newHost()
	var got string
	page := func(name string, listens bool) spec {
		s := el("button", at("id", "b"))
		if listens {
			s.events = []vugu.DOMEventHandlerSpec{
				{EventType: "click", Func: func(vugu.DOMEvent) { got += name }},
				{EventType: "click", Func: func(vugu.DOMEvent) { got += "+" }},
				{EventType: "click", Capture: true, Func: func(vugu.DOMEvent) { got += "captured" }},
			}
		}
		return el("main", s)
	}
	fire := func() string {
		got = ""
		for _, f := range h.tree.handlers(h.mount.find("id", "b").id, "click", false) {
			f(nil)
		}
		return got
	}
	h.render(page("one", true))
	if fire() != "one+" {
		t.Fatal(got)
	}
	h.render(page("two", true))
	if h.dom.writes > 0 || fire() != "two+" {
		t.Fatal(got)
	}
	h.render(page("none", false))
	if fire() != "" || len(h.mount.find("id", "b").heard) > 0 {
		t.Fatal("hears what it does not listen to")
	}
	id := h.mount.find("id", "b").id
	h.render(el("main"))
	if h.tree.handlers(id, "click", false) != nil || len(h.tree.byID) > 0 {
		t.Fatal("a removed element still hears")
	}
}

func TestCreateAndPopulateHooks(t *testing.T) {
	created, populated := 0, 0
	one := vugu.JSValueFunc(func(v jsValue) { created++ })
	two := vugu.JSValueFunc(func(v jsValue) { created += 100 })
	pop := vugu.JSValueFunc(func(v jsValue) { populated++ })
	h := newHost()
	page := func(c vugu.JSValueHandler) spec {
		return el("main", spec{tag: "div", onCreate: c, onPopulat: pop})
	}
	h.render(page(one))
	h.render(page(one))
	if created != 1 || populated != 2 {
		t.Fatalf("created %d times, populated %d", created, populated)
	}
	h.render(page(two))
	if created != 101 || h.dom.removals != 1 {
		t.Fatal("an element with content of one piece of template was given to another")
	}
}

func TestResetForgets(t *testing.T) {
	h := newHost()
	h.render(el("main", el("p", on("click"))))
	h.tree.reset()
	h.mount.kids = nil
	page := el("main", el("p", on("click")))
	if got, want := h.render(page), fresh(page); got != want {
		t.Fatal(got)
	}
}

type hooked struct {
	part
	calls int
}

func (h *hooked) Rendered() { h.calls++ }

func TestRenderedIsCollectedAtAnyDepth(t *testing.T) {
	h := newHost()
	c := &hooked{part: part{host: h, spec: el("b")}}
	root := builderFunc(func(in *vugu.BuildIn) *vugu.BuildOut {
		n := &vugu.VGNode{Type: vugu.ElementNode, Data: "main"}
		p := &vugu.VGNode{Type: vugu.ElementNode, Data: "p"}
		n.AppendChild(p)
		p.AppendChild(&vugu.VGNode{Component: c})
		return &vugu.BuildOut{Out: []*vugu.VGNode{n}, Components: []vugu.Builder{c}}
	})
	h.tree.render(h.env.RunBuild(&root))
	if len(h.tree.rendered) != 1 || h.tree.rendered[0] != any(c) {
		t.Fatalf("rendered: %v", h.tree.rendered)
	}
}

type builderFunc func(*vugu.BuildIn) *vugu.BuildOut

func (f *builderFunc) Build(in *vugu.BuildIn) *vugu.BuildOut { return (*f)(in) }

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"hello":                     "hello",
		"a &amp; b":                 "a & b",
		"&lt;b&gt; &#34;x&#39;":     `<b> "x'`,
		"&amp;lt;":                  "&lt;",
		"日本語 &amp; café":            "日本語 & café",
		strings.Repeat("字", 100000): strings.Repeat("字", 100000),
	} {
		if got, ok := plain(in); !ok || got != want {
			t.Errorf("plain(%.40q) = %.40q, %v", in, got, ok)
		}
	}
	for _, in := range []string{"<b>x</b>", "a&nbsp;b", "a & b", "&"} {
		if got, ok := plain(in); ok {
			t.Errorf("plain(%q) = %q: the browser's parser is needed", in, got)
		}
	}
}

func BenchmarkOneRowChanged(b *testing.B) {
	for _, n := range []int{50, 500, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newHost()
			page := func(tick int) spec {
				s := el("ul")
				for i := range n {
					text := "subject"
					if i == 7 {
						text = fmt.Sprint(tick)
					}
					s.kids = append(s.kids, keyed(fmt.Sprint(i), el("li", at("class", "row"), el("span", text), el("b", "x"), on("click"))))
				}
				return s
			}
			tick := 0
			for b.Loop() {
				tick++
				h.render(page(tick))
			}
		})
	}
}
