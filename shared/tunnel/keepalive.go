package tunnel

import "time"

// beat looks after a silent peer: a ping first, the end later. Anything that comes is a sign of life, so that an answer
// that queues behind a large download on a slow line does no harm.
func (c *carrier) beat() {
	silent := c.silence()
	if silent >= c.o.DeadAfter {
		c.fail(ErrSilent)
		return
	}
	if silent >= c.o.KeepAlive {
		c.ping()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alive() == nil {
		c.beatTime.Reset(c.o.KeepAlive)
	}
}

// probe asks the peer for a sign of life and ends the session if none comes in time.
func (c *carrier) probe(limit time.Duration) {
	asked := int64(time.Since(c.began))
	c.ping()
	time.AfterFunc(limit, func() {
		if c.heard.Load() < asked {
			c.fail(ErrSilent)
		}
	})
}

func (c *carrier) silence() time.Duration {
	return time.Since(c.began) - time.Duration(c.heard.Load())
}

// ping sends a yamux ping whose answer yamux passes over: that it came is all we want to know.
func (c *carrier) ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inject(newHeader(typePing, flagSYN, 0, 0))
}
