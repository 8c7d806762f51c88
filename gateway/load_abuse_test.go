package main

import (
	"io"
	"time"
)

// What clients do to a gateway under load that they should not, or cannot help. Each of these begins and leaves it to go on.

// fetch takes what comes, as fast as it comes.
func (c *clients) fetch() error {
	streams, err := c.open(endless)
	if err != nil {
		return err
	}
	for _, s := range streams {
		go func() { _ = s.take(1<<62, 64<<10, 0) }()
	}
	return nil
}

// take reads so many octets, some at a time, with a pause after each, and lets as many follow.
func (s *peerStream) take(n int64, atATime int, pause time.Duration) error {
	room := make([]byte, atATime)
	for n > 0 {
		k, err := io.ReadFull(s, room)
		if err != nil {
			return err
		}
		if err := s.allow(uint32(k)); err != nil {
			return err
		}
		n -= int64(k)
		time.Sleep(pause)
	}
	return nil
}

// silent clients have a stream each, and from then on say nothing and hear nothing. Nor do they go: for the gateway it is as if their
// line had been cut.
func (c *clients) silent() error {
	_, err := c.open(exchanging)
	return err
}

// vanish is done again and again: a client comes, begins to fetch, and is gone in the middle of it, by a reset.
func (c *clients) vanish() error {
	for i := range c.n {
		go func() {
			for {
				if p, err := newPeer(c.page, c.address(i)); err == nil {
					if s, err := p.open(c.mail[endless]); err == nil {
						_ = s.take(128<<10, 16<<10, 0)
						c.did.Add(1)
					}
					p.reset()
				}
				time.Sleep(2 * time.Second) // sixteen at an address, and 300 in a minute may come from there
			}
		}()
	}
	return nil
}

// slow readers take 4 KiB in a second, out of a socket that holds little more.
func (c *clients) slow() error {
	streams, err := c.open(endless)
	if err != nil {
		return err
	}
	for i, s := range streams {
		_ = s.p.conn.SetReadBuffer(4 << 10)
		_ = s.allow(1 << 28)
		go func() {
			time.Sleep(time.Duration(i%16) * 250 * time.Millisecond / 16)
			_ = s.take(1<<62, 1<<10, 250*time.Millisecond)
		}()
	}
	return nil
}

// stop is slow at its worst: they let the gateway send as much as there is, and read nothing of it.
func (c *clients) stop() error {
	streams, err := c.open(endless)
	if err != nil {
		return err
	}
	for _, s := range streams {
		_ = s.p.conn.SetReadBuffer(4 << 10)
		_ = s.allow(1 << 30)
	}
	return nil
}

// push sends as much as the gateway takes, to a server that reads nothing.
func (c *clients) push() error {
	streams, err := c.open(deaf)
	if err != nil {
		return err
	}
	for _, s := range streams {
		go func() {
			for sent := 0; ; {
				for room := 256<<10 + s.taken - sent; room > 0; {
					n := min(room, message)
					if _, err := s.Write(noise()[:n]); err != nil {
						return
					}
					sent, room = sent+n, room-n
					c.did.Add(int64(n))
				}
				f, err := s.p.next()
				if err != nil {
					return
				}
				switch {
				case f.kind == muxWindow && f.stream == s.id:
					s.taken += int(f.length)
				case f.kind == muxData:
					_, _ = io.CopyN(io.Discard, s.p, int64(f.length))
				}
			}
		}()
	}
	return nil
}

// floodOpens opens streams and lets go of them, as fast as it can write. When the gateway ends its session, it comes again.
func (c *clients) floodOpens() error {
	for i := range c.n {
		go func() {
			for {
				p, err := newPeer(c.page, c.address(i))
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				go func() { _, _ = io.Copy(io.Discard, p.conn) }()
				for err == nil {
					var frames []byte
					for range 16 {
						frames = append(frames, p.asks(c.mail[exchanging])...)
						frames = append(frames, muxFrame(muxWindow, muxFIN, p.last, 0)...)
					}
					if err = p.say(frames); err == nil {
						c.did.Add(16)
					}
				}
				p.reset()
			}
		}()
	}
	return nil
}

// floodSessions comes, says hello, is answered and goes, as fast as it is let.
func (c *clients) floodSessions() error {
	for i := range c.n {
		go func() {
			for {
				p, err := newPeer(c.page, c.address(i))
				c.did.Add(1)
				if err == nil {
					p.reset()
				}
			}
		}()
	}
	return nil
}
