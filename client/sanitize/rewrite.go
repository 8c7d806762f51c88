package sanitize

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// rewriter is the first pass.
type rewriter struct {
	cid    func(string) (string, []byte, bool)
	out    strings.Builder
	sheet  sheet
	remote int
	images []image
	inline int // octets of the images

	open    map[string]int // elements begun and not ended, by name
	dropped map[string]int // of those, the ones that would have lain too deep, or were too many
	depth   int
	begun   int  // elements written
	wrapped bool // a div stands for the body element
}

// skipped elements go with all that is in them: it is not text of the mail.
var skipped = map[string]bool{"svg": true, "math": true, "template": true, "select": true, "datalist": true, "applet": true}

// raw elements have text in them that is not of the mail. The tokenizer answers it as one token.
var raw = map[string]bool{"script": true, "title": true, "iframe": true, "noembed": true, "noframes": true, "noscript": true, "style": true}

// implied are elements that the next of their kind ends: a mail may have thousands and they lie no deeper for it.
var implied = map[string]bool{
	"p": true, "li": true, "dt": true, "dd": true, "tr": true, "td": true, "th": true, "tbody": true, "thead": true, "tfoot": true,
	"colgroup": true, "caption": true, "rp": true, "rt": true,
}

func (w *rewriter) rewrite(in string) {
	w.open, w.dropped = map[string]int{}, map[string]int{}
	in = strings.ToValidUTF8(strings.ReplaceAll(in, "\x00", ""), "\ufffd")
	z := html.NewTokenizer(strings.NewReader(in))
	w.out.Grow(len(in))
	read, skipTo := 0, 0         // offsets in in
	before := ""                 // the raw element that began with the last token
	endless := map[string]bool{} // skipped elements with no end tag from here on: looking for one each time would take forever
	for {
		t := z.Next()
		if t == html.ErrorToken {
			break
		}
		at := read
		read += len(z.Raw())
		within := before
		before = ""
		if at < skipTo {
			if name, _ := z.TagName(); t == html.StartTagToken && raw[string(name)] {
				before = string(name)
			}
			continue
		}
		switch t {
		case html.TextToken:
			switch {
			case within == "style":
				w.remote += w.sheet.add(string(z.Raw()))
			case !raw[within]:
				escape(&w.out, z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			if raw[tok.Data] {
				before = tok.Data
			} else if skipped[tok.Data] && !endless[tok.Data] {
				skipTo = endOf(in, read, tok.Data)
				endless[tok.Data] = skipTo == read
			}
			w.start(tok.Data, tok.Attr)
		case html.EndTagToken:
			name, _ := z.TagName()
			w.end(string(name))
		}
	}
	if w.wrapped {
		w.out.WriteString("</div>")
	}
}

// endOf answers the offset of the end tag that ends the element which begins before off, elements of the same name within
// it included; off itself if there is none, for one "<svg>" may not take the rest of the mail with it.
func endOf(in string, off int, name string) int {
	depth, end := 1, off
	for i := off; depth > 0; {
		j := strings.IndexByte(in[i:], '<')
		if j < 0 {
			break
		}
		i += j + 1
		switch tag := strings.TrimPrefix(in[i:], "/"); {
		case len(tag) < len(name) || !strings.EqualFold(tag[:len(name)], name):
		case in[i] == '/':
			depth, end = depth-1, i-1
		default:
			depth++
		}
	}
	return end
}

// start writes an element's start tag, if the element may be there, and counts what its attributes would load.
func (w *rewriter) start(name string, attrs []html.Attribute) {
	if name == "image" {
		name = "img" // as browsers read it
	}
	if name == "body" {
		w.body(attrs)
		return
	}
	if w.loads(name, attrs) {
		w.remote++
	}
	if !allowed[name] {
		return
	}
	if w.begun++; w.begun > maxElements {
		if !void[name] {
			w.dropped[name]++
		}
		return
	}
	if !void[name] {
		w.open[name]++
		if !implied[name] {
			if w.depth >= maxDepth {
				w.open[name]--
				w.dropped[name]++
				return
			}
			w.depth++
		}
	}
	w.tag(name, w.attrs(name, attrs))
}

func (w *rewriter) end(name string) {
	switch {
	case w.dropped[name] > 0:
		w.dropped[name]--
	case w.open[name] > 0:
		w.open[name]--
		if !implied[name] {
			w.depth--
		}
		w.out.WriteString("</" + name + ">")
	}
}

func (w *rewriter) tag(name string, attrs []html.Attribute) {
	w.out.WriteByte('<')
	w.out.WriteString(name)
	for _, a := range attrs {
		w.out.WriteByte(' ')
		w.out.WriteString(a.Key)
		w.out.WriteString(`="`)
		escape(&w.out, a.Val)
		w.out.WriteByte('"')
	}
	w.out.WriteByte('>')
}

// body writes a div with the look of the body element, the first that has one.
func (w *rewriter) body(attrs []html.Attribute) {
	var css []string
	var out []html.Attribute
	for _, a := range attrs {
		switch a.Key {
		case "background":
			if isRemote(a.Val) {
				w.remote++
			}
		case "bgcolor":
			css = append(css, "background-color: "+a.Val)
		case "text":
			css = append(css, "color: "+a.Val)
		case "style":
			css = append(css, a.Val)
		case "class", "dir", "lang":
			out = append(out, a)
		}
	}
	style, remote := declarations(strings.Join(css, ";"))
	w.remote += remote
	if style != "" {
		out = append(out, html.Attribute{Key: "style", Val: style})
	}
	if len(out) == 0 || w.wrapped || w.depth >= maxDepth {
		return
	}
	w.wrapped = true
	w.depth++
	w.tag("div", out)
}

// known says whether there is an attribute of that name on any element. This pass leaves it to the other what it may say.
func known(name string) bool {
	_, ok := rules[name]
	return ok
}

// attrs answers what is left of an element's attributes. Of two with one name the first counts, as in browsers.
func (w *rewriter) attrs(name string, in []html.Attribute) (out []html.Attribute) {
	linked := false
	for i, a := range in {
		if a.Namespace != "" || !known(a.Key) || slices.ContainsFunc(in[:i], func(b html.Attribute) bool { return b.Key == a.Key }) {
			continue
		}
		if len(a.Val) > maxAttr && a.Key != "src" {
			continue
		}
		ok := true
		switch a.Key {
		case "style":
			var remote int
			a.Val, remote = declarations(a.Val)
			w.remote += remote
			ok = a.Val != ""
		case "href":
			a.Val, ok = cleanLink(a.Val)
			if name != "a" {
				ok = false
			}
			linked = linked || ok
		case "src":
			ok = false
			if name == "img" {
				a.Val, ok = w.image(a.Val)
			}
		case "target", "rel":
			ok = false
		}
		if ok {
			out = append(out, a)
		}
		if i > 50 {
			break // nobody writes that many, and each is compared with all before
		}
	}
	if linked {
		// A new window that knows nothing of this one, and a server that does not learn where the reader came from.
		out = append(out, html.Attribute{Key: "target", Val: "_blank"}, html.Attribute{Key: "rel", Val: "noopener noreferrer"})
	}
	return out
}

// loads says whether a browser would ask a server for something because of this element.
func (w *rewriter) loads(name string, attrs []html.Attribute) bool {
	for i, a := range attrs {
		if i > 50 {
			break
		}
		switch a.Key {
		case "src", "background", "poster", "lowsrc", "dynsrc", "data":
			if isRemote(a.Val) {
				return true
			}
		case "srcset":
			for c := range strings.SplitSeq(a.Val, ",") {
				if isRemote(c) {
					return true
				}
			}
		case "href":
			if name == "link" && isRemote(a.Val) {
				return true
			}
		}
	}
	return false
}

// isRemote says whether a URL is one of a server.
func isRemote(u string) bool {
	u = strings.ToLower(strings.TrimFunc(u[:min(len(u), 200)], func(r rune) bool { return r <= ' ' }))
	u = strings.Map(dropBreaks, u)
	for _, p := range []string{"http:", "https:", "ftp:", "//", `\\`, `/\`, `\/`} {
		if strings.HasPrefix(u, p) {
			return true
		}
	}
	return false
}

// dropBreaks drops what browsers drop within a URL before they read its scheme.
func dropBreaks(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' {
		return -1
	}
	return r
}

// cleanLink answers a URL that a click may open. Anything but the four schemes is none, among them all that are relative:
// a mail is at no address.
func cleanLink(u string) (string, bool) {
	u = strings.Map(dropBreaks, strings.TrimFunc(u, func(r rune) bool { return r <= ' ' }))
	scheme, rest, ok := strings.Cut(u, ":")
	if !ok || rest == "" {
		return "", false
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "http", "https":
		// Browsers read \ as / up to the query. Written so, nobody reads it otherwise.
		q := strings.IndexAny(rest, "?#")
		if q < 0 {
			q = len(rest)
		}
		rest = strings.ReplaceAll(rest[:q], `\`, "/") + rest[q:]
		if !strings.HasPrefix(rest, "//") || len(rest) < 3 || rest[2] == '/' {
			return "", false
		}
	case "mailto", "tel":
	default:
		return "", false
	}
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for _, r := range scheme + ":" + rest {
		switch {
		case r < ' ' || r == 0x7f:
			return "", false
		case strings.ContainsRune(" \"'<>\\`", r):
			out.WriteByte('%')
			out.WriteByte(hex[r>>4])
			out.WriteByte(hex[r&15])
		default:
			out.WriteRune(r)
		}
	}
	return out.String(), true
}

// isBase64 says whether s is base64 (RFC 4648 section 4) without line ends.
func isBase64(s string) bool {
	n := len(s)
	for k := 0; k < 2 && n > 0 && s[n-1] == '='; k++ {
		n--
	}
	for i := range n {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c != '+' && c != '/' {
			return false
		}
	}
	return n > 0
}

// image answers what stands for an image of the mail's own; ok is false for all others.
func (w *rewriter) image(src string) (mark string, ok bool) {
	src = strings.TrimFunc(src, func(r rune) bool { return r <= ' ' })
	scheme, rest, _ := strings.Cut(src, ":")
	var i image
	switch strings.ToLower(scheme) {
	case "cid":
		if w.cid == nil || len(rest) > 1000 {
			return "", false
		}
		id, err := url.PathUnescape(rest)
		if err != nil {
			id = rest
		}
		media, data, found := w.cid(id)
		if !found {
			return "", false
		}
		i.media, i.data = media, data
	case "data":
		media, text, _ := strings.Cut(rest, ",")
		media, base64 := strings.CutSuffix(strings.ToLower(strings.TrimSpace(media)), ";base64")
		if !base64 {
			return "", false
		}
		media, _, _ = strings.Cut(media, ";")
		i.media = media
		i.text = strings.Map(func(r rune) rune {
			if r <= ' ' {
				return -1
			}
			return r
		}, text)
		if len(i.text)%4 != 0 || !isBase64(i.text) {
			return "", false
		}
	default:
		return "", false
	}
	if i.media, ok = inlineMedia(i.media); !ok {
		return "", false
	}
	n := len(i.data) + len(i.text)/4*3
	if n == 0 || n > maxImage || w.inline+n > maxImages {
		return "", false
	}
	w.inline += n
	w.images = append(w.images, i)
	return imageSource(len(w.images) - 1), true
}
