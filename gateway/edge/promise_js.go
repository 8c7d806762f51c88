package edge

import (
	"errors"
	"syscall/js"
)

var (
	uint8Array  = js.Global().Get("Uint8Array")
	arrayBuffer = js.Global().Get("ArrayBuffer")
)

// outcome is what became of a promise.
type outcome struct {
	value js.Value
	err   error
}

// settled answers a channel that gets the promise's outcome, and holds it until somebody asks. A goroutine may wait on
// it; a callback of JavaScript's may not, or nothing would ever settle.
func settled(promise js.Value) <-chan outcome {
	happens()
	done := make(chan outcome, 1)
	var kept, broken js.Func
	settle := func(o outcome) {
		done <- o
		kept.Release()
		broken.Release()
	}
	kept = js.FuncOf(func(_ js.Value, args []js.Value) any {
		settle(outcome{value: first(args)})
		return nil
	})
	broken = js.FuncOf(func(_ js.Value, args []js.Value) any {
		settle(outcome{err: reason(first(args))})
		return nil
	})
	promise.Call("then", kept, broken)
	return done
}

func first(args []js.Value) js.Value {
	if len(args) == 0 {
		return js.Undefined()
	}
	return args[0]
}

// reason makes an error of what a promise was broken with, which may be anything, undefined too.
func reason(v js.Value) error {
	if v.Type() == js.TypeObject {
		if m := v.Get("message"); m.Type() == js.TypeString {
			return errors.New(m.String())
		}
	}
	return errors.New(js.Global().Get("String").Invoke(v).String())
}

// try calls f and makes an error of what JavaScript throws in it.
func try(f func() js.Value) (v js.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			thrown, ok := r.(js.Error)
			if !ok {
				panic(r)
			}
			err = thrown
		}
	}()
	return f(), nil
}

// call is try for a method that answers a promise.
func call(v js.Value, method string, args ...any) <-chan outcome {
	promise, err := try(func() js.Value { return v.Call(method, args...) })
	if err != nil {
		failed := make(chan outcome, 1)
		failed <- outcome{err: err}
		return failed
	}
	return settled(promise)
}
