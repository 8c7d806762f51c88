package ui

import (
	"strconv"

	"github.com/vugu/vugu"
	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

// Mail is the page of somebody signed in: bar, folders, list, reading pane, composer.
type Mail struct {
	App   *view.App
	Frame MessageFrame
}

// sizes hands the width that a person chose to the style sheet.
func (c *Mail) sizes() string { return "--list-width:" + strconv.Itoa(c.App.Settings.ListWidth) + "px" }

func (c *Mail) home(e vugu.DOMEvent) {
	if plainClick(e) {
		e.PreventDefault()
		c.App.Home()
	}
}

func (c *Mail) initials() string {
	acc := c.App.Current()
	if acc.Email == "" {
		return ""
	}
	return view.Initials(api.Address{Name: acc.Name, Addr: acc.Email})
}

// composing is the number of the message being written, if there is one: the composer is keyed by it, so that a new
// message has new fields.
func (c *Mail) composing() []int {
	if !c.App.Composer.Open {
		return nil
	}
	return []int{c.App.Composer.Serial}
}

func (c *Mail) tab(name string) any {
	pane := c.App.Pane()
	r := &c.App.Route
	here := name == string(pane) || pane == view.PageList && (name == "search" && r.Search || name == "inbox" && !r.Search && r.Folder == api.Inbox)
	if here {
		return "page"
	}
	return nil
}

// gripKey changes the width of the list by keys.
func (c *Mail) gripKey(e vugu.DOMEvent) {
	switch e.PropString("key") {
	case "ArrowLeft":
		c.App.Settings.SetListWidth(c.App.Settings.ListWidth-20, true)
	case "ArrowRight":
		c.App.Settings.SetListWidth(c.App.Settings.ListWidth+20, true)
	default:
		return
	}
	e.PreventDefault()
}

// grip lets the pointer drag the line between list and reading pane. The width follows in the style itself, without a
// rendering for each move; the view learns it at the end.
func (c *Mail) grip(el js.Value) {
	start, width := 0.0, 0
	at := func(e js.Value) int { return width + int(e.Get("clientX").Float()-start) }
	on := func(name string, fn func(e js.Value)) {
		el.Call("addEventListener", name, js.FuncOf(func(_ js.Value, args []js.Value) any { fn(args[0]); return nil }))
	}
	dragging := false
	on("pointerdown", func(e js.Value) {
		dragging, start, width = true, e.Get("clientX").Float(), c.App.Settings.ListWidth
		el.Call("setPointerCapture", e.Get("pointerId"))
		e.Call("preventDefault")
	})
	on("pointermove", func(e js.Value) {
		if dragging {
			w := min(max(at(e), view.ListWidthLeast), view.ListWidthMost)
			el.Get("parentElement").Get("style").Call("setProperty", "--list-width", strconv.Itoa(w)+"px")
		}
	})
	on("pointerup", func(e js.Value) {
		if dragging {
			dragging = false
			c.App.Do(func() { c.App.Settings.SetListWidth(at(e), true) })
		}
	})
}
