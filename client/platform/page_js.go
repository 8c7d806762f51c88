package platform

import (
	"syscall/js"
	"time"
)

// Scheduler is how the browser's own events reach the page's state. The renderer is one.
type Scheduler interface {
	// Update runs fn with the state locked, and draws.
	Update(fn func())
	// Listen is Update for a listener of the browser's: at once if it can, so that fn may prevent the default.
	Listen(where string, fn func())
}

// Page is the browser's window as the page's state needs it. Its methods do not block.
type Page struct {
	sched    Scheduler
	window   js.Value
	document js.Value
	focus    string // a selector, to be focused after the next render
	ready    bool   // the document's element says that the page has rendered from the store
	badge    int    // one more than what the icon counts; 0: it has not been told
	kept     bool   // the browser was asked to keep the storage

	narrow js.Value // MediaQueryList
}

// narrowQuery is the width under which one pane is shown at a time. The style sheet has the same.
const narrowQuery = "(max-width: 699.98px)"

// NewPage makes the Page of this window.
func NewPage(s Scheduler) *Page {
	p := &Page{sched: s, window: js.Global(), document: js.Global().Get("document")}
	p.narrow = p.window.Call("matchMedia", narrowQuery)
	listen(p.narrow, "change", func(js.Value) { s.Listen("media query", func() {}) }) // for as long as the page is
	return p
}

// Narrow says that one pane is shown at a time.
func (p *Page) Narrow() bool { return p.narrow.Get("matches").Bool() }

// Now is the present in the user's time zone.
func (p *Page) Now() time.Time { return p.Local(time.Now()) }

// Local is t in the user's time zone with the offset that it had then. Go knows the offset of now alone here, and has no
// zone database; the browser has.
func (p *Page) Local(t time.Time) time.Time {
	west := p.window.Get("Date").New(float64(t.UnixMilli())).Call("getTimezoneOffset") // minutes; NaN for dates beyond its calendar
	if m := west.Float(); m == m {
		return t.In(time.FixedZone("", -int(m*60)))
	}
	return t.UTC()
}

// SetTitle names the page and counts on its icon.
func (p *Page) SetTitle(title string, unread int) {
	if p.document.Get("title").String() != title {
		p.document.Set("title", title)
	}
	if p.badge == unread+1 {
		return
	}
	p.badge = unread + 1
	nav := p.window.Get("navigator")
	if nav.Get("setAppBadge").Type() != js.TypeFunction {
		return
	}
	if unread > 0 {
		p.ignore(nav.Call("setAppBadge", unread))
	} else {
		p.ignore(nav.Call("clearAppBadge"))
	}
}

// SetTheme puts "light", "dark" or "system" on the document element; the style sheet does the rest.
func (p *Page) SetTheme(theme string) {
	p.document.Get("documentElement").Call("setAttribute", "data-theme", theme)
}

// Focus moves the keyboard's focus after the next render to the first element that matches the selector.
func (p *Page) Focus(selector string) { p.focus = selector }

// Rendered is to be called after each render.
func (p *Page) Rendered() {
	if !p.ready && p.document.Call("querySelector", `.page[data-ready="true"]`).Truthy() {
		// Said by the document's own element too: who waits for the page from outside need not know how it is built.
		p.document.Get("documentElement").Call("setAttribute", "data-ready", "true")
		p.ready = true
	}
	if p.focus == "" {
		return
	}
	el := p.document.Call("querySelector", p.focus)
	p.focus = ""
	if el.Truthy() && !el.Equal(p.document.Get("activeElement")) {
		el.Call("focus")
	}
}

// ignore takes a promise whose outcome is of no interest, so that a rejection does not show as an error.
func (p *Page) ignore(promise js.Value) {
	if promise.Type() == js.TypeObject && promise.Get("catch").Type() == js.TypeFunction {
		promise.Call("catch", p.window.Get("Function").Get("prototype"))
	}
}
