package mail

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
)

// decodeUTF7 reads UTF-7, RFC 2152: "+" begins base64 of UTF-16, "-" or anything else ends it, "+-" is a plus. What is not
// UTF-7 comes out as it is.
func decodeUTF7(b []byte) string {
	var out strings.Builder
	for i := 0; i < len(b); {
		c := b[i]
		i++
		if c != '+' {
			if c < 128 {
				out.WriteByte(c)
			} else {
				out.WriteRune('\ufffd')
			}
			continue
		}
		j := i
		for j < len(b) && isBase64(b[j]) {
			j++
		}
		if j == i {
			out.WriteByte('+')
			if i < len(b) && b[i] == '-' {
				i++
			}
			continue
		}
		s := b[i:j]
		if len(s)%4 == 1 {
			s = s[:len(s)-1] // no octet can come of it
		}
		raw, err := base64.RawStdEncoding.DecodeString(string(s))
		if err != nil {
			out.Write(b[i:j])
		}
		units := make([]uint16, len(raw)/2)
		for k := range units {
			units[k] = uint16(raw[2*k])<<8 | uint16(raw[2*k+1])
		}
		for _, r := range utf16.Decode(units) {
			out.WriteRune(r)
		}
		if i = j; i < len(b) && b[i] == '-' {
			i++
		}
	}
	return out.String()
}

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}
