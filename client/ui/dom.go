package ui

import (
	"strings"

	"github.com/vugu/vugu"
	"github.com/vugu/vugu/js"

	"github.com/postern-mail/postern/client/view"
)

// plainClick says that a click on a link means to go there in this page, and not in a new tab.
func plainClick(e vugu.DOMEvent) bool {
	return !e.PropBool("ctrlKey") && !e.PropBool("metaKey") && !e.PropBool("shiftKey") && e.PropFloat64("button") == 0
}

// filesOf reads files one after another; each is given to use when its bytes are there.
func filesOf(list js.Value, use func(name, mediaType string, data []byte), tooLarge func(name, mediaType string, size int64, file view.LocalFile)) {
	if !list.Truthy() {
		return
	}
	for i := range list.Get("length").Int() {
		file := list.Index(i)
		name, mediaType := file.Get("name").String(), file.Get("type").String()
		if size := file.Get("size").Float(); size > view.LargestFile {
			go tooLarge(name, mediaType, int64(size), LocalFile(file)) // the event that brought the file is being handled still
			continue
		}
		var done js.Func
		done = js.FuncOf(func(_ js.Value, args []js.Value) any {
			done.Release()
			bytes := js.Global().Get("Uint8Array").New(args[0])
			data := make([]byte, bytes.Get("length").Int())
			js.CopyBytesToGo(data, bytes)
			use(name, mediaType, data)
			return nil
		})
		file.Call("arrayBuffer").Call("then", done)
	}
}

// icon is the address of a picture in the sprite.
func icon(name string) string { return "/icons.svg#" + name }

// classes joins the class names that are not empty.
func classes(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		if n == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(n)
	}
	return b.String()
}

// when is name if b, else "".
func when(b bool, name string) string {
	if b {
		return name
	}
	return ""
}
