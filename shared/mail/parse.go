package mail

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// Reader reads messages. The zero value does, in UTF-8 and what can be read without tables.
type Reader struct {
	// Charsets reads every other charset: the tables of package charset, or a browser's own.
	Charsets Charsets
}

// Summarize reads what a list shows of a message. It never fails: what cannot be read is empty.
func (r Reader) Summarize(raw []byte) Summary {
	return openAt(raw, r.Charsets, 0, briefOctets).summary()
}

// Parse opens a message for reading. It never fails and never answers nil: of what is no message at all, Text is the
// source and Note says so. The Data of parts that came unencoded is that of raw itself.
func (r Reader) Parse(raw []byte) *Message {
	o := openAt(raw, r.Charsets, 0, 0)
	m := &Message{Summary: o.summary(), Text: o.text, HTML: o.html, Note: o.note()}
	for i, e := range o.attachments {
		media := e.media
		if !isToken([]byte(strings.Replace(media, "/", "", 1))) {
			media = octetStream
		}
		m.Parts = append(m.Parts, Part{
			Name: partName(e, i+1), Type: media, ContentID: e.contentID(), Inline: o.inline(e), Data: e.octets(),
		})
	}
	return m
}

// opened is a message taken apart, its body decoded.
type opened struct {
	reader
	root        *entity
	textParts   []*entity // the body for who reads text, RFC 8621 "textBody"
	htmlParts   []*entity // the body for who reads HTML
	attachments []*entity
	text, html  string
	level       int             // how many messages this one is within
	brief       int             // of long texts, so many octets are enough for now; 0: all
	cut         bool            // and that is what text or html are
	unread      bool            // html was left out: text says enough for now
	source      bool            // there is no header: text is the source
	within      bool            // text and html are those of a message within
	cids        map[string]bool // the Content-IDs that html refers to, once somebody asked
}

// openAt opens a message, depth levels within another. A brief look decodes that many octets of a long text, until somebody
// wants more.
func openAt(raw []byte, charsets Charsets, depth, brief int) *opened {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') >= 0 {
		raw = bytes.ReplaceAll(raw, []byte{'\r'}, []byte{'\n'}) // lines as an old Macintosh ended them
	}
	o := &opened{level: depth, brief: brief}
	o.b, o.charsets = trimEnvelope(raw), charsets
	o.root, _ = o.read(0, nil)
	if o.root.header.traceOnly() {
		o.source = true
		o.text = normalizeLines(o.decoder().guess(raw))
		return o
	}
	switch {
	case len(o.root.children) > 0:
		o.choose(o.root, false, &o.textParts, &o.htmlParts)
	case o.root.isText():
		o.textParts, o.htmlParts = []*entity{o.root}, []*entity{o.root}
	default:
		o.attachments = []*entity{o.root}
	}
	o.readTexts()
	return o
}

func (o *opened) readTexts() {
	o.text = o.joinText()
	o.unread = o.brief > 0 && strings.TrimSpace(o.text) != "" && len(o.htmlParts) > 0
	if !o.unread {
		o.html = o.joinHTML()
	}
	if len(o.textParts) == 0 && len(o.htmlParts) == 0 {
		o.lookWithin()
	}
}

// readOn reads the texts up to so many octets, or whole for 0, if that was not done.
func (o *opened) readOn(octets int) {
	if o.cut || o.unread {
		o.brief, o.cut = octets, false
		o.readTexts()
	}
}

// choose sorts the parts of a multipart into bodies and attachments, as RFC 8621 section 4.1.4 does it. A nil list is one
// that this multipart has no share in: the other form of an alternative.
func (o *opened) choose(multi *entity, inAlternative bool, text, htm *[]*entity) {
	alternative := multi.media == "multipart/alternative"
	textBefore, htmlBefore := 0, 0
	if text != nil && htm != nil {
		textBefore, htmlBefore = len(*text), len(*htm)
	}
	for _, e := range multi.children {
		switch {
		case len(e.children) > 0:
			o.choose(e, inAlternative || alternative, text, htm)
		case !e.isText():
			o.attachments = append(o.attachments, e)
		case alternative && e.media == "text/plain":
			if text != nil {
				*text = append(*text, e)
			}
		case alternative:
			if htm != nil {
				*htm = append(*htm, e)
			}
		default:
			if inAlternative {
				if e.media == "text/plain" {
					htm = nil
				} else {
					text = nil
				}
			}
			if text != nil {
				*text = append(*text, e)
			}
			if htm != nil {
				*htm = append(*htm, e)
			}
		}
	}
	if alternative && text != nil && htm != nil {
		switch t, h := len(*text), len(*htm); {
		case t == textBefore && h != htmlBefore:
			*text = append(*text, (*htm)[htmlBefore:]...)
		case h == htmlBefore && t != textBefore:
			*htm = append(*htm, (*text)[textBefore:]...)
		}
	}
}

// joinText answers the text of the text parts, one below the other; empty if none of them is plain text, for then the HTML is
// what the writer wrote.
func (o *opened) joinText() string {
	plain := false
	for _, e := range o.textParts {
		plain = plain || e.media == "text/plain"
	}
	if !plain {
		return ""
	}
	var out strings.Builder
	for _, e := range o.textParts {
		s := o.string(e)
		if e.media == "text/html" {
			s = PlainText(s)
		}
		if out.Len() > 0 && s != "" {
			out.WriteByte('\n')
		}
		out.WriteString(s)
	}
	return out.String()
}

// joinHTML answers the HTML of the HTML parts, plain text among them as preformatted; empty if none of them is HTML.
func (o *opened) joinHTML() string {
	any := false
	for _, e := range o.htmlParts {
		any = any || e.media == "text/html"
	}
	if !any {
		return ""
	}
	var out strings.Builder
	for _, e := range o.htmlParts {
		s := o.string(e)
		if e.media != "text/html" {
			if strings.TrimSpace(s) == "" {
				continue
			}
			s = `<pre style="white-space: pre-wrap">` + html.EscapeString(s) + "</pre>"
		}
		out.WriteString(s)
	}
	return out.String()
}

// string answers a text part's text, or its beginning, as UTF-8 with lines that end in "\n".
func (o *opened) string(e *entity) string {
	b, all := []byte(nil), true
	if o.brief > 0 {
		b, all = e.beginning(o.brief)
		o.cut = o.cut || !all
	} else {
		b = e.octets()
	}
	cs := e.params["charset"]
	if cs == "" && e.media == "text/html" {
		cs = metaCharset(b)
	}
	if cs == "" && !asciiOnly(b) {
		cs = o.hint
	}
	return normalizeLines(o.decoder().text(cs, b))
}

// beginning answers the first lines of a long text, decoded, or all of another: lines, for within one a character may be
// cut in two.
func (e *entity) beginning(octets int) (b []byte, all bool) {
	head := e.body[:min(len(e.body), octets)]
	i := bytes.LastIndexByte(head, '\n')
	if len(head) == len(e.body) || i < 0 {
		return e.octets(), true
	}
	b = decodeTransfer(e.encoding, head[:i+1])
	if i = bytes.LastIndexByte(b, '\n'); i < 0 {
		return e.octets(), true
	}
	return b[:i+1], false
}

// metaCharset finds the charset that an HTML document gives itself.
func metaCharset(b []byte) string {
	b = bytes.ToLower(b[:min(len(b), 2048)])
	_, v, ok := bytes.Cut(b, []byte("charset="))
	if !ok {
		return ""
	}
	v = bytes.TrimLeft(v, "\"' ")
	if i := bytes.IndexAny(v, "\"'; />\r\n"); i >= 0 {
		v = v[:i]
	}
	if name := string(v); !strings.HasPrefix(name, "utf-16") { // it could not have been read as ASCII
		return name
	}
	return ""
}

// normalizeLines makes CRLF and CR the end of a line as LF is.
func normalizeLines(s string) string {
	i := strings.IndexByte(s, '\r')
	if i < 0 {
		return s
	}
	var out strings.Builder
	out.Grow(len(s))
	for i >= 0 {
		out.WriteString(s[:i])
		out.WriteByte('\n')
		s = strings.TrimPrefix(s[i+1:], "\n")
		i = strings.IndexByte(s, '\r')
	}
	out.WriteString(s)
	return out.String()
}

// lookWithin finds something to read in a message that has only attachments: a message within, or a text that calls
// itself an attachment. The attachments stay what they are.
func (o *opened) lookWithin() {
	for _, e := range o.attachments {
		switch {
		case e.media == "message/rfc822" && o.level < 3:
			if in := openAt(e.octets(), o.charsets, o.level+1, 0); in.text != "" || in.html != "" {
				o.text, o.html, o.within = in.text, in.html, true
				return
			}
		case strings.HasPrefix(e.media, "text/") && e.media != "text/html" || e.media == "message/delivery-status":
			if o.text = o.string(e); o.text != "" {
				o.within = true
				return
			}
		}
	}
}

func (o *opened) summary() Summary {
	h, d := o.root.header, o.decoder()
	s := Summary{
		MessageID:  messageID(h.get("message-id")),
		InReplyTo:  messageID(h.get("in-reply-to")),
		References: messageIDs(h.get("references")),
		From:       parseAddresses(h.get("from"), d),
		Sender:     parseAddresses(h.get("sender"), d),
		ReplyTo:    parseAddresses(h.get("reply-to"), d),
		To:         o.addresses("to"),
		Cc:         o.addresses("cc"),
		Bcc:        o.addresses("bcc"),
		Subject:    clip(decodeLine(h.get("subject"), d), maxLine),
		Date:       parseDate(h.get("date")),
	}
	if s.Date.IsZero() { // the last server knew when it was
		if r := h.get("received"); r != nil {
			if i := bytes.LastIndexByte(r, ';'); i >= 0 {
				s.Date = parseDate(r[i+1:])
			}
		}
	}
	s.Snippet = o.snippet()
	for _, octets := range [...]int{styledOctets, 0} {
		if o.unread && s.Snippet == "" || o.cut && utf8.RuneCountInString(s.Snippet) < snippetRunes-1 { // which may have ended with a blank
			o.readOn(octets)
			s.Snippet = o.snippet()
		}
	}
	if o.source {
		return Summary{Snippet: s.Snippet}
	}
	for _, e := range o.attachments {
		if !o.inline(e) {
			s.Attachments++
		}
	}
	return s
}

func (o *opened) snippet() string {
	s := snippet(o.text)
	if s == "" && o.html != "" {
		s = snippet(plainText(o.html, 4096))
	}
	return s
}

// addresses reads all fields of that name: To and Cc may be there once only, RFC 5322 section 3.6, and are there twice.
func (o *opened) addresses(name string) (l []Address) {
	octets := 0
	for _, f := range o.root.header {
		if f.name != name {
			continue
		}
		for _, a := range parseAddresses(f.value, o.decoder()) {
			if octets += len(a.Name) + len(a.Addr); octets > maxList || len(l) == maxAddresses {
				return l
			}
			l = append(l, a)
		}
	}
	return l
}

// inline says whether the HTML body shows the part: RFC 2392.
func (o *opened) inline(e *entity) bool {
	if o.html == "" && !o.unread || !strings.HasPrefix(e.media, "image/") {
		return false
	}
	id := e.contentID()
	if id == "" {
		return false
	}
	if o.cids == nil {
		o.readOn(0)
		o.cids = contentIDs(o.html)
	}
	return o.cids[id]
}

// contentIDs answers the Content-IDs that an HTML body refers to.
func contentIDs(htm string) map[string]bool {
	ids := map[string]bool{}
	for len(ids) < maxParts {
		i := strings.IndexByte(htm, ':')
		if i < 0 {
			break
		}
		scheme := htm[max(0, i-3):i]
		htm = htm[i+1:]
		if !strings.EqualFold(scheme, "cid") {
			continue
		}
		ref := htm[:min(len(htm), 1000)]
		if j := strings.IndexAny(ref, "\"'<>() \t\n"); j >= 0 {
			ref = ref[:j]
		}
		ids[string(percentDecode([]byte(html.UnescapeString(ref))))] = true
	}
	return ids
}

// note says what is odd about the message.
func (o *opened) note() string {
	switch {
	case o.source && len(o.root.body) == 0:
		return "This message is empty."
	case o.source:
		return "This message has no header and could not be read as mail. What you see is its source."
	case o.overrun:
		return "This message has more parts, or deeper ones, than are shown. Its source has them all."
	case o.broken:
		return "The parts of this message could not be told apart. What you see is its body as it came."
	case o.within:
		return "This message has no text of its own. What you see is that of its attachment."
	case o.text == "" && o.html == "" && len(o.attachments) == 0:
		return "This message has no text."
	}
	return ""
}

// messageID answers the first message-id of a field with its angle brackets; QUIRK: some have none.
func messageID(b []byte) string {
	if l := messageIDs(b); len(l) > 0 {
		return l[0]
	}
	if f := bytes.Fields(b); len(f) == 1 && len(f[0]) < 900 && !bytes.ContainsAny(f[0], "<>") {
		return "<" + cleanLine(decodeRaw(f[0], decoder{})) + ">"
	}
	return ""
}

// messageIDs answers the message-ids of a field, each once. Of too many, the first and the last ones are kept.
func messageIDs(b []byte) []string {
	var l []string
	seen := map[string]bool{}
	for {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			break
		}
		b = b[i:]
		j := bytes.IndexByte(b, '>')
		if j < 0 {
			break
		}
		id := "<" + strings.Join(strings.Fields(cleanLine(decodeRaw(b[1:j], decoder{}))), "") + ">"
		if len(id) > 2 && len(id) < 900 && !seen[id] {
			seen[id] = true
			l = append(l, id)
		}
		b = b[j+1:]
	}
	if n := len(l); n > maxReferences {
		l = append(l[:1:1], l[n-maxReferences+1:]...)
	}
	octets := 0
	for i := len(l) - 1; i > 0; i-- {
		if octets += len(l[i]); octets > maxReferenceList {
			return append(l[:1:1], l[i+1:]...)
		}
	}
	return l
}
