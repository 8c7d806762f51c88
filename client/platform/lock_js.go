package platform

import (
	"context"
	"errors"
	"sync"
	"syscall/js"

	"github.com/postern-mail/postern/client/internal/promise"
)

// errHeld says that somebody else has the lock.
var errHeld = errors.New("platform: the lock is held")

// lock takes the origin-wide Web Lock of that name, waiting for it until ctx ends; with now it does not wait, and fails
// with errHeld. The browser gives it back by itself when the page or worker goes.
func lock(ctx context.Context, name string, now bool) (release func(), err error) {
	controller := js.Global().Get("AbortController").New()
	options := map[string]any{"ifAvailable": now}
	if !now { // the two options exclude each other
		options["signal"] = controller.Get("signal")
	}

	granted := make(chan bool, 1)
	var let js.Value // resolves the promise for which the lock is held
	held := js.FuncOf(func(_ js.Value, a []js.Value) any { let = a[0]; return nil })
	callback := js.FuncOf(func(_ js.Value, a []js.Value) any {
		if a[0].IsNull() {
			granted <- false
			return nil
		}
		p := js.Global().Get("Promise").New(held)
		granted <- true
		return p
	})
	request := js.Global().Get("navigator").Get("locks").Call("request", name, options, callback)
	ended := make(chan error, 1)
	go func() {
		_, err := promise.Await(context.Background(), request) // until the lock is given back, or was not given
		held.Release()
		callback.Release()
		ended <- err
	}()
	var once sync.Once
	release = func() { once.Do(func() { let.Invoke() }) }

	select {
	case ok := <-granted:
		if !ok {
			return nil, errHeld
		}
		return release, nil
	case err := <-ended:
		if err == nil {
			err = errHeld
		}
		return nil, err
	case <-ctx.Done():
		controller.Call("abort")
		go func() { // granted at the same moment
			select {
			case ok := <-granted:
				if ok {
					release()
				}
			case <-ended:
			}
		}()
		return nil, ctx.Err()
	}
}

// tabLock is the lock that a tab holds while it is there, so that the engine learns of a tab that could not say bye.
func tabLock(tab string) string { return "postern-tab-" + tab }

// randomName is a name that nobody else has.
func randomName() string { return js.Global().Get("crypto").Call("randomUUID").String() }
