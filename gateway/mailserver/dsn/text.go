package dsn

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/printable"
	"github.com/postern-mail/postern/shared/smtp"
)

// subject says what happened to which message.
func (r *Report) subject(about mail.Summary) string {
	subject := map[Action]string{
		Failed: "Not delivered", Delayed: "Not delivered yet", Delivered: "Delivered", Relayed: "Passed on", Expanded: "Passed on to a list",
	}[r.worst()]
	if about.Subject != "" {
		subject += ": " + printable.Short(about.Subject, 150)
	}
	return subject
}

// order is that of the sections of the text: what asks something of the reader
// comes first.
var order = []Action{Failed, Delayed, Relayed, Expanded, Delivered}

func (r *Report) worst() Action {
	for _, a := range order {
		if len(r.of(a)) > 0 {
			return a
		}
	}
	return Failed
}

func (r *Report) of(a Action) (list []Recipient) {
	for _, c := range r.Recipients {
		if c.Action == a {
			list = append(list, c)
		}
	}
	return list
}

// text is the part for people, in lines that end in LF: what happened, to whom,
// why, and what to do.
func (r *Report) text(about mail.Summary) string {
	t := &prose{}
	t.line(fmt.Sprintf("This is the mail server %s. It writes about your message", r.ReportingMTA))
	t.line("")
	if about.Subject != "" {
		t.line("    Subject: " + printable.Short(about.Subject, 150))
	}
	switch {
	case !about.Date.IsZero():
		t.line("    Date:    " + when(about.Date))
	case !r.Arrival.IsZero():
		t.line("    Date:    " + when(r.Arrival))
	}
	t.line("")
	for _, a := range order {
		if list := r.of(a); len(list) > 0 {
			t.section(a, list)
		}
	}
	return t.String()
}

// prose is a text being written.
type prose struct{ strings.Builder }

func (t *prose) line(s string) { t.WriteString(s + "\n") }

// paragraph writes a text in lines of at most 72 characters, each indented.
func (t *prose) paragraph(indent, text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(indent)+len(line)+1+len(word) > 72 {
			t.line(indent + line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	if line != "" {
		t.line(indent + line)
	}
}

// opening is what a section begins with.
var opening = map[Action]string{
	Failed:    "It could not be delivered, and will not be tried again, to:",
	Delayed:   "It has not been delivered yet, and is still being tried, to:",
	Relayed:   "It was passed on to a server that does not report what becomes of it, for:",
	Expanded:  "It was passed on to the members of the list:",
	Delivered: "It was delivered to:",
}

func (t *prose) section(a Action, list []Recipient) {
	t.paragraph("", opening[a])
	t.line("")
	for _, c := range list {
		t.line("    " + printable.Line(c.Address))
		if a == Failed || a == Delayed {
			t.reason(c)
		}
		t.line("")
	}
	switch a {
	case Failed:
		t.paragraph("", advice(list))
		t.line("")
	case Delayed:
		text := "You need not do anything, and need not send it again."
		if until := list[0].RetryUntil; !until.IsZero() {
			text += " It is tried until " + when(until) + ". If it has not been delivered by then, you are told so."
		}
		t.paragraph("", text)
		t.line("")
	}
}

// reason says why, in a sentence, and in the other server's own words.
func (t *prose) reason(c Recipient) {
	sentence := (&smtp.Error{Code: c.Code, Enhanced: c.Status}).Explain()
	if c.GaveUp {
		t.paragraph("        ", "It was tried again and again, and the time for that is over.")
	}
	said := printable.Short(c.Text, maxText)
	switch {
	case c.Own && said != "":
		t.paragraph("        ", asSentence(said))
	case c.Own:
		t.paragraph("        ", sentence)
	default:
		t.paragraph("        ", sentence)
		if c.Code != 0 {
			who := "The other server"
			if c.Server != "" {
				who = "The server " + printable.Line(c.Server)
			}
			t.line("        " + who + " said:")
			t.paragraph("          ", c.reply())
		}
	}
	if c.Doubtful && c.Action == Failed {
		t.paragraph("        ", "It may have arrived all the same: once the connection was cut between the message and the server's answer.")
	}
}

// asSentence writes a finding, which is in the words of a log, as a sentence.
func asSentence(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	first, _, _ := strings.Cut(s, " ")
	if !strings.ContainsAny(first, ".@") { // a name of the DNS stays as it is
		s = string(unicode.ToUpper(r)) + s[n:]
	}
	return strings.TrimRight(s, ".") + "."
}

// advice is what can be done about failures, by the first one's status code.
func advice(list []Recipient) string {
	status := list[0].Status
	detail := ""
	if len(status) > 1 {
		detail = status[1:]
	}
	switch {
	case list[0].GaveUp:
		return "What you can do: reach the recipient in another way, and ask whether mail works there. You can send the message again at any time."
	case detail == ".1.1", detail == ".1.2", detail == ".1.3", detail == ".1.0", detail == ".1.10":
		return "What you can do: look whether the address is spelled rightly, and send the message again to the right one."
	case detail == ".2.2":
		return "What you can do: wait until the recipient has made room, and send the message again."
	case detail == ".2.3", detail == ".3.4":
		return "What you can do: send a smaller message, for example a link instead of the attachment."
	case strings.HasPrefix(detail, ".6.7"), strings.HasPrefix(detail, ".6.9"), strings.HasPrefix(detail, ".6.10"):
		return "What you can do: ask the recipient for an address in plain letters, and write to that."
	case strings.HasPrefix(detail, ".7."):
		return "What you can do: the other server does not want this message. Reach the recipient in another way, or show this report to those who run your mail server."
	}
	return "What you can do: reach the recipient in another way, or show this report to those who run your mail server."
}

func when(t time.Time) string { return t.Format("Monday, 2 January 2006, 15:04 -0700") }
