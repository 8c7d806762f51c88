package mail

import (
	"bytes"
	"strings"
)

// entity is a message or a part of one, RFC 2045 section 2.4. Its octets are those of the source.
type entity struct {
	header      header
	body        []byte
	media       string // type/subtype, lower case
	params      parameters
	disposition string
	dparams     parameters
	encoding    string
	children    []*entity // of a multipart
	parent      *entity
	index       int // among the parent's children
}

// reader takes a message apart in one pass, front to back. A line that is the boundary of any multipart around it ends a
// part, that of the innermost first: so parts end whose own boundary never comes, and a multipart may have the boundary
// of the one around it.
type reader struct {
	b        []byte
	open     []string         // the boundaries of the multiparts being read, the innermost last
	levels   map[string][]int // where in open a boundary is
	depth    int              // of the message itself, when it was within an encoded multipart
	parts    int
	work     int    // octets looked at
	hint     string // the charset that raw octets in headers are taken for
	charsets Charsets
	overrun  bool // more parts, levels or work than the bounds
	broken   bool // a multipart that could not be taken apart
}

// boundaryLine is a boundary met: which, and where its line lies. Level -1 is the end of the message.
type boundaryLine struct {
	level      int
	closes     bool
	start, end int
}

func (r *reader) decoder() decoder { return decoder{r.hint, r.charsets} }

func (r *reader) push(boundary string) {
	if r.levels == nil {
		r.levels = map[string][]int{}
	}
	r.levels[boundary] = append(r.levels[boundary], len(r.open))
	r.open = append(r.open, boundary)
}

func (r *reader) pop() {
	last := r.open[len(r.open)-1]
	r.open = r.open[:len(r.open)-1]
	if l := r.levels[last]; len(l) > 1 {
		r.levels[last] = l[:len(l)-1]
	} else {
		delete(r.levels, last)
	}
}

// match says whether a line is one of the open boundaries, RFC 2046 section 5.1.1.
func (r *reader) match(line []byte) (level int, closes bool) {
	if len(line) < 2 || line[0] != '-' || line[1] != '-' || len(r.open) == 0 || len(line) > 2000 {
		return -1, false
	}
	line = bytes.TrimRight(line[2:], " \t\r\n")
	level = -1
	if l := r.levels[string(line)]; l != nil {
		level = l[len(l)-1]
	}
	if rest, ok := bytes.CutSuffix(line, []byte("--")); ok {
		if l := r.levels[string(rest)]; l != nil && l[len(l)-1] > level {
			return l[len(l)-1], true
		}
	}
	return level, false
}

// next finds the first boundary line at or behind off, which must be the start of a line.
func (r *reader) next(off int) boundaryLine {
	start := off
	found := boundaryLine{-1, false, len(r.b), len(r.b)}
	if len(r.open) == 0 {
		return found // there is none to be found
	}
	for off < len(r.b) {
		if r.b[off] == '-' {
			end := len(r.b)
			if i := bytes.IndexByte(r.b[off:], '\n'); i >= 0 {
				end = off + i + 1
			}
			if level, closes := r.match(r.b[off:end]); level >= 0 {
				found = boundaryLine{level, closes, off, end}
				break
			}
		}
		i := bytes.Index(r.b[off:], []byte("\n--"))
		if i < 0 {
			break
		}
		off += i + 1
	}
	r.work += found.end - start
	return found
}

// upTo answers the octets from start up to a boundary line; the line end before it belongs to the boundary.
func (r *reader) upTo(start int, at boundaryLine) []byte {
	end := at.start
	if at.level >= 0 && end > start && r.b[end-1] == '\n' {
		if end--; end > start && r.b[end-1] == '\r' {
			end--
		}
	}
	return r.b[start:max(start, end)]
}

// read reads the entity that begins at off, and everything in it, up to the boundary line that ends it.
func (r *reader) read(off int, parent *entity) (*entity, boundaryLine) {
	e := &entity{parent: parent}
	r.parts++
	h, body := readHeader(r.b[off:], func(line []byte) bool { level, _ := r.match(line); return level >= 0 })
	e.header, off = h, off+body
	r.describe(e)
	if r.hint == "" {
		r.hint = e.params["charset"] // of the message itself, or of its first part
	}
	subtype, multi := strings.CutPrefix(e.media, "multipart/")
	if multi && (len(r.open)+r.depth >= maxDepth || r.work > maxWork*len(r.b)+1<<20) {
		r.overrun, multi = true, false
		e.media = "text/plain"
	}
	if !multi {
		at := r.next(off)
		e.body = r.upTo(off, at)
		return e, at
	}
	if e.encoding == "base64" || e.encoding == "quoted-printable" {
		if at := r.next(off); r.decoded(e, r.upTo(off, at)) {
			return e, at
		}
	}
	at, ok := r.enter(e, off)
	if !ok {
		r.broken = true
		e.media = "text/plain"
		e.body = r.upTo(off, at)
		return e, at
	}
	level := len(r.open) - 1
	for at.level == level && !at.closes {
		if r.parts >= maxParts {
			r.overrun = true
			at = r.next(at.end)
			continue
		}
		var c *entity
		c, at = r.read(at.end, e)
		c.index = len(e.children)
		if subtype == "digest" && c.header.get("content-type") == nil {
			c.media = "message/rfc822"
		}
		e.children = append(e.children, c)
	}
	r.pop()
	if at.level == level {
		at = r.next(at.end)
	}
	return e, at
}

// enter opens a multipart's boundary and answers its first line. A boundary that is not there, or is empty, is guessed.
// If that fails nothing is opened, and the line answered is the one that ends the body.
func (r *reader) enter(e *entity, off int) (at boundaryLine, ok bool) {
	if boundary := strings.TrimRight(e.params["boundary"], " \t"); boundary != "" {
		r.push(boundary)
		if at = r.next(off); at.level == len(r.open)-1 {
			return at, true
		}
		r.pop()
	}
	if guess, ok := r.guess(off); ok {
		r.push(guess)
		if at = r.next(off); at.level == len(r.open)-1 {
			return at, true
		}
		r.pop()
	}
	return r.next(off), false
}

// guess finds the first line that could be a boundary: one that begins with two dashes and is followed by a header or an
// empty line.
func (r *reader) guess(off int) (string, bool) {
	b := r.b[off:min(len(r.b), off+1<<16)]
	for range 200 {
		line, rest := cutLine(b)
		if level, _ := r.match(line); level >= 0 || rest == nil {
			break
		}
		if d, ok := bytes.CutPrefix(line, []byte("--")); ok && len(d) > 0 && len(d) <= 200 && bytes.IndexByte(d, ' ') < 0 {
			next, _ := cutLine(rest)
			if _, _, ok := cutField(next); ok || len(next) == 0 {
				return string(d), true
			}
		}
		b = rest
	}
	return "", false
}

// decoded reads a multipart that is encoded as a whole, which RFC 2045 section 6.4 forbids and which is sent. It answers
// false for one that only says so.
func (r *reader) decoded(e *entity, body []byte) bool {
	boundary := e.params["boundary"]
	r.work += len(body)
	if boundary == "" || bytes.Contains(body, []byte("--"+boundary)) {
		return false
	}
	in := reader{b: decodeTransfer(e.encoding, body), parts: r.parts, hint: r.hint, charsets: r.charsets, depth: r.depth + len(r.open) + 1}
	within := &entity{params: parameters{"boundary": boundary}}
	at, ok := in.enter(within, 0)
	for ok && at.level == 0 && !at.closes && in.parts < maxParts {
		var c *entity
		c, at = in.read(at.end, e)
		c.index = len(e.children)
		e.children = append(e.children, c)
	}
	r.parts, r.overrun = in.parts, r.overrun || in.overrun || in.parts >= maxParts
	return len(e.children) > 0
}

// describe reads the MIME fields of an entity. Without them it is text/plain, RFC 2045 section 5.2.
func (r *reader) describe(e *entity) {
	e.media = "text/plain"
	if v := e.header.get("content-type"); v != nil {
		media, params := parseParameterized(v, r.decoder())
		e.params = params
		switch kind, sub, ok := strings.Cut(media, "/"); {
		case ok && isToken([]byte(kind)) && isToken([]byte(sub)):
			e.media = media
		case media == "text" || media == "":
		case media == "html":
			e.media = "text/html"
		case params["boundary"] != "":
			e.media = "multipart/mixed"
		case params["name"] != "":
			e.media = octetStream
		}
	}
	if v := e.header.get("content-disposition"); v != nil {
		e.disposition, e.dparams = parseParameterized(v, r.decoder())
	}
	e.encoding = transferEncoding(e.header.get("content-transfer-encoding"))
}

const octetStream = "application/octet-stream"

// octets answers the part's content decoded. It can share memory with the source.
func (e *entity) octets() []byte { return decodeTransfer(e.encoding, e.body) }

// isText says whether the part can be (a piece of) the body: RFC 8621 section 4.1.4 "isInline".
func (e *entity) isText() bool {
	if e.media != "text/plain" && e.media != "text/html" || e.disposition == "attachment" {
		return false
	}
	return e.index == 0 || e.parent == nil || e.parent.media != "multipart/related" && e.rawName() == ""
}

// rawName is the file name that the part gives itself.
func (e *entity) rawName() string {
	if n := e.dparams["filename"]; n != "" {
		return n
	}
	return e.params["name"]
}

// contentID answers the Content-ID without its angle brackets, RFC 2392.
func (e *entity) contentID() string {
	return strings.Trim(cleanLine(decodeRaw(e.header.get("content-id"), decoder{})), "<> ")
}
