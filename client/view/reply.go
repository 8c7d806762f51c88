package view

import (
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
)

// Reply answers the message being read; ReplyAll answers everybody; Forward passes it on with its files.
func (a *App) Reply() { a.answer(false) }

// ReplyAll answers the sender and all other recipients.
func (a *App) ReplyAll() { a.answer(true) }

func (a *App) answer(all bool) {
	m := a.Reader.Message
	if m == nil {
		return
	}
	c := a.start()
	d := ReplyTo(m, all, a.addresses(m.Account)...)
	d.Account, d.Identity = m.Account, a.addressee(m)
	quote := a.attribution(m) + "\n"
	if m.Text != "" {
		quote = Quote(m.Text, a.attribution(m))
	}
	c.write(d, quote)
	a.write()
	a.platform.Focus(`[data-testid="compose-body"]`)
}

// Forward starts a message that carries the one being read.
func (a *App) Forward() {
	m := a.Reader.Message
	if m == nil {
		return
	}
	c := a.start()
	c.write(api.Draft{Account: m.Account, Identity: a.addressee(m), Subject: ForwardSubject(m.Subject)}, a.forwarded(m))
	if len(m.Parts) > 0 {
		for _, p := range m.Parts { // their names at once, their bytes when the engine has copied them
			c.Attachments = append(c.Attachments, Attachment{DraftAttachment: api.DraftAttachment{Name: p.Name, Type: p.Type, Size: p.Size}, Uploading: true})
		}
		c.takeAttachments(RefOf(m.Row))
	}
	a.write()
	a.platform.Focus(`[data-testid="compose-to"]`)
}

func (a *App) start() *Composer {
	a.Composer.Close()
	a.Composer.reset()
	return &a.Composer
}

// ReplyTo is the draft of an answer to m by one whose addresses are self: to its Reply-To (RFC 5322 section 3.6.2) or its sender, and with all
// its other recipients in Cc. Who answers a message of one's own means its recipients.
func ReplyTo(m *api.Message, all bool, self ...string) api.Draft {
	d := api.Draft{Subject: ReplySubject(m.Subject), InReplyTo: m.MessageID, Answers: m.ID}
	d.References = slices.Clone(m.References)
	if m.MessageID != "" && !slices.Contains(d.References, m.MessageID) {
		d.References = append(d.References, m.MessageID)
	}
	seen := map[string]bool{}
	add := func(list *[]api.Address, from []api.Address) {
		for _, x := range from {
			k := strings.ToLower(x.Addr)
			if k != "" && !seen[k] {
				seen[k] = true
				*list = append(*list, x)
			}
		}
	}
	mine := slices.ContainsFunc(self, func(x string) bool { return strings.EqualFold(m.From.Addr, x) })
	switch {
	case mine && len(m.To) > 0:
		add(&d.To, m.To)
	case len(m.ReplyTo) > 0:
		add(&d.To, m.ReplyTo)
	default:
		add(&d.To, []api.Address{m.From})
	}
	if all {
		for _, x := range self {
			seen[strings.ToLower(x)] = true
		}
		add(&d.Cc, m.To)
		add(&d.Cc, m.Cc)
	}
	return d
}

// CanReplyAll says whether answering everybody differs from answering the sender.
func (a *App) CanReplyAll() bool {
	m := a.Reader.Message
	if m == nil {
		return false
	}
	self := a.addresses(m.Account)
	one, all := ReplyTo(m, false, self...), ReplyTo(m, true, self...)
	return len(all.Cc) > 0 || len(all.To) != len(one.To)
}

// ReplySubject puts "Re: " before a subject that has no such prefix yet (RFC 5322 section 3.6.5).
func ReplySubject(s string) string {
	s = strings.TrimSpace(s)
	for _, p := range []string{"re:", "aw:", "sv:", "antw:"} {
		if len(s) >= len(p) && strings.EqualFold(s[:len(p)], p) {
			return s
		}
	}
	return strings.TrimSpace("Re: " + s)
}

// ForwardSubject puts "Fwd: " before a subject.
func ForwardSubject(s string) string {
	s = strings.TrimSpace(s)
	for _, p := range []string{"fwd:", "fw:", "wg:"} {
		if len(s) >= len(p) && strings.EqualFold(s[:len(p)], p) {
			return s
		}
	}
	return strings.TrimSpace("Fwd: " + s)
}

// longQuotation is how many octets are quoted at most: a field to write in that holds megabytes takes seconds for a key.
const longQuotation = 256 << 10

// Quote is a text with "> " before each line, below the attribution; lines quoted already get no space between their
// marks, and the signature (RFC 3676 section 4.3) is left out. Of a text that nobody would quote whole, the beginning is
// quoted.
func Quote(text, attribution string) string {
	if len(text) > longQuotation {
		text = strings.ToValidUTF8(text[:longQuotation], "") + "\n[…]"
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if i := strings.LastIndex("\n"+text, "\n-- \n"); i > 0 {
		text = text[:i-1]
	}
	var b strings.Builder
	b.WriteString(attribution + "\n")
	for line := range strings.SplitSeq(strings.TrimRight(text, " \n\t"), "\n") {
		switch {
		case strings.HasPrefix(line, ">"):
			b.WriteString(">" + line)
		case line == "":
			b.WriteString(">")
		default:
			b.WriteString("> " + line)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (a *App) attribution(m *api.Message) string {
	return "On " + longDate(m.Date) + ", " + SenderName(m.From) + " wrote:"
}

func (a *App) forwarded(m *api.Message) string {
	var b strings.Builder
	b.WriteString("---------- Forwarded message ----------\n")
	line := func(k, v string) {
		if v != "" {
			b.WriteString(k + ": " + v + "\n")
		}
	}
	line("From", FormatAddress(m.From))
	line("Date", longDate(m.Date))
	line("Subject", m.Subject)
	line("To", FormatList(m.To))
	line("Cc", FormatList(m.Cc))
	b.WriteString("\n" + strings.ReplaceAll(m.Text, "\r\n", "\n"))
	return b.String()
}

func longDate(t time.Time) string { return t.Format("2 January 2006 at 15:04") }
