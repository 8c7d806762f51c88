package mail

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Charsets answers octets of a charset as UTF-8. Names are in lower case, and those of the web's index (the Encoding
// Standard) where it has the charset. ok is false for a charset that it does not know. Octets that mean nothing are
// U+FFFD.
type Charsets func(name string, b []byte) (text string, ok bool)

// aliases are names that mail uses and no index has.
var aliases = map[string]string{
	"cp932": "shift_jis", "ms932": "shift_jis", "cp943": "shift_jis", "shift-jis": "shift_jis",
	"cp949": "euc-kr", "ks_c_5601": "euc-kr", "ms949": "euc-kr", "uhc": "euc-kr", "x-windows-949": "euc-kr",
	"cp936": "gbk", "ms936": "gbk", "gb18030-2000": "gb18030", "x-euc-cn": "gbk",
	"cp950": "big5", "ms950": "big5", "big5hkscs": "big5", "big5-hkscs:2004": "big5",
	"iso-2022-jp-1": "iso-2022-jp", "iso-2022-jp-2": "iso-2022-jp", "iso-2022-jp-3": "iso-2022-jp", "iso-2022-jp-2004": "iso-2022-jp",
	"iso-2022-jp-ms": "iso-2022-jp", "cp50220": "iso-2022-jp", "cp50221": "iso-2022-jp", "eucjp": "euc-jp", "eucjp-ms": "euc-jp",
	"iso-8859-8-e": "iso-8859-8", "iso8859_1": "iso-8859-1", "latin-1": "iso-8859-1", "win-1251": "windows-1251", "win1251": "windows-1251",
	"koi8": "koi8-r", "macroman": "macintosh", "ansi_x3.4": "iso-8859-1", "ansi": "windows-1252", "iso-10646-ucs-2": "utf-16be", "ucs-2": "utf-16be",
}

// decoder reads the octets of one message.
type decoder struct {
	hint     string // the charset that raw octets in headers are taken for
	charsets Charsets
}

// text answers b, of that charset, as UTF-8. It answers something for any charset and any octets: what is said to be
// ASCII or UTF-8 and is not, or says nothing, is taken for UTF-8 where that fits, for ISO-2022-JP where its escapes are,
// and else for Windows-1252, which is what such mail mostly is.
func (d decoder) text(name string, b []byte) string {
	name = strings.ToLower(strings.Trim(name, " \t\"'<>;"))
	if name == "" || asciiOnly(b) && strings.HasPrefix(name, "iso-8859-") {
		return d.guess(b)
	}
	switch name {
	case "utf-8", "utf8", "utf_8", "x-utf-8", "utf-8-strict", "unicode-1-1-utf-8", "csutf8", "utf8mb4":
		return repairUTF8(b)
	case "us-ascii", "ascii", "unknown", "unknown-8bit", "x-unknown", "default", "8bit", "binary", "none", "_auto", "ansi_x3.4-1968", "us", "charset":
		return d.guess(b)
	case "utf-7", "utf7", "unicode-1-1-utf-7", "x-utf-7", "csunicode11utf7":
		return decodeUTF7(b)
	}
	for _, prefix := range []string{"x-", "cs"} {
		if _, ok := aliases[name]; !ok {
			if t := strings.TrimPrefix(name, prefix); aliases[t] != "" {
				name = t
			}
		}
	}
	if a, ok := aliases[name]; ok {
		name = a
	}
	if strings.HasPrefix(name, "cp125") {
		name = "windows-" + name[2:]
	}
	if t, ok := d.lookup(name, b); ok {
		return t
	}
	return d.guess(b)
}

// lookup asks charsets, but for those that are read here.
func (d decoder) lookup(name string, b []byte) (string, bool) {
	switch name {
	case "windows-1252", "iso-8859-1": // the second is the first, as everybody means it
		return latin(b), true
	case "utf-16le":
		return decodeUTF16(b, binary.LittleEndian), true
	case "utf-16be":
		return decodeUTF16(b, binary.BigEndian), true
	}
	if d.charsets == nil {
		return "", false
	}
	t, ok := d.charsets(name, b)
	return strings.TrimPrefix(strings.ToValidUTF8(t, "\ufffd"), "\ufeff"), ok
}

// guess reads octets of which nothing is known.
func (d decoder) guess(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}) && len(b)%2 == 0:
		return decodeUTF16(b, binary.LittleEndian)
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}) && len(b)%2 == 0:
		return decodeUTF16(b, binary.BigEndian)
	case utf8.Valid(b):
		if bytes.Contains(b, []byte("\x1b$")) {
			if t, ok := d.lookup("iso-2022-jp", b); ok && !strings.Contains(t, "\ufffd") {
				return t
			}
		}
		return string(bytes.TrimPrefix(b, []byte("\ufeff")))
	}
	return latin(b)
}

// decodeUTF16 reads UTF-16 (RFC 2781); an octet too many is dropped.
func decodeUTF16(b []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff")
}

// windows1252 is what Windows-1252 has where ISO-8859-1 has control characters. Those that it leaves out stay, as the
// Encoding Standard has it, so every octet is a character.
var windows1252 = [32]rune{
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8d, 'Ž', 0x8f,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9d, 'ž', 'Ÿ',
}

// latin reads Windows-1252.
func latin(b []byte) string {
	var out strings.Builder
	out.Grow(len(b) + len(b)/8)
	for _, c := range b {
		switch {
		case c < 0x80:
			out.WriteByte(c)
		case c < 0xa0:
			out.WriteRune(windows1252[c-0x80])
		default:
			out.WriteRune(rune(c))
		}
	}
	return out.String()
}

// repairUTF8 reads what is said to be UTF-8. Text that is mostly that keeps its good characters; text in which no octet
// above 127 fits was never UTF-8.
func repairUTF8(b []byte) string {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if utf8.Valid(b) {
		return string(b)
	}
	good, bad := 0, 0
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			bad++
		case n > 1:
			good++
		}
		i += n
	}
	if good == 0 {
		return latin(b)
	}
	return strings.ToValidUTF8(string(b), "\ufffd")
}

func asciiOnly(b []byte) bool {
	for _, c := range b {
		if c >= 128 {
			return false
		}
	}
	return true
}
