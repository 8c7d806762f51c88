package delivery

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"

	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/mail/charset"
	"pgregory.net/rapid"
)

// tree draws MIME messages.
type tree struct {
	*rapid.T
	boundaries int
	sealed     bool // something was drawn with octets above 127 that may not be changed
	unopened   bool // a multipart was drawn whose boundary never comes
	signed     bool // what is drawn now is signed
}

func (g *tree) yes(what string) bool { return rapid.IntRange(0, 3).Draw(g.T, what) == 0 }

func (g *tree) pick(what string, l ...string) string { return rapid.SampledFrom(l).Draw(g.T, what) }

// lines draws content in lines that end in CRLF, but perhaps the last.
func (g *tree) lines(words ...string) string {
	words = append(words, "word", "a", " ", "  ", "\t", "=", "=3D", "=\r\n", "--", "-- ", ".", "From ", "\r\n", "\r\n", "\r\n\r\n", "<b>&amp;", "QUJD")
	if !g.signed {
		words = append(words, strings.Repeat("long ", 300), strings.Repeat("x", 1200), strings.Repeat("-", 1100), strings.Repeat("é", 2500))
	}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 12).Draw(g.T, "words"), "")
}

// encoded answers content as it lies in the message, with its encoding's field.
func (g *tree) encoded(content string) string {
	encoding := g.pick("encoding", "", "8bit", "8BIT", "binary", "7bit", "quoted-printable", "base64")
	head := ""
	if encoding != "" {
		head = "Content-Transfer-Encoding: " + encoding + "\r\n"
	}
	switch encoding {
	case "quoted-printable":
		var b bytes.Buffer
		q := quotedprintable.NewWriter(&b)
		io.WriteString(q, content)
		q.Close()
		content = b.String()
		if g.yes("soft lines taken away") && !g.signed {
			content = strings.ReplaceAll(content, "=\r\n", "")
		}
		if g.yes("an octet that should not be there") {
			content += "é"
		}
	case "base64":
		b := base64.StdEncoding.EncodeToString([]byte(content))
		content = b
		if !g.yes("one line") || g.signed {
			content = ""
			for ; len(b) > 76; b = b[76:] {
				content += b[:76] + "\r\n"
			}
			content += b
		}
	}
	g.sealed = g.sealed || g.signed && !isASCII([]byte(content))
	return head + "\r\n" + content
}

// entity draws the header of an entity, without its first fields, and its body.
func (g *tree) entity(depth int) string {
	kinds := []string{"text", "text", "html", "octets", "untyped"}
	if depth > 0 {
		kinds = append(kinds, "multipart", "multipart", "multipart", "message", "signed")
	}
	switch g.pick("kind", kinds...) {
	case "text":
		name := g.pick("charset", "", "utf-8", "iso-8859-1", "windows-1252", "koi8-r", "us-ascii")
		if name != "" {
			name = "; charset=" + name
		}
		words := "Grüße"
		if name != "" && name != "utf-8" {
			words = "Gr\xfc\xdfe"
		}
		return "Content-Type: text/plain" + name + "\r\n" + g.encoded(g.lines(words, words))
	case "html":
		return "Content-Type: text/html; charset=utf-8\r\n" + g.encoded(g.lines("<p>Grüße</p>", "ž"))
	case "octets":
		octets := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(g.T, "octets")
		if g.signed {
			octets = octets[:min(len(octets), 500)]
		}
		s := strings.NewReplacer("\r", "\r\n", "\n", "\r\n").Replace(string(octets)) // that lines end otherwise is tested elsewhere
		return "Content-Type: application/octet-stream; name=a.bin\r\nContent-Disposition: attachment\r\n" + g.encoded(s)
	case "untyped":
		return g.encoded(g.lines("Grüße"))
	case "message":
		if g.yes("global") {
			return "Content-Type: message/global\r\n" + g.encoded("Subject: ü\r\n\r\n"+g.lines("ü"))
		}
		return "Content-Type: message/rfc822\r\n" + g.transparent() + "\r\nSubject: within\r\n" + g.entity(depth-1)
	case "signed":
		before := g.signed
		g.signed = true
		s := g.multipart(depth, "signed", 2)
		g.signed = before
		return s
	}
	return g.multipart(depth, g.pick("subtype", "mixed", "alternative", "related", "digest"), rapid.IntRange(1, 4).Draw(g.T, "parts"))
}

func (g *tree) transparent() string {
	return g.pick("encoding of the whole", "", "Content-Transfer-Encoding: 8bit\r\n", "content-transfer-encoding:\r\n binary\r\n")
}

func (g *tree) multipart(depth int, subtype string, parts int) string {
	g.boundaries++
	boundary := fmt.Sprintf("=_b%d", g.boundaries)
	var b strings.Builder
	b.WriteString("Content-Type: multipart/" + subtype + ";\r\n boundary=\"" + boundary + "\"\r\n" + g.transparent() + "\r\n")
	around := func() {
		s := g.lines("fü")
		g.sealed = g.sealed || g.signed && !isASCII([]byte(s))
		b.WriteString(s)
	}
	if g.yes("another boundary") {
		g.unopened = true
		boundary = "other" + boundary
	}
	if g.yes("preamble") {
		around()
	}
	for range parts {
		b.WriteString("\r\n--" + boundary + g.pick("blanks", "", "", " \t") + "\r\n")
		part := g.entity(depth - 1)
		if subtype == "digest" && (!strings.HasPrefix(part, "Content-Type:") || g.yes("a message by default")) {
			b.WriteString("\r\nSubject: in a digest\r\n") // RFC 2046 section 5.1.5
		}
		b.WriteString(part)
	}
	if !g.yes("no end") {
		b.WriteString("\r\n--" + boundary + "--\r\n")
		if g.yes("epilogue") {
			around()
		}
	}
	return b.String()
}

// reading is what a reader sees of a message, those within it opened.
func reading(raw []byte) string {
	m := mail.Reader{Charsets: charset.Decode}.Parse(raw)
	var b strings.Builder
	fmt.Fprintf(&b, "%q\nText %q\nHTML %q\n", m.Subject, m.Text, m.HTML)
	for _, p := range m.Parts {
		if p.Type == "message/rfc822" {
			fmt.Fprintf(&b, "(%q %s)\n", p.Name, reading(p.Data))
		} else if !strings.HasPrefix(p.Type, "multipart/") {
			fmt.Fprintf(&b, "%q %s %q\n", p.Name, p.Type, p.Data)
		}
	}
	return b.String()
}

func convert(t interface{ Fatal(...any) }, f *findings, raw []byte, c conversion) []byte {
	b, err := io.ReadAll(f.converted(bytes.NewReader(raw), c))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConvertedReadsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &tree{T: t}
		raw := []byte("From: a@a.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n" + g.entity(3))
		f, err := examine(bytes.NewReader(raw), 1000)
		if err != nil {
			t.Fatal(err)
		}
		c := rapid.SampledFrom([]conversion{{eight: true}, {long: true}, {eight: true, long: true}}).Draw(t, "conversion")
		if err := f.sevenBit(); c.eight && err != nil {
			if !g.sealed && !g.unopened {
				t.Fatalf("refused: %v\n%q", err, raw)
			}
			return
		}
		if c.eight && g.sealed && !g.unopened {
			t.Fatalf("what is signed would be changed\n%q", raw)
		}
		out := convert(t, f, raw, c)
		if c.eight && !isASCII(out) {
			t.Fatalf("not ASCII: %q\nof %q", out, raw)
		}
		for line := range bytes.Lines(out) {
			if n := len(bytes.TrimSuffix(line, []byte("\r\n"))); c.long && n > maxTextLine {
				t.Fatalf("a line of %d: %q\nof %q", n, out, raw)
			}
		}
		if !g.unopened {
			if before, after := reading(raw), reading(out); before != after {
				t.Fatalf("%+v\nbefore %s\nafter %s\nof %q\nis %q", c, before, after, raw, out)
			}
		}
		if f, err = examine(bytes.NewReader(out), 1000); err != nil {
			t.Fatal(err)
		}
		if again := convert(t, f, out, c); !bytes.Equal(again, out) {
			t.Fatalf("converted again: %q\nonce %q", again, out)
		}
	})
}
