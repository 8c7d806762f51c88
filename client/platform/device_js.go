package platform

import (
	"syscall/js"

	"github.com/postern-mail/postern/client/internal/promise"
)

// preferencePrefix keeps our settings apart from whatever else this origin has in localStorage.
const preferencePrefix = "postern."

// Preference answers what SetPreference kept on this device, "" when nothing, or when storage is forbidden.
func (p *Page) Preference(key string) (value string) {
	_ = promise.Try(func() {
		if v := p.window.Get("localStorage").Call("getItem", preferencePrefix+key); v.Type() == js.TypeString {
			value = v.String()
		}
	})
	return value
}

// SetPreference keeps a setting; an empty value forgets it. That a setting cannot be kept is no error.
func (p *Page) SetPreference(key, value string) {
	_ = promise.Try(func() {
		if value == "" {
			p.window.Get("localStorage").Call("removeItem", preferencePrefix+key)
			return
		}
		p.window.Get("localStorage").Call("setItem", preferencePrefix+key, value)
	})
}

// Copy puts text on the clipboard.
func (p *Page) Copy(text string) {
	if c := p.window.Get("navigator").Get("clipboard"); c.Truthy() {
		p.ignore(c.Call("writeText", text))
	}
}

// KeepStorage asks the browser not to evict the mail when the device runs short. Browsers decide by themselves, mostly
// by how much the site is used, some ask the user; it is asked once in a page's life, when there is something to keep.
func (p *Page) KeepStorage() {
	if p.kept {
		return
	}
	p.kept = true
	if s := p.window.Get("navigator").Get("storage"); s.Truthy() && s.Get("persist").Type() == js.TypeFunction {
		p.ignore(s.Call("persist"))
	}
}

// Notify shows a notification of the system, if the user allowed it and does not look at the page.
func (p *Page) Notify(title, body string, open func()) {
	class := p.window.Get("Notification")
	if class.IsUndefined() || class.Get("permission").String() != "granted" || p.document.Call("hasFocus").Bool() {
		return
	}
	var n js.Value
	err := promise.Try(func() {
		n = class.New(title, map[string]any{"body": body, "icon": Rooted("/icons/icon-192.png"), "tag": "postern-mail"})
	})
	if err != nil {
		return // some mobile browsers let only a service worker notify
	}
	stop := listen(n, "click", func(js.Value) {
		p.window.Call("focus")
		n.Call("close")
		p.sched.Listen("notification", open)
	})
	listen(n, "close", func(js.Value) { stop() })
}

// AskToNotify asks for the permission. Browsers show the question only for an act of the user.
func (p *Page) AskToNotify(answer func(allowed bool)) {
	class := p.window.Get("Notification")
	if class.IsUndefined() {
		go p.sched.Update(func() { answer(false) })
		return
	}
	asked := class.Call("requestPermission")
	go func() {
		v, err := promise.Await(background, asked)
		p.sched.Update(func() { answer(err == nil && v.Type() == js.TypeString && v.String() == "granted") })
	}()
}
