package smtp

import (
	"strings"
	"unicode"

	"github.com/postern-mail/postern/shared/idn"
)

// isMailbox checks that an address is one mailbox and nothing but: RFC 5321 section 4.1.2, with UTF-8 (RFC 6531), less
// strict about which characters stand where, which is for the server to judge.
func isMailbox(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || len(s) > 254 { // 4.5.3.1.3, with the angle brackets 256
		return false
	}
	local, domain := s[:at], s[at+1:]
	quoted := len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"'
	for _, r := range s {
		if unicode.IsControl(r) || r == '<' || r == '>' || r == '\uFFFD' {
			return false
		}
	}
	return !strings.ContainsAny(domain, " \"\\,;") && (quoted || !strings.ContainsAny(local, " \"\\,;@"))
}

// IsMailbox reports whether an address can be put into a command: whether [Client.Send] takes it.
func IsMailbox(address string) bool { return isMailbox(address) }

// NeedsUTF8 reports whether an address can be put into a command with SMTPUTF8 alone (RFC 6531): its local part is beyond ASCII, or
// its domain has no A-labels.
func NeedsUTF8(address string) bool {
	_, needs := wirePath(address)
	return needs
}

// wirePath answers an address as it goes into a command, and whether it needs SMTPUTF8 there. A domain beyond ASCII becomes
// A-labels (RFC 5890) where the local part is ASCII, for every server on the way takes those; a local part beyond ASCII has
// no other form, and its domain goes with it as it is (RFC 6531 section 3.3).
func wirePath(address string) (wire string, utf8 bool) {
	if idn.IsASCII(address) {
		return address, false
	}
	at := strings.LastIndexByte(address, '@')
	if local := address[:at]; idn.IsASCII(local) {
		if domain, ok := idn.ToASCII(address[at+1:]); ok {
			return local + "@" + domain, false
		}
	}
	return address, true
}
