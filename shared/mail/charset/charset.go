// Package charset reads text in other charsets than UTF-8, by the tables of golang.org/x/text: what a mail.Reader needs in
// a native program. In a browser the tables would be 0.35 MB of the program, for charsets that the browser has itself.
package charset

import (
	"bytes"
	"io"
	"strings"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding/htmlindex"
)

// Decode is a mail.Charsets. It knows the charsets of the web's index (the Encoding Standard), by all their labels, and
// some that the index of IANA has besides.
func Decode(name string, b []byte) (text string, ok bool) {
	// The index of the web first: it reads ISO-8859-1 as Windows-1252 and GB2312 as GBK, as everybody means them.
	if e, err := htmlindex.Get(name); err == nil {
		if n, _ := htmlindex.Name(e); n == "replacement" {
			return "", false
		}
		t, err := e.NewDecoder().Bytes(b)
		return string(t), err == nil
	}
	r, err := charset.Reader(name, bytes.NewReader(b))
	if err != nil {
		return "", false
	}
	t, err := io.ReadAll(r)
	return strings.ToValidUTF8(string(t), "\ufffd"), err == nil
}
