// A page in small: it starts the engine and says whether it answered.
package main

import "syscall/js"

func main() {
	document := js.Global().Get("document")
	app := document.Call("getElementById", "app")
	show := func(text, ready string) {
		app.Set("textContent", text)
		app.Get("dataset").Set("ready", ready)
	}
	meta := func(name string) string {
		return document.Call("querySelector", "meta[name="+name+"]").Get("content").String()
	}
	worker := js.Global().Get("Worker").New(meta("postern-worker") + "?wasm=" + meta("postern-engine"))
	worker.Call("addEventListener", "message", js.FuncOf(func(_ js.Value, a []js.Value) any {
		show("the engine says "+a[0].Get("data").String(), "true")
		return nil
	}))
	worker.Call("addEventListener", "error", js.FuncOf(func(_ js.Value, a []js.Value) any {
		show("the engine failed: "+a[0].Get("message").String(), "false")
		return nil
	}))
	end := make(chan struct{})
	document.Call("addEventListener", "test-end", js.FuncOf(func(js.Value, []js.Value) any { close(end); return nil }))
	<-end
}
