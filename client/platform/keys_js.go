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
		}
		p.sched.Listen("key", func() {
			if fn(k) {
				e.Call("preventDefault")
			}
		})
	})
}
