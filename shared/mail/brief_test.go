package mail

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-mail/postern/shared/mailtest"
)

// A summary looks at the beginning of a long text, and says what it says of the whole.
func TestSummariesOfLongTexts(t *testing.T) {
	const utf8Header = "MIME-Version: 1.0\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
	const htmlHeader = "Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
	lines := func(line string, octets int) string { return strings.Repeat(line+"\r\n", octets/(len(line)+2)+1) }
	long := lines("Grüße aus der Ferne, 会議.", 5*styledOctets)
	base := base64.StdEncoding.EncodeToString([]byte(long))
	raws := map[string]string{
		"plain":              utf8Header + "\r\n" + long,
		"no charset":         "Subject: x\r\n\r\n" + long,
		"quoted first":       utf8Header + "\r\n" + lines("> said before", 2*styledOctets) + "And the answer.\r\n",
		"few words":          utf8Header + "\r\nYes.\r\n" + lines("", 2*styledOctets) + "No.",
		"one line":           utf8Header + "\r\n" + strings.Repeat("word ", styledOctets),
		"base64, one line":   utf8Header + "Content-Transfer-Encoding: base64\r\n\r\n" + base + "\r\n",
		"base64":             utf8Header + "Content-Transfer-Encoding: base64\r\n\r\n" + folded(base),
		"UTF-16":             strings.Replace(utf8Header, "utf-8", "utf-16le", 1) + "Content-Transfer-Encoding: base64\r\n\r\n" + folded(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("h\x00i\x00 \x00t\x00\r\x00\n\x00", styledOctets)))),
		"style":              htmlHeader + "<style>" + lines("p { color: red }", 2*styledOctets) + "</style><p>At last.</p>",
		"HTML":               htmlHeader + lines("<p>One of many</p>", 2*styledOctets),
		"a picture far down": "Subject: x\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\n" + htmlHeader + lines("<p>One of many</p>", 2*styledOctets) + "<img src=cid:y>\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <y>\r\n\r\nx\r\n--b--\r\n",
	}
	for i := range 50 {
		raws[string(rune('a'+i))] = string(mailtest.Generator{Seed: 7, Median: 4 * styledOctets, Largest: 1 << 20, Attachments: 0.2}.Message(i))
	}
	for name, raw := range raws {
		whole := native.Parse([]byte(raw)).Summary
		if d := cmp.Diff(whole, native.Summarize([]byte(raw))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if whole.Snippet == "" {
			t.Errorf("%s: no snippet", name)
		}
	}
}

func folded(s string) string {
	var out strings.Builder
	for len(s) > 76 {
		out.WriteString(s[:76] + "\r\n")
		s = s[76:]
	}
	return out.String() + s + "\r\n"
}

func BenchmarkSummarize(b *testing.B) {
	var list [][]byte
	octets := 0
	for i := range 500 {
		m := mailtest.Generator{Median: 8192, Attachments: 0.01}.Message(i)
		list, octets = append(list, m), octets+len(m)
	}
	b.SetBytes(int64(octets))
	for b.Loop() {
		for _, m := range list {
			native.Summarize(m)
		}
	}
}
