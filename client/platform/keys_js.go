package platform

import "syscall/js"

// Key is a key pressed on the page, with what a shortcut needs to know of where.
type Key struct {
	Name        string // as KeyboardEvent.key says: "j", "Enter", "Escape"
	Ctrl, Shift bool   // Ctrl stands for the Command key too
	Alt         bool
	Typing      bool // in a field where letters are text
	InList      bool // the focus is in the list of messages
	OnControl   bool // the focus is on a button or link, which Enter and space press
}

const (
	fields   = `textarea, select, [contenteditable=""], [contenteditable="true"], input:not([type="checkbox"], [type="radio"], [type="button"], [type="submit"], [type="reset"], [type="file"])`
	controls = `a[href], button, summary, select, input, [role="button"], [role="link"], [role="menuitem"]`
	list     = `[data-testid="message-list"], [data-testid="file-list"], [data-testid="picker-list"]`
)

// walk goes to the next item of a menu, or the one before; false if at is in none.
func walk(at js.Value, by int) bool {
	menu := at.Call("closest", `[role="menu"]`)
	if !menu.Truthy() {
		return false
	}
	items := menu.Call("querySelectorAll", `[role^="menuitem"]`)
	for i, n := 0, items.Length(); i < n; i++ {
		if items.Index(i).Equal(at) {
			items.Index((i + by + n) % n).Call("focus")
			break
		}
	}
	return true
}

// OnKey calls fn for each key pressed anywhere in the page. When fn says that the key meant something, the browser does
// nothing more with it. Keys of an input method that is composing are its own.
func (p *Page) OnKey(fn func(Key) bool) {
	listen(p.window, "keydown", func(e js.Value) {
		if e.Get("defaultPrevented").Bool() || e.Get("isComposing").Bool() || e.Get("key").Type() != js.TypeString {
			return
		}
		k := Key{
			Name:  e.Get("key").String(),
			Ctrl:  e.Get("ctrlKey").Bool() || e.Get("metaKey").Bool(),
			Shift: e.Get("shiftKey").Bool(),
			Alt:   e.Get("altKey").Bool(),
		}
		switch k.Name {
		case "Shift", "Control", "Alt", "Meta", "Process", "Dead":
			return
		}
		if at := e.Get("target"); at.Get("closest").Type() == js.TypeFunction {
			in := func(selector string) bool { return at.Call("closest", selector).Truthy() }
			k.Typing, k.InList, k.OnControl = in(fields), in(list), in(controls)
			if k.Name == "ArrowDown" && walk(at, 1) || k.Name == "ArrowUp" && walk(at, -1) {
				e.Call("preventDefault")
				return
			}
		}
		p.sched.Listen("key", func() {
			if fn(k) {
				e.Call("preventDefault")
			}
		})
	})
}
