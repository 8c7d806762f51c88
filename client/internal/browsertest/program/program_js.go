// Package program is the inside of a program that browsertest runs.
package program

import (
	"context"
	"fmt"
	"runtime/debug"
	"syscall/js"
)

// Case is called by a test with a text, on a goroutine of its own, and answers one.
type Case func(ctx context.Context, arg string) (string, error)

// Main makes the cases callable and never returns.
func Main(cases map[string]Case) {
	js.Global().Set("call", js.FuncOf(func(_ js.Value, a []js.Value) any {
		name, arg := a[0].String(), ""
		if len(a) > 1 && a[1].Type() == js.TypeString {
			arg = a[1].String()
		}
		return promise(func() (string, error) {
			c := cases[name]
			if c == nil {
				return "", fmt.Errorf("no case %q", name)
			}
			return c(context.Background(), arg)
		})
	}))
	select {}
}

func promise(fn func() (string, error)) js.Value {
	var executor js.Func
	executor = js.FuncOf(func(_ js.Value, a []js.Value) any {
		resolve, reject := a[0], a[1]
		go func() {
			defer executor.Release()
			defer func() {
				if v := recover(); v != nil {
					reject.Invoke(js.Global().Get("Error").New(fmt.Sprintf("panic: %v\n%s", v, debug.Stack())))
				}
			}()
			s, err := fn()
			if err != nil {
				reject.Invoke(js.Global().Get("Error").New(err.Error()))
				return
			}
			resolve.Invoke(s)
		}()
		return nil
	})
	return js.Global().Get("Promise").New(executor)
}
