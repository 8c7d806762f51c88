package platform

import (
	"strings"
	"syscall/js"
)

// Location is the path and query in the address bar, as if the page were at the root.
func (p *Page) Location() string {
	at := p.window.Get("location")
	return inside(at.Get("pathname").String()) + at.Get("search").String()
}

// Push makes path the address, with a new entry in the history.
func (p *Page) Push(path string) { p.window.Get("history").Call("pushState", nil, "", Rooted(path)) }

// Replace makes path the address of the present entry.
func (p *Page) Replace(path string) {
	p.window.Get("history").Call("replaceState", nil, "", Rooted(path))
}

// Back goes one entry back; OnNavigate's function is called when the browser has done so.
func (p *Page) Back() { p.window.Get("history").Call("back") }

// OnNavigate calls fn with the location after Back, Forward, or a link to a place in the page.
func (p *Page) OnNavigate(fn func(location string)) {
	listen(p.window, "popstate", func(js.Value) {
		p.sched.Listen("popstate", func() { fn(p.Location()) })
	})
	listen(p.document, "click", func(e js.Value) {
		path, ok := p.placeOf(e)
		if !ok {
			return
		}
		e.Call("preventDefault")
		p.sched.Listen("link", func() {
			p.Push(path)
			fn(path)
		})
	})
}

// placeOf answers the place that a click leads to: a plain click on a link of this origin that nothing has handled yet,
// and that does not ask for a new tab or a download.
func (p *Page) placeOf(e js.Value) (string, bool) {
	if e.Get("defaultPrevented").Bool() || e.Get("button").Int() != 0 || modified(e) {
		return "", false
	}
	target := e.Get("target")
	if target.Get("closest").Type() != js.TypeFunction {
		return "", false
	}
	a := target.Call("closest", "a[href]")
	if !a.Truthy() || a.Call("hasAttribute", "download").Bool() || a.Get("target").String() != "" ||
		a.Get("origin").String() != p.window.Get("location").Get("origin").String() {
		return "", false
	}
	path := a.Get("pathname").String()
	if !strings.HasPrefix(path, base()) {
		return "", false // of this host, and not of this page
	}
	return inside(path) + a.Get("search").String(), true
}

// modified says that a key changes what a click means to the browser (a new tab, a window, a download).
func modified(e js.Value) bool {
	return e.Get("ctrlKey").Bool() || e.Get("metaKey").Bool() || e.Get("shiftKey").Bool() || e.Get("altKey").Bool()
}
