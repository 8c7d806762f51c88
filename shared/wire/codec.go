package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxFrame bounds the JSON of one frame. The largest frame that passes validation is a Welcome of about 15 KiB.
const MaxFrame = 16 << 10

// MaxMessage bounds one WebSocket message. Message boundaries carry no meaning, so a sender splits as it likes below
// this; the bound is what a reader must be ready to hold. Programs write powers of two: 64 KiB and the heads of some frames
// fit, and cost a per-message overhead of well under a per mille.
const MaxMessage = 65 << 10

var (
	ErrMalformed = errors.New("wire: malformed frame")                 // not JSON, not the frame that is due, or a field breaks its rule
	ErrTooLong   = fmt.Errorf("%w: longer than allowed", ErrMalformed) // the length prefix is over MaxFrame
)

// frame is what travels: an object with exactly one member, whose name says which frame it is.
type frame struct {
	Hello   *Hello        `json:"hello,omitempty"`
	Welcome *Welcome      `json:"welcome,omitempty"`
	Refused *RefusedError `json:"refused,omitempty"`
	Open    *Open         `json:"open,omitempty"`
	Opened  *opened       `json:"opened,omitempty"`
	Notice  *Notice       `json:"notice,omitempty"`

	Discover   *Discover   `json:"discover,omitempty"`
	Discovered *Discovered `json:"discovered,omitempty"`
}

type opened struct{}

// WriteHello writes h, after validating it.
func WriteHello(w io.Writer, h Hello) error { return write(w, &h, frame{Hello: &h}) }

// ReadHello reads a Hello. Its Version may be one that this package does not speak: that is for the caller to refuse.
func ReadHello(r io.Reader) (Hello, error) {
	f, err := read(r)
	if err != nil {
		return Hello{}, err
	}
	if f.Hello == nil {
		return Hello{}, unexpected("hello")
	}
	return *f.Hello, check(f.Hello)
}

// WriteWelcome writes wl, after validating it.
func WriteWelcome(w io.Writer, wl Welcome) error { return write(w, &wl, frame{Welcome: &wl}) }

// ReadWelcome reads the answer to a Hello. A refusal is returned as a *RefusedError.
func ReadWelcome(r io.Reader) (Welcome, error) {
	f, err := read(r)
	if err != nil {
		return Welcome{}, err
	}
	if f.Refused != nil {
		return Welcome{}, refusal(f.Refused)
	}
	if f.Welcome == nil {
		return Welcome{}, unexpected("welcome")
	}
	return *f.Welcome, check(f.Welcome)
}

// WriteOpen writes o, after validating it.
func WriteOpen(w io.Writer, o Open) error { return write(w, &o, frame{Open: &o}) }

// ReadOpen reads an Open. It reads not one byte beyond it, for what follows is the stream's payload.
func ReadOpen(r io.Reader) (Open, error) {
	f, err := read(r)
	if err != nil {
		return Open{}, err
	}
	if f.Open == nil {
		return Open{}, unexpected("open")
	}
	return *f.Open, check(f.Open)
}

// WriteOpened writes the yes to an Open.
func WriteOpened(w io.Writer) error { return write(w, nil, frame{Opened: &opened{}}) }

// ReadOpened reads the answer to an Open: nil for yes, a *RefusedError for no. It reads not one byte beyond it.
func ReadOpened(r io.Reader) error {
	f, err := read(r)
	switch {
	case err != nil:
		return err
	case f.Refused != nil:
		return refusal(f.Refused)
	case f.Opened == nil:
		return unexpected("opened")
	}
	return nil
}

// WriteRefused writes the no to a Hello or an Open. The Detail is made fit: what cannot be printed becomes a space, and
// what is over its limit is cut, so that a foreign error's text can be passed as it is.
func WriteRefused(w io.Writer, e *RefusedError) error {
	said := RefusedError{Reason: e.Reason, Detail: fit(e.Detail, maxDetail)}
	return write(w, &said, frame{Refused: &said})
}

// WriteNotice writes n, after validating it. The Detail is made fit, as WriteRefused does.
func WriteNotice(w io.Writer, n Notice) error {
	n.Detail = fit(n.Detail, maxDetail)
	return write(w, &n, frame{Notice: &n})
}

// ReadNotice reads the next notice. A frame of a kind that this version does not know is returned as the zero Notice,
// to be passed over.
func ReadNotice(r io.Reader) (Notice, error) {
	f, err := read(r)
	if err != nil {
		return Notice{}, err
	}
	if f == (frame{}) {
		return Notice{}, nil
	}
	if f.Notice == nil {
		return Notice{}, unexpected("notice")
	}
	return *f.Notice, check(f.Notice)
}

type validator interface{ Validate() error }

func check(v validator) error {
	if err := v.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

func refusal(e *RefusedError) error {
	if err := check(e); err != nil {
		return err
	}
	return e
}

func unexpected(due string) error { return fmt.Errorf("%w: no %q in it", ErrMalformed, due) }

// write sends prefix and JSON in one Write, so that a frame is one packet.
func write(w io.Writer, v validator, f frame) error {
	if v != nil {
		if err := check(v); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	b.Write(make([]byte, 4))
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(f); err != nil {
		return fmt.Errorf("wire: %w", err)
	}
	b.Truncate(b.Len() - 1) // the encoder's newline
	n := b.Len() - 4
	if n > MaxFrame {
		return ErrTooLong
	}
	binary.BigEndian.PutUint32(b.Bytes(), uint32(n))
	_, err := w.Write(b.Bytes())
	return err
}

// read takes one frame and no more. io.EOF means that the peer closed between frames.
func read(r io.Reader) (frame, error) {
	var prefix [4]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(prefix[:])
	if n > MaxFrame {
		return frame{}, ErrTooLong
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	if !utf8.Valid(body) {
		return frame{}, fmt.Errorf("%w: not UTF-8", ErrMalformed)
	}
	var f frame
	if err := json.Unmarshal(body, &f); err != nil {
		return frame{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if body := bytes.TrimLeft(body, " \t\r\n"); len(body) == 0 || body[0] != '{' {
		return frame{}, fmt.Errorf("%w: not an object", ErrMalformed) // json takes null for an empty struct
	}
	if f.members() > 1 {
		return frame{}, fmt.Errorf("%w: two frames in one", ErrMalformed)
	}
	return f, nil
}

func (f frame) members() (n int) {
	for _, present := range []bool{
		f.Hello != nil, f.Welcome != nil, f.Refused != nil, f.Open != nil, f.Opened != nil, f.Notice != nil,
		f.Discover != nil, f.Discovered != nil,
	} {
		if present {
			n++
		}
	}
	return n
}
