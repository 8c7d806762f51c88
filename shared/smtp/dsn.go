package smtp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-mail/postern/shared/idn"
)

// DSN asks the servers on the way to tell the sender what becomes of a message. Whether they do is theirs to decide. See RFC
// 3461.
type DSN struct {
	Notify     []string // when: "SUCCESS", "FAILURE", "DELAY", or "NEVER" alone; empty leaves it to the server
	Return     string   // what of the message a report of failure holds: "FULL", "HDRS", or empty
	EnvelopeID string   // comes back in reports; up to 100 printable characters of ASCII

	// Recipients, if not nil, has the request for each recipient, in the order of Envelope.To, in place of Notify and of their
	// addresses: what a server that passes a message on was asked for. See RFC 3461 section 5.2.1.
	Recipients []RecipientDSN
}

// RecipientDSN is what is asked for one recipient.
type RecipientDSN struct {
	Notify   []string // as in DSN
	Original string   // ORCPT, as "type;address", not encoded; empty for none
}

// maxEnvelopeID is RFC 3461 section 4.4's limit.
const maxEnvelopeID = 100

// maxORCPT is RFC 3461 section 4.2's limit for an original recipient, its type included.
const maxORCPT = 500

func (d *DSN) check(recipients int) error {
	if err := checkNotify(d.Notify); err != nil {
		return err
	}
	if d.Recipients != nil && len(d.Recipients) != recipients {
		return fmt.Errorf("%w: requests for %d of %d recipients", ErrArgument, len(d.Recipients), recipients)
	}
	for _, r := range d.Recipients {
		if err := checkNotify(r.Notify); err != nil {
			return err
		}
		if r.Original == "" {
			continue
		}
		kind, address, _ := strings.Cut(r.Original, ";")
		if !isAtom(kind) || address == "" || strings.ContainsFunc(address, unicode.IsControl) || !utf8.ValidString(address) {
			return fmt.Errorf("%w: original recipient %.120q", ErrArgument, r.Original)
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

func checkNotify(notify []string) error {
	for i, n := range notify {
		known := n == "SUCCESS" || n == "FAILURE" || n == "DELAY" || n == "NEVER"
		if !known || n == "NEVER" && len(notify) > 1 || slices.Contains(notify[:i], n) {
			return fmt.Errorf("%w: notify %.80q", ErrArgument, notify)
		}
	}
	return nil
}

// isAtom checks the type of an address: RFC 3461 section 4.2.
func isAtom(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7F || strings.ContainsRune(`()<>[]:;@\,."+=`, r) })
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

// rcpt is what RCPT says of it, for recipient i.
func (d *DSN) rcpt(i int, to string, utf8 bool) string {
	notify, original := d.Notify, originalRecipient(to, utf8)
	if d.Recipients != nil {
		notify, original = d.Recipients[i].Notify, d.Recipients[i].original(utf8)
	}
	var s string
	if len(notify) > 0 {
		s += " NOTIFY=" + strings.Join(notify, ",")
	}
	if original != "" && len(original) <= maxORCPT {
		s += " ORCPT=" + original
	}
	return s
}

// original is what was asked for, encoded; empty for none. Only the type utf-8 has a form beyond ASCII.
func (r RecipientDSN) original(utf8 bool) string {
	kind, address, ok := strings.Cut(r.Original, ";")
	switch {
	case !ok:
		return ""
	case strings.EqualFold(kind, "utf-8"):
		return kind + ";" + utf8Address(unescape(address), utf8)
	case !idn.IsASCII(address):
		return ""
	}
	return kind + ";" + xtext(address)
}

// originalRecipient writes the address that the sender gave, for reports: RFC 3461 section 4.2, and RFC 6533 section 3
// beyond ASCII, where it depends on whether UTF-8 may stand in the command.
func originalRecipient(address string, utf8 bool) string {
	if idn.IsASCII(address) {
		return "rfc822;" + xtext(address)
	}
	return "utf-8;" + utf8Address(address, utf8)
}

// unescape answers an address that came with some of its characters in the form that RFC 6533 section 3 has for ASCII:
// \x{FC}.
func unescape(address string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(address, `\x{`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		digits, after, _ := strings.Cut(rest, "}")
		if n, err := strconv.ParseUint(digits, 16, 32); err == nil && utf8.ValidRune(rune(n)) {
			b.WriteRune(rune(n))
			address = after
		} else {
			b.WriteString(`\x{`)
			address = rest
		}
	}
}

// utf8Address encodes an address beyond ASCII: RFC 6533 section 3.
func utf8Address(address string, utf8 bool) string {
	var b strings.Builder
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
