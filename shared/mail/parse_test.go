package mail

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// crlf ends the lines of a message in a test as mail does.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

const (
	alternative = `From: Bob <bob@example.org>
Subject: two ways
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="=_b"

preamble
--=_b
Content-Type: text/plain; charset=utf-8

plain
--=_b
Content-Type: text/html; charset=utf-8

<p>html</p>
--=_b--
epilogue
`
	related = `Subject: picture
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html

<img src="cid:pic@x"><img src="CID:esc%40aped">
--r
Content-Type: image/png; name="pic.png"
Content-ID: <pic@x>
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--r
Content-Type: image/gif
Content-ID: <esc@aped>

GIF89a
--r
Content-Type: image/png
Content-ID: <unused@x>

x
--r--
--m
Content-Type: application/pdf
Content-Disposition: attachment; filename*0*=utf-8''na%C3%AFve; filename*1=" report.pdf"
Content-Transfer-Encoding: base64

JVBERi0=
--m--
`
)

func parts(m *Message) string {
	var s []string
	for _, p := range m.Parts {
		in := ""
		if p.Inline {
			in = " inline"
		}
		s = append(s, fmt.Sprintf("%s %s %d%s", p.Name, p.Type, len(p.Data), in))
	}
	return strings.Join(s, "; ")
}

// TestParse is what becomes of messages, well made and badly made.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, raw  string
		text, html string
		parts      string
		note       string // a word of it
	}{
		{name: "plain", raw: "Subject: x\n\nhello\nworld\n", text: "hello\nworld\n"},
		{name: "lone carriage returns", raw: "Subject: x\r\rhello\rworld", text: "hello\nworld"},
		{name: "alternative", raw: alternative, text: "plain", html: "<p>html</p>"},
		{name: "related, inline and not", raw: related, html: `<img src="cid:pic@x"><img src="CID:esc%40aped">`,
			parts: "pic.png image/png 8 inline; attachment-2.gif image/gif 6 inline; attachment-3.png image/png 1; naïve report.pdf application/pdf 5"},
		{name: "only HTML", raw: "Content-Type: text/html; charset=iso-8859-1\n\n<p>caf\xe9</p>", html: "<p>café</p>"},
		{name: "several texts", raw: "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b--\n", text: "one\ntwo"},
		{name: "text and HTML that are no alternatives", raw: "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none < 1\n--b\nContent-Type: text/html\n\n<p>two</p>\n--b--\n",
			text: "one < 1\ntwo", html: `<pre style="white-space: pre-wrap">one &lt; 1</pre><p>two</p>`},
		{name: "HTML, a picture, HTML in an alternative (Apple)", raw: `Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain

plain
--a
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: text/html

<p>1
--m
Content-Type: image/png
Content-Disposition: inline; filename=p.png

x
--m
Content-Type: text/html

<p>2
--m--
--a--
`, text: "plain", html: "<p>1<p>2", parts: "p.png image/png 1"},
		{name: "message within", raw: "Subject: Fwd\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee below\n--b\nContent-Type: message/rfc822\n\nSubject: the/inner one\n\ntext\n--b--\n",
			text: "see below", parts: "the-inner one.eml message/rfc822 28"},
		{name: "nothing but a message within", raw: "Content-Type: message/rfc822\n\nSubject: inner\n\ninner text\n", text: "inner text\n", parts: "inner.eml message/rfc822 27", note: "attachment"},
		{name: "text that is an attachment", raw: "Content-Type: text/plain; name=notes.txt\nContent-Disposition: attachment\n\nnotes", text: "notes", parts: "notes.txt text/plain 5", note: "attachment"},
		{name: "digest", raw: "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: a\n\nA\n--b--\n", text: "A", parts: "a.eml message/rfc822 13", note: "attachment"},
		{name: "report", raw: "Content-Type: multipart/report; boundary=b\n\n--b\n\nfailed\n--b\nContent-Type: message/delivery-status\n\nAction: failed\n--b--\n", text: "failed", parts: "delivery-status.txt message/delivery-status 14"},

		{name: "mbox line", raw: "From bob@example.org Mon Jan  1 00:00:00 2024\nSubject: x\n\nbody", text: "body"},
		{name: "byte order mark and empty lines", raw: "\ufeff\r\n\r\nSubject: x\n\nbody", text: "body"},
		{name: "header line without a colon", raw: "Subject: x\nthis is no field\nContent-Type: text/html\n\n<p>body", html: "<p>body"},
		{name: "no empty line", raw: "Subject: x\nbody begins\nand goes on", text: "body begins\nand goes on"},
		{name: "no closing boundary", raw: "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo", text: "one\ntwo"},
		{name: "empty boundary", raw: "Content-Type: multipart/mixed; boundary=\"\"\n\n--guess\nContent-Type: text/plain\n\none\n--guess--\n", text: "one"},
		{name: "no boundary", raw: "Content-Type: multipart/mixed\n\n--guess\nContent-Type: text/plain\n\none\n--guess--\n", text: "one"},
		{name: "wrong boundary", raw: "Content-Type: multipart/mixed; boundary=right\n\n--wrong\nContent-Type: text/plain\n\none\n--wrong--\n", text: "one"},
		{name: "boundary that never comes", raw: "Content-Type: multipart/mixed; boundary=b\n\njust text\n-- \nBob", text: "just text\n-- \nBob", note: "told apart"},
		{name: "inner boundary not closed", raw: "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; boundary=i\n\n--i\n\none\n--o\nContent-Type: image/png\n\nx\n--o--", text: "one", parts: "attachment-1.png image/png 1"},
		{name: "one boundary for both", raw: "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b--\n--b\nContent-Type: image/png\n\nx\n--b--", text: "one", parts: "attachment-1.png image/png 1"},
		{name: "a boundary that begins with another", raw: "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=a--\n\n--a--\n\none\n--a----\n--a--", text: "one"},
		{name: "multipart in base64", raw: "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\nLS1iCgpvbmUKLS1iLS0K\n", text: "one"},
		{name: "no header at all", raw: "just\nsome text", text: "just\nsome text", note: "source"},
		{name: "empty", raw: "", note: "empty"},
		{name: "only a header", raw: "Subject: x\n", note: "no text"},
		{name: "binary", raw: "\x00\x01\x02\xff\xfe", text: "\x00\x01\x02ÿþ", note: "source"},

		{name: "uuencode", raw: "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n#0V%T\n`\nend\n", text: "Cat"},
		{name: "not uuencoded", raw: "Content-Transfer-Encoding: x-uuencode\n\nCat", text: "Cat"},
		{name: "quoted-printable", raw: "Content-Transfer-Encoding: Quoted-Printable\nContent-Type: text/plain; charset=utf-8\n\ncaf=C3=A9 = =3D =XX soft=\n line  \nend=", text: "café = = =XX soft line\nend"},
		{name: "base64 with a footer", raw: "Content-Transfer-Encoding: base64\n\naGVsbG8=\n____\nlist footer", text: "hello"},
		{name: "base64 in pieces", raw: "Content-Transfer-Encoding: base64\n\naGVsbG8=\nIHdvcmxk\n", text: "hello world"},
		{name: "base64 cut", raw: "Content-Transfer-Encoding: base64\n\naGVsbG8gd29yb", text: "hello wor"},
		{name: "unknown encoding", raw: "Content-Transfer-Encoding: 8-bits\n\nas it is", text: "as it is"},

		{name: "Latin-1 that is Windows-1252", raw: "Content-Type: text/plain; charset=iso-8859-1\n\n\x93quoted\x94 \x80", text: "“quoted” €"},
		{name: "UTF-8 that is not", raw: "Content-Type: text/plain; charset=utf-8\n\ncaf\xe9", text: "café"},
		{name: "UTF-8 in part", raw: "Content-Type: text/plain; charset=utf-8\n\ncaf\xc3\xa9 \xe9", text: "café \ufffd"},
		{name: "no charset, UTF-8", raw: "Subject: x\n\ncaf\xc3\xa9", text: "café"},
		{name: "no charset, Latin-1", raw: "Subject: x\n\ncaf\xe9", text: "café"},
		{name: "no charset, Japanese", raw: "Subject: x\n\n\x1b$B%F%9%H\x1b(B", text: "テスト"},
		{name: "Shift_JIS by another name", raw: "Content-Type: text/plain; charset=CP932\n\n\x83e\x83X\x83g", text: "テスト"},
		{name: "GB2312 that is GBK", raw: "Content-Type: text/plain; charset=\"gb2312\"\n\n\xb2\xe2\xca\xd4", text: "测试"},
		{name: "Korean by an old name", raw: "Content-Type: text/plain; charset=ks_c_5601-1987\n\n\xc5\xd7\xbd\xba\xc6\xae", text: "테스트"},
		{name: "UTF-7", raw: "Content-Type: text/plain; charset=UTF-7\n\nHi Mom +Jjo- 1 +- 1", text: "Hi Mom ☺ 1 + 1"},
		{name: "a charset that is none", raw: "Content-Type: text/plain; charset=klingon\n\ncaf\xc3\xa9", text: "café"},
		{name: "charset of the HTML itself", raw: "Content-Type: text/html\n\n<meta charset='koi8-r'>\xd4\xc5\xd3\xd4", html: "<meta charset='koi8-r'>тест"},
		{name: "type without a subtype", raw: "Content-Type: text\n\nx", text: "x"},
		{name: "type in want of a semicolon", raw: "Content-Type: text/html charset=utf-8\n\n<p>caf\xc3\xa9", html: "<p>café"},
		{name: "type that is nonsense", raw: "Content-Type: ;;;===\"\n\nx", text: "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, raw := range []string{c.raw, crlf(c.raw)} {
				if strings.Contains(c.raw, "\r") && raw != c.raw {
					continue
				}
				m := native.Parse([]byte(raw))
				if m.Text != c.text || m.HTML != c.html {
					t.Errorf("text %q, want %q\nHTML %q, want %q", m.Text, c.text, m.HTML, c.html)
				}
				if got := parts(m); got != c.parts && !strings.Contains(c.parts, "message/") { // whose sizes count line ends
					t.Errorf("parts %s\nwant  %s", got, c.parts)
				} else if raw == c.raw && got != c.parts {
					t.Errorf("parts %s\nwant  %s", got, c.parts)
				}
				if !strings.Contains(m.Note, c.note) || c.note == "" && m.Note != "" {
					t.Errorf("note %q, want %q", m.Note, c.note)
				}
				if d := cmp.Diff(native.Summarize([]byte(raw)), m.Summary); d != "" {
					t.Errorf("Summarize and Parse differ: %s", d)
				}
			}
		})
	}
}

func TestSummarize(t *testing.T) {
	raw := crlf(`Received: from x by y; Tue, 2 Jan 2024 00:00:00 +0000
Message-ID: <id@example.org>
In-Reply-To: <parent@example.org> (said Bob)
References: <root@example.org>
	<parent@example.org> <root@example.org>
From: =?utf-8?q?Bob_D=C3=B6?= <bob@example.org>
Sender: list@example.org
Reply-To: "Reply, Here" <reply@example.org>
To: Alice <alice@example.org>, carol@example.org
To: dave@example.org
Cc: Friends: erin@example.org, frank@example.org;
Bcc: grace@example.org
Subject: =?utf-8?B?SGVsbG8g?=
 =?utf-8?B?V29ybGQ=?= again
Date: Mon, 1 Jan 2024 10:00:00 +0100
Content-Type: multipart/mixed; boundary=b

--b

On Monday Alice wrote:
> quoted

Yes,   certainly.
--b
Content-Type: application/pdf

x
--b--
`)
	s := native.Summarize([]byte(raw))
	want := Summary{
		MessageID: "<id@example.org>", InReplyTo: "<parent@example.org>", References: []string{"<root@example.org>", "<parent@example.org>"},
		From: []Address{{"Bob Dö", "bob@example.org"}}, Sender: []Address{{"", "list@example.org"}}, ReplyTo: []Address{{"Reply, Here", "reply@example.org"}},
		To: []Address{{"Alice", "alice@example.org"}, {"", "carol@example.org"}, {"", "dave@example.org"}},
		Cc: []Address{{"", "erin@example.org"}, {"", "frank@example.org"}}, Bcc: []Address{{"", "grace@example.org"}},
		Subject: "Hello World again", Snippet: "Yes, certainly.", Attachments: 1,
	}
	if s.Date.Unix() != 1704099600 {
		t.Errorf("date %v", s.Date)
	}
	want.Date = s.Date
	if d := cmp.Diff(want, s); d != "" {
		t.Error(d)
	}
	if s := native.Summarize([]byte("Received: by y; Tue, 2 Jan 2024 00:00:00 +0000\nSubject: x\n\n")); s.Date.Unix() != 1704153600 {
		t.Errorf("a message without a date has that of its arrival: %v", s.Date)
	}
	var many strings.Builder
	for i := range 500 {
		fmt.Fprintf(&many, " <%d@x>", i)
	}
	if s := native.Summarize([]byte("References:" + many.String() + "\n\n")); len(s.References) != maxReferences || s.References[0] != "<0@x>" || s.References[maxReferences-1] != "<499@x>" {
		t.Errorf("%d references are left", len(s.References))
	}
}

func TestSubjects(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{"plain", "plain"},
		{"=?utf-8?Q?caf=C3=A9?=", "café"},
		{"=?UTF-8*en?q?a_b?= c", "a b c"},
		{"=?utf-8?B?Y2Fmw6k?=", "café"},               // no padding
		{"=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"},         // blanks between words go
		{"=?utf-8?Q?a?= x =?utf-8?Q?b?=", "a x b"},    // others stay
		{"=?utf-8?B?w?= =?utf-8?B?6k=?=", "ê"},        // half a code, and an octet that is not UTF-8
		{"=?utf-8?B?4pg=?= =?utf-8?B?ug==?=", "☺"},    // a character cut in two
		{"=?utf-8?Q?=E2=98?==?utf-8?Q?=BA?=", "☺"},    // and no blank between
		{"=?iso-2022-jp?B?GyRCJUYlOSVIGyhC?=", "テスト"}, //
		{"=?utf-7?Q?+Jjo-?=", "☺"},                    //
		{"=?utf-8?Q?caf\xc3\xa9 with blanks?=", "café with blanks"},
		{"=?iso-8859-1?Q?caf\xe9?=", "café"},
		{"=?utf-8?Q?no end", "=?utf-8?Q?no end"},
		{"=?utf-8?Q?no_end", "no end"},
		{"=?utf-8?X?x?=", "=?utf-8?X?x?="},
		{"=?=?=?", "=?=?=?"},
		{"caf\xc3\xa9", "café"},
		{"caf\xe9", "café"},
		{"a\tb\x07c\x1b[31m", "a bc[31m"},
		{"gpj.\u202eexe", "gpj.exe"},
		{"=?utf-8?Q?a=0D=0AInjected:_x?=", "a  Injected: x"},
		{"  trimmed  ", "trimmed"},
	} {
		if got := native.Summarize([]byte("Subject: " + c.raw + "\n\n")).Subject; got != c.want {
			t.Errorf("%q is %q, want %q", c.raw, got, c.want)
		}
	}
}

func TestHeaderOddities(t *testing.T) {
	for _, c := range []struct{ raw, subject, from string }{
		{"SUBJECT : x\nfrom:a@b\n\n", "x", "a@b"},
		{"Subject: one\n two\n\tthree\n\n", "one two\tthree", ""},
		{" From: a@b\nSubject: x\n\n", "x", "a@b"},
		{"From\n : a@b\nSubject: x\n\n", "x", "a@b"},
		{"Subject: x\nSubject: y\n\n", "x", ""},
		{"Subject:\nFrom: a@b\n\n", "", "a@b"},
		{"Subject: x\n \nFrom: a@b\n\n", "x", "a@b"},
	} {
		s := native.Summarize([]byte(c.raw))
		from := ""
		if len(s.From) > 0 {
			from = s.From[0].Addr
		}
		if subject := strings.ReplaceAll(c.subject, "\t", " "); s.Subject != subject || from != c.from {
			t.Errorf("%q: %q from %q", c.raw, s.Subject, from)
		}
	}
}

func TestSafeNames(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"report.pdf", "report.pdf"}, {"../../etc/passwd", "passwd"}, {`C:\Windows\x.exe`, "x.exe"}, {"a/b/", ""}, {"", ""}, {"..", ""}, {"...", ""}, {".bashrc", "bashrc"},
		{"a\x00b\nc.txt", "ab c.txt"}, {"gpj.\u202eexe", "gpj.exe"}, {"a<b>:c|d?.txt", "a_b__c_d_.txt"}, {"name. ", "name"}, {"con", "_con"}, {"NUL.txt", "_NUL.txt"},
		{strings.Repeat("é", 300) + ".jpeg", strings.Repeat("é", 97) + ".jpeg"}, {"x\ufeff\u200b.txt", "x.txt"},
	} {
		if got := safeName(c.in); got != c.want {
			t.Errorf("%q is %q, want %q", c.in, got, c.want)
		}
	}
	for _, c := range []struct{ header, want string }{
		{`Content-Type: application/pdf; name="=?utf-8?Q?na=C3=AFve.pdf?="`, "naïve.pdf"},
		{`Content-Disposition: attachment; filename="C:\dir\file.txt"`, "file.txt"},
		{`Content-Disposition: attachment; filename=un quoted.txt; size=3`, "un quoted.txt"},
		{`Content-Disposition: attachment; filename*=iso-8859-1'de'na%EFve.txt`, "naïve.txt"},
		{`Content-Disposition: attachment; filename*1="b.txt"; filename*0="a"`, "ab.txt"},
		{`Content-Disposition: attachment; filename="a\"b.txt"`, "a_b.txt"},
		{`Content-Disposition: attachment; filename="no end.txt; x=y`, "no end.txt"},
		{`Content-Disposition: attachment (comment); (another) filename=x.txt (third)`, "x.txt"},
		{`Content-Disposition: attachment`, "attachment-1"},
		{"Content-Disposition: attachment; filename=\"caf\xe9.txt\"", "café.txt"},
	} {
		m := native.Parse([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\n" + c.header + "\n\nx\n--b--\n"))
		if strings.HasPrefix(c.header, "Content-Disposition: attachment") && c.want == "attachment-1" {
			c.want += ".txt" // it is text/plain
		}
		if len(m.Parts) != 1 || m.Parts[0].Name != c.want {
			t.Errorf("%s: %s", c.header, parts(m))
		}
	}
}

func TestPlainText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"<p>one<p>two<br>three</p><div>four</div>five", "one\n\ntwo\nthree\n\nfour\nfive"},
		{"<style>x</style><script>y</script><title>z</title>text &amp; &lt;more&gt; &nbsp; end", "text & <more> end"},
		{"<ul><li>a<li>b</ul><table><tr><td>c</td><td>d</td></tr><tr><td>e</table>", "- a\n- b\n\nc d\ne"},
		{"<head><title>x</title><style>unclosed", ""},
		{"a<!-- comment -->b <b>c</b>d", "ab cd"},
		{"\u200b\u034f\u00ad zero", "zero"},
		{"", ""},
	} {
		if got := PlainText(c.in); got != c.want {
			t.Errorf("%q is %q, want %q", c.in, got, c.want)
		}
	}
}

func TestSnippet(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"one\ntwo   three\n", "one two three"},
		{"> quoted\n>more\nanswer", "answer"},
		{"Bob wrote:\n\n> quoted\nanswer", "answer"},
		{"Note:\nthis", "Note: this"},
		{"text\n-- \nBob", "text"},
		{"-- \nBob", "-- Bob"},
		{strings.Repeat("é", 200), strings.Repeat("é", snippetRunes)},
		{"a\x00\u202eb", "ab"},
		{"", ""},
	} {
		if got := snippet(c.text); got != c.want {
			t.Errorf("%q is %q, want %q", c.text, got, c.want)
		}
	}
	if s := native.Summarize([]byte("Content-Type: text/html\n\n<style>p{}</style><p>from the <b>HTML</b></p>")); s.Snippet != "from the HTML" {
		t.Errorf("%q", s.Snippet)
	}
}

// What is no mail has a header all the same once a server has taken it: the server's own. It is shown as its source.
func TestTraceAloneIsNoHeader(t *testing.T) {
	const trace = "Return-Path: <x@x.example>\r\nReceived: from x by y with ESMTP;\r\n\tMon, 23 Nov 2026 02:45:00 +0000\r\n"
	m := native.Parse([]byte(trace + "this is not a message at all\r\n"))
	if !strings.Contains(m.Note, "source") || !strings.Contains(m.Text, "Return-Path:") || !strings.Contains(m.Text, "not a message at all") {
		t.Errorf("note %q, text %q", m.Note, m.Text)
	}
	if m := native.Parse([]byte(trace + "From: <x@x.example>\r\n\r\nwords\r\n")); m.Note != "" || m.Text != "words\n" {
		t.Errorf("with a sender: note %q, text %q", m.Note, m.Text)
	}
}
