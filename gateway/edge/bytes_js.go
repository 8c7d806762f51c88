package edge

import (
	"runtime"
	"syscall/js"
)

// What JavaScript makes, Go holds until its garbage is collected, and Go collects when its own memory has grown: it does not see
// that behind sixteen bytes of its are an event, a promise, or 64 KiB of somebody's mail. At 50 MB/s a Worker would end at its 128 MB
// before. So bytes that go out have one buffer, those that came in are dropped by hand, and the rest is collected after every so many.

// collectEvery is after how many events and promises Go collects its garbage: each leaves about ten values behind, which are some
// 200 bytes each, so this is 2 MB of them. A collection takes some milliseconds; at 30 KB for each event there is one in 30 MB.
const collectEvery = 1000

// happened counts events and promises. There is one thread.
var happened int

// happens says that there was an event or a promise.
func happens() {
	if happened++; happened%collectEvery == 0 {
		go runtime.GC()
	}
}

// lent is a buffer of JavaScript's in which bytes are handed to the platform, again and again. The zero lent is ready.
type lent struct {
	octets js.Value // a Uint8Array
	size   int
}

// of is a Uint8Array that holds p until the next call.
func (l *lent) of(p []byte) js.Value {
	if l.size < len(p) {
		l.size = max(len(p), min(2*l.size, writeSize))
		l.octets = uint8Array.New(l.size)
	}
	js.CopyBytesToJS(l.octets, p)
	return l.octets.Call("subarray", 0, len(p))
}

// drop has JavaScript free what an ArrayBuffer holds, whoever may still have the buffer. Anything else it leaves alone.
func drop(v js.Value) {
	if v.Type() == js.TypeObject && v.InstanceOf(arrayBuffer) {
		v.Call("transfer", 0)
	}
}
