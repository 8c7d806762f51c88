package mail

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-mail/postern/shared/idn"
)

// Compose writes a draft as a message of RFC 5322 and MIME: 7-bit, lines of at most 998 octets that end in CRLF. An address
// with a local part beyond ASCII is the one thing that is written in UTF-8 (RFC 6532), and the message then needs servers
// with SMTPUTF8. Its text gets a line end if it has none. Bcc is not written. A draft without a Date or a MessageID gets both; one without
// recipients is written too, for it may be a draft that is saved.
//
// An address that cannot be written to is an *AddressError. Message-ids that are none, and control characters wherever
// they are, are left out.
func Compose(d Draft) ([]byte, error) {
	w := &writer{}
	if err := w.addresses("From", []Address{d.From}); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		l    []Address
	}{{"To", d.To}, {"Cc", d.Cc}} {
		if len(f.l) == 0 {
			continue
		}
		if err := w.addresses(f.name, f.l); err != nil {
			return nil, err
		}
	}
	for _, a := range d.Bcc { // not written, and yet to be sent to
		if _, err := a.wire(); err != nil {
			return nil, err
		}
	}
	w.unstructured("Subject", d.Subject)
	if d.Date.IsZero() {
		d.Date = time.Now()
	}
	w.field("Date", d.Date.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	id := writableID(d.MessageID)
	if id == "" {
		id = NewMessageID(domainOf(d.From.Addr))
	}
	w.field("Message-ID", id)
	if id := writableID(d.InReplyTo); id != "" {
		w.field("In-Reply-To", id)
	}
	var refs []string
	for _, r := range d.References {
		if id := writableID(r); id != "" {
			refs = append(refs, id)
		}
	}
	if n := len(refs); n > maxReferences {
		refs = append(refs[:1:1], refs[n-maxReferences+1:]...)
	}
	if len(refs) > 0 {
		w.words("References", refs)
	}
	w.field("MIME-Version", "1.0")
	if len(d.Attachments) == 0 {
		w.textPart(d.Text)
		return w.b, nil
	}
	boundary := newBoundary()
	w.field("Content-Type", `multipart/mixed;`+"\r\n"+` boundary="`+boundary+`"`)
	w.line("")
	w.line("--" + boundary)
	w.textPart(d.Text)
	w.line("") // the line end before a boundary belongs to the boundary, the text keeps its own
	for _, p := range d.Attachments {
		w.line("--" + boundary)
		w.attachment(p)
	}
	w.line("--" + boundary + "--")
	return w.b, nil
}

// NewMessageID makes a message-id that nobody else has, with its angle brackets: 128 random bits at domain, RFC 5322
// section 3.6.4. A domain that cannot be one is replaced by one that nobody owns (RFC 2606).
func NewMessageID(domain string) string {
	a := Address{Addr: "x@" + domain}
	if _, err := a.wire(); err != nil || strings.HasPrefix(domain, "[") {
		domain = "message-id.invalid"
	}
	ascii, ok := idn.ToASCII(domain)
	if !ok {
		ascii = "message-id.invalid"
	}
	return "<" + strings.ToLower(rand.Text()) + "@" + ascii + ">"
}

func domainOf(addr string) string { return addr[strings.LastIndexByte(addr, '@')+1:] }

// newBoundary makes a boundary that cannot be in any part: a "=_" is never in quoted-printable or base64.
func newBoundary() string { return "=_" + rand.Text() }

// writableID answers a message-id that may be written, or nothing.
func writableID(id string) string {
	id = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(id), "<"), ">")
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 127 || c == '<' || c == '>' {
			return ""
		}
	}
	if id == "" || len(id) > 900 {
		return ""
	}
	return "<" + id + ">"
}

// textPart writes text as a text/plain part, header and body. It is sent as it is if every server would leave it as it
// is, and else as quoted-printable.
func (w *writer) textPart(text string) {
	text = normalizeLines(strings.ToValidUTF8(text, "\ufffd"))
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	w.field("Content-Type", "text/plain; charset=utf-8")
	if isSevenBit(text) {
		w.field("Content-Transfer-Encoding", "7bit")
		w.line("")
		w.b = append(w.b, strings.ReplaceAll(text, "\n", "\r\n")...)
		return
	}
	w.field("Content-Transfer-Encoding", "quoted-printable")
	w.line("")
	for l := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		w.b = appendQP(w.b, l)
	}
}

// isSevenBit says whether no program on the way has a reason to change text: short lines of visible ASCII, no blank at
// a line's end, no line that looks like the start of another message (RFC 4155).
func isSevenBit(text string) bool {
	for l := range strings.SplitSeq(text, "\n") {
		if len(l) > 78 || strings.HasPrefix(l, "From ") || strings.HasSuffix(l, " ") || strings.HasSuffix(l, "\t") {
			return false
		}
		for i := range len(l) {
			if c := l[i]; c >= 127 || c < ' ' && c != '\t' {
				return false
			}
		}
	}
	return true
}

// appendQP appends one line as quoted-printable, RFC 2045 section 6.7, in lines of at most 76.
func appendQP(b []byte, l string) []byte {
	const hex = "0123456789ABCDEF"
	col := 0
	for i := range len(l) {
		c := l[i]
		last := i == len(l)-1
		plain := c > ' ' && c < 127 && c != '=' || (c == ' ' || c == '\t') && !last
		if i == 0 && (c == '.' || strings.HasPrefix(l, "From ")) {
			plain = false // servers that do not undo dot-stuffing, files that begin messages at such lines
		}
		n := 3
		if plain {
			n = 1
		}
		if room := 75; col+n > room && !(last && col+n == room+1) {
			b = append(b, "=\r\n"...)
			col = 0
		}
		if plain {
			b = append(b, c)
		} else {
			b = append(b, '=', hex[c>>4], hex[c&15])
		}
		col += n
	}
	return append(b, "\r\n"...)
}

// attachment writes a part, header and body.
func (w *writer) attachment(p Part) {
	media := writableMedia(p.Type)
	name := safeName(p.Name)
	if name == "" {
		name = "attachment" + extensions[media]
	}
	verbatim := false
	if strings.HasPrefix(media, "message/") {
		// RFC 2046 section 5.2.1: a message may not be encoded. One that cannot go as it is goes as a file.
		if verbatim = isPlainMessage(p.Data); !verbatim {
			media = octetStream
		}
	}
	w.field("Content-Type", media)
	w.disposition(name)
	if verbatim {
		w.field("Content-Transfer-Encoding", "7bit")
		w.line("")
		w.b = append(w.b, p.Data...)
		w.line("") // as above
		return
	}
	w.field("Content-Transfer-Encoding", "base64")
	w.line("")
	line := make([]byte, 76)
	for data := p.Data; len(data) > 0; {
		n := min(len(data), 57)
		base64.StdEncoding.Encode(line, data[:n])
		w.line(string(line[:base64.StdEncoding.EncodedLen(n)]))
		data = data[n:]
	}
}

// writableMedia answers the media type that may be written for t: no parameters, no multiparts.
func writableMedia(t string) string {
	t, _, _ = strings.Cut(strings.ToLower(t), ";")
	kind, sub, ok := strings.Cut(strings.TrimSpace(t), "/")
	if !ok || !isToken([]byte(kind)) || !isToken([]byte(sub)) || kind == "multipart" || len(t) > 127 {
		return octetStream
	}
	return kind + "/" + sub
}

// isPlainMessage says whether the octets of a message can stand in another as they are.
func isPlainMessage(b []byte) bool {
	col := 0
	for i, c := range b {
		switch {
		case c == '\n':
			if i == 0 || b[i-1] != '\r' {
				return false
			}
			col = 0
			continue
		case c == '\r' && (i+1 == len(b) || b[i+1] != '\n'), c == 0, c >= 127:
			return false
		case col == 0 && c == 'F' && strings.HasPrefix(string(b[i:min(len(b), i+5)]), "From "):
			return false
		}
		if col++; col > 990 {
			return false
		}
	}
	return len(b) > 0
}

// disposition writes the name in ASCII as a quoted string, or as RFC 2231 wants it, in pieces that fit a line.
func (w *writer) disposition(name string) {
	plain := len(name) <= 60
	for i := range len(name) {
		plain = plain && name[i] >= ' ' && name[i] < 127
	}
	if plain && !strings.Contains(name, "=?") {
		w.field("Content-Disposition", "attachment;\r\n filename=\""+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)+`"`)
		return
	}
	var pieces []string
	piece := "utf-8''"
	for len(name) > 0 {
		_, n := utf8.DecodeRuneInString(name)
		var enc string
		for _, c := range []byte(name[:n]) {
			if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(".-_", c) >= 0 {
				enc += string(rune(c))
			} else {
				enc += fmt.Sprintf("%%%02X", c)
			}
		}
		if len(piece)+len(enc) > 58 {
			pieces, piece = append(pieces, piece), ""
		}
		piece += enc
		name = name[n:]
	}
	pieces = append(pieces, piece)
	v := "attachment"
	for i, p := range pieces {
		if len(pieces) == 1 {
			v += ";\r\n filename*=" + p
		} else {
			v += fmt.Sprintf(";\r\n filename*%d*=%s", i, p)
		}
	}
	w.field("Content-Disposition", v)
}
