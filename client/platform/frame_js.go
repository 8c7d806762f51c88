package platform

import (
	"math"
	"strconv"
	"syscall/js"

	"github.com/postern-mail/postern/client/internal/promise"
	vjs "github.com/vugu/vugu/js"
)

// MessageFrame shows HTML mail in a frame that can run nothing: its sandbox lacks allow-scripts, frame.html has a
// Content-Security-Policy of its own, and the HTML was made safe by the engine (client/sanitize).
type MessageFrame struct{ page *Page }

// Frame is the page's MessageFrame.
func (p *Page) Frame() *MessageFrame { return &MessageFrame{p} }

// Fill puts safeHTML into the frame as soon as its frame.html has loaded, keeps the frame as tall as its content, opens
// links in new tabs and passes keys on to the page, so that shortcuts work with the focus in the message.
func (f *MessageFrame) Fill(frame vjs.Value, safeHTML string) {
	el := js.Value(frame)
	fill := func() {
		// A frame that the page may not look into is one that somebody led elsewhere: it stays empty.
		_ = promise.Try(func() { f.fill(el, safeHTML) })
	}
	if doc := el.Get("contentDocument"); doc.Truthy() && doc.Get("readyState").String() == "complete" && doc.Get("URL").String() != "about:blank" {
		fill()
		return
	}
	var stop func()
	stop = listen(el, "load", func(js.Value) {
		stop()
		fill()
	})
}

func (f *MessageFrame) fill(el js.Value, safeHTML string) {
	doc := el.Get("contentDocument")
	body := doc.Get("body")
	body.Set("innerHTML", safeHTML)
	root := doc.Get("documentElement")
	theme := f.page.document.Get("documentElement").Call("getAttribute", "data-theme")
	if theme.Type() == js.TypeString {
		root.Call("setAttribute", "data-theme", theme)
	}

	// The observer lives as long as the frame's document does; the callback keeps Go's half of it until the page ends.
	fit := func() {
		height := root.Get("scrollHeight").Float()
		if body := body.Get("scrollHeight").Float(); body > height {
			height = body
		}
		el.Get("style").Set("height", px(height))
	}
	size := js.FuncOf(func(js.Value, []js.Value) any {
		if el.Get("isConnected").Bool() {
			fit()
		}
		return nil
	})
	observer := f.page.window.Get("ResizeObserver").New(size)
	observer.Call("observe", body)
	fit()

	keys := listen(doc, "keydown", func(e js.Value) { f.forward(el, e) })
	links := listen(doc, "click", func(e js.Value) { external(e) })
	var gone func()
	gone = listen(el.Get("contentWindow"), "pagehide", func(js.Value) {
		observer.Call("disconnect")
		size.Release()
		keys()
		links()
		gone()
	})
}

// forward repeats a key on the frame element, in the page.
func (f *MessageFrame) forward(el, e js.Value) {
	copied := f.page.window.Get("KeyboardEvent").New("keydown", map[string]any{
		"key": e.Get("key"), "code": e.Get("code"), "ctrlKey": e.Get("ctrlKey"), "metaKey": e.Get("metaKey"),
		"shiftKey": e.Get("shiftKey"), "altKey": e.Get("altKey"), "bubbles": true, "cancelable": true,
	})
	if !el.Call("dispatchEvent", copied).Bool() {
		e.Call("preventDefault")
	}
}

// external sees to it that a link leaves the frame: the sanitizer gave it a target, and a link without one (an anchor
// within the message) scrolls.
func external(e js.Value) {
	target := e.Get("target")
	if target.Get("closest").Type() != js.TypeFunction {
		return
	}
	a := target.Call("closest", "a[href]")
	if !a.Truthy() || a.Get("getAttribute").Type() != js.TypeFunction {
		return
	}
	href := a.Call("getAttribute", "href").String()
	if len(href) > 1 && href[0] == '#' {
		e.Call("preventDefault")
		if at := a.Get("ownerDocument").Call("getElementById", href[1:]); at.Truthy() {
			at.Call("scrollIntoView")
		}
		return
	}
	a.Set("target", "_blank")
	a.Set("rel", "noopener noreferrer")
}

// px is a whole length in CSS pixels, rounded up so that the last line is not cut.
func px(n float64) string { return strconv.Itoa(int(math.Ceil(n))) + "px" }
