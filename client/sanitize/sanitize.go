package sanitize

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds. Mail beyond them is shown as far as they go.
const (
	// DefaultMaxBytes bounds the input. Newsletters have 0.1 MB; 8 MB is a long thread with pictures in data: URLs, and
	// still a second's work in a browser.
	DefaultMaxBytes = 8 << 20
	// maxImage bounds one inline image, decoded, and maxImages all of them: what a page can hold beside the rest.
	maxImage  = 10 << 20
	maxImages = 32 << 20
	// maxStyle bounds the text of the style elements that is kept.
	maxStyle = 256 << 10
	// maxAttr bounds a style attribute, a link, a title. Browsers have no bound, but no honest one is longer.
	maxAttr = 16 << 10
	// maxDepth bounds how deep elements lie in each other; browsers stop at about 500, each level costs them stack.
	maxDepth = 400
	// maxElements bounds how many there are; the text beyond is kept. Newsletters have some thousands, and with a million
	// a browser stands still for a minute, with the page about the frame.
	maxElements = 100_000
)

// Options of HTML; the zero value is fine.
type Options struct {
	// CID answers the inline part with that Content-ID (without angle brackets). nil knows none.
	CID func(cid string) (mediaType string, data []byte, ok bool)
	// MaxBytes bounds the input: 0 is DefaultMaxBytes, -1 is no bound.
	MaxBytes int
}

// Result is safe HTML, the inside of a body element.
type Result struct {
	HTML string
	// Remote is how many resources on servers were left out: images, backgrounds, style sheets, video.
	Remote int
	// Cut says that the input was longer than MaxBytes and the rest is missing.
	Cut bool
}

// HTML makes in safe. It takes time and memory in proportion to its input, whatever that is, and its result made safe
// again is itself.
func HTML(in string, o Options) Result {
	var r Result
	most := o.MaxBytes
	if most == 0 {
		most = DefaultMaxBytes
	}
	if most > 0 && len(in) > most {
		for most > 0 && !utf8.RuneStart(in[most]) {
			most--
		}
		in, r.Cut = in[:most], true
	}
	w := rewriter{cid: o.CID}
	w.rewrite(in)
	body := enforce(w.out.String())
	r.Remote = w.remote
	if css := w.sheet.String(); css != "" {
		r.HTML = "<style>" + css + "</style>"
	}
	r.HTML += w.fill(body)
	return r
}

// image is a picture within the mail. The passes carry its number, and the octets are put in at the end: so they are
// not looked through again and again.
type image struct {
	media string
	data  []byte // either the octets
	text  string // or their base64
}

// inlineMedia are the image types that have no scripts in them and that every browser shows.
func inlineMedia(media string) (string, bool) {
	switch media = strings.ToLower(media); media {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return media, true
	case "image/jpg", "image/pjpeg":
		return "image/jpeg", true
	case "image/x-png":
		return "image/png", true
	}
	return "", false
}

// imageSource answers what stands for an image until fill.
func imageSource(n int) string { return "cid:" + strconv.Itoa(n) }

// fill puts the images in. The mark cannot be text of the mail: a quote in text is escaped.
func (w *rewriter) fill(body string) string {
	const mark = `src="cid:`
	if len(w.images) == 0 {
		return body
	}
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(body, mark)
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		num, rest, _ := strings.Cut(after, `"`)
		body = rest
		n, err := strconv.Atoi(num)
		if err != nil || n < 0 || n >= len(w.images) {
			continue
		}
		i := w.images[n]
		out.WriteString(`src="data:` + i.media + ";base64,")
		if i.text != "" {
			out.WriteString(i.text)
		} else {
			e := base64.NewEncoder(base64.StdEncoding, &out)
			e.Write(i.data) // into a strings.Builder: no error can come
			e.Close()
		}
		out.WriteByte('"')
	}
}
