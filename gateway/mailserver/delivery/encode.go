package delivery

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
)

// conversion says what is to be taken from a message by encoding its parts: RFC 2045 section 6.
type conversion struct {
	eight bool // octets above 127: RFC 6152 section 3
	long  bool // lines of more than 998 octets
}

// needs reports whether an entity's body must be encoded.
func (c conversion) needs(e *found) bool {
	return e.within != sealed && (c.eight && e.eight || c.long && e.long)
}

// relabels reports whether an entity says that it may have octets above 127, and will have none.
func (c conversion) relabels(e *found) bool {
	return c.eight && e.within != sealed && (e.encoding == "8bit" || e.encoding == "binary")
}

// converted reads a message converted, as it is read from r, of which f was found. Lines end in CRLF.
func (f *findings) converted(r io.Reader, c conversion) io.Reader {
	e := &encoder{findings: f, conversion: c}
	e.walker = walker{in: newLines(r), visit: e, most: len(f.entities)}
	return e
}

// encoder is the visitor that writes the message anew, and a reader of what it has written.
type encoder struct {
	*findings
	conversion
	walker  walker
	out     bytes.Buffer
	err     error
	entity  *found
	changed bool           // the entity's encoding is another one
	body    io.WriteCloser // the encoding of the body under way; nil for none
	line    int            // of what is no content, octets so far
}

// Read implements io.Reader.
func (e *encoder) Read(p []byte) (int, error) {
	for e.out.Len() == 0 && e.err == nil {
		e.err = e.walker.step()
	}
	if e.out.Len() == 0 {
		return 0, e.err
	}
	return e.out.Read(p)
}

func (e *encoder) begin(i int) error {
	if i >= len(e.entities) {
		return io.ErrUnexpectedEOF // it is another message
	}
	e.entity = &e.entities[i]
	e.changed = e.needs(e.entity) || e.relabels(e.entity)
	if e.entity.encoding == "quoted-printable" || e.entity.encoding == "base64" {
		e.changed = false // it stays what it says
	}
	return nil
}

const encodingField = "content-transfer-encoding"

func (e *encoder) field(name string, piece []byte) error {
	if !e.changed || name != encodingField {
		e.out.Write(piece)
	}
	return nil
}

func (e *encoder) fieldEnd(name string) error {
	if !e.changed || name != encodingField {
		e.out.WriteString("\r\n")
	}
	return nil
}

func (e *encoder) describe(now entity) error {
	if e.changed {
		if now.index == 0 && !now.versioned {
			e.out.WriteString("MIME-Version: 1.0\r\n")
		}
		if now.index == 0 && !now.typed {
			charset := "unknown-8bit" // RFC 1428 section 3
			if e.entity.utf8 {
				charset = "utf-8"
			}
			e.out.WriteString("Content-Type: text/plain; charset=" + charset + "\r\n")
		}
		e.out.WriteString("Content-Transfer-Encoding: " + e.encoding() + "\r\n")
	}
	if now.blank {
		e.out.WriteString("\r\n")
	}
	e.body = nil
	if !e.needs(e.entity) {
		return nil
	}
	switch {
	case now.encoding == "quoted-printable":
		e.body = &quoted{out: &e.out}
	case now.encoding == "base64":
		e.body = &mendBase64{out: &e.out}
	case e.encoding() == "base64":
		e.body = base64.NewEncoder(base64.StdEncoding, &wrapped{out: &e.out})
	default:
		e.body = &quoted{out: &e.out, fresh: true}
	}
	return nil
}

// encoding is the one that an entity gets: quoted-printable for what is text to the most part, so that it can be read, and
// base64 for the rest.
func (e *encoder) encoding() string {
	switch {
	case !e.needs(e.entity):
		return "7bit"
	case strings.HasPrefix(e.entity.media, "text/") && e.entity.above <= e.entity.octets/3:
		return "quoted-printable"
	}
	return "base64"
}

func (e *encoder) text(piece []byte) error {
	if e.body == nil {
		e.out.Write(piece)
		return nil
	}
	_, err := e.body.Write(piece)
	return err
}

func (e *encoder) newline() error { return e.text([]byte("\r\n")) }

func (e *encoder) end() error {
	if e.body == nil {
		return nil
	}
	body := e.body
	e.body = nil
	return body.Close()
}

// filler is no content, so it may be mended as it comes. It must not become a boundary by that.
func (e *encoder) filler(piece []byte, end bool) error {
	mend := e.conversion.eight && !isASCII(piece)
	for i, c := range piece {
		if mend && (c >= 0x80 || i == 0 && e.line == 0 && c == '-') {
			c = '?'
		}
		if e.line++; e.conversion.long && e.line > maxTextLine {
			e.out.WriteString("\r\n ")
			e.line = 2
		}
		e.out.WriteByte(c)
	}
	if end {
		e.out.WriteString("\r\n")
		e.line = 0
	}
	return nil
}

func (e *encoder) boundary(line []byte, lead bool) error {
	if lead {
		e.out.WriteString("\r\n")
	}
	if e.conversion.long { // what is behind a boundary may be left out: RFC 2046 section 5.1.1
		line = bytes.TrimRight(line, " \t")
	}
	e.out.Write(line)
	e.out.WriteString("\r\n")
	e.line = 0
	return nil
}

func (e *encoder) neverOpened() error { return nil }
