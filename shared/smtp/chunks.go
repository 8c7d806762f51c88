package smtp

import (
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// chunksFrom is the size from which a message goes by BDAT. A server answers each chunk, so that one that it will not
	// have (too large for the mailbox, refused for its header) costs a chunk and not all of it, and progress is what has
	// arrived, not what fills the buffers on the way. Below that DATA is as good, and more servers get it right.
	chunksFrom = 1 << 20
	// chunkSize bounds what is held of a message.
	chunkSize = 256 << 10
	// chunksInFlight are sent before their answers come, with PIPELINING: 1 MiB on a way of 100 ms is 10 MB/s.
	chunksInFlight = 4
)

// sendChunks sends the message by BDAT (RFC 3030) and returns the server's reply.
//
// QUIRK: the last chunk is the last line end alone, and waits for the answers to all others. There are servers (those of
// go-smtp among them) that take the half of a last chunk for the whole when the connection is cut within it, and servers
// that take a last chunk although they refused one before. So neither can make half a message.
func (t *transaction) sendChunks(r io.Reader) (reply, error) {
	c := &chunker{transaction: t, inFlight: 1}
	if t.extensions.Pipelining {
		c.inFlight = chunksInFlight
	}
	_, err := copyLines(t.within(c), r, nil)
	if err == nil && len(c.buf) > 2 {
		err = c.send(len(c.buf) - 2)
	}
	if err == nil {
		err = c.await(0)
	}
	if err == nil {
		err = t.ctx.Err()
	}
	if c.refused != nil {
		return reply{}, c.giveUp()
	}
	if err != nil {
		return reply{}, t.guard.fail(err) // no last chunk: the server drops what it has
	}
	last := fmt.Sprintf("BDAT %d LAST", len(c.buf))
	accepted, err := t.finish(command{line: last + "\r\n" + string(c.buf), shown: last})
	if err == nil {
		c.progress(len(c.buf))
	}
	return accepted, err
}

// chunker cuts what copyLines makes into chunks. It holds back the last two octets, which are a line end.
type chunker struct {
	*transaction
	buf      []byte
	inFlight int   // most
	sizes    []int // of the chunks whose answers are to come
	octets   int64 // that the server has
	refused  *Error
}

var errRefused = errors.New("a chunk was refused")

func (c *chunker) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), chunkSize+2-len(c.buf))
		c.buf = append(c.buf, rest[:n]...)
		rest = rest[n:]
		if len(c.buf) < chunkSize+2 {
			continue
		}
		if err := c.send(chunkSize); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// send sends the first n octets that are held.
func (c *chunker) send(n int) error {
	if err := c.await(c.inFlight - 1); err != nil {
		return err
	}
	if err := c.guard.SetDeadline(time.Now().Add(c.options.Timeout)); err != nil {
		return err
	}
	if err := c.guard.ask([]command{{line: fmt.Sprintf("BDAT %d\r\n", n)}}); err != nil {
		return err
	}
	if err := c.guard.putContent(c.buf[:n]); err != nil {
		return err
	}
	c.traceContent(int64(n))
	c.sizes = append(c.sizes, n)
	c.buf = append(c.buf[:0], c.buf[n:]...)
	return nil
}

// await waits until at most that many answers are to come.
func (c *chunker) await(most int) error {
	for len(c.sizes) > most {
		r, err := c.guard.reply(c.options.Timeout)
		if err != nil {
			return err
		}
		n := c.sizes[0]
		c.sizes = c.sizes[1:]
		switch {
		case r.code == 421:
			return r.err("BDAT")
		case r.is(4) || r.is(5):
			c.refused = r.refusal("BDAT")
			return errRefused
		case !r.is(2):
			return r.err("BDAT")
		}
		c.progress(n)
	}
	return nil
}

func (c *chunker) progress(n int) {
	if c.octets += int64(n); c.options.Progress != nil {
		c.options.Progress(c.octets)
	}
}

// giveUp ends the transaction after a refusal. The chunks behind the refused one are refused too: RFC 3030 section 2.
func (c *chunker) giveUp() error {
	for range c.sizes {
		if _, err := c.guard.reply(c.options.Timeout); err != nil {
			return c.refused
		}
	}
	return c.takeBack(c.refused)
}
