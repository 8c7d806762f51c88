package promise

import (
	"context"
	"syscall/js"
)

// Error is what a promise was rejected with, or what was thrown.
type Error struct {
	Name    string // of a DOMException or Error, such as "QuotaExceededError"; may be empty
	Message string
}

func (e *Error) Error() string {
	if e.Name == "" {
		return e.Message
	}
	return e.Name + ": " + e.Message
}

// Is makes two Errors of the same name the same to errors.Is.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Name == e.Name
}

// Named is for errors.Is: any Error of that name.
func Named(name string) error { return &Error{Name: name} }

// Reason makes an error of a rejection's reason, which can be anything, undefined too.
func Reason(v js.Value) *Error {
	switch v.Type() {
	case js.TypeObject, js.TypeFunction:
		e := &Error{}
		if n := v.Get("name"); n.Type() == js.TypeString {
			e.Name = n.String()
		}
		if m := v.Get("message"); m.Type() == js.TypeString {
			e.Message = m.String()
		} else {
			e.Message = js.Global().Get("String").Invoke(v).String()
		}
		return e
	case js.TypeUndefined, js.TypeNull:
		return &Error{Message: "no reason given"}
	}
	return &Error{Message: js.Global().Get("String").Invoke(v).String()}
}

type outcome struct {
	value js.Value
	err   error
}

// Await waits until p settles, or until ctx ends: then p goes on without anybody.
func Await(ctx context.Context, p js.Value) (js.Value, error) {
	return settled(ctx, func(resolve, reject js.Func) { p.Call("then", resolve, reject) },
		func(v js.Value) js.Value { return v }, func(v js.Value) js.Value { return v })
}

// Request waits for an IDBRequest (or anything else with onsuccess, onerror, result and error).
func Request(ctx context.Context, r js.Value) (js.Value, error) {
	return settled(ctx, func(resolve, reject js.Func) {
		r.Set("onsuccess", resolve)
		r.Set("onerror", reject)
		r.Set("onblocked", reject)
	}, func(js.Value) js.Value { return r.Get("result") }, func(js.Value) js.Value { return r.Get("error") })
}

func settled(ctx context.Context, start func(resolve, reject js.Func), value, reason func(js.Value) js.Value) (js.Value, error) {
	done := make(chan outcome, 1)
	var resolve, reject js.Func
	release := func() { resolve.Release(); reject.Release() }
	arg := func(a []js.Value) js.Value {
		if len(a) == 0 {
			return js.Undefined()
		}
		return a[0]
	}
	resolve = js.FuncOf(func(_ js.Value, a []js.Value) any {
		release()
		done <- outcome{value: value(arg(a))}
		return nil
	})
	reject = js.FuncOf(func(_ js.Value, a []js.Value) any {
		release()
		done <- outcome{err: Reason(reason(arg(a)))}
		return nil
	})
	if err := Try(func() { start(resolve, reject) }); err != nil {
		release()
		return js.Undefined(), err
	}
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		return js.Undefined(), ctx.Err()
	}
}

// Try runs fn and gives what JavaScript threw in it, or what is missing there (a call of a function that is not), as an
// error.
func Try(fn func()) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case js.Error:
			err = Reason(v.Value)
		case *js.ValueError:
			err = &Error{Name: "TypeError", Message: v.Error()}
		default:
			panic(v)
		}
	}()
	fn()
	return nil
}
