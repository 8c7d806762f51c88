package platform

import (
	"context"
	"syscall/js"

	"github.com/postern-mail/postern/client/internal/promise"
)

// Room answers how many octets the browser lets this origin keep beside what it keeps. Browsers round, and some say more than the
// device has; that it is not known is no error.
func Room(ctx context.Context) (octets int64, known bool) {
	storage := js.Global().Get("navigator").Get("storage")
	if !storage.Truthy() || storage.Get("estimate").Type() != js.TypeFunction {
		return 0, false
	}
	var asked js.Value
	if promise.Try(func() { asked = storage.Call("estimate") }) != nil {
		return 0, false
	}
	e, err := promise.Await(ctx, asked)
	if err != nil || e.Get("quota").Type() != js.TypeNumber || e.Get("usage").Type() != js.TypeNumber {
		return 0, false
	}
	return int64(e.Get("quota").Float() - e.Get("usage").Float()), true
}
