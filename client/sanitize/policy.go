package sanitize

import (
	"strings"
	"unicode"

	"golang.org/x/net/html"
)

// elements are those that a mail may use. None of them runs, loads, submits or changes how what follows is read.
var elements = strings.Fields(`
	a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn dir div dl dt em
	figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q rp rt ruby s samp section small
	span strike strong sub sup table tbody td tfoot th thead time tr tt u ul var wbr`)

// void elements have no end tag.
var void = map[string]bool{"br": true, "col": true, "hr": true, "img": true, "wbr": true}

var allowed = func() map[string]bool {
	m := map[string]bool{}
	for _, e := range elements {
		m[e] = true
	}
	return m
}()

// attributes says which values an attribute may have; one without elements may be on all.
var attributes = []struct {
	names, elements string
	value           func(string) bool
}{
	{"style", "", plainCSS},
	{"class", "", upTo(1000, letters|digits, "_ -")},
	{"title", "", withoutNUL},
	{"dir", "", oneOf("ltr", "rtl", "auto")},
	{"lang", "", upTo(35, letters|digits, "-")},
	{"align valign", "", word},
	{"bgcolor bordercolor", "", colour},
	{"width height", "", length},
	{"href", "a", plainLink},
	{"target", "a", exactly("_blank")},
	{"rel", "a", exactly("noopener noreferrer")},
	{"src", "img", imageNumber},
	{"alt", "img", withoutNUL},
	{"border hspace vspace", "img table", length},
	{"cellpadding cellspacing", "table", length},
	{"frame rules", "table", word},
	{"colspan rowspan span", "td th col colgroup", number},
	{"nowrap", "td th", oneOf("nowrap", "")},
	{"scope", "td th", word},
	{"color", "font hr", colour},
	{"face", "font", fontNames},
	{"size", "font hr", fontSize},
	{"noshade", "hr", oneOf("noshade", "")},
	{"start value", "ol li", number},
	{"type", "ol ul li", upTo(10, letters, "1")},
	{"clear", "br", word},
	{"datetime", "time del ins", upTo(40, digits, "TZ:+. -")},
}

// rule is what one attribute may be, and where.
type rule struct {
	elements map[string]bool // nil: all
	value    func(string) bool
}

// rules are attributes by name.
var rules = func() map[string]rule {
	m := map[string]rule{}
	for _, a := range attributes {
		r := rule{value: a.value}
		for _, e := range strings.Fields(a.elements) {
			if r.elements == nil {
				r.elements = map[string]bool{}
			}
			r.elements[e] = true
		}
		for _, n := range strings.Fields(a.names) {
			m[n] = r
		}
	}
	return m
}()

// enforce is the second pass: what it answers has the elements of the list and, on them, the attributes of the rules, and
// nothing else. It reads the markup anew and knows nothing of how it came about.
func enforce(in string) string {
	var out strings.Builder
	out.Grow(len(in) + len(in)/16)
	z := html.NewTokenizer(strings.NewReader(in))
	within := "" // the raw element that has just begun: its text is none of the mail's
	for {
		t := z.Next()
		before := within
		within = ""
		switch t {
		case html.ErrorToken:
			return out.String()
		case html.TextToken:
			if !raw[before] {
				escape(&out, z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			element := string(name)
			if raw[element] {
				within = element
			}
			if !allowed[element] {
				continue
			}
			out.WriteByte('<')
			out.WriteString(element)
			for more {
				var key, value []byte
				key, value, more = z.TagAttr()
				r, ok := rules[string(key)]
				if !ok || r.elements != nil && !r.elements[element] || !r.value(string(value)) {
					continue
				}
				out.WriteByte(' ')
				out.Write(key)
				out.WriteString(`="`)
				escape(&out, value)
				out.WriteByte('"')
			}
			out.WriteByte('>')
		case html.EndTagToken:
			if name, _ := z.TagName(); allowed[string(name)] && !void[string(name)] {
				out.WriteString("</")
				out.Write(name)
				out.WriteByte('>')
			}
		}
	}
}

// escape writes text as html.EscapeString does.
func escape[T string | []byte](out *strings.Builder, text T) {
	for from := 0; ; {
		i := from
		for i < len(text) && !special[text[i]] {
			i++
		}
		out.WriteString(string(text[from:i]))
		if i == len(text) {
			return
		}
		switch text[i] {
		case '&':
			out.WriteString("&amp;")
		case '\'':
			out.WriteString("&#39;")
		case '<':
			out.WriteString("&lt;")
		case '>':
			out.WriteString("&gt;")
		case '"':
			out.WriteString("&#34;")
		case '\r':
			out.WriteString("&#13;")
		}
		from = i + 1
	}
}

// special are the octets that escape does not write as they are.
var special = [256]bool{'&': true, '\'': true, '<': true, '>': true, '"': true, '\r': true}

// The kinds of characters that upTo can be asked for.
const (
	letters = 1 << iota // A to Z in either case
	digits
)

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// upTo takes one to most characters of these kinds, or of others.
func upTo(most, kinds int, others string) func(string) bool {
	return func(s string) bool {
		if s == "" || len(s) > most {
			return false
		}
		for i := range len(s) {
			c := s[i]
			if !(kinds&letters != 0 && isLetter(c) || kinds&digits != 0 && isDigit(c) || strings.IndexByte(others, c) >= 0) {
				return false
			}
		}
		return true
	}
}

func exactly(want string) func(string) bool { return func(s string) bool { return s == want } }

// oneOf takes any of the words, in either case.
func oneOf(words ...string) func(string) bool {
	return func(s string) bool {
		for _, w := range words {
			if len(s) == len(w) && strings.EqualFold(s, w) {
				return true
			}
		}
		return false
	}
}

func withoutNUL(s string) bool { return strings.IndexByte(s, 0) < 0 }

var word = upTo(20, letters, "-")

func colour(s string) bool {
	return colourName(strings.TrimPrefix(s, "#"))
}

var colourName = upTo(30, letters|digits, "")

// length is a number of up to five digits, three behind a point, and a unit.
func length(s string) bool {
	for _, unit := range []string{"px", "pt", "em", "%"} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			s = n
			break
		}
	}
	whole, part, pointed := strings.Cut(s, ".")
	return fiveDigits(whole) && (!pointed || threeDigits(part))
}

var (
	fiveDigits  = upTo(5, digits, "")
	threeDigits = upTo(3, digits, "")
	twoDigits   = upTo(2, digits, "")
	sixDigits   = upTo(6, digits, "")
)

func number(s string) bool { return fiveDigits(strings.TrimPrefix(s, "-")) }

func fontSize(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return twoDigits(s)
}

// fontNames are up to 200 letters and digits of any script, and what stands between the names.
func fontNames(s string) bool {
	n := 0
	for _, r := range s {
		if n++; n > 200 || !unicode.IsLetter(r) && !unicode.IsNumber(r) && !strings.ContainsRune(` ,'"._-`, r) {
			return false
		}
	}
	return n > 0
}

// plainCSS has no character by which it could be more than declarations.
func plainCSS(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c == 0x7f, c == '<', c == '>', c == '\\', c == '@', c == '{', c == '}':
			return false
		}
	}
	return true
}

// plainLink begins with one of four schemes and has no character that ends it.
func plainLink(s string) bool {
	known := false
	for _, scheme := range []string{"http://", "https://", "mailto:", "tel:"} {
		known = known || strings.HasPrefix(s, scheme)
	}
	if !known {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c == 0x7f, c == '"', c == '\'', c == '<', c == '>', c == '\\', c == '`':
			return false
		}
	}
	return true
}

// imageNumber is what stands for an image until fill.
func imageNumber(s string) bool {
	n, ok := strings.CutPrefix(s, "cid:")
	return ok && sixDigits(n)
}
