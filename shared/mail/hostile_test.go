package mail

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/postern-mail/postern/shared/mailtest"
)

// check holds for every message there is.
func check(t testing.TB, raw []byte) *Message {
	t.Helper()
	m := native.Parse(raw)
	if m.Text == "" && m.HTML == "" && len(m.Parts) == 0 && m.Note == "" {
		t.Fatalf("nothing to show of %q", raw[:min(len(raw), 2000)])
	}
	if len(m.Parts) > maxParts {
		t.Fatalf("%d parts", len(m.Parts))
	}
	line := func(what, s string) {
		t.Helper()
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || isBidi(r) }) {
			t.Fatalf("%s %q", what, s)
		}
	}
	line("subject", m.Subject)
	line("snippet", m.Snippet)
	if n := utf8.RuneCountInString(m.Snippet); n > snippetRunes {
		t.Fatalf("a snippet of %d characters", n)
	}
	for _, l := range [][]Address{m.From, m.Sender, m.ReplyTo, m.To, m.Cc, m.Bcc} {
		for _, a := range l {
			line("name", a.Name)
			line("address", a.Addr)
			if a == (Address{}) {
				t.Fatal("an address that is empty")
			}
		}
	}
	for _, id := range append(append([]string{}, m.References...), m.MessageID, m.InReplyTo) {
		line("message-id", id)
		if id != "" && (id[0] != '<' || id[len(id)-1] != '>' || len(id) < 3) {
			t.Fatalf("message-id %q", id)
		}
	}
	if y := m.Date.Year(); !m.Date.IsZero() && (y < 1969 || y > 9999) {
		t.Fatalf("date %v", m.Date)
	}
	if !m.Date.IsZero() {
		if _, err := m.Date.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
	}
	shown := 0
	for _, p := range m.Parts {
		line("name", p.Name)
		if p.Name == "" || len(p.Name) > maxName+10 || strings.ContainsAny(p.Name, `/\`) || p.Name[0] == '.' || safeName(p.Name) != p.Name {
			t.Fatalf("part name %q", p.Name)
		}
		if kind, sub, ok := strings.Cut(p.Type, "/"); !ok || !isToken([]byte(kind)) || !isToken([]byte(sub)) {
			t.Fatalf("type %q", p.Type)
		}
		if p.Inline {
			shown++
		}
	}
	if m.Attachments != len(m.Parts)-shown {
		t.Fatalf("%d attachments, %d parts of which %d are inline", m.Attachments, len(m.Parts), shown)
	}
	if !utf8.ValidString(m.Text) || !utf8.ValidString(m.HTML) {
		t.Fatal("text that is not UTF-8")
	}
	return m
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		alternative, related, "From x\nSubject: =?utf-8?q?x?=\n\n", "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\nx\n----\n",
		"Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nx", "From: \"a\" (b) <c@d>, e:f;\nDate: Mon, 1 Jan 2024 10:00:00 +0100\n\n",
		"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\nLS1iCgpvbmUKLS1iLS0K\n",
		"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n#0V%T\n", "Content-Type: text/plain; charset=utf-7\n\n+AAAA", "Content-Disposition: x; filename*0*=a'b'%; filename*1=\"\n\n",
	} {
		f.Add([]byte(s))
		f.Add([]byte(crlf(s)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { check(t, raw) })
}

// TestBounded feeds messages made to take forever, or all memory.
func TestBounded(t *testing.T) {
	const mb = 1 << 20
	multi := func(boundary string) string { return "Content-Type: multipart/mixed; boundary=" + boundary + "\n\n" }
	nested := func(n int, boundary func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(multi(boundary(i)) + "--" + boundary(i) + "\n")
		}
		return b.String()
	}
	number := func(i int) string {
		return strings.Repeat("x", 1+i%50) + string(rune('a'+i%26)) + strings.Repeat("y", i/50)
	}
	for name, raw := range map[string]string{
		"depth":                       nested(50_000, number),
		"depth of one boundary":       nested(50_000, func(int) string { return "b" }),
		"depth of wrong boundaries":   strings.Repeat(multi("none")+"--guess\n", 20_000),
		"depth and dashes":            nested(150, number) + strings.Repeat("--\n", mb),
		"wrong boundaries and dashes": strings.Repeat(multi("none")+"--guess\n", 150) + strings.Repeat("--x\n", mb),
		"encoded multiparts":          strings.Repeat("Content-Transfer-Encoding: base64\n"+multi("b")+"LS1iCgpvbmUKLS1iLS0K\n--b\n", 5_000),
		"parts":                       multi("b") + strings.Repeat("--b\n\nx\n", mb/4),
		"parts that are messages":     multi("b") + strings.Repeat("--b\nContent-Type: message/rfc822\n\n"+multi("c")+"--c\nContent-Type: message/rfc822\n\n\n--c--\n", 3000),
		"boundary lines":              multi("b") + strings.Repeat("--b--\n", mb),
		"fields":                      strings.Repeat("a: b\n", mb),
		"folds":                       "Subject: x\n" + strings.Repeat(" y\n", mb),
		"lines without a colon":       strings.Repeat("nothing\n", mb/2),
		"one long line":               strings.Repeat("x", 5*mb),
		"one long field":              "Subject: " + strings.Repeat("x", 5*mb),
		"quotes":                      "From: " + strings.Repeat(`"`, mb-1),
		"escaped quotes":              "From: " + strings.Repeat(`\",`, mb/3),
		"open quotes":                 "From: " + strings.Repeat(`"\"\`, mb/4),
		"comments":                    "From: " + strings.Repeat("(", mb),
		"angles":                      "From: " + strings.Repeat("<", mb),
		"angle words":                 "From: " + strings.Repeat("=?<,", mb/4),
		"addresses":                   "To: " + strings.Repeat("a@b,", mb/4) + "\nCc: " + strings.Repeat("a@b,", mb/4),
		"words":                       "Subject: " + strings.Repeat("=?a?q? ", mb/7),
		"words in an address":         "From: " + strings.Repeat("=?a?q? ", mb/7),
		"word starts":                 "Subject: " + strings.Repeat("=?", mb/2),
		"parameters":                  "Content-Type: text/plain" + strings.Repeat("; a=b", mb/5),
		"parameters without an end":   "Content-Type: text/plain; " + strings.Repeat("a=b ", mb/4),
		"parameter pieces":            "Content-Type: x/y" + strings.Repeat("; name*9=b", mb/10),
		"parameter comments":          "Content-Type: text/plain; " + strings.Repeat("(", mb),
		"references":                  "References: " + strings.Repeat("<a@b>", mb/5),
		"dates":                       "Date: " + strings.Repeat("1 ", mb/2),
		"many inline":                 multi("b") + "--b\nContent-Type: text/html\n\n" + strings.Repeat("cid:a cid:", mb/10) + strings.Repeat("\n--b\nContent-Type: image/png\nContent-ID: <x>\n\nx", 900),
		"colons":                      "Subject: x\n\n" + strings.Repeat(":\n", mb),
		"HTML":                        "Content-Type: text/html\n\n" + strings.Repeat("<p>", mb),
		"HTML attributes":             "Content-Type: text/html\n\n<p " + strings.Repeat("a ", mb),
		"uuencode":                    "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n" + strings.Repeat("!\n", mb),
		"base64 padding":              "Content-Transfer-Encoding: base64\n\n" + strings.Repeat("QQ==\n", mb),
		"plus signs":                  "Content-Type: text/plain; charset=utf-7\n\n" + strings.Repeat("+", 5*mb),
		"escapes":                     "Content-Type: text/plain; charset=iso-2022-jp\n\n" + strings.Repeat("\x1b$B", mb),
	} {
		raw := []byte(raw)
		start := mailtest.ProcessorTime()
		m := check(t, raw)
		d := mailtest.ProcessorTime() - start
		t.Logf("%-28s %8d octets %10v %d parts %q", name, len(raw), d.Round(time.Microsecond), len(m.Parts), m.Note)
		if d > 10*time.Second {
			t.Errorf("%s: %v", name, d)
		}
	}
}

// TestRealMail reads what other projects collected, where it is at hand.
// What a list shows of a message is kept in memory for every message there is, and drawn. Nobody who writes a mail may
// make that large.
func TestSummariesAreSmall(t *testing.T) {
	long := strings.Repeat("é", 2<<20)
	many := func(one string) string { return strings.Repeat(one, 1<<20/len(one)*4) }
	var references strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&references, " <%d%s@x>", i, strings.Repeat("r", 800))
	}
	for _, field := range []string{
		"Subject: " + long, "From: " + long + " <a@b.example>", "From: " + long + "@b.example", "To: " + many(strings.Repeat("n", 1000)+" <a@b.example>, "),
		"Message-ID: <" + long + "@x>", "References:" + references.String(), many("To: a <b@c.example>\r\n") + "X: ",
	} {
		s := native.Summarize([]byte(field + "\r\n\r\nbody"))
		octets := len(s.Subject) + len(s.MessageID) + len(s.InReplyTo) + len(s.Snippet)
		for _, l := range [][]Address{s.From, s.Sender, s.ReplyTo, s.To, s.Cc, s.Bcc} {
			for _, a := range l {
				octets += len(a.Name) + len(a.Addr)
				if len(a.Addr) >= maxLine-1 && a.Valid() {
					t.Errorf("%.20s…: the address that is left can be written to, and is another", field)
				}
			}
		}
		for _, r := range s.References {
			octets += len(r)
		}
		if octets > maxList+2*maxLine || !utf8.ValidString(s.Subject) {
			t.Errorf("%.20s…: a summary of %d octets", field, octets)
		}
		if n := len(s.References); n > 0 && (n < 15 || s.References[0][:2] != "<0" || s.References[n-1][:5] != "<4999") {
			t.Errorf("%d references are left: not the first and the last", n)
		}
	}
}

func TestRealMail(t *testing.T) {
	dir := os.Getenv("POSTERN_CORPORA")
	if dir == "" {
		t.Skip("POSTERN_CORPORA is not set: it names a folder of mails (any files; all are read)")
	}
	n, bodies := 0, 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		start := mailtest.ProcessorTime()
		m := check(t, raw)
		if d := mailtest.ProcessorTime() - start; d > 5*time.Second {
			t.Errorf("%s took %v", path, d)
		}
		n++
		if m.Text != "" || m.HTML != "" {
			bodies++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files, %d with a body", n, bodies)
	if n == 0 {
		t.Error("no files")
	}
}
