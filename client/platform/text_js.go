package platform

import (
	"syscall/js"

	"github.com/postern-mail/postern/client/internal/promise"
)

// DecodeText answers octets of a charset as text, by the browser's TextDecoder: it knows every charset of the web's
// index (the Encoding Standard), so the engine needs no tables of its own. ok is false for a charset that it has not.
// Octets that mean nothing become U+FFFD.
func DecodeText(charset string, b []byte) (text string, ok bool) {
	err := promise.Try(func() {
		decoder := js.Global().Get("TextDecoder").New(charset)
		octets := js.Global().Get("Uint8Array").New(len(b))
		js.CopyBytesToJS(octets, b)
		text = decoder.Call("decode", octets).String()
	})
	return text, err == nil
}
