package platform

import (
	"context"
	"crypto/sha256"
	"sync"
	"syscall/js"

	"github.com/postern-mail/postern/client/internal/promise"
)

// digestLeast is what is hashed sooner here than the browser could be asked, digestRoom the buffer through which the rest
// is handed over; what is longer gets one of its own.
const (
	digestLeast = 4 << 10
	digestRoom  = 256 << 10
)

// Digester hashes by the browser's WebCrypto, in a thread of its own and with the processor's instructions. Go's SHA-256
// makes 75 MB/s in WebAssembly, which was a fifth of the time of a large fetch.
type Digester struct {
	subtle js.Value
	once   sync.Once
	room   js.Value
}

// NewDigester makes one. In a page that is not served securely there is no WebCrypto, and it hashes by itself.
func NewDigester() *Digester { return &Digester{subtle: js.Global().Get("crypto").Get("subtle")} }

// SHA256 begins to hash b, which may change as soon as it returns. The function that it answers waits for the sum.
func (d *Digester) SHA256(b []byte) (sum func() [32]byte) {
	if len(b) < digestLeast || d.subtle.IsUndefined() {
		s := sha256.Sum256(b)
		return func() [32]byte { return s }
	}
	var octets js.Value
	if len(b) <= digestRoom {
		d.once.Do(func() { d.room = js.Global().Get("Uint8Array").New(digestRoom) })
		octets = d.room.Call("subarray", 0, len(b))
	} else {
		octets = js.Global().Get("Uint8Array").New(len(b))
	}
	js.CopyBytesToJS(octets, b)
	p := d.subtle.Call("digest", "SHA-256", octets) // takes a copy of the octets before it returns
	came := make(chan [32]byte, 1)
	go func() {
		v, err := promise.Await(context.Background(), p)
		if err != nil {
			panic("platform: SHA-256: " + err.Error()) // it knows the algorithm, or there would be no page
		}
		var s [32]byte
		js.CopyBytesToGo(s[:], js.Global().Get("Uint8Array").New(v))
		came <- s
	}()
	return sync.OnceValue(func() [32]byte { return <-came })
}
