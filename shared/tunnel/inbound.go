package tunnel

import (
	"fmt"
	"time"

	"github.com/postern-mail/postern/shared/wire"
)

// What comes from the peer: messages of the MessageConn, as frames for yamux's reader.

// receive brings messages from the MessageConn to yamux's reader, one at a time. It is apart from that reader so that a
// MessageConn that is slow to close (a browser's, when the network is gone) does not hold the session's end up.
func (c *carrier) receive() {
	for {
		m, err := c.mc.Read(c.ctx)
		if err != nil {
			c.fail(fmt.Errorf("tunnel: reading: %w", err))
			return
		}
		if len(m) > wire.MaxMessage {
			c.fail(fmt.Errorf("%w: a message of %d bytes", ErrProtocol, len(m)))
			return
		}
		c.heard.Store(int64(time.Since(c.began)))
		select {
		case c.messages <- m:
		case <-c.closed:
			return
		}
		select {
		case <-c.taken:
		case <-c.closed:
			return
		}
	}
}

// Read gives yamux's reader the peer's frames, each only when all of it is here: yamux holds locks while it waits for the
// rest of one, and a peer that never sends it would hang the stream's calls, deadlines and all.
func (c *carrier) Read(p []byte) (n int, err error) {
	defer c.survive(&err)
	for {
		switch {
		case len(c.handing) > 0:
			n = copy(p, c.handing)
			c.handing = c.handing[n:]
			return n, nil
		case c.in.between() && c.nextReset():
			// handing holds it
		case len(c.current) == 0:
			if err := c.fetch(); err != nil {
				return 0, err
			}
		case len(c.whole) > 0:
			k := min(len(c.current), c.in.payload)
			c.whole = append(c.whole, c.current[:k]...)
			c.current = c.current[k:]
			if c.in.payload -= k; c.in.payload == 0 {
				c.handing, c.whole, c.spare = c.whole, nil, c.whole[:0]
			}
		case c.in.payload > 0:
			n = copy(p[:min(len(p), c.in.payload)], c.current)
			c.current = c.current[n:]
			c.in.payload -= n
			return n, nil
		default:
			if err := c.header(); err != nil {
				c.fail(err)
				return 0, err
			}
		}
	}
}

// header takes what it can of a header and, when it is whole, lets it pass or not.
func (c *carrier) header() error {
	rest, whole := c.in.gather(c.current)
	c.current = rest
	if !whole {
		return nil
	}
	if err := c.arrived(&c.in.header); err != nil {
		return err
	}
	if c.in.payload > len(c.current) {
		if cap(c.spare) > 2*wire.MaxMessage {
			c.spare = nil
		}
		c.whole = append(c.spare, c.in.header[:]...)
	} else {
		c.handing = c.in.header[:]
	}
	return nil
}

// fetch waits for the next message, or returns for a reset to be handed over.
func (c *carrier) fetch() error {
	if c.inHand {
		select {
		case c.taken <- struct{}{}:
			c.inHand = false
		case <-c.closed:
			return ErrSessionClosed
		}
	}
	select {
	case c.current = <-c.messages:
		c.inHand = true
		return nil
	case <-c.wake:
		return nil
	case <-c.closed:
		return ErrSessionClosed
	}
}

// nextReset hands yamux the next RST of our own making.
func (c *carrier) nextReset() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.resets) == 0 {
		return false
	}
	h := newHeader(typeWindowUpdate, flagRST, c.resets[0], 0)
	c.resets = c.resets[1:]
	c.handing = h[:]
	return true
}
