package mail

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Report is what a server says became of a message: a delivery status notification of RFC 3464, such as a bounce. Text in it
// is valid UTF-8 without control characters. What the report does not say is empty.
type Report struct {
	ReportingMTA string    // the server that reports: "mail.example.org"
	EnvelopeID   string    // ENVID of RFC 3461
	Arrival      time.Time // when that server got the message
	OriginalID   string    // the message-id of the message that it is about, with its angle brackets
	Recipients   []ReportRecipient
}

// ReportRecipient is what became of the message for one recipient.
type ReportRecipient struct {
	Action      string    // "failed", "delayed", "delivered", "relayed" or "expanded"
	Final       string    // the address
	Original    string    // the address that the sender gave, if it was another
	Status      string    // RFC 3463: "5.1.1"
	Diagnostic  string    // the other server's words, or the reporting one's
	RemoteMTA   string    // the other server
	LastAttempt time.Time // zero: not said
	RetryUntil  time.Time // zero: not said
}

// maxReported bounds the recipients of one report. A message to more has many reports.
const maxReported = 1_000

// Report reads a message as a report about delivery; ok is false for one that is none.
//
// QUIRK: reports come as multipart/mixed too, with blank lines between the fields and none between recipients, with actions in
// capitals or with a comment. Exim writes reports that only people can read, and names whom they are about in a field of
// the header.
func (r Reader) Report(raw []byte) (report *Report, ok bool) {
	in := reader{b: trimEnvelope(raw), charsets: r.Charsets}
	root, _ := in.read(0, nil)
	report = &Report{}
	report.find(root, in.decoder(), 0)
	if len(report.Recipients) == 0 {
		for _, a := range parseAddresses(root.header.get("x-failed-recipients"), in.decoder()) {
			if a.Addr != "" && len(report.Recipients) < maxReported {
				report.Recipients = append(report.Recipients, ReportRecipient{Action: "failed", Final: a.Addr})
			}
		}
	}
	if report.OriginalID == "" {
		report.OriginalID = messageID(root.header.get("in-reply-to"))
	}
	return report, len(report.Recipients) > 0
}

// find looks through the parts of a message for those of a report: its status, and the message that it is about.
func (p *Report) find(e *entity, d decoder, level int) {
	switch e.media {
	case "message/delivery-status", "message/global-delivery-status":
		if len(p.Recipients) == 0 {
			p.readStatus(e.octets(), d)
		}
	case "message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers":
		if p.OriginalID == "" && e.parent != nil {
			h, _ := readHeader(bytes.TrimLeft(e.octets(), "\r\n"), never)
			p.OriginalID = messageID(h.get("message-id"))
		}
	}
	if level > maxDepth {
		return
	}
	for _, c := range e.children {
		p.find(c, d, level+1)
	}
}

// readStatus reads the fields of a report: those of the message, then those of each recipient.
func (p *Report) readStatus(b []byte, d decoder) {
	defer p.tidy()
	var c *ReportRecipient
	seen := map[string]bool{} // of this recipient
	apart := false            // a blank line lies between
	for len(b) > 0 {
		if line, rest := cutLine(b); len(bytes.TrimSpace(line)) == 0 {
			b = rest
			continue
		}
		h, n := readHeader(b, never)
		if n == 0 { // no field at all: such a line is passed over
			_, b = cutLine(b)
			continue
		}
		b, apart = b[n:], true
		for _, f := range h {
			switch f.name {
			case "reporting-mta", "original-envelope-id", "arrival-date":
				if c == nil {
					p.set(f, d)
				}
				continue
			case "final-recipient", "original-recipient", "action", "status":
				// A field that this recipient has already is the next one's, and so is an address behind a blank line.
				named := apart && strings.HasSuffix(f.name, "-recipient") && len(seen) > 0
				if c == nil || seen[f.name] || named {
					if len(p.Recipients) == maxReported {
						return
					}
					p.Recipients = append(p.Recipients, ReportRecipient{})
					c = &p.Recipients[len(p.Recipients)-1]
					clear(seen)
				}
				seen[f.name], apart = true, false
			}
			if c != nil {
				c.set(f, d)
			}
		}
	}
}

// tidy drops what is about nobody, and gives an action to who has none.
func (p *Report) tidy() {
	kept := p.Recipients[:0]
	for _, c := range p.Recipients {
		if c.Final == "" {
			c.Final = c.Original
		}
		if c.Original == c.Final {
			c.Original = ""
		}
		if c.Action == "" && c.Status != "" {
			c.Action = map[byte]string{'2': "delivered", '4': "delayed", '5': "failed"}[c.Status[0]]
		}
		if c.Final != "" && c.Action != "" {
			kept = append(kept, c)
		}
	}
	p.Recipients = kept
}

func (p *Report) set(f field, d decoder) {
	switch f.name {
	case "reporting-mta":
		p.ReportingMTA = typed(f.value, d)
	case "original-envelope-id":
		p.EnvelopeID = clip(decodeLine(f.value, d), maxLine)
	case "arrival-date":
		p.Arrival = parseDate(f.value)
	}
}

func (c *ReportRecipient) set(f field, d decoder) {
	switch f.name {
	case "final-recipient":
		c.Final = typedAddress(f.value, d)
	case "original-recipient":
		c.Original = typedAddress(f.value, d)
	case "action":
		text, _ := splitComments(f.value)
		switch a := strings.ToLower(strings.TrimSpace(string(text))); a {
		case "failed", "delayed", "delivered", "relayed", "expanded":
			c.Action = a
		case "failure": // QUIRK: some list servers
			c.Action = "failed"
		}
	case "status":
		for w := range bytes.FieldsSeq(f.value) { // QUIRK: words behind it, as in "5.1.1 (bad destination)"
			if isStatus(w) {
				c.Status = string(w)
			}
			break
		}
	case "remote-mta":
		c.RemoteMTA = typed(f.value, d)
	case "diagnostic-code":
		c.Diagnostic = strings.Join(strings.Fields(typed(f.value, d)), " ") // as it was before it was folded
	case "last-attempt-date":
		c.LastAttempt = parseDate(f.value)
	case "will-retry-until":
		c.RetryUntil = parseDate(f.value)
	}
}

// isStatus knows a status code of RFC 3463 section 2.
func isStatus(w []byte) bool {
	parts := bytes.Split(w, []byte{'.'})
	if len(parts) != 3 || len(parts[0]) != 1 || parts[0][0] != '2' && parts[0][0] != '4' && parts[0][0] != '5' {
		return false
	}
	for _, p := range parts {
		if len(p) < 1 || len(p) > 3 || len(bytes.Trim(p, "0123456789")) > 0 {
			return false
		}
	}
	return true
}

// typed reads "type; value" without its type, which some leave out. A reply has semicolons of its own, so only a word is
// taken for a type.
func typed(b []byte, d decoder) string {
	if kind, value, ok := bytes.Cut(b, []byte{';'}); ok && isToken(bytes.TrimSpace(kind)) {
		b = value
	}
	return clip(strings.TrimSpace(decodeLine(b, d)), maxLine)
}

// typedAddress reads "rfc822; address" and "utf-8; address", the latter with the escapes of RFC 6533 section 3.
func typedAddress(b []byte, d decoder) string {
	kind, _, ok := bytes.Cut(b, []byte{';'})
	s := typed(b, d)
	if ok && strings.EqualFold(string(bytes.TrimSpace(kind)), "utf-8") {
		s = cleanLine(unescapeUnicode(s))
	}
	if in, ok := strings.CutPrefix(s, "<"); ok { // QUIRK: Exchange has brackets around some
		s = strings.TrimSuffix(in, ">")
	}
	return s
}

// unescapeUnicode undoes \x{41}: RFC 6533 section 3 "EmbeddedUnicodeChar".
func unescapeUnicode(s string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(s, `\x{`)
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		digits, after, closed := strings.Cut(rest, "}")
		n, err := strconv.ParseUint(digits, 16, 32)
		if !closed || err != nil || len(digits) > 6 {
			out.WriteString(`\x{`)
			s = rest
			continue
		}
		out.WriteRune(rune(n)) // what is no character becomes U+FFFD
		s = after
	}
}
