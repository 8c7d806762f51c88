package tunnel

import (
	"errors"
	"fmt"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// What goes to the peer: frames of yamux's writer and our own, as messages for the MessageConn.

// highWater is how many bytes of a session may wait for the carrier before its conns stop writing. It covers one
// message on its way and one being gathered; with more, a ping or a small stream's line waits behind more bulk.
const highWater = 2 * wire.MaxMessage

// maxChunk is the largest payload of a data frame: what a large write on one stream may put before a small one on
// another. Two such frames make a message.
const maxChunk = wire.MaxMessage/2 - headerSize

// Write takes frames from yamux's writer, which hands over a header and then its payload. They go into the queue
// together, so that a frame of ours never lands between them.
func (c *carrier) Write(p []byte) (n int, err error) {
	defer c.survive(&err)
	n = len(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(p) > 0 {
		if due := c.out.payload; due > 0 {
			if len(p) < due {
				return 0, errors.New("tunnel: yamux wrote a payload in parts")
			}
			c.pending = append(append(c.pending, c.out.header[:]...), p[:due]...)
			c.out.payload = 0
			p = p[due:]
			continue
		}
		var whole bool
		if p, whole = c.out.gather(p); whole {
			c.departing(&c.out.header)
			if c.out.payload == 0 {
				c.pending = append(c.pending, c.out.header[:]...)
			}
		}
	}
	notify(c.work)
	if len(c.pending) > 2*highWater+(c.o.Streams+1)*2*maxChunk {
		c.failLocked(ErrStalled) // longer than any honest use can make it
	}
	return n, c.alive()
}

// send writes what is queued to the MessageConn, as many frames to a message as there are.
func (c *carrier) send() {
	watchdog := time.AfterFunc(time.Hour, func() { c.fail(ErrStalled) })
	watchdog.Stop()
	defer watchdog.Stop()
	var batch []byte
	for {
		select {
		case <-c.work:
		case <-c.closed:
			return
		}
		batch = c.take(batch)
		for b := batch; len(b) > 0; {
			n := message(b)
			watchdog.Reset(c.o.DeadAfter)
			if !c.await(n, watchdog) {
				return
			}
			err := c.mc.Write(c.ctx, b[:n])
			if ping := c.wrote(n); ping != nil && err == nil {
				err = c.mc.Write(c.ctx, ping)
			}
			watchdog.Stop()
			if err != nil {
				c.fail(fmt.Errorf("tunnel: writing: %w", err))
				return
			}
			b = b[n:]
			c.written(n)
		}
	}
}

// message is how much of the queued frames goes into the next message. It ends between two frames, for a frame in two
// messages must be put together again.
func message(b []byte) (n int) {
	for n < len(b) {
		var f frames
		f.gather(b[n:])
		size := headerSize + f.payload
		if n+size > wire.MaxMessage {
			break
		}
		n += size
	}
	if n == 0 {
		n = min(len(b), wire.MaxMessage) // a frame that is longer, were there one
	}
	return n
}

// take swaps the queue for the buffer that the sender has emptied.
func (c *carrier) take(empty []byte) (batch []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cap(empty) > 4*highWater {
		empty = nil // a burst's buffer need not stay for the session's life
	}
	batch, c.pending = c.pending, empty[:0]
	c.flying = len(batch)
	return batch
}

func (c *carrier) written(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying -= n
	if c.room != nil && len(c.pending)+c.flying < highWater {
		close(c.room)
		c.room = nil
	}
}

// full returns nil if a conn may write now, else a channel that is closed when it may ask again.
func (c *carrier) full() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending)+c.flying < highWater {
		return nil
	}
	if c.room == nil {
		c.room = make(chan struct{})
	}
	return c.room
}

// inject queues a frame of our own between yamux's. c.mu is held.
func (c *carrier) inject(h header) {
	c.pending = append(c.pending, h[:]...)
	notify(c.work)
}
