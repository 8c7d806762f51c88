package sanitize

import (
	"regexp"
	"strings"
	"testing"

	"github.com/microcosm-cc/bluemonday"
	"pgregory.net/rapid"
)

// The rules of policy.go, said again in patterns, as the field's sanitizer wants them.
const (
	sizePattern   = `^[0-9]{1,5}(\.[0-9]{1,3})?(px|pt|em|%)?$`
	colourPattern = `^#?[a-zA-Z0-9]{1,30}$`
	wordPattern   = `^[a-zA-Z-]{1,20}$`
	numberPattern = `^-?[0-9]{1,5}$`
	textPattern   = `^[^\x00]*$`
)

var patterns = map[string]string{
	"style": `^[^<>\\@{}\x00-\x1f\x7f]*$`, "class": `^[a-zA-Z0-9_ -]{1,1000}$`, "title": textPattern, "dir": `^(?i:ltr|rtl|auto)$`, "lang": `^[a-zA-Z0-9-]{1,35}$`,
	"align valign": wordPattern, "bgcolor bordercolor": colourPattern, "width height": sizePattern,
	"href": `^(https?://|mailto:|tel:)[^\x00-\x20"'<>\\\x60\x7f]*$`, "target": `^_blank$`, "rel": `^noopener noreferrer$`, "src": `^cid:[0-9]{1,6}$`,
	"alt": textPattern, "border hspace vspace": sizePattern, "cellpadding cellspacing": sizePattern, "frame rules": wordPattern,
	"colspan rowspan span": numberPattern, "nowrap": `^(?i:nowrap)?$`, "scope": wordPattern, "color": colourPattern,
	"face": `^[\pL\pN ,'"._-]{1,200}$`, "size": `^[+-]?[0-9]{1,2}$`, "noshade": `^([nN][oO][sS][hH][aA][dD][eE])?$`, "start value": numberPattern,
	"type": `^[a-zA-Z1]{1,10}$`, "clear": wordPattern, "datetime": `^[0-9TZ:+. -]{1,40}$`,
}

// reference is bluemonday with the same rules.
func reference(t testing.TB) *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements(elements...)
	p.AllowNoAttrs().OnElements(elements...)
	for _, a := range attributes {
		pattern, ok := patterns[a.names]
		if !ok {
			t.Fatalf("no pattern says what %s may be", a.names)
		}
		b := p.AllowAttrs(strings.Fields(a.names)...).Matching(regexp.MustCompile(pattern))
		if a.elements == "" {
			b.Globally()
		} else {
			b.OnElements(strings.Fields(a.elements)...)
		}
	}
	p.RequireParseableURLs(false) // Go's idea of a URL refuses some that work, such as a bare % in a path
	return p
}

// TestRules compares what each rule takes with what its pattern takes.
func TestRules(t *testing.T) {
	for _, a := range attributes {
		pattern := regexp.MustCompile(patterns[a.names])
		rapid.Check(t, func(t *rapid.T) {
			s := rapid.OneOf(
				rapid.SampledFrom([]string{"", "ltr", "RTL", "autO", "_blank", "noopener noreferrer", "cid:1", "cid:", "cid:1234567", "nowrap", "NoShade", "noshade ",
					"ltr\n", "12px\n", "1.5em", "1.2345px", ".5em", "5.", "100%", "123456", "-1", "--1", "+7", "+123", "#fff", "##", "red", "http://", "https://x/%", "http:x",
					"mailto:a@b", "tel:+1", "HTTP://x", "http://x y", "javascript:x", "ＭＳ Ｐゴシック", "x\x00y", "Ⅷ½", "\u212a", "ſ", "ruſe"}),
				rapid.StringOf(rapid.RuneFrom([]rune("aZ09-_#%.,+: '\"<>\\@{}`[/\n\t\x00\x7fé\u212aｱ½𝒳"))),
				rapid.StringMatching(patterns[a.names][1:len(patterns[a.names])-1]),
			).Draw(t, "value")
			if len(s) > 300 && len(s) != len([]rune(s)) {
				return // bounds are in octets here, where only ASCII is taken
			}
			if got, want := a.value(s), pattern.MatchString(s); got != want {
				t.Fatalf("%s=%q: %v, the pattern says %v", a.names, s, got, want)
			}
		})
	}
}

// against fails when the second pass and the reference make different things of what the first pass wrote.
func against(t testing.TB, p *bluemonday.Policy, in string) {
	t.Helper()
	w := rewriter{cid: cids}
	w.rewrite(in)
	written := w.out.String()
	if got, want := enforce(written), p.Sanitize(written); got != want {
		t.Fatalf("of %q\n    enforce %q\n bluemonday %q", written, got, want)
	}
	// And it stops what another first pass might let slip.
	// What is within a style attribute is the first pass's alone, and so is which image a number stands for.
	safe(t, strings.NewReplacer(`style="`, `title="`, `src="cid:`, `alt="`).Replace(enforce(in)))
}

func FuzzEnforce(f *testing.F) {
	for _, s := range []string{
		`<p style="color:red" class=a onclick=x>a<img src=cid:1><a href=http://x>b</a>`, `<svg><style><img title="</style><img src onerror=x>"></svg>`,
		`<script>x</script><style>y</style><title>z</title><xmp><b></xmp><!--c--><textarea>`, `<a href=javascript:x title='<">&amp;'>`, "<table\x00 width=1>\x00",
		`<td nowrap NOWRAP=1 width=5 width=6>`, "<p lang=en\r\n>\r\n</P ></br>",
	} {
		f.Add(s)
	}
	p := reference(f)
	f.Fuzz(func(t *testing.T, in string) { against(t, p, in) })
}

func newsletter(size int) string {
	const row = `<tr><td align="center" valign="top" bgcolor="#ffffff" width="600" style="padding:0 10px;color:#333333;font-family:Arial,sans-serif;font-size:14px">` +
		`<a href="https://shop.example/c?id=12345&amp;u=abc" target="_blank" style="color:#0066cc;text-decoration:none" class="btn big">An offer &amp; more</a>` +
		`<img src="https://shop.example/i.png" width="200" height="100" alt="A picture"><p style="margin:0">Words that say what it costs, and why it is worth it.</p></td></tr>`
	return "<html><body><table>" + strings.Repeat(row, size/len(row)) + "</table></body></html>"
}

func BenchmarkNewsletter(b *testing.B) {
	in := newsletter(3 << 20)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		HTML(in, Options{})
	}
}

func BenchmarkReference(b *testing.B) {
	w := rewriter{}
	w.rewrite(newsletter(3 << 20))
	in, p := w.out.String(), reference(b)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		p.Sanitize(in)
	}
}
