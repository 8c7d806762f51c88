package smtpd

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"
)

var errAddress = errors.New("smtpd: not a mailbox of RFC 5321")

// mailbox checks an address as go-smtp's parser leaves it, the local-part
// without its quotes, and gives it in the form of the wire: quoted where it
// must be, the domain in lower case. So no address can break a header line, a
// queue row or a log. wide says that it needs SMTPUTF8.
func mailbox(address string) (wire string, wide bool, err error) {
	i := strings.LastIndexByte(address, '@')
	if i < 1 || !utf8.ValidString(address) {
		return "", false, errAddress
	}
	local, domain := address[:i], strings.ToLower(address[i+1:])
	if len(local) > 64 || len(domain) > 255 { // RFC 5321 §4.5.3.1
		return "", false, errAddress
	}
	atom := true
	for j, r := range local {
		switch {
		case r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0:
			return "", false, errAddress
		case r >= 0x80:
			wide = true
		case r == '.':
			atom = atom && j > 0 && j < len(local)-1 && local[j-1] != '.'
		case !isAtext(r):
			atom = false
		}
	}
	if !atom {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	wideDomain, ok := isDomain(domain)
	if !ok {
		return "", false, errAddress
	}
	return local + "@" + domain, wide || wideDomain, nil
}

// isAtext is RFC 5322 §3.2.3.
func isAtext(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// isDomain knows names and address literals (RFC 5321 §4.1.2 and §4.1.3).
func isDomain(d string) (wide, ok bool) {
	if literal, found := strings.CutPrefix(d, "["); found {
		literal, found = strings.CutSuffix(literal, "]")
		ip, err := netip.ParseAddr(strings.TrimPrefix(literal, "ipv6:"))
		return false, found && err == nil && ip.Zone() == ""
	}
	if len(d) > 255 {
		return false, false
	}
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || len(label) > 63 && !hasWide(label) || label[0] == '-' || label[len(label)-1] == '-' {
			return false, false
		}
		for _, r := range label {
			switch {
			case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_': // QUIRK: "_" is no letter of RFC 5321, and is met
			case r >= 0xa0:
				wide = true
			default:
				return false, false
			}
		}
	}
	return wide, true
}

func hasWide(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
