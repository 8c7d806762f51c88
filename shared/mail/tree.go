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

// reader takes a message apart.
type reader struct {
	parts   int
	hint    string // the charset that raw octets in headers are taken for
	overrun bool   // more parts or levels than the bounds
	broken  bool   // a multipart that could not be taken apart
}

// read reads an entity from b and everything in it.
func (r *reader) read(b []byte, parent *entity, depth int) *entity {
	e := &entity{parent: parent}
	e.header, e.body = readHeader(b)
	r.describe(e)
	if r.hint == "" {
		r.hint = e.params["charset"] // of the message itself, or of its first part
	}
	r.parts++
	subtype, multi := strings.CutPrefix(e.media, "multipart/")
	if !multi {
		return e
	}
	if depth >= maxDepth {
		r.overrun = true
		e.media = "text/plain"
		return e
	}
	if e.encoding == "base64" || e.encoding == "quoted-printable" {
		// RFC 2045 section 6.4 forbids it, and it is sent.
		if _, ok := e.params["boundary"]; ok && !bytes.Contains(e.body, []byte("--"+e.params["boundary"])) {
			e.body = decodeTransfer(e.encoding, e.body)
		}
	}
	bodies := split(e.body, e.params["boundary"], maxParts-r.parts)
	if len(bodies) == 0 {
		r.broken = true
		e.media = "text/plain"
		return e
	}
	for _, b := range bodies {
		if r.parts >= maxParts {
			r.overrun = true
			break
		}
		c := r.read(b, e, depth+1)
		c.index = len(e.children)
		if subtype == "digest" && c.header.get("content-type") == nil {
			c.media = "message/rfc822"
		}
		e.children = append(e.children, c)
	}
	return e
}

// describe reads the MIME fields of an entity. Without them it is text/plain, RFC 2045 section 5.2.
func (r *reader) describe(e *entity) {
	e.media = "text/plain"
	if v := e.header.get("content-type"); v != nil {
		media, params := parseParameterized(v, r.hint)
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
		e.disposition, e.dparams = parseParameterized(v, r.hint)
	}
	e.encoding = transferEncoding(e.header.get("content-transfer-encoding"))
}

const octetStream = "application/octet-stream"

// split cuts a multipart's body at its boundary lines, RFC 2046 section 5.1.1, at most so many parts. A last part without a
// closing boundary goes to the end. Without a boundary in the header, the first line that looks like one is it.
func split(b []byte, boundary string, most int) [][]byte {
	parts := splitAt(b, strings.TrimRight(boundary, " \t"), most)
	if parts == nil {
		if guess, ok := guessBoundary(b); ok && guess != boundary {
			parts = splitAt(b, guess, most)
		}
	}
	return parts
}

func splitAt(b []byte, boundary string, most int) (parts [][]byte) {
	delim := []byte("--" + boundary)
	start := -1 // of the part, -1 before the first boundary
	end := 0    // of the part if the line at hand ends it: without the line end before the boundary
	for off := 0; off < len(b); {
		next := len(b)
		if i := bytes.IndexByte(b[off:], '\n'); i >= 0 {
			next = off + i + 1
		}
		if line := b[off:next]; len(line) > 1 && line[0] == '-' && line[1] == '-' && bytes.HasPrefix(line, delim) {
			rest := bytes.TrimRight(line[len(delim):], " \t\r\n")
			closes := bytes.Equal(rest, []byte("--"))
			if len(rest) == 0 || closes {
				if start >= 0 {
					parts = append(parts, b[start:max(start, end)])
				}
				if start = next; closes || len(parts) >= most {
					return parts
				}
			}
		}
		end = off + len(bytes.TrimRight(b[off:next], "\r\n"))
		if next-off > 1 && b[next-1] == '\n' { // one line end alone belongs to the boundary
			if end = next - 1; b[end-1] == '\r' {
				end--
			}
		} else if next > off && b[next-1] == '\n' {
			end = next - 1
		}
		off = next
	}
	if start >= 0 && start < len(b) {
		parts = append(parts, b[start:])
	}
	return parts
}

// guessBoundary finds the first line that could be a boundary: one that begins with two dashes, is followed by a header
// or an empty line, and is not a signature's.
func guessBoundary(b []byte) (string, bool) {
	for range 200 {
		if len(b) == 0 {
			break
		}
		line, rest := cutLine(b)
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

// octets answers the part's content decoded.
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
	return strings.Trim(cleanLine(decodeRaw(e.header.get("content-id"), "")), "<> ")
}
