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
//
// The browser is waited for once for all that was begun before somebody asks for a sum: a callback of its own for each
// cost more than the hashing.
type Digester struct {
	digest js.Value // crypto.subtle.digest("SHA-256", …); undefined where there is none
	room   js.Value
	part   js.Value // room.subarray(…)

	mu  sync.Mutex
	now *gathering // nil when nothing was begun since a sum was asked for
}

// NewDigester makes one. In a page that is not served securely there is no WebCrypto, and it hashes by itself.
func NewDigester() *Digester {
	d := &Digester{}
	if subtle := js.Global().Get("crypto").Get("subtle"); !subtle.IsUndefined() {
		d.digest = subtle.Get("digest").Call("bind", subtle, "SHA-256")
		d.room = js.Global().Get("Uint8Array").New(digestRoom)
		d.part = d.room.Get("subarray").Call("bind", d.room, 0)
	}
	return d
}

// SHA256 begins to hash b, which may change as soon as it returns. The function that it answers waits for the sum.
func (d *Digester) SHA256(b []byte) (sum func() [32]byte) {
	if len(b) < digestLeast || d.digest.IsUndefined() {
		s := sha256.Sum256(b)
		return func() [32]byte { return s }
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var octets js.Value
	if len(b) <= digestRoom {
		octets = d.part.Invoke(len(b))
	} else {
		octets = js.Global().Get("Uint8Array").New(len(b))
	}
	js.CopyBytesToJS(octets, b)
	if d.now == nil {
		d.now = &gathering{promises: js.Global().Get("Array").New()}
	}
	g, i := d.now, d.now.count
	g.promises.SetIndex(i, d.digest.Invoke(octets)) // takes a copy of the octets before it returns
	g.count++
	return func() [32]byte {
		d.mu.Lock()
		if d.now == g {
			d.now = nil
		}
		d.mu.Unlock()
		return g.sum(i)
	}
}

// gathering is what was begun and is waited for together.
type gathering struct {
	promises js.Value // an Array
	count    int
	once     sync.Once
	sums     []byte
}

func (g *gathering) sum(i int) [32]byte {
	g.once.Do(func() {
		ctx := context.Background()
		list, err := promise.Await(ctx, js.Global().Get("Promise").Call("all", g.promises))
		if err == nil { // a Blob is what makes one ArrayBuffer of many, in one call
			list, err = promise.Await(ctx, js.Global().Get("Blob").New(list).Call("arrayBuffer"))
		}
		if err != nil {
			panic("platform: SHA-256: " + err.Error()) // it knows the algorithm, or there would be no page
		}
		g.promises = js.Undefined()
		g.sums = make([]byte, g.count*sha256.Size)
		js.CopyBytesToGo(g.sums, js.Global().Get("Uint8Array").New(list))
	})
	return [32]byte(g.sums[i*sha256.Size:])
}
