package smtp

import (
	"fmt"
	"io"
	"time"
)

// finalDot ends a message after DATA, RFC 5321 section 4.1.1.4. It is a write of its own: before it the server cannot have
// accepted the message, and from its beginning on it may have.
const finalDot = ".\r\n"

// sendText sends the message after DATA, and returns the server's reply.
func (t *transaction) sendText(r io.Reader) (reply, error) {
	w := &dots{put: t.guard.putContent}
	n, err := copyLines(t.within(w), r, t.options.Progress)
	if err == nil {
		err = t.ctx.Err()
	}
	if err != nil {
		return reply{}, t.guard.fail(err) // no final dot: the server drops what it has
	}
	t.traceContent(n)
	return t.finish(command{line: finalDot})
}

func (t *transaction) traceContent(octets int64) {
	t.guard.trace(Exchange{Sent: true, Stage: stageData, Line: fmt.Sprintf("... %d octets", octets)})
}

// finish says the last word of a message, and waits for the server's. The connection that fails from here on leaves the
// message's fate unknown.
func (t *transaction) finish(last command) (reply, error) {
	g := t.guard
	if err := g.SetDeadline(time.Now().Add(t.options.Timeout)); err != nil {
		return reply{}, err
	}
	before := g.writes
	if err := g.ask([]command{last}); err != nil {
		if g.writes == before {
			return reply{}, err
		}
		return reply{}, ErrUnknown
	}
	r, err := g.reply(t.options.FinalTimeout)
	switch {
	case err != nil:
		return reply{}, ErrUnknown
	case r.is(2): // any 2yz is acceptance: RFC 5321 section 4.2.1
		return r, nil
	case r.is(3):
		g.fail(r.err("the message"))
		return reply{}, ErrUnknown
	}
	refused := r.refusal(".")
	if r.code == 421 {
		g.fail(refused)
	}
	return reply{}, refused
}

// within keeps a message within what the server takes, as far as that was not known beforehand.
func (t *transaction) within(w io.Writer) io.Writer {
	return &limits{w: w, sevenBit: t.sevenBit, most: t.extensions.Size}
}

type limits struct {
	w        io.Writer
	sevenBit bool
	octets   int64
	most     int64 // 0 for no limit
}

func (l *limits) Write(p []byte) (int, error) {
	if l.octets += int64(len(p)); l.most > 0 && l.octets > l.most {
		return 0, &TooLargeError{Size: l.octets, Limit: l.most}
	}
	if l.sevenBit && !isASCII(p) {
		return 0, errEightBit()
	}
	return l.w.Write(p)
}
