package tunnel

import (
	"sync"

	"github.com/postern-mail/postern/shared/wire"
)

// block is memory for bytes that wait: in a stream for its reader, or in the session for the sender. It is lent by a pool,
// and given back when nothing waits, so that a stream or a session at rest has none.
type block struct {
	b    []byte // what is in it and not yet taken
	room []byte // all of its memory
	next *block
}

// A block holds a line or two, or one message.
const (
	smallBlock = 1 << 10
	largeBlock = wire.MaxMessage
)

var (
	smallBlocks = sync.Pool{New: func() any { return newBlock(smallBlock) }}
	largeBlocks = sync.Pool{New: func() any { return newBlock(largeBlock) }}
)

func newBlock(size int) *block { return &block{room: make([]byte, size)} }

// lend gives an empty block, a large one unless n bytes are few. n is no more than a large one holds.
func lend(n int) *block {
	pool := &largeBlocks
	if n <= smallBlock {
		pool = &smallBlocks
	}
	b := pool.Get().(*block)
	b.b, b.next = b.room[:0], nil
	return b
}

// free gives the block back. Nobody may have any of it any more.
func (b *block) free() {
	b.b, b.next = nil, nil
	if len(b.room) == smallBlock {
		smallBlocks.Put(b)
	} else {
		largeBlocks.Put(b)
	}
}

// put appends of p what there is room for, and answers the rest.
func (b *block) put(p []byte) (rest []byte) {
	n := min(len(p), cap(b.b)-len(b.b))
	b.b = append(b.b, p[:n]...)
	return p[n:]
}
