package delivery

import (
	"errors"
	"io"
	"unicode/utf8"
)

// findings is what a message would need to travel over seven bits, in lines of 998 octets: by entity.
type findings struct {
	entities []found
	eight    bool // there are octets above 127 in the header of a part or of a message within, or in a boundary
	unopened bool // there are some in a multipart whose boundary never comes: nobody knows what is content there
}

// found is what was found of an entity.
type found struct {
	entity
	eight, long   bool // its body has octets above 127; lines of more than 998
	octets, above int64
	utf8          bool // and is UTF-8
}

// maxTextLine is what RFC 5321 section 4.5.3.1.6 lets a line have, without its CRLF.
const maxTextLine = 998

// Findings for which content cannot be made 7-bit.
var (
	errSealed   = errors.New("a part of it that may not be changed (it is signed, or of a type or encoding that cannot be) has octets above 127")
	errUnopened = errors.New("a part of it is a multipart without parts, and has octets above 127")
	errHeaders  = errors.New("the header of one of its parts, or a boundary, has octets above 127")
)

// examine reads a message for what it would need.
func examine(r io.Reader, most int) (*findings, error) {
	x := &examiner{findings: &findings{}}
	w := walker{in: newLines(r), visit: x, most: most}
	if err := w.walk(); err != nil {
		return nil, err
	}
	return x.findings, nil
}

// sevenBit says why the message cannot be made 7-bit; nil if it can.
func (f *findings) sevenBit() error {
	for i := range f.entities {
		if e := &f.entities[i]; e.eight && e.within == sealed {
			return errSealed
		}
	}
	if f.unopened {
		return errUnopened
	}
	if f.eight {
		return errHeaders
	}
	return nil
}

// examiner is the visitor of examine.
type examiner struct {
	*findings
	line     int // octets of it so far
	partial  []byte
	preamble bool // there are octets above 127 in it
}

func (x *examiner) begin(int) error {
	x.entities = append(x.entities, found{utf8: true})
	return nil
}

func (x *examiner) field(_ string, piece []byte) error {
	x.eight = x.eight || len(x.entities) > 1 && !isASCII(piece)
	return nil
}

func (x *examiner) fieldEnd(string) error { return nil }

func (x *examiner) describe(e entity) error {
	x.entities[e.index].entity = e
	x.line, x.partial, x.preamble = 0, x.partial[:0], false
	return nil
}

func (x *examiner) text(piece []byte) error {
	e := &x.entities[len(x.entities)-1]
	x.line += len(piece)
	e.long = e.long || x.line > maxTextLine
	e.octets += int64(len(piece))
	if above := countAbove(piece); above > 0 {
		e.eight = true
		e.above += above
	} else if len(x.partial) == 0 {
		return nil
	}
	if e.utf8 {
		x.partial = append(x.partial, piece...)
		x.check(e, false)
	}
	return nil
}

// check reads what is held as UTF-8. The beginning of a character at its end may be completed later.
func (x *examiner) check(e *found, all bool) {
	for len(x.partial) > 0 {
		r, n := utf8.DecodeRune(x.partial)
		if r == utf8.RuneError && n == 1 {
			if !all && !utf8.FullRune(x.partial) {
				return
			}
			e.utf8 = false
			x.partial = x.partial[:0]
			return
		}
		x.partial = x.partial[n:]
	}
}

func (x *examiner) newline() error {
	x.line = 0
	x.check(&x.entities[len(x.entities)-1], true)
	return nil
}

func (x *examiner) end() error { return x.newline() }

func (x *examiner) filler(piece []byte, _ bool) error {
	x.preamble = x.preamble || !isASCII(piece)
	return nil
}

func (x *examiner) boundary(line []byte, _ bool) error {
	x.eight = x.eight || !isASCII(line)
	return nil
}

func (x *examiner) neverOpened() error {
	x.unopened = x.unopened || x.preamble
	return nil
}

func isASCII(p []byte) bool { return countAbove(p) == 0 }

func countAbove(p []byte) (n int64) {
	for _, c := range p {
		n += int64(c >> 7)
	}
	return n
}
