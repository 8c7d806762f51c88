package mail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var moment = time.Date(2026, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600))

func TestCompose(t *testing.T) {
	raw, err := Compose(Draft{
		From: Address{"Bob", "bob@example.org"}, To: []Address{{"Doe, Jane", "jane@example.org"}, {"Zoë", "zoe@exämple.org"}}, Bcc: []Address{{"", "secret@example.org"}},
		Subject: "Grüße", Text: "Hello\nJane", InReplyTo: "<a@b>", References: []string{"<r@b>", "<a@b>"}, Date: moment, MessageID: "<id@example.org>",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := crlf(`From: Bob <bob@example.org>
To: "Doe, Jane" <jane@example.org>, =?utf-8?b?Wm/Dqw==?=
 <zoe@xn--exmple-cua.org>
Subject: =?utf-8?b?R3LDvMOfZQ==?=
Date: Tue, 3 Feb 2026 04:05:06 +0100
Message-ID: <id@example.org>
In-Reply-To: <a@b>
References: <r@b> <a@b>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

Hello
Jane
`)
	if d := cmp.Diff(want, string(raw)); d != "" {
		t.Error(d)
	}
}

func TestComposeAttachments(t *testing.T) {
	raw, err := Compose(Draft{From: Address{"", "bob@example.org"}, Subject: "files", Text: "see\n", Date: moment, MessageID: "<id@x>", Attachments: []Part{
		{Name: "a.txt", Type: "text/plain", Data: []byte("text")},
		{Name: "naïve übersicht der sehr langen namen von dateien in diesem verzeichnis.pdf", Type: "application/pdf; evil=1", Data: make([]byte, 100)},
		{Name: "../../x\r\nX-Evil: 1", Type: "multipart/mixed", Data: nil},
		{Name: "fwd.eml", Type: "message/rfc822", Data: []byte("Subject: x\r\n\r\ny")},
		{Name: "eightbit.eml", Type: "message/rfc822", Data: []byte("Subject: \xe9\r\n\r\ny")},
		{Type: "image/png", Data: []byte("p")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	checkWire(t, raw)
	m := native.Parse(raw)
	want := "a.txt text/plain 4; naïve übersicht der sehr langen namen von dateien in diesem verzeichnis.pdf application/pdf 100; " +
		"x  X-Evil_ 1 application/octet-stream 0; fwd.eml message/rfc822 15; eightbit.eml application/octet-stream 15; attachment.png image/png 1"
	if got := parts(m); got != want || m.Text != "see\n" {
		t.Errorf("text %q, parts\n got %s\nwant %s", m.Text, got, want)
	}
	if !bytes.Contains(raw, []byte("filename*0*=utf-8''na%C3%AFve")) || bytes.Contains(raw, []byte("\r\nX-Evil")) {
		t.Errorf("%s", raw)
	}
}

func TestComposeRefuses(t *testing.T) {
	good := Address{"", "a@b"}
	for name, d := range map[string]Draft{
		"no sender":          {To: []Address{good}},
		"recipient":          {From: good, To: []Address{good, {"", "nobody"}}},
		"copy":               {From: good, Cc: []Address{{"", "a@b\r\nX: y"}}},
		"blind copy":         {From: good, Bcc: []Address{{"", "x"}}},
		"domain of no label": {From: good, To: []Address{{"", "a@e\u0301.example"}}},
	} {
		_, err := Compose(d)
		var bad *AddressError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw, err := Compose(Draft{From: good})
	if err != nil {
		t.Fatalf("a draft may be empty: %v", err)
	}
	if m := native.Parse(raw); m.Date.IsZero() || !strings.HasSuffix(m.MessageID, "@b>") {
		t.Errorf("%+v", m.Summary)
	}
}

// A local part beyond ASCII is in UTF-8, RFC 6532; all else stays ASCII, a domain of another address too.
func TestComposeUTF8(t *testing.T) {
	raw, err := Compose(Draft{From: Address{"Bob", "bob@b.example"}, Subject: "Grüße", Text: "Grüße", To: []Address{{"Büro", "büro@bücher.example"}, {"", "amt@bücher.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	line := "To: =?utf-8?b?QsO8cm8=?= <büro@bücher.example>, amt@xn--bcher-kva.example\r\n"
	if !bytes.Contains(raw, []byte(line)) {
		t.Errorf("no %q in\n%s", line, raw)
	}
	checkWire(t, bytes.Replace(raw, []byte(line), nil, 1))
	m := native.Parse(raw)
	if want := []Address{{"Büro", "büro@bücher.example"}, {"", "amt@xn--bcher-kva.example"}}; !slices.Equal(m.To, want) {
		t.Errorf("read as %v", m.To)
	}
}

// TestNoInjection puts line ends and field names wherever a draft can hold text.
func TestNoInjection(t *testing.T) {
	for _, evil := range []string{"x\r\nEvil: 1", "x\nEvil: 1", "x\rEvil: 1", "x\x00\r\n\r\nEvil: 1", "x\u2028Evil: 1", "=?utf-8?q?x=0D=0AEvil:_1?=", "x\r\n.\r\nEvil: 1"} {
		raw, err := Compose(Draft{
			From: Address{evil, "a@b"}, To: []Address{{evil, "c@d"}}, Subject: evil, InReplyTo: "<" + evil + ">", References: []string{evil, "<ok@x>"}, MessageID: evil,
			Attachments: []Part{{Name: evil, Type: "text/" + evil, ContentID: evil, Data: []byte(evil)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		checkWire(t, raw)
		h, _ := readHeader(raw, never)
		var names []string
		for _, f := range h {
			if f.name != "in-reply-to" { // it may be there: what looks encoded can be a message-id
				names = append(names, f.name)
			}
		}
		slices.Sort(names)
		if got := fmt.Sprint(names); got != "[content-type date from message-id mime-version references subject to]" {
			t.Errorf("%q makes the fields %s", evil, got)
		}
		if bytes.Contains(raw, []byte("\r\nEvil")) {
			t.Errorf("%s", raw)
		}
	}
}

// checkWire checks what every server on the way relies on: RFC 5321 section 4.5.3.1.6, RFC 5322 section 2.1.1.
func checkWire(t interface{ Fatalf(string, ...any) }, raw []byte) {
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Fatalf("no line end at the end")
	}
	for l := range bytes.SplitSeq(bytes.TrimSuffix(raw, []byte("\r\n")), []byte("\r\n")) {
		if len(l) > 998 || bytes.ContainsAny(l, "\r\n\x00") || !asciiOnly(l) {
			t.Fatalf("bad line %q", l)
		}
	}
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	for l := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(bytes.TrimSpace(l)) == 0 {
			t.Fatalf("a line of blanks in the header")
		}
	}
}

var (
	anyText = rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z ,.<>"\\=?_@\r\n\t-]{0,200}`), rapid.StringN(0, 3000, 9000),
		rapid.SampledFrom([]string{"", " ", "From x", ".", "..\n.", "a\n\n", "日本語の件名です。とても長いので折り返される必要があります。日本語の件名です。", "trailing \n", "=?utf-8?q?x?=", strings.Repeat("x", 2000)}))
	anyAddr = rapid.Custom(func(t *rapid.T) Address {
		return Address{anyText.Draw(t, "name"), rapid.StringMatching(`[a-z0-9!#$%&'*+/=?^_{|}~-]{1,20}(\.[a-z]{1,5})?@[a-z0-9]{1,10}(\.[a-z]{2,5}){0,2}`).Draw(t, "addr")}
	})
	anyPart = rapid.Custom(func(t *rapid.T) Part {
		return Part{
			Name: anyText.Draw(t, "file name"), Type: rapid.SampledFrom([]string{"application/pdf", "image/png", "text/plain", "text/html", "application/octet-stream"}).Draw(t, "type"),
			Data: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data"),
		}
	})
)

// TestParseOfComposeIsTheDraft is the round trip: whatever a draft says is what its reader reads, but for what cannot be
// said: control characters in a line, blanks around it, other line ends, no line end at the end.
func TestParseOfComposeIsTheDraft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Draft{
			From: anyAddr.Draw(t, "from"), To: rapid.SliceOfN(anyAddr, 0, 4).Draw(t, "to"), Cc: rapid.SliceOfN(anyAddr, 0, 2).Draw(t, "cc"),
			Bcc: rapid.SliceOfN(anyAddr, 0, 2).Draw(t, "bcc"), Subject: anyText.Draw(t, "subject"), Text: anyText.Draw(t, "text"),
			References: rapid.SliceOfNDistinct(rapid.StringMatching(`<[a-z0-9.]{1,80}@[a-z]{1,10}>`), 0, 12, rapid.ID).Draw(t, "references"),
			InReplyTo:  rapid.SampledFrom([]string{"", "<p@x>"}).Draw(t, "in reply to"), MessageID: "<id@x>", Date: moment,
			Attachments: rapid.SliceOfN(anyPart, 0, 3).Draw(t, "attachments"),
		}
		raw, err := Compose(d)
		if err != nil {
			t.Fatal(err)
		}
		checkWire(t, raw)
		m := native.Parse(raw)
		name := func(l ...Address) (out []Address) {
			for _, a := range l {
				a.Name = strings.Join(strings.Fields(cleanLine(a.Name)), " ")
				if n := a.Name; len(n) > 1 && n[0] == '\'' && n[len(n)-1] == '\'' {
					a.Name = n[1 : len(n)-1] // read as Outlook means it
				}
				if strings.Trim(a.Name, `\,;:.`) == "" || a.Name == a.Addr {
					a.Name = ""
				}
				out = append(out, a)
			}
			return out
		}
		text := normalizeLines(strings.ToValidUTF8(d.Text, "\ufffd"))
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		text = strings.TrimPrefix(text, "\ufeff")
		refs := d.References
		if len(refs) == 0 {
			refs = nil
		}
		want := Draft{From: name(d.From)[0], To: name(d.To...), Cc: name(d.Cc...), Subject: cleanLine(d.Subject), Text: text, References: refs, InReplyTo: d.InReplyTo, MessageID: d.MessageID}
		got := Draft{From: m.From[0], To: m.To, Cc: m.Cc, Bcc: m.Bcc, Subject: m.Subject, Text: m.Text, References: m.References, InReplyTo: m.InReplyTo, MessageID: m.MessageID}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got)\n%s\n%s", diff, raw)
		}
		if !m.Date.Equal(d.Date) || len(m.Parts) != len(d.Attachments) || m.Note != "" {
			t.Fatalf("date %v, %d parts, note %q\n%s", m.Date, len(m.Parts), m.Note, raw)
		}
		for i, p := range d.Attachments {
			n := safeName(p.Name)
			if n == "" {
				n = "attachment" + extensions[p.Type]
			}
			if g := m.Parts[i]; g.Name != n || g.Type != p.Type || !bytes.Equal(g.Data, p.Data) || g.Inline {
				t.Fatalf("part %q %s %x\nwant %q %s %x\n%s", g.Name, g.Type, g.Data, n, p.Type, p.Data, raw)
			}
		}
	})
}

func TestNewMessageID(t *testing.T) {
	a, b := NewMessageID("example.org"), NewMessageID("example.org")
	if a == b || !strings.HasSuffix(a, "@example.org>") || len(a) < 30 {
		t.Error(a, b)
	}
	for _, bad := range []string{"", "x y", "a\r\nb", "[127.0.0.1]"} {
		if id := NewMessageID(bad); !strings.HasSuffix(id, "@message-id.invalid>") {
			t.Errorf("%q: %s", bad, id)
		}
	}
	if id := NewMessageID("exämple.org"); !strings.HasSuffix(id, "@xn--exmple-cua.org>") {
		t.Error(id)
	}
}

// TestPythonReadsIt has another reader, one that we did not write, read what Compose writes.
func TestPythonReadsIt(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: its email package would read what Compose writes")
	}
	d := Draft{
		From: Address{"Jörg, the 1st", "j@example.org"}, To: []Address{{`"quoted"`, "a@b.example"}, {"日本語の名前", "c@d.example"}}, Subject: "件名: " + strings.Repeat("とても長い", 30),
		Text: "Grüße\nFrom here\n.\n" + strings.Repeat("long ", 300) + "\ntrailing \n", MessageID: "<id@x>", Date: moment, References: []string{"<a@b>", "<c@d>"},
		Attachments: []Part{{Name: "naïve.txt", Type: "text/plain", Data: []byte("x\x00y\n")}, {Name: `we"ird.bin`, Type: "application/octet-stream", Data: bytes.Repeat([]byte{0xff}, 1000)}},
	}
	raw, err := Compose(d)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", `
import sys, json, email, email.policy
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
bad = [str(x) for p in m.walk() for x in p.defects]
body = m.get_body(('plain',))
print(json.dumps(dict(subject=m['subject'], date=m['date'], ids=m['references'], defects=bad, text=body.get_content(),
    **{'from': [[a.display_name, a.addr_spec] for a in m['from'].addresses], 'to': [[a.display_name, a.addr_spec] for a in m['to'].addresses]},
    parts=[[a.get_filename(), a.get_content_type(), a.get_payload(decode=True).hex()] for a in m.iter_attachments()])))`)
	cmd.Stdin = bytes.NewReader(raw)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	var got struct {
		Subject, Date, IDs, Text string
		From, To                 [][2]string
		Defects                  []string
		Parts                    [][3]string
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	got.Text = normalizeLines(got.Text)
	if got.Subject != d.Subject || got.Text != d.Text {
		t.Errorf("subject %s\ntext %s", cmp.Diff(d.Subject, got.Subject), cmp.Diff(d.Text, got.Text))
	}
	if got.IDs != "<a@b> <c@d>" || len(got.Defects) != 0 || fmt.Sprint(got.From) != "[[Jörg, the 1st j@example.org]]" ||
		fmt.Sprint(got.To) != `[["quoted" a@b.example] [日本語の名前 c@d.example]]` {
		t.Errorf("references %s, from %v, to %v, defects %v", got.IDs, got.From, got.To, got.Defects)
	}
	if len(got.Parts) != 2 || got.Parts[0] != [3]string{"naïve.txt", "text/plain", "7800790a"} || got.Parts[1][0] != "we_ird.bin" || len(got.Parts[1][2]) != 2000 {
		t.Errorf("%q", got.Parts)
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("Bob", "bob@example.org", "subject", "text", "<a@b>", "file.txt", "text/plain", []byte("x"))
	f.Add("=?x?=", "\"a b\"@c", "\r\n", "From \n.\n=", "<>", "..", "message/rfc822", []byte("Subject: x\r\n\r\n"))
	f.Add("Bob", "bob@example.org", "\x02"+strings.Repeat("2", maxLine)+"\xc1", "text", "<a@b>", "file.txt", "text/plain", []byte("x"))
	f.Fuzz(func(t *testing.T, name, addr, subject, text, id, file, media string, data []byte) {
		raw, err := Compose(Draft{
			From: Address{name, addr}, To: []Address{{name, addr}}, Subject: subject, Text: text, InReplyTo: id, References: []string{id}, MessageID: id,
			Attachments: []Part{{Name: file, Type: media, Data: data}},
		})
		if err != nil {
			var bad *AddressError
			if !errors.As(err, &bad) {
				t.Fatal(err)
			}
			return
		}
		if local, _, _ := strings.Cut(addr, "@"); !asciiOnly([]byte(local)) {
			raw = bytes.ReplaceAll(raw, []byte(addr), []byte("x@x")) // the one thing in UTF-8
		}
		checkWire(t, raw)
		m := native.Parse(raw)
		// A reader cuts what is longer than any subject.
		if m.Subject != clip(cleanLine(subject), maxLine) || len(m.Parts) != 1 || !bytes.Equal(m.Parts[0].Data, data) || !utf8.ValidString(m.Text) {
			t.Fatalf("%q\n%s", m.Subject, raw)
		}
	})
}
