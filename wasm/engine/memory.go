//go:build js

package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastHeap is how much the heap may grow between two collections, whatever there is in it. By default Go collects each
// time the heap has doubled, which for the few megabytes of a mailbox in use is several times a second while mail is
// fetched: a fifth of the time of a large fetch, on the one thread there is.
const leastHeap = 48 << 20

// tendMemory has the collector leave the heap at least that much room. Past it, the default holds: with 100,000 messages in
// memory the room is that of the messages.
func tendMemory() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	var after func(*collected)
	tend := func() {
		metrics.Read(sample)
		live := max(sample[0].Value.Uint64(), 1<<20)
		debug.SetGCPercent(int(max(100, leastHeap*100/live)))
		runtime.SetFinalizer(&collected{}, after)
	}
	after = func(*collected) { tend() }
	tend()
}

// collected is garbage from the start: its finalizer runs after the next collection.
type collected struct{ _ [16]byte }
