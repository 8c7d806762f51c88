package ui

import (
	"strconv"
	"strings"

	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/view"
)

// scroller is the list's scrolling element. It hears scrolling by listeners of its own: most scrolling needs no
// rendering, because rows are drawn beyond the edges.
type scroller struct {
	app   *view.App
	list  window
	prop  string // the custom property with a row's height
	el    js.Value
	row   float64 // height of a row, px
	first int     // what the view was told
	shown int
	sizes js.Value // ResizeObserver
	funcs []js.Func
}

// window is a list of which the rows on the screen, and a few more, are drawn.
type window interface {
	SetWindow(first, shown int)
	SetViewport(view.Viewport)
	Count() int
}

var _ view.Viewport = (*scroller)(nil)

// scroller takes the element when it has been made.
func (c *MessageList) scroller(el js.Value) {
	c.scroll = scrolling(c.App, &c.App.List, "--row-height", rowHeight, el, c.scroll)
}

// scrolling makes an element scroll a list, in the stead of the one before.
func scrolling(app *view.App, list window, prop string, height float64, el js.Value, before *scroller) *scroller {
	if before != nil {
		before.release()
	}
	s := &scroller{app: app, list: list, prop: prop, el: el, row: height}
	options := js.Global().Get("Object").New()
	options.Set("passive", true)
	el.Call("addEventListener", "scroll", s.hear(func() { s.look(false) }), options)
	s.sizes = js.Global().Get("ResizeObserver").New(s.hear(func() { s.look(true) }))
	s.sizes.Call("observe", el)
	list.SetViewport(s)
	return s
}

func (s *scroller) hear(fn func()) js.Func {
	f := js.FuncOf(func(js.Value, []js.Value) any { fn(); return nil })
	s.funcs = append(s.funcs, f)
	return f
}

func (s *scroller) release() {
	s.sizes.Call("disconnect") // it tells of an element that was removed, too
	for _, f := range s.funcs {
		f.Release()
	}
}

// look tells the view which rows are on the screen when that has changed by more than a few rows.
func (s *scroller) look(resized bool) {
	if resized {
		s.measure()
	}
	height := s.el.Get("clientHeight").Float()
	if height == 0 {
		return // not shown: another pane is
	}
	first := int(s.el.Get("scrollTop").Float() / s.row)
	shown := int(height/s.row) + 2
	if moved := first - s.first; shown == s.shown && moved < spareRows/2 && moved > -spareRows/2 && (first != 0 || moved == 0) {
		return
	}
	s.first, s.shown = first, shown
	s.app.Do(func() { s.list.SetWindow(first, shown) })
}

func (s *scroller) measure() {
	css := js.Global().Call("getComputedStyle", s.el).Call("getPropertyValue", s.prop).String()
	if px, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(css), "px"), 64); err == nil && px > 0 {
		s.row = px
	}
}

// ShiftBy implements view.Viewport.
func (s *scroller) ShiftBy(rows int) {
	s.first += rows
	s.el.Get("firstElementChild").Get("style").Set("height", strconv.Itoa(int(float64(s.list.Count())*s.row))+"px")
	s.el.Set("scrollTop", s.el.Get("scrollTop").Float()+float64(rows)*s.row)
}

// Reveal implements view.Viewport.
func (s *scroller) Reveal(index int) {
	top, height := s.el.Get("scrollTop").Float(), s.el.Get("clientHeight").Float()
	at := float64(index) * s.row
	switch {
	case at < top:
		s.el.Set("scrollTop", at)
	case at+s.row > top+height:
		s.el.Set("scrollTop", at+s.row-height)
	default:
		return
	}
	s.first = int(s.el.Get("scrollTop").Float() / s.row)
	s.list.SetWindow(s.first, max(s.shown, 1))
}

// Top implements view.Viewport.
func (s *scroller) Top() {
	s.first = 0
	s.el.Set("scrollTop", 0)
}
