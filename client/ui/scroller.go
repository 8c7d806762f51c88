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
	el    js.Value
	row   float64 // height of a row, px
	first int     // what the view was told
	shown int
	funcs []js.Func
}

var _ view.Viewport = (*scroller)(nil)

// scroller takes the element when it has been made.
func (c *MessageList) scroller(el js.Value) {
	if c.scroll != nil {
		c.scroll.release()
	}
	s := &scroller{app: c.App, el: el, row: rowHeight}
	c.scroll = s
	options := js.Global().Get("Object").New()
	options.Set("passive", true)
	el.Call("addEventListener", "scroll", s.hear(func() { s.look(false) }), options)
	js.Global().Get("ResizeObserver").New(s.hear(func() { s.look(true) })).Call("observe", el)
	c.App.List.SetViewport(s)
}

func (s *scroller) hear(fn func()) js.Func {
	f := js.FuncOf(func(js.Value, []js.Value) any { fn(); return nil })
	s.funcs = append(s.funcs, f)
	return f
}

func (s *scroller) release() {
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
	s.app.Do(func() { s.app.List.SetWindow(first, shown) })
}

func (s *scroller) measure() {
	css := js.Global().Call("getComputedStyle", s.el).Call("getPropertyValue", "--row-height").String()
	if px, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(css), "px"), 64); err == nil && px > 0 {
		s.row = px
	}
}

// ShiftBy implements view.Viewport.
func (s *scroller) ShiftBy(rows int) {
	s.first += rows
	s.el.Get("firstElementChild").Get("style").Set("height", strconv.Itoa(int(float64(s.app.List.Total)*s.row))+"px")
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
	s.app.List.SetWindow(s.first, max(s.shown, 1))
}

// Top implements view.Viewport.
func (s *scroller) Top() {
	s.first = 0
	s.el.Set("scrollTop", 0)
}
