package pop3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

var errBodyOver = errors.New("pop3: message read after its callback had returned")

// body is the content of a multi-line answer with the dot-stuffing undone: RFC 1939 section 3. It reads straight from
// the link's buffer and looks for the two octets that can matter, a line feed and a dot, so the length of lines and
// messages is nothing to it. Line ends are passed on as they came.
//
// QUIRK: RFC 1939 ends the content with CRLF "." CRLF. Here a line ends with LF, whether or not a CR is before it, both
// for what is unstuffed and for the line that ends the content: servers that send bare LF (and they exist) stuff
// each line of their own, and other clients read them the same way (poplib, fetchmail, mpop). A dot that follows a
// bare CR is content.
type body struct {
	link      *link
	max       int64 // octets allowed, -1 for any number
	octets    int64 // octets handed over or dropped
	run       int   // content octets at the start of the buffer that are known to be free of dots to undo
	lineStart bool
	err       error // why there is no more: io.EOF after the end
}

func newBody(l *link, max int64) *body { return &body{link: l, max: max, lineStart: true} }

// peek returns the next run of content, valid until the next peek after an advance.
func (b *body) peek() ([]byte, error) {
	l := b.link
	for b.run == 0 {
		if b.err != nil {
			return nil, b.err
		}
		p := l.buffered()
		if len(p) == 0 || b.lineStart && needsMore(p) {
			if b.err = l.fill(); b.err != nil {
				return nil, b.err
			}
			continue
		}
		if b.lineStart && p[0] == '.' {
			if n := terminator(p); n > 0 {
				l.pos += n
				b.err = io.EOF
				return nil, io.EOF
			}
			l.pos++ // the stuffed dot
			b.lineStart = false
			continue
		}
		run := beforeDot(p)
		if b.max >= 0 && int64(run) > b.max-b.octets {
			b.err = l.fail(fmt.Errorf("%w: a message of more than %d octets", ErrTooLong, b.max))
			return nil, b.err
		}
		b.run = run
	}
	return l.buf[l.pos : l.pos+b.run], nil
}

// beforeDot returns how much of p is before a dot that starts a line, not counting the first octet. It looks for
// dots, which are rarer than line ends (base64 has none); on js/wasm, where bytes.Index has no fast path, it counts most.
func beforeDot(p []byte) int {
	for from := 1; ; from++ {
		i := bytes.IndexByte(p[from:], '.')
		if i < 0 {
			return len(p)
		}
		if from += i; p[from-1] == '\n' {
			return from
		}
	}
}

// needsMore reports whether p, the start of a line, may be the start of the terminator.
func needsMore(p []byte) bool {
	return p[0] == '.' && (len(p) == 1 || len(p) == 2 && p[1] == '\r')
}

// terminator returns the length of the line that ends the content, if p starts with it.
func terminator(p []byte) int {
	if len(p) >= 2 && p[1] == '\n' {
		return 2
	}
	if len(p) >= 3 && p[1] == '\r' && p[2] == '\n' {
		return 3
	}
	return 0
}

// advance uses up n octets of what peek returned.
func (b *body) advance(n int) {
	if n == 0 {
		return
	}
	l := b.link
	b.lineStart = l.buf[l.pos+n-1] == '\n'
	l.pos += n
	b.run -= n
	b.octets += int64(n)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	run, err := b.peek()
	if err != nil {
		return 0, err
	}
	n := copy(p, run)
	b.advance(n)
	return n, nil
}

// WriteTo implements io.WriterTo: it copies nothing on the way.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		run, err := b.peek()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(run)
		if n < 0 || n > len(run) {
			n, err = 0, errors.New("pop3: writer returned an impossible count")
		}
		total += int64(n)
		b.advance(n)
		if err == nil && n < len(run) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return total, err
		}
	}
}

// drain reads to the end of the content and makes further reads fail.
func (b *body) drain() error {
	for {
		run, err := b.peek()
		if err != nil {
			b.err = errBodyOver
			if err == io.EOF {
				return nil
			}
			return err
		}
		b.advance(len(run))
	}
}

// refused is the body of a message that the server would not give: its first read tells why.
type refused struct{ err *Error }

func (r refused) Read([]byte) (int, error) { return 0, r.err }
