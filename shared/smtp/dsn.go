package smtp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-mail/postern/shared/idn"
)

// DSN asks the servers on the way to tell the sender what becomes of a message. Whether they do is theirs to decide. See RFC
// 3461.
type DSN struct {
	Notify     []string // when: "SUCCESS", "FAILURE", "DELAY", or "NEVER" alone; empty leaves it to the server
	Return     string   // what of the message a report of failure holds: "FULL", "HDRS", or empty
	EnvelopeID string   // comes back in reports; up to 100 printable characters of ASCII
}

// maxEnvelopeID is RFC 3461 section 4.4's limit.
const maxEnvelopeID = 100

// maxORCPT is RFC 3461 section 4.2's limit for an original recipient, its type included.
const maxORCPT = 500

func (d *DSN) check() error {
	for i, n := range d.Notify {
		known := n == "SUCCESS" || n == "FAILURE" || n == "DELAY" || n == "NEVER"
		if !known || n == "NEVER" && len(d.Notify) > 1 || slices.Contains(d.Notify[:i], n) {
			return fmt.Errorf("%w: notify %.80q", ErrArgument, d.Notify)
		}
	}
	if d.Return != "" && d.Return != "FULL" && d.Return != "HDRS" {
		return fmt.Errorf("%w: return %.80q", ErrArgument, d.Return)
	}
	if len(d.EnvelopeID) > maxEnvelopeID || strings.ContainsFunc(d.EnvelopeID, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("%w: envelope id %.120q", ErrArgument, d.EnvelopeID)
	}
	return nil
}

// mail is what MAIL says of it.
func (d *DSN) mail() string {
	var s string
	if d.Return != "" {
		s += " RET=" + d.Return
	}
	if d.EnvelopeID != "" {
		s += " ENVID=" + xtext(d.EnvelopeID)
	}
	return s
}

// rcpt is what RCPT says of it.
func (d *DSN) rcpt(to string, utf8 bool) string {
	var s string
	if len(d.Notify) > 0 {
		s += " NOTIFY=" + strings.Join(d.Notify, ",")
	}
	if original := originalRecipient(to, utf8); len(original) <= maxORCPT {
		s += " ORCPT=" + original
	}
	return s
}

// originalRecipient writes the address that the sender gave, for reports: RFC 3461 section 4.2, and RFC 6533 section 3
// beyond ASCII, where it depends on whether UTF-8 may stand in the command.
func originalRecipient(address string, utf8 bool) string {
	if idn.IsASCII(address) {
		return "rfc822;" + xtext(address)
	}
	var b strings.Builder
	b.WriteString("utf-8;")
	for _, r := range address {
		if r > ' ' && r < 0x7F && r != '+' && r != '=' && r != '\\' || r >= 0x80 && utf8 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x{%02X}`, r)
		}
	}
	return b.String()
}

// xtext encodes printable ASCII for a parameter: RFC 3461 section 4.
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7F && c != '+' && c != '=' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "+%02X", c)
		}
	}
	return b.String()
}
