package platform

import (
	"fmt"
	"runtime/debug"
	"syscall/js"
)

// listen calls fn for an event until the function it answers is called. A panic in fn (an event that is not of the
// shape that it should be) is written to the console: it must not end the program.
func listen(target js.Value, event string, fn func(e js.Value)) (stop func()) {
	f := js.FuncOf(func(_ js.Value, a []js.Value) any {
		defer func() {
			if v := recover(); v != nil {
				LogError(fmt.Sprintf("%s: %v", event, v), debug.Stack())
			}
		}()
		fn(a[0])
		return nil
	})
	target.Call("addEventListener", event, f)
	return func() {
		target.Call("removeEventListener", event, f)
		f.Release()
	}
}

// LogError writes a fault of ours to the browser's console.
func LogError(what string, stack []byte) {
	js.Global().Get("console").Call("error", "postern: "+what+"\n"+string(stack))
}
