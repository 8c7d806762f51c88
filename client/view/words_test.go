package view_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/client/view"
)

func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		in, out string
		want    view.Route
	}{
		{"/", "/inbox", view.Route{Folder: api.Inbox, Page: view.PageList}},
		{"/inbox", "", view.Route{Folder: api.Inbox, Page: view.PageList}},
		{"/sent/12", "", view.Route{Folder: api.Sent, ID: 12, Page: view.PageReader}},
		{"/inbox/0", "/inbox", view.Route{Folder: api.Inbox, Page: view.PageList}},
		{"/inbox/99999999999999999999", "/inbox", view.Route{Folder: api.Inbox, Page: view.PageList}},
		{"/nowhere/5?q=x", "/inbox", view.Route{Folder: api.Inbox, Page: view.PageList}},
		{"/search?q=tea+%26%20milk&in=sent", "/search?q=tea%20%26%20milk&in=sent", view.Route{Folder: api.Sent, Search: true, Query: "tea & milk", Page: view.PageList}},
		{"/search/7?q=お茶", "/search/7?q=%E3%81%8A%E8%8C%B6", view.Route{Folder: api.Inbox, Search: true, Query: "お茶", ID: 7, Page: view.PageReader}},
		{"/search?q=%zz%e3", "/search?q=%25zz%EF%BF%BD", view.Route{Folder: api.Inbox, Search: true, Query: "%zz\uFFFD", Page: view.PageList}},
		{"/compose", "", view.Route{Folder: api.Inbox, Page: view.PageComposer}},
		{"/compose/12", "", view.Route{Folder: api.Inbox, Page: view.PageComposer, Draft: 12}},
		{"/accounts?account=bob@x.org", "", view.Route{Folder: api.Inbox, Account: "bob@x.org", Page: view.PageAccounts}},
		{"/inbox#part", "/inbox", view.Route{Folder: api.Inbox, Page: view.PageList}},
	} {
		got := view.ParseRoute(c.in)
		equal(t, c.in, got, c.want)
		if c.out == "" {
			c.out = c.in
		}
		equal(t, c.in+" written", got.String(), c.out)
	}
}

func FuzzParseRoute(f *testing.F) {
	f.Add("/search/7?q=tea&in=sent&account=a@b")
	f.Fuzz(func(t *testing.T, s string) {
		r := view.ParseRoute(s)
		if again := view.ParseRoute(r.String()); again != r {
			t.Errorf("%q: %+v, written and read: %+v", s, r, again)
		}
	})
}

func TestDates(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 3, 4, 15, 0, 0, 0, zone) // a Wednesday
	for _, c := range []struct {
		t            time.Time
		list, reader string
	}{
		{now.Add(-time.Hour), "14:00", "Today 14:00 UTC+2"},
		{now.Add(-15 * time.Hour), "00:00", "Today 00:00 UTC+2"},
		{now.Add(-16 * time.Hour), "Yesterday", "Yesterday 23:00 UTC+2"},
		{now.AddDate(0, 0, -6), "Thursday", "Thu 26 Feb, 15:00 UTC+2"},
		{now.AddDate(0, 0, -7), "25 Feb", "Wed 25 Feb, 15:00 UTC+2"},
		{now.AddDate(-1, 0, 0), "4 Mar 2025", "4 Mar 2025, 15:00 UTC+2"},
		{now.AddDate(0, 0, 2), "6 Mar", "Fri 6 Mar, 15:00 UTC+2"},
		{time.Time{}, "", "no date"},
	} {
		equal(t, "list", view.ListDate(c.t, now), c.list)
		equal(t, "reader", view.ReaderDate(c.t, now), c.reader)
	}
	equal(t, "full", view.FullDate(now), "Wednesday, 4 March 2026, 15:00 UTC+2")
	equal(t, "full", view.FullDate(now.In(time.FixedZone("", -3*3600-1800))), "Wednesday, 4 March 2026, 09:30 UTC−3:30")
	equal(t, "full", view.FullDate(now.UTC()), "Wednesday, 4 March 2026, 13:00 UTC")
}

func TestSizesAndNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1 KB", 51_200: "51 KB", 999_499: "999 KB", 999_500: "1.0 MB", 2_400_000: "2.4 MB", 120_000_000: "120 MB", 3_200_000_000: "3.2 GB"} {
		equal(t, "size", view.Size(n), want)
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		equal(t, "number", view.Number(n), want)
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		x    api.Address
		name string
		lie  bool
	}{
		{api.Address{Name: "Bob", Addr: "bob@x.org"}, "Bob", false},
		{api.Address{Addr: "bob@x.org"}, "bob@x.org", false},
		{api.Address{}, "(unknown sender)", false},
		{api.Address{Name: "support@bank.com", Addr: "x@evil.org"}, "x@evil.org", true},
		{api.Address{Name: `"Support@Bank.com" via list`, Addr: "x@evil.org"}, "x@evil.org", true},
		{api.Address{Name: "BOB@x.org", Addr: "bob@x.org"}, "BOB@x.org", false},
		{api.Address{Name: "Bob\u202Egro.knab\nB", Addr: "x@evil.org"}, "Bobgro.knab B", false},
	} {
		equal(t, c.x.Name, view.SenderName(c.x), c.name)
		equal(t, c.x.Name+" disguised", view.Disguised(c.x), c.lie)
	}
	for s, want := range map[string]bool{
		"a@b": true, "a@b.org": true, "a.b+c@d-e.org": true, `"a b"@c.org`: true, "用户@例え.jp": true, "a@[127.0.0.1]": true,
		"": false, "a": false, "@b": false, "a@": false, "a b@c.org": false, ".a@b": false, "a..b@c": false, "a@b..c": false, "a@-b": false,
		"a@b@c": false, "a@b c": false, "a<b@c": false, "a\n@b": false, "\"\n\"@b": false, "a@[\n]": false, "a@b_c": false,
	} {
		equal(t, s, view.ValidAddress(s), want)
	}
	for in, want := range map[string]string{
		"a@b.org, c@d.org":                 "a@b.org, c@d.org",
		"a@b.org;c@d.org\ne@f.org,":        "a@b.org, c@d.org, e@f.org",
		"Bob Smith <bob@x.org>":            "Bob Smith <bob@x.org>",
		`"Díaz, Carol" <carol@x.org>, a@b`: `"Díaz, Carol" <carol@x.org>, a@b`,
		`"a \"quoted\" name" <q@x.org>`:    `"a \"quoted\" name" <q@x.org>`,
		"<mailto:bob@x.org>":               "bob@x.org",
		"bob":                              "bob",
		" , ;":                             "",
	} {
		equal(t, in, view.FormatList(view.ReadList(in)), want)
	}
	equal(t, "initials", view.Initials(api.Address{Name: "Carol Ann Díaz"})+view.Initials(api.Address{Addr: "bob@x.org"})+view.Initials(api.Address{Name: "田中 花子", Addr: "x@y"}), "CDB田")
	equal(t, "names", view.Names([]api.Address{{Name: "A"}, {Name: "B"}, {Name: "C"}, {Name: "D"}, {Name: "E"}}, 2), "A, B and 3 others")
}

func FuzzReadList(f *testing.F) {
	f.Add(`"Díaz, Carol" <carol@x.org>; bob`)
	f.Add("\"\n\"@0")
	f.Fuzz(func(t *testing.T, s string) {
		for _, x := range view.ReadList(s) {
			if view.ValidAddress(x.Addr) && strings.ContainsAny(x.Addr, "\r\n") {
				t.Errorf("%q: a line end in %q", s, x.Addr)
			}
		}
	})
}

func TestText(t *testing.T) {
	show := func(s string) string {
		var b strings.Builder
		for _, x := range view.Blocks(s) {
			b.WriteString(strconv.Itoa(x.Level))
			for _, l := range x.Lines {
				b.WriteString("[")
				for _, sp := range l {
					if sp.Href != "" {
						b.WriteString("{" + sp.Text + "→" + sp.Href + "}")
					} else {
						b.WriteString(sp.Text)
					}
				}
				b.WriteString("]")
			}
		}
		return b.String()
	}
	for in, want := range map[string]string{
		"a\r\nb\n":                             "0[a][b]",
		"a\n\n> b\n>> c\n> \n> d":              "0[a]1[b]2[c]1[d]",
		"see https://x.org/a?b=c.":             "0[see {https://x.org/a?b=c→https://x.org/a?b=c}.]",
		"(http://x.org/a_(b)) <HTTPS://X.org>": "0[({http://x.org/a_(b)→http://x.org/a_(b)}) <{HTTPS://X.org→https://X.org}>]",
		"www.x.org, bob@x.org!":                "0[{www.x.org→https://www.x.org}, {bob@x.org→mailto:bob@x.org}!]",
		"javascript:alert(1) data:text/html,x": "0[javascript:alert(1) data:text/html,x]",
		"詳細はhttps://x.jp/a。次に":                 "0[詳細は{https://x.jp/a→https://x.jp/a}。次に]",
		"https:// http://":                     "0[https:// http://]",
		"ahttps://x.org a@b":                   "0[ahttps://x.org a@b]",
		`<b>bold</b> & "quotes"`:               `0[<b>bold</b> & "quotes"]`,
	} {
		equal(t, in, show(in), want)
	}
	long := view.Blocks("new\n" + strings.Repeat("> old\n", 20))
	equal(t, "a long quotation at the end is folded", long[1].Folded, true)
}

// A mail of 2 MB may have a million links, blocks or lines. All of its text is shown, and no more elements than a page
// can bear.
func TestHostileTextIsDrawnInFewPieces(t *testing.T) {
	for name, s := range map[string]string{
		"links":  strings.Repeat("x@y.zz ", 250_000),
		"short":  strings.Repeat("x@y.zz\n", 250_000),
		"blocks": strings.Repeat(">a\nb\n", 300_000),
		"lines":  strings.Repeat("a\n", 900_000),
	} {
		blocks, lines, found, octets := view.Blocks(s), 0, 0, 0
		for _, b := range blocks {
			lines += len(b.Lines)
			for _, l := range b.Lines {
				for _, sp := range l {
					octets += len(sp.Text)
					if sp.Href != "" {
						found++
					}
				}
			}
		}
		if len(blocks) > 10_002 || found > 10_000 || lines > 110_000 {
			t.Errorf("%s: %d blocks, %d links, %d lines", name, len(blocks), found, lines)
		}
		if octets < len(s)/4 { // what is left out are marks and line ends
			t.Errorf("%s: %d octets of %d are shown", name, octets, len(s))
		}
	}
}

func TestNobodyQuotesMegabytes(t *testing.T) {
	q := view.Quote(strings.Repeat("é\n", 2<<20), "Bob wrote:")
	if len(q) > 1<<20 || !utf8.ValidString(q) || !strings.HasPrefix(q, "Bob wrote:\n> é\n") || !strings.HasSuffix(q, "> […]\n") {
		t.Errorf("%d octets, which end in %q", len(q), q[len(q)-30:])
	}
}

func FuzzBlocks(f *testing.F) {
	f.Add("> see https://x.org/(a) and <bob@x.org>\n\nwww.x.org。")
	f.Fuzz(func(t *testing.T, s string) {
		for _, b := range view.Blocks(s) {
			for _, l := range b.Lines {
				for _, sp := range l {
					if sp.Href != "" && !strings.HasPrefix(sp.Href, "https://") && !strings.HasPrefix(sp.Href, "http://") && !strings.HasPrefix(sp.Href, "mailto:") {
						t.Errorf("%q: a link to %q", s, sp.Href)
					}
					if utf8.ValidString(s) && !utf8.ValidString(sp.Text) {
						t.Errorf("%q: cut inside a character: %q", s, sp.Text)
					}
				}
			}
		}
	})
}

// Every code has words: what happened, what it means, what to do.
func TestWordsForEveryCode(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../api/types.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(x ast.Node) bool {
		v, ok := x.(*ast.ValueSpec)
		if !ok || len(v.Values) == 0 {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); !ok || id.Name != "Code" {
			return true
		}
		code, _ := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		n++
		bare := view.WordsFor(&api.Problem{Code: api.Code(code)})
		full := view.WordsFor(&api.Problem{Code: api.Code(code), Detail: "mail.example.org", Technical: "x"})
		if bare.Title == "" || bare.Means == "" || bare.Do == "" || full.Means == "" || full.Technical != code+": x" {
			t.Errorf("%s: %+v %+v", code, bare, full)
		}
		if code != "internal" && bare.Title == "Something broke" {
			t.Errorf("%s has no words of its own", code)
		}
		if strings.Contains(full.Means, "%s") || strings.Contains(full.Means, "..") {
			t.Errorf("%s: %q", code, full.Means)
		}
		return true
	})
	if n < 20 {
		t.Errorf("only %d codes were found", n)
	}
	equal(t, "a code from the future", view.WordsFor(&api.Problem{Code: "quantum"}).Title, "Something broke")
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{"Re: a/b\\c": "Re a b c", "..": "message", "": "message", "来週の件": "来週の件", strings.Repeat("x", 200): strings.Repeat("x", 80)} {
		equal(t, in, view.FileName(in), want)
	}
}
