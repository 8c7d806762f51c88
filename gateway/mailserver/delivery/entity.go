package delivery

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"strings"
)

// walker goes through a message line by line and tells a visitor of its MIME entities: the message, the parts of its
// multiparts, and the messages within, theirs too. It holds one line, whatever the message's size. See RFC 2045 and RFC 2046.
type walker struct {
	in    *lines
	visit visitor
	most  int // entities

	open    []multipart // those around, innermost last
	digest  bool        // the entity under way is a part of a multipart/digest
	count   int         // entities begun
	state   walking
	fields  fields
	started bool    // a line has begun, and this piece goes on with it
	name    string  // of the field under way
	keep    *[]byte // its value, if it is needed
	held    bool    // the line end before this line is the content's, or the boundary's
}

// multipart is one that is being read.
type multipart struct {
	boundary string
	digest   bool
}

// visitor is told what a message is made of, in order. Its errors end the walk.
type visitor interface {
	begin(i int) error                     // entity i, from 0, begins with its header
	field(name string, piece []byte) error // a piece of a line of its header, of the field of that name, in lower case
	fieldEnd(name string) error            // the line's end
	describe(e entity) error               // the header was that
	text(piece []byte) error               // a piece of a line of the body of an entity that has no entities in it
	newline() error                        // the line's end, if it is content
	end() error                            // that body is over
	filler(piece []byte, end bool) error   // what is around the parts of a multipart, and no content
	boundary(line []byte, lead bool) error // a boundary; lead tells that it has a line end before it
	neverOpened() error                    // the filler since the last header was all of a multipart: its boundary did not come
}

// entity is what the header says of a body.
type entity struct {
	index     int
	media     string // "text/plain", lower case
	encoding  string // Content-Transfer-Encoding, lower case; empty for none
	typed     bool   // there is a Content-Type
	versioned bool   // there is a MIME-Version
	within    within
	blank     bool // an empty line ends the header
}

// within is what the body of an entity is, to who would encode it.
type within int

const (
	leaf   within = iota // content that can be encoded
	parted               // a multipart, taken apart
	inner                // a message within
	sealed               // what may not be changed: signed, or not understood
)

type walking int

const (
	inHeader walking = iota
	inBody
	inPreamble
	inFiller // between or behind parts
)

// fields are those of a header that are needed, unfolded.
type fields struct{ contentType, encoding, version []byte }

// maxField bounds a field that is needed, maxDepth how deep multiparts lie in each other.
const (
	maxField = 16 << 10
	maxDepth = 100
)

var errShape = errors.New("its MIME structure is beyond the limits")

// walk goes through the message.
func (w *walker) walk() error {
	for {
		if err := w.step(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// step goes through a piece of the message. After the last the error is io.EOF.
func (w *walker) step() error {
	if w.count == 0 {
		if err := w.begin(); err != nil {
			return err
		}
	}
	piece, end, err := w.in.next()
	switch {
	case err == io.EOF:
		if err := w.finish(); err != nil {
			return err
		}
		return io.EOF
	case err != nil:
		return err
	}
	return w.line(piece, end)
}

func (w *walker) begin() error {
	if w.count == w.most {
		return errShape
	}
	w.state, w.fields, w.name, w.keep = inHeader, fields{}, "", nil
	w.count++
	return w.visit.begin(w.count - 1)
}

// line takes a piece of a line.
func (w *walker) line(piece []byte, end bool) error {
	if !w.started && (end || w.in.last) {
		if level, closes := w.match(piece); level >= 0 {
			return w.atBoundary(piece, level, closes)
		}
	}
	err := w.other(piece, end)
	w.started = !end
	return err
}

// other takes a piece of a line that is no boundary.
func (w *walker) other(piece []byte, end bool) error {
	switch w.state {
	case inHeader:
		return w.header(piece, end)
	case inPreamble, inFiller:
		return w.visit.filler(piece, end)
	}
	if !w.started && w.held {
		w.held = false
		if err := w.visit.newline(); err != nil {
			return err
		}
	}
	w.held = end
	return w.visit.text(piece)
}

// match says of which open multipart a line is the boundary, RFC 2046 section 5.1.1, and whether the last.
func (w *walker) match(line []byte) (level int, closes bool) {
	rest, ok := bytes.CutPrefix(line, []byte("--"))
	if !ok {
		return -1, false
	}
	rest = bytes.TrimRight(rest, " \t")
	for i := len(w.open) - 1; i >= 0; i-- {
		if after, ok := bytes.CutPrefix(rest, []byte(w.open[i].boundary)); ok && (len(after) == 0 || string(after) == "--") {
			return i, len(after) > 0
		}
	}
	return -1, false
}

func (w *walker) atBoundary(line []byte, level int, closes bool) error {
	lead := w.held
	w.held = false
	if w.state == inHeader {
		if err := w.endHeader(false); err != nil {
			return err
		}
	}
	switch {
	case w.state == inBody:
		if err := w.visit.end(); err != nil {
			return err
		}
	case w.state == inPreamble && level < len(w.open)-1:
		if err := w.visit.neverOpened(); err != nil {
			return err
		}
	}
	if err := w.visit.boundary(line, lead); err != nil {
		return err
	}
	if closes {
		w.open, w.state = w.open[:level], inFiller
		return nil
	}
	w.open = w.open[:level+1]
	w.digest = w.open[level].digest
	return w.begin()
}

// header takes a piece of a line of a header.
func (w *walker) header(piece []byte, end bool) error {
	value := piece
	if !w.started {
		if len(piece) == 0 {
			return w.endHeader(true)
		}
		if piece[0] != ' ' && piece[0] != '\t' {
			name, rest, found := bytes.Cut(piece, []byte(":"))
			w.name = ""
			if value = rest; found {
				w.name = strings.ToLower(string(bytes.TrimRight(name[:min(len(name), 200)], " \t")))
			}
			w.keep = w.fields.of(w.name)
		}
	}
	if w.keep != nil && len(*w.keep) < maxField {
		*w.keep = append(*w.keep, value...)
	}
	if err := w.visit.field(w.name, piece); err != nil || !end {
		return err
	}
	return w.visit.fieldEnd(w.name)
}

// of answers where the value of a field is kept; nil if it is not, or is there already: of two the first counts.
func (f *fields) of(name string) *[]byte {
	var to *[]byte
	switch name {
	case "content-type":
		to = &f.contentType
	case "content-transfer-encoding":
		to = &f.encoding
	case "mime-version":
		to = &f.version
	}
	if to == nil || *to != nil {
		return nil
	}
	*to = []byte{}
	return to
}

// endHeader says what the header was, and goes on to the body.
func (w *walker) endHeader(blank bool) error {
	e := entity{index: w.count - 1, blank: blank, typed: w.fields.contentType != nil, versioned: w.fields.version != nil}
	e.encoding, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(string(w.fields.encoding))), " ")
	e.encoding = strings.TrimRight(e.encoding, ";")
	media, params, err := mime.ParseMediaType(string(w.fields.contentType))
	if !e.typed {
		media, err = "text/plain", nil
		if w.digest { // RFC 2046 section 5.1.5
			media = "message/rfc822"
		}
	} else if errors.Is(err, mime.ErrInvalidMediaParameter) && !strings.HasPrefix(media, "multipart/") {
		err = nil
	}
	e.media = media
	transparent := e.encoding == "" || e.encoding == "7bit" || e.encoding == "8bit" || e.encoding == "binary"
	kind, sub, _ := strings.Cut(media, "/")
	boundary := strings.TrimRight(params["boundary"], " \t")
	switch {
	case err != nil, len(w.fields.contentType) >= maxField:
		e.within = sealed
	case kind == "multipart" && sub != "signed" && transparent && boundary != "":
		e.within = parted
	case media == "message/rfc822" && transparent:
		e.within = inner
	case media == "message/global": // RFC 6532 section 3.7: it can be encoded
	case kind == "multipart" || kind == "message":
		e.within = sealed
	case !transparent && e.encoding != "base64" && e.encoding != "quoted-printable":
		e.within = sealed
	}
	if err := w.visit.describe(e); err != nil {
		return err
	}
	switch e.within {
	case parted:
		if len(w.open) == maxDepth {
			return errShape
		}
		w.open, w.state = append(w.open, multipart{boundary, sub == "digest"}), inPreamble
		return nil
	case inner:
		if blank {
			w.digest = false
			return w.begin()
		}
	}
	w.state = inBody
	return nil
}

// finish is the end of the message. A line end there is content.
func (w *walker) finish() error {
	if w.state == inHeader {
		if w.started {
			if err := w.visit.fieldEnd(w.name); err != nil {
				return err
			}
		}
		if err := w.endHeader(false); err != nil {
			return err
		}
	}
	switch w.state {
	case inPreamble:
		return w.visit.neverOpened()
	case inFiller:
		return nil
	}
	if w.held {
		if err := w.visit.newline(); err != nil {
			return err
		}
	}
	return w.visit.end()
}
