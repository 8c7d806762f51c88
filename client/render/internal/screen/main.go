//go:build js

// Screen is the program that the renderer's browser test draws with: components written out as vugu's generator would.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"syscall/js"
	"time"

	"github.com/postern-mail/postern/client/internal/browsertest/program"
	"github.com/postern-mail/postern/client/render"
	"github.com/vugu/vugu"
	vjs "github.com/vugu/vugu/js"
)

// state is what the test sets.
type state struct {
	Items  []string // keyed rows, each with an input
	Tick   int      // changes something at every render
	Value  string   // of a controlled input
	Upper  bool     // the model answers input with capitals
	Secret string   // of an input whose typing the model does not hear
	Agreed bool     // of a checkbox
	Choice string
	Option []string
	Text   string // vg-content
	Raw    string // vugu.HTML
	Attr   string
	Big    int  // rows of a large list
	Modal  bool // an element with the focus that can go
	Break  bool // the build panics
}

type root struct {
	state
	rows     map[string]*row
	Log      []string
	frames   int
	rendered int
}

type row struct {
	root  *root
	name  string
	shown int
}

func (r *row) Rendered() { r.shown++ }

func tag(name string, attrs ...string) *vugu.VGNode {
	n := &vugu.VGNode{Type: vugu.ElementNode, Data: name}
	for i := 0; i < len(attrs); i += 2 {
		n.Attr = append(n.Attr, vugu.VGAttribute{Key: attrs[i], Val: attrs[i+1]})
	}
	return n
}

func with(n *vugu.VGNode, kids ...*vugu.VGNode) *vugu.VGNode {
	for _, k := range kids {
		n.AppendChild(k)
	}
	return n
}

func content(n *vugu.VGNode, s string) *vugu.VGNode {
	s = html.EscapeString(s)
	n.InnerHTML = &s
	return n
}

func prop(n *vugu.VGNode, key string, v any) *vugu.VGNode {
	j, _ := json.Marshal(v)
	n.Prop = append(n.Prop, vugu.VGProperty{Key: key, JSONVal: j})
	return n
}

func on(n *vugu.VGNode, event string, fn func(vugu.DOMEvent)) *vugu.VGNode {
	n.DOMEventHandlerSpecList = append(n.DOMEventHandlerSpecList, vugu.DOMEventHandlerSpec{EventType: event, Func: fn})
	return n
}

func (r *row) Build(*vugu.BuildIn) *vugu.BuildOut {
	li := with(tag("li", "class", "row", "data-row", r.name),
		tag("input", "id", "in-"+r.name),
		content(tag("span"), r.name), content(tag("b"), "subject of "+r.name),
	)
	on(li, "click", func(vugu.DOMEvent) { r.root.Log = append(r.root.Log, "row "+r.name) })
	return &vugu.BuildOut{Out: []*vugu.VGNode{li}}
}

func (r *root) row(out *vugu.BuildOut, name string) *vugu.VGNode {
	c := r.rows[name]
	if c == nil {
		c = &row{root: r, name: name}
		r.rows[name] = c
	}
	out.Components = append(out.Components, c)
	return &vugu.VGNode{Component: c}
}

func (r *root) Build(*vugu.BuildIn) *vugu.BuildOut {
	if r.Break {
		panic("the build breaks")
	}
	r.rendered++
	out := &vugu.BuildOut{}
	list := tag("ul", "id", "list")
	for _, s := range r.Items {
		list.AppendChild(r.row(out, s))
	}
	sel := prop(tag("select", "id", "choice"), "value", r.Choice)
	for _, o := range r.Option {
		sel.AppendChild(content(tag("option", "value", o), o))
	}
	big := tag("div", "id", "big", "style", "height:100px;overflow:auto")
	for i := range r.Big {
		text := "steady"
		if i == 7 {
			text = fmt.Sprint(r.Tick)
		}
		name := fmt.Sprint("big", i)
		li := with(tag("div", "class", "row", "class", "big", "data-id", name, "role", "option"),
			content(tag("span", "class", "from"), "Sender "+name), content(tag("span", "class", "subject"), text),
			content(tag("span", "class", "date"), "12:30"), content(tag("small", "class", "snippet"), "what the message says"))
		on(li, "click", func(vugu.DOMEvent) { r.Log = append(r.Log, name) })
		big.AppendChild(li)
	}
	big.DOMEventHandlerSpecList = []vugu.DOMEventHandlerSpec{{EventType: "scroll", Passive: true, Func: func(e vugu.DOMEvent) {
		r.Log = append(r.Log, fmt.Sprint("scroll ", e.PropFloat64("target", "scrollTop")))
	}}}
	host := tag("div", "id", "host")
	host.JSCreateHandler = vugu.JSValueFunc(func(v vjs.Value) {
		f := js.Global().Get("document").Call("createElement", "iframe")
		f.Set("src", "/frame.html")
		js.Value(v).Call("append", f)
		r.frames++
	})
	svg := with(tag("svg", "id", "icon", "viewBox", "0 0 10 10"), func() *vugu.VGNode {
		n := tag("path", "d", "M0 0L10 10")
		n.Namespace = "svg"
		return n
	}())
	svg.Namespace = "svg"
	raw := tag("div", "id", "raw")
	html := r.Raw // each build has its own
	raw.InnerHTML = &html

	form := with(tag("form"),
		on(prop(tag("input", "id", "value"), "value", r.Value), "input", func(e vugu.DOMEvent) {
			r.Value = e.PropString("target", "value")
			if r.Upper {
				r.Value = "SHOUT"
			}
		}),
		prop(tag("input", "id", "secret", "type", "password"), "value", r.Secret),
		on(prop(tag("input", "id", "agreed", "type", "checkbox"), "checked", r.Agreed), "change", func(e vugu.DOMEvent) { r.Agreed = e.PropBool("target", "checked") }),
		on(tag("button", "id", "submit"), "click", func(vugu.DOMEvent) { r.Log = append(r.Log, "submit") }),
	)
	on(form, "submit", func(e vugu.DOMEvent) { e.PreventDefault(); r.Log = append(r.Log, "prevented") })
	page := with(tag("main", "class", "page", "class", fmt.Sprintf("tick-%d", r.Tick%2), "data-tick", fmt.Sprint(r.Tick), "title", r.Attr),
		list, form, sel, content(tag("p", "id", "text"), r.Text), raw, svg, host, big,
		on(content(tag("button", "id", "panic"), "panic"), "click", func(vugu.DOMEvent) { panic("the handler breaks") }),
	)
	if r.Modal {
		page.AppendChild(on(with(tag("div", "id", "modal"), tag("input", "id", "in-modal")), "focusout", func(vugu.DOMEvent) { r.Log = append(r.Log, "modal lost focus") }))
	}
	on(page, "focusout", func(vugu.DOMEvent) { r.Log = append(r.Log, "focusout") })
	out.Out = []*vugu.VGNode{page}
	return out
}

func main() {
	r := &root{state: state{Items: []string{"a", "b", "c"}, Option: []string{"x", "y"}, Choice: "y"}, rows: map[string]*row{}}
	drawn, took := 0, time.Duration(0)
	var panics []string
	screen := render.New("#app", &render.Options{
		OnPanic:  func(e *render.PanicError) { panics = append(panics, e.Error()) },
		OnRender: func(d time.Duration) { drawn++; took += d },
	})
	env, err := vugu.NewBuildEnv(screen.EventEnv())
	if err != nil {
		panic(err)
	}
	go screen.Run(context.Background(), env, r)

	program.Main(map[string]program.Case{
		// set changes the state by JSON and answers when that is drawn.
		"set": func(ctx context.Context, arg string) (string, error) {
			var err error
			before := drawn
			screen.Update(func() { err = json.Unmarshal([]byte(arg), &r.state) })
			for i := 0; drawn == before && i < 200; i++ {
				time.Sleep(5 * time.Millisecond)
			}
			if drawn == before && !r.Break {
				return "", errors.New("nothing was drawn")
			}
			return "", err
		},
		"log": func(context.Context, string) (s string, err error) {
			screen.Update(func() {
				b, _ := json.Marshal(r.Log)
				s, r.Log = string(b), nil
			})
			return s, nil
		},
		"panics": func(context.Context, string) (string, error) {
			b, _ := json.Marshal(panics)
			panics = nil
			return string(b), nil
		},
		"frames": func(context.Context, string) (string, error) { return fmt.Sprint(r.frames), nil },
		"shown":  func(_ context.Context, arg string) (string, error) { return fmt.Sprint(r.rows[arg].shown), nil },
		// burst makes a thousand updates and answers how many renders that took.
		"burst": func(context.Context, string) (string, error) {
			before := drawn
			for range 1000 {
				screen.Update(func() { r.Tick++ })
			}
			time.Sleep(300 * time.Millisecond)
			return fmt.Sprint(drawn - before), nil
		},
		"break": func(context.Context, string) (string, error) {
			screen.Update(func() { panic("the update breaks") })
			return "", nil
		},
		// bench answers the milliseconds of one render after one row changed.
		"bench": func(context.Context, string) (string, error) {
			const n = 20
			took = 0
			for range n {
				before := drawn
				screen.Update(func() { r.Tick++ })
				for drawn == before {
					time.Sleep(time.Millisecond)
				}
			}
			return fmt.Sprintf("%.2f", took.Seconds()*1000/n), nil
		},
	})
}
