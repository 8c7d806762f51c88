package dsn

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/shared/idn"
	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/printable"
)

// Action is what was done with the message for a recipient. See RFC 3464
// section 2.3.3.
type Action string

const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Delivered Action = "delivered"
	Relayed   Action = "relayed"  // to a server that does not report
	Expanded  Action = "expanded" // to the members of a list
)

// Wanted says whether a sender is told of an action, by the NOTIFY of the
// recipient (RFC 3461 section 4.1). One who said nothing is told of failures and
// delays.
func Wanted(notify []string, a Action) bool {
	switch a {
	case Failed:
		return len(notify) == 0 || slices.Contains(notify, "FAILURE")
	case Delayed:
		return len(notify) == 0 || slices.Contains(notify, "DELAY")
	}
	return slices.Contains(notify, "SUCCESS")
}

// Report is a notification to be written: what became of one message.
type Report struct {
	ReportingMTA string // this server's host name
	From         string // whose report it is, as an address: the postmaster's
	To           string // the sender that it is for; never the null sender
	Date         time.Time
	Arrival      time.Time // of the message
	EnvelopeID   string    // ENVID; "" if there was none
	Return       string    // RET: "FULL", "HDRS", or "" for the server's choice
	UTF8         bool      // the message came by SMTPUTF8, so the sender's mailbox can take UTF-8 in headers
	Recipients   []Recipient
	Original     io.Reader // the message; nil if it cannot be had
}

// Recipient is one recipient and what became of the message for it.
type Recipient struct {
	Action      Action
	Address     string
	Original    string    // ORCPT, "type;address"; "" if there was none
	Code        int       // the reply's; 0 if there was none
	Status      string    // RFC 3463; "" if there was none
	Text        string    // the reply's, or this server's finding
	Own         bool      // Text is this server's
	Server      string    // that said it, "mx1.example.org (192.0.2.1)"
	LastAttempt time.Time // zero: not known
	RetryUntil  time.Time // for Delayed
	GaveUp      bool      // Failed, after a time in which it was tried again and again
	Doubtful    bool      // Failed, and yet an earlier attempt was cut between the message and its answer
}

// Bounds of what is given back of a message.
const (
	// maxFull is how large a message is given back whole to those who ask for it.
	// They have it already: a copy of a film helps nobody.
	maxFull = 1 << 20
	// maxFullUnasked is the same for those who did not say: a text, and no more.
	maxFullUnasked = 64 << 10
	// maxHeader is how much of a header is given back.
	maxHeader = 64 << 10
	// maxText is how many characters are given of another server's words.
	maxText = 1000
)

// ErrNobody says that a report is for the null sender or has no recipients.
var ErrNobody = errors.New("dsn: a report for nobody, or about nobody")

// Compose writes a report, header and all, in lines that end in CRLF. Its
// envelope has the null sender. It needs SMTPUTF8 if Report.UTF8 and
// 8BITMIME if the message it is about does.
func Compose(r Report) ([]byte, error) {
	if r.To == "" || len(r.Recipients) == 0 {
		return nil, ErrNobody
	}
	if strings.ContainsFunc(r.To+r.From+r.ReportingMTA, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return nil, fmt.Errorf("dsn: a control character in %q, %q or %q", r.To, r.From, r.ReportingMTA)
	}
	o := r.original()
	w := &writer{global: r.UTF8}
	boundary := "=_" + rand.Text()
	_, domain, _ := strings.Cut(r.From, "@")
	w.field("From", "Mail delivery <"+r.From+">")
	w.field("To", "<"+r.To+">")
	w.field("Subject", mime.QEncoding.Encode("utf-8", r.subject(o.about)))
	w.field("Date", date(r.Date))
	w.field("Message-ID", mail.NewMessageID(domain))
	if id := o.about.MessageID; isPlainID(id) {
		w.field("In-Reply-To", id)
		w.field("References", id)
	}
	w.field("Auto-Submitted", "auto-replied") // RFC 3834: nobody's vacation answers it
	w.field("MIME-Version", "1.0")
	w.field("Content-Type", "multipart/report; report-type=delivery-status;\r\n boundary=\""+boundary+"\"")
	status := r.status(w.global)
	if o.eightBit || !isASCII(status) {
		w.field("Content-Transfer-Encoding", "8bit")
	}
	w.line("")
	w.line("This is a report about the delivery of mail, in MIME format.")
	w.line("")

	w.line("--" + boundary)
	w.text(r.text(o.about))
	w.line("--" + boundary)
	kind := "message/delivery-status"
	if w.global {
		kind = "message/global-delivery-status"
	}
	w.field("Content-Type", kind)
	if !isASCII(status) {
		w.field("Content-Transfer-Encoding", "8bit")
	}
	w.line("")
	w.b = append(w.b, status...)
	w.line("")
	if o.kind != "" {
		w.line("--" + boundary)
		w.field("Content-Type", o.kind)
		if o.eightBit {
			w.field("Content-Transfer-Encoding", "8bit")
		}
		w.line("")
		w.b = append(w.b, o.content...)
		w.line("")
	}
	w.line("--" + boundary + "--")
	return w.b, nil
}

// returned is what is given back of the original, and what it says of itself.
type returned struct {
	kind     string // media type; "" if there is nothing to give back
	content  []byte
	eightBit bool
	about    mail.Summary
}

// original reads as much of the message as is given back. RET is about failures
// alone; of others the header is enough (RFC 3461 section 4.3).
func (r *Report) original() (o returned) {
	if r.Original == nil {
		return o
	}
	most := 0
	if slices.ContainsFunc(r.Recipients, func(c Recipient) bool { return c.Action == Failed }) {
		switch r.Return {
		case "FULL":
			most = maxFull
		case "":
			most = maxFullUnasked
		}
	}
	content, err := io.ReadAll(io.LimitReader(r.Original, int64(max(most, maxHeader))+1))
	if err != nil && len(content) == 0 {
		return o
	}
	header := content
	if i := bytes.Index(content, []byte("\r\n\r\n")); i >= 0 {
		header = content[:i+2]
	}
	header = header[:min(len(header), maxHeader)]
	if i := bytes.LastIndexByte(header, '\n'); i >= 0 {
		header = header[:i+1] // whole lines
	}
	o.about = mail.Reader{}.Summarize(append(slices.Clip(header), "\r\n"...))
	if full := err == nil && len(content) <= most; full {
		o.content, o.kind = content, "message/rfc822"
		if !isASCII(string(header)) {
			o.kind = "message/global"
		}
	} else {
		o.content, o.kind = header, "text/rfc822-headers"
		if !isASCII(string(header)) {
			o.kind = "message/global-headers"
		}
	}
	o.eightBit = !isASCII(string(o.content))
	return o
}

// status is the part for programs: RFC 3464 section 2.
func (r *Report) status(global bool) string {
	w := &writer{global: global}
	w.fold("Reporting-MTA", "dns; "+r.ReportingMTA)
	if r.EnvelopeID != "" {
		w.fold("Original-Envelope-Id", r.EnvelopeID)
	}
	if !r.Arrival.IsZero() {
		w.field("Arrival-Date", date(r.Arrival))
	}
	for _, c := range r.Recipients {
		w.line("")
		if kind, address, ok := strings.Cut(c.Original, ";"); ok {
			w.address("Original-Recipient", strings.TrimSpace(kind), strings.TrimSpace(address))
		}
		w.address("Final-Recipient", "rfc822", c.Address)
		w.field("Action", string(c.Action))
		w.field("Status", c.status())
		if host, _, _ := strings.Cut(c.Server, " "); host != "" {
			w.fold("Remote-MTA", "dns; "+host)
		}
		switch {
		case c.Own && c.Text != "":
			w.fold("Diagnostic-Code", "x-postern; "+printable.Short(c.Text, maxText))
		case !c.Own && c.Code != 0:
			w.fold("Diagnostic-Code", "smtp; "+c.reply())
		}
		if !c.LastAttempt.IsZero() {
			w.field("Last-Attempt-Date", date(c.LastAttempt))
		}
		if c.Action == Delayed && !c.RetryUntil.IsZero() {
			w.field("Will-Retry-Until", date(c.RetryUntil))
		}
	}
	return string(w.b)
}

// status is the status code, or what the action alone says.
func (c *Recipient) status() string {
	if parts := strings.Split(c.Status, "."); len(parts) == 3 && strings.Trim(c.Status, "0123456789.") == "" && len(c.Status) <= 9 {
		return c.Status
	}
	switch c.Action {
	case Failed:
		return "5.0.0"
	case Delayed:
		return "4.0.0"
	}
	return "2.0.0"
}

// reply is what the other server said, in a line.
func (c *Recipient) reply() string {
	words := fmt.Sprint(c.Code)
	if c.Status != "" {
		words += " " + c.Status
	}
	return strings.TrimSpace(words + " " + printable.Short(c.Text, maxText))
}

func date(t time.Time) string { return t.Format("Mon, 2 Jan 2006 15:04:05 -0700") }

func isASCII(s string) bool { return idn.IsASCII(s) }

// isPlainID says whether a message-id may stand in a header of ours.
func isPlainID(id string) bool {
	return id != "" && len(id) < 900 && isASCII(id) && !strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

// writer builds a message.
type writer struct {
	b      []byte
	global bool // UTF-8 may stand in headers
}

func (w *writer) line(s string) { w.b = append(append(w.b, s...), "\r\n"...) }

func (w *writer) field(name, value string) { w.line(name + ": " + value) }

// fold writes a field of words that others chose, in lines of 76 octets where
// its words allow, and of 998 in any case.
func (w *writer) fold(name, value string) {
	value = printable.Line(value)
	if !w.global {
		value = strings.Map(func(c rune) rune {
			if c >= 0x80 {
				return '?'
			}
			return c
		}, value)
	}
	line := name + ":"
	for word := range strings.FieldsSeq(value) {
		for len(word) > 900 {
			w.line(line)
			line, word = " "+strings.ToValidUTF8(word[:900], "?"), strings.ToValidUTF8(word[900:], "?")
		}
		if len(line)+1+len(word) > 76 && line != name+":" {
			w.line(line)
			line = ""
		}
		line += " " + word
	}
	w.line(line)
}

// address writes an address with its type. One beyond ASCII is of type utf-8,
// written as it is or, where UTF-8 may not stand, in the form of RFC 6533
// section 3.
func (w *writer) address(name, kind, address string) {
	if !isASCII(address) {
		kind = "utf-8"
	}
	if strings.EqualFold(kind, "utf-8") && !w.global {
		var b strings.Builder
		for _, c := range address {
			if c >= 0x80 || c <= ' ' || c == '+' || c == '=' || c == '\\' {
				fmt.Fprintf(&b, `\x{%02X}`, c)
			} else {
				b.WriteRune(c)
			}
		}
		address = b.String()
	}
	w.fold(name, kind+"; "+address)
}

// text writes the part for people.
func (w *writer) text(text string) {
	w.field("Content-Type", "text/plain; charset=utf-8")
	plain := isASCII(text)
	for l := range strings.SplitSeq(text, "\n") {
		plain = plain && len(l) <= 78
	}
	if !plain {
		w.field("Content-Transfer-Encoding", "quoted-printable")
		var b bytes.Buffer
		q := quotedprintable.NewWriter(&b) // writes CRLF for LF
		io.WriteString(q, text)
		q.Close()
		text = b.String()
	} else {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	w.line("")
	w.b = append(w.b, text...)
	w.line("")
}
