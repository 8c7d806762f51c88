package delivery

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/postern-mail/postern/shared/mail"
	"github.com/postern-mail/postern/shared/mail/charset"
	"github.com/postern-mail/postern/shared/mailtest"
)

// crlf ends lines as they leave.
func crlf(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	if !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return strings.ReplaceAll(s, "\n", "\r\n")
}

// convert makes a message 7-bit, or takes its long lines, or both.
func convert(t testing.TB, content string, c conversion) (string, error) {
	t.Helper()
	f, err := examine(strings.NewReader(content), 10_000)
	if err != nil {
		return "", err
	}
	if c.eight {
		if err := f.sevenBit(); err != nil {
			return "", err
		}
	}
	out, err := io.ReadAll(f.converted(strings.NewReader(content), c))
	if err != nil {
		t.Fatal(err)
	}
	return crlf(string(out)), nil // as it is sent
}

// TestSevenBit are messages as they come and as they leave to a server without 8BITMIME.
func TestSevenBit(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"nothing to do", "Subject: x\n\nplain\n", "Subject: x\n\nplain\n"},
		{"text", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nSubject: x\n\nGrüße \nan alle = 3\n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nSubject: x\nContent-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe=20\nan alle =3D 3\n"},
		{"no MIME, UTF-8", "Subject: x\n\nGrüße an alle\n", "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe an alle\n"},
		{"no MIME, no UTF-8", "Subject: x\n\nGr\xfc\xdfe und so weiter\n", "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe und so weiter\n"},
		{"mostly above 127", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n会議資料\n", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n5Lya6K2w6LOH5paZDQo=\n"},
		{"no text", "MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding:\n\tbinary\n\n\x89PNG\n", "MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0K\n"},
		{"one part of two", "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\nprämble\n--b\n\nplain\n--b\nContent-Type: text/html; charset=utf-8\n\nü\nthat is all\n--b--\nepilög\n",
			"Content-Type: multipart/mixed; boundary=b\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\n\npr??mble\n--b\n\nplain\n--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC\nthat is all\n--b--\nepil??g\n"},
		{"nested, boundaries alike", "Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n\nüxxxxx\n--bb--\n--b\n\n--bbb\nüxxxxx\n--b--\n",
			"Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BCxxxxx\n--bb--\n--b\nContent-Transfer-Encoding: quoted-printable\n\n--bbb\n=C3=BCxxxxx\n--b--\n"},
		{"a message within", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: in\nContent-Transfer-Encoding: 8bit\n\nüxxxxx\n--b--\n",
			"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: in\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BCxxxxx\n--b--\n"},
		{"message/global can be encoded", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/global\n\nSubject: ü\n\nü\n--b--\n",
			"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/global\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogw7wNCg0Kw7w=\n--b--\n"},
		{"quoted-printable that is not", "Content-Transfer-Encoding: quoted-printable\n\nGrü=C3=9Fe =\nx\n", "Content-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe =\nx\n"},
		{"base64 that is not", "Content-Transfer-Encoding: base64\n\nYWJj\xffZGVm\n", "Content-Transfer-Encoding: base64\n\nYWJjZGVm\n"},
		{"signed, 7-bit, beside", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/signed; boundary=b\n\n--b\nContent-Transfer-Encoding: 8bit\n\nplain \n--b--\n--a\n\nüxxxxx\n--a--\n",
			"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/signed; boundary=b\n\n--b\nContent-Transfer-Encoding: 8bit\n\nplain \n--b--\n--a\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BCxxxxx\n--a--\n"},
		{"an empty part", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b\n\nüxxxxx\n--b--\n", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BCxxxxx\n--b--\n"},
		{"a part without an empty line", "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\n--b\n\nüxxxxx\n--b--\n", "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\n--b\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BCxxxxx\n--b--\n"},
		{"never closed", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nüxxxxx", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BCxxxxx\n"},
		{"a header alone", "Subject: x\nContent-Transfer-Encoding: 8bit", "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n"},
		{"line ends", "A: b\r\rü12345\r\n\nx\n\r", "A: b\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC12345\n\nx\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, out := c.in, c.out
			if !strings.Contains(in, "MIME-Version") && strings.Contains(in, "Content-") && !strings.Contains(out, "MIME-Version") {
				in, out = "MIME-Version: 1.0\n"+in, "MIME-Version: 1.0\n"+out
			}
			got, err := convert(t, in, conversion{eight: true})
			if err != nil || got != crlf(out) {
				t.Errorf("%v\n%q\nwant\n%q", err, got, crlf(out))
			}
		})
	}
}

// What cannot be made 7-bit is not touched.
func TestNotSevenBit(t *testing.T) {
	for _, c := range []struct {
		name, content string
		err           error
	}{
		{"signed", "Content-Type: multipart/signed; boundary=b\n\n--b\n\nü\n--b--\n", errSealed},
		{"signed, deeper", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/signed; boundary=b\n\n--b\n\nü\n--b--\n--a--\n", errSealed},
		{"signed, within a message", "Content-Type: message/rfc822\n\nContent-Type: multipart/signed; boundary=b\n\n--b\n\nü\n--b--\n", errSealed},
		{"a delivery report", "Content-Type: message/delivery-status\n\nü\n", errSealed},
		{"a message within that says it is encoded", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nü\n", errSealed},
		{"no boundary", "Content-Type: multipart/mixed\n\nü\n", errSealed},
		{"a type nobody can read", "Content-Type: ;;;\n\nü\n", errSealed},
		{"uuencoded", "Content-Transfer-Encoding: x-uuencode\n\nü\n", errSealed},
		{"the header of a part", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Description: ü\n\nx\n--b--\n", errHeaders},
		{"the header of a message within", "Content-Type: message/rfc822\n\nSubject: ü\n\nx\n", errHeaders},
		{"depth", deep(maxDepth + 1), errShape},
	} {
		if got, err := convert(t, "MIME-Version: 1.0\n"+c.content, conversion{eight: true}); err != c.err {
			t.Errorf("%s: %v\n%s", c.name, err, got)
		}
	}
	if _, err := examine(strings.NewReader("Content-Type: multipart/mixed; boundary=b\n\n"+strings.Repeat("--b\n\n", 20)), 20); err != errShape {
		t.Errorf("too many parts: %v", err)
	}
}

// deep is a message of so many levels.
func deep(levels int) string {
	var b strings.Builder
	for i := range levels {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	return b.String() + "\nü\n"
}

// sevenBitLines checks what may leave to a server that has nothing.
func sevenBitLines(t interface{ Errorf(string, ...any) }, s string, c conversion) {
	if i := strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }); c.eight && i >= 0 {
		t.Errorf("octets above 127 at %d: %.60q", i, s[max(0, i-20):])
	}
	for line := range strings.SplitSeq(s, "\r\n") {
		if strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line ends in %.40q", line)
		}
		if c.long && len(line) > 998 {
			t.Errorf("a line of %d octets: %.60q", len(line), line)
		}
	}
}

// Real-looking messages are the same to who reads them, before and after.
func TestMessagesStayTheSame(t *testing.T) {
	g := mailtest.Generator{Seed: 7, Attachments: 0.5, Attachment: 10_000, Largest: 20_000}
	for i := range 40 {
		in := string(g.Message(i))
		for _, c := range []conversion{{eight: true}, {long: true}, {eight: true, long: true}} {
			out, err := convert(t, in, c)
			if err != nil {
				t.Fatal(err)
			}
			sevenBitLines(t, out, c)
			same(t, crlf(in), out)
		}
	}
}

// same compares what two messages say to who reads them, and those within them.
func same(t interface{ Errorf(string, ...any) }, in, out string) {
	r := mail.Reader{Charsets: charset.Decode}
	before, after := r.Parse([]byte(in)), r.Parse([]byte(out))
	for i := range min(len(before.Parts), len(after.Parts)) {
		if b, a := &before.Parts[i], &after.Parts[i]; b.Type == "message/rfc822" && a.Type == b.Type {
			same(t, string(b.Data), string(a.Data))
			b.Data, a.Data = nil, nil
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("before and after differ: %s\n%q\n%q", diff, in, out)
	}
}

// TestAnyMessageStaysTheSame: parts of every kind, in each other, with octets and lines of every kind.
func TestAnyMessageStaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := "From: a@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n" + drawEntity(t, 0)
		c := conversion{eight: rapid.Bool().Draw(t, "eight"), long: rapid.Bool().Draw(t, "long")}
		f, err := examine(strings.NewReader(in), 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if c.eight && f.sevenBit() != nil {
			if !strings.Contains(in, "multipart/signed") {
				t.Fatalf("%v: %q", f.sevenBit(), in)
			}
			return
		}
		out, err := io.ReadAll(f.converted(strings.NewReader(in), c))
		if err != nil {
			t.Fatal(err)
		}
		again := crlf(string(out))
		sealed := strings.Contains(in, "multipart/signed") || strings.Contains(in, "base64")
		sevenBitLines(t, again, conversion{eight: c.eight, long: c.long && !sealed})
		same(t, crlf(in), again)
		for rest := in; ; {
			_, after, found := strings.Cut(rest, "multipart/signed; boundary=\"")
			if !found {
				break
			}
			boundary, body, _ := strings.Cut(after, "\"")
			body, _, _ = strings.Cut(body, "--"+boundary+"--")
			if !strings.Contains(again, body) {
				t.Fatalf("what is signed has changed: %q", body)
			}
			rest = after
		}
		// Twice is once.
		f, err = examine(strings.NewReader(again), 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := io.ReadAll(f.converted(strings.NewReader(again), c)); err != nil || !bytes.Equal(twice, []byte(again)) {
			t.Fatalf("%v: %q\n%q", err, again, twice)
		}
	})
}

// drawEntity draws a header that goes on, and a body.
func drawEntity(t *rapid.T, depth int) string {
	kinds := []string{"text", "text", "html", "octets", "quoted", "base64"}
	if depth < 4 {
		kinds = append(kinds, "mixed", "alternative", "related", "signed", "message")
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "text", "html":
		h := "Content-Type: text/" + strings.Replace(kind, "text", "plain", 1) + "; charset=utf-8\r\n"
		return h + drawEncoding(t) + "\r\n" + drawLines(t, "ü語ß€")
	case "octets":
		return "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=x.bin\r\n" + drawEncoding(t) + "\r\n" + drawLines(t, "\xff\x80é\x00\x1b")
	case "quoted":
		return "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + drawLines(t, "=C3=BC=20")
	case "base64":
		return "Content-Type: image/png; name=x.png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QUJDREVGRw", rapid.IntRange(0, 30).Draw(t, "n")*4) + "\r\n"
	case "message":
		return "Content-Type: message/rfc822\r\n" + drawEncoding(t) + "\r\nFrom: b@example.org\r\nSubject: in\r\nMIME-Version: 1.0\r\n" + drawEntity(t, depth+1)
	default:
		boundary := fmt.Sprintf("b%d_%d", depth, rapid.IntRange(0, 1_000_000).Draw(t, "boundary"))
		var b strings.Builder
		fmt.Fprintf(&b, "Content-Type: multipart/%s; boundary=\"%s\"\r\n", kind, boundary)
		b.WriteString(drawEncoding(t) + "\r\n")
		if rapid.Bool().Draw(t, "preamble") {
			b.WriteString("a preamble\r\n")
		}
		for range rapid.IntRange(1, 3).Draw(t, "parts") {
			b.WriteString("--" + boundary + "\r\n" + strings.TrimSuffix(drawEntity(t, depth+1), "\r\n") + "\r\n")
		}
		b.WriteString("--" + boundary + "--\r\n")
		return b.String()
	}
}

func drawEncoding(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "Content-Transfer-Encoding: 8bit\r\n", "Content-Transfer-Encoding: 7bit\r\n", "content-transfer-encoding:\r\n BINARY\r\n"}).Draw(t, "encoding")
}

func drawLines(t *rapid.T, special string) string {
	var b strings.Builder
	words := []string{"plain", "From ", ".", "=", "  ", "\t", "--", "=3D", "word "}
	wide := rapid.SampledFrom([]int{0, 0, 1, 9}).Draw(t, "wide")
	for range rapid.IntRange(0, 6).Draw(t, "lines") {
		for range rapid.IntRange(0, 12).Draw(t, "words") {
			if rapid.IntRange(0, 9).Draw(t, "special") < wide {
				b.WriteString(special)
			} else {
				b.WriteString(rapid.SampledFrom(words).Draw(t, "word"))
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
			b.WriteString(strings.Repeat("long"+special, 1+rapid.IntRange(100, 1500).Draw(t, "length")/(4+len(special))))
		}
		b.WriteString("\r\n")
	}
	return b.String()
}

// FuzzSevenBit: whatever a message is, what is made of it is 7-bit, and nothing breaks.
func FuzzSevenBit(f *testing.F) {
	for i := range 5 {
		f.Add(mailtest.Generator{Seed: 3, Attachments: 1, Attachment: 200, Median: 300}.Message(i))
	}
	f.Add([]byte(deep(3)))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\nü\n--b--"))
	f.Add([]byte("Content-Transfer-Encoding: quoted-printable\n\n=ü=\n" + strings.Repeat("=", 2000)))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, c := range []conversion{{eight: true}, {eight: true, long: true}, {long: true}} {
			header, _, _ := bytes.Cut(content, []byte("\n"))
			if !isASCII(header) {
				return
			}
			out, err := convert(t, string(content), c)
			if err != nil {
				continue
			}
			head, _, _ := strings.Cut(crlf(string(content)), "\r\n\r\n")
			if isASCII([]byte(head)) {
				sevenBitLines(t, out, conversion{eight: c.eight})
			}
		}
	})
}
