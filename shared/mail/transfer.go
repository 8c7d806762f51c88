package mail

import (
	"bytes"
	"strings"
)

// transferEncoding reads a Content-Transfer-Encoding as people write it.
func transferEncoding(v []byte) string {
	s := strings.ToLower(strings.Trim(string(v), " \t\"';"))
	if i := strings.IndexAny(s, " \t;("); i >= 0 {
		s = s[:i]
	}
	switch s {
	case "base-64", "b64", "b", "base64encoded":
		return "base64"
	case "quotedprintable", "quoted_printable", "q", "qp", "quoted-printeable":
		return "quoted-printable"
	case "uuencode", "x-uue", "uue", "x-uu":
		return "x-uuencode"
	}
	return s
}

// decodeTransfer undoes a transfer encoding, RFC 2045 section 6. What does not fit is passed over or kept, never refused.
func decodeTransfer(enc string, b []byte) []byte {
	switch enc {
	case "base64":
		return decodeBase64(b)
	case "quoted-printable":
		return decodeQP(b)
	case "x-uuencode":
		return decodeUU(b)
	}
	return b
}

var base64Values = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = int8(i)
	}
	return t
}()

// decodeBase64 passes over what is not of the alphabet. Padding ends it, unless lines of base64 alone follow: several
// encoded pieces, one after the other. (What else follows was added by a list server.)
func decodeBase64(b []byte) []byte {
	out := make([]byte, 0, len(b)/4*3+3)
	var acc uint32
	n := 0
	flush := func() {
		switch n {
		case 2:
			out = append(out, byte(acc>>4))
		case 3:
			out = append(out, byte(acc>>10), byte(acc>>2))
		}
		acc, n = 0, 0
	}
	for i := 0; i < len(b); i++ {
		c := b[i]
		if v := base64Values[c]; v >= 0 {
			acc = acc<<6 | uint32(v)
			if n++; n == 4 {
				out = append(out, byte(acc>>16), byte(acc>>8), byte(acc))
				acc, n = 0, 0
			}
			continue
		}
		if c != '=' || n < 2 {
			continue
		}
		flush()
		for i+1 < len(b) && (b[i+1] == '=' || b[i+1] == '\r' || b[i+1] == '\n' || b[i+1] == ' ') {
			i++
		}
		line, _ := cutLine(b[i+1:])
		if !isBase64Line(line) {
			break
		}
	}
	flush()
	return out
}

func isBase64Line(line []byte) bool {
	line = bytes.TrimRight(line, "= \t")
	for _, c := range line {
		if base64Values[c] < 0 {
			return false
		}
	}
	return len(line) > 1
}

// decodeQP keeps a "=" that begins no code, and drops blanks at line ends: they were added on the way (RFC 2045
// section 6.7, rule 3).
func decodeQP(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		line, end, rest := b, []byte(nil), []byte(nil)
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, end, rest = b[:i], b[i:i+1], b[i+1:]
			if bytes.HasSuffix(line, []byte{'\r'}) {
				line, end = line[:len(line)-1], b[i-1:i+1]
			}
		}
		b = rest
		line = bytes.TrimRight(line, " \t")
		if bytes.HasSuffix(line, []byte{'='}) {
			line, end = line[:len(line)-1], nil
		}
		for i := 0; i < len(line); i++ {
			if line[i] == '=' && i+2 < len(line) && isHex(line[i+1]) && isHex(line[i+2]) {
				out = append(out, unhex(line[i+1])<<4|unhex(line[i+2]))
				i += 2
			} else {
				out = append(out, line[i])
			}
		}
		out = append(out, end...)
	}
	return out
}

// decodeUU reads what uuencode wrote: a line "begin mode name", lines of a count and characters, a line "end".
func decodeUU(b []byte) []byte {
	all := b
	out := make([]byte, 0, len(b)/4*3)
	began := false
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		if !began {
			began = bytes.HasPrefix(line, []byte("begin "))
			continue
		}
		if bytes.Equal(line, []byte("end")) || len(line) == 0 {
			break
		}
		n := int(line[0]-' ') & 0x3f
		var group []byte
		for i := 1; i < len(line) && n > 0; i += 4 {
			var q [4]byte
			for k := range q {
				if i+k < len(line) {
					q[k] = (line[i+k] - ' ') & 0x3f
				}
			}
			group = append(group[:0], q[0]<<2|q[1]>>4, q[1]<<4|q[2]>>2, q[2]<<6|q[3])
			m := min(n, 3)
			out = append(out, group[:m]...)
			n -= m
		}
	}
	if !began {
		return all // it says that it is uuencoded, and is not
	}
	return out
}
