package mail

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding/htmlindex"
)

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

// decodeText answers b, of that charset, as UTF-8. It answers something for any charset and any octets: what is said to
// be ASCII or UTF-8 and is not, or says nothing, is taken for UTF-8 where that fits, for ISO-2022-JP where its escapes
// are, and else for Windows-1252, which is what such mail mostly is.
func decodeText(name string, b []byte) string {
	name = strings.ToLower(strings.Trim(name, " \t\"'<>;"))
	if name == "" || asciiOnly(b) && strings.HasPrefix(name, "iso-8859-") {
		return guessText(b)
	}
	switch name {
	case "utf-8", "utf8", "utf_8", "x-utf-8", "utf-8-strict", "unicode-1-1-utf-8", "csutf8", "utf8mb4":
		return repairUTF8(b)
	case "us-ascii", "ascii", "unknown", "unknown-8bit", "x-unknown", "default", "8bit", "binary", "none", "_auto", "ansi_x3.4-1968", "us", "charset":
		return guessText(b)
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
	// The index of the web first: it reads ISO-8859-1 as Windows-1252 and GB2312 as GBK, as everybody means them.
	if e, err := htmlindex.Get(name); err == nil {
		if n, _ := htmlindex.Name(e); n == "replacement" {
			return guessText(b)
		}
		if t, err := e.NewDecoder().Bytes(b); err == nil {
			return string(bytes.TrimPrefix(t, []byte("\ufeff")))
		}
		return guessText(b)
	}
	if r, err := charset.Reader(name, bytes.NewReader(b)); err == nil {
		if t, err := io.ReadAll(r); err == nil {
			return strings.ToValidUTF8(string(t), "\ufffd")
		}
	}
	return guessText(b)
}

// guessText reads octets of which nothing is known.
func guessText(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}) && len(b)%2 == 0:
		return decodeText("utf-16le", b[2:])
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}) && len(b)%2 == 0:
		return decodeText("utf-16be", b[2:])
	case utf8.Valid(b):
		if bytes.Contains(b, []byte("\x1b$")) {
			if t := decodeText("iso-2022-jp", b); !strings.Contains(t, "\ufffd") {
				return t
			}
		}
		return string(bytes.TrimPrefix(b, []byte("\ufeff")))
	}
	return latin(b)
}

// latin reads Windows-1252. Every octet is a character in it.
func latin(b []byte) string {
	e, err := htmlindex.Get("windows-1252")
	if err != nil {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	t, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	return string(t)
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
