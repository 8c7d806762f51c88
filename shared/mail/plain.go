package mail

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// PlainText answers the text of an HTML body as a person would read it aloud: paragraphs and line breaks, list items
// with a dash, no styles, no scripts. It is for snippets, for search and for quoting; it is text, never markup.
func PlainText(in string) string { return plainText(in, 1<<62) }

// plainText stops after about so many octets of output.
func plainText(in string, most int) string {
	z := html.NewTokenizer(strings.NewReader(in))
	z.SetMaxBuf(1 << 20) // of one token, a tag: an attribute that long is nobody's text
	w := plainWriter{}
	hidden := 0 // within style, script and the like
	for w.b.Len() < most {
		t := z.Next()
		if t == html.ErrorToken {
			break
		}
		switch t {
		case html.TextToken:
			if hidden == 0 {
				w.text(string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			name, _ := z.TagName()
			tag := string(name)
			switch tag {
			case "style", "script", "title", "noscript", "template", "object", "iframe", "textarea", "select":
				if t == html.StartTagToken {
					hidden++
				} else if t == html.EndTagToken && hidden > 0 {
					hidden--
				}
			case "body":
				hidden = 0 // whatever was not closed in the head
			case "br":
				w.lines(w.pending + 1)
			case "p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "pre", "table", "hr", "dl":
				w.lines(2)
			case "div", "tr", "section", "article", "header", "footer", "dt", "dd", "center", "address", "figure":
				w.lines(1)
			case "li":
				w.lines(1)
				if t == html.StartTagToken {
					w.text("- ")
				}
			case "td", "th":
				w.space = true
			}
		}
	}
	return strings.TrimSpace(w.b.String())
}

// plainWriter folds blanks and collects line ends until there is text for them to stand before.
type plainWriter struct {
	b       strings.Builder
	space   bool
	pending int
}

func (w *plainWriter) lines(n int) { w.pending = min(max(w.pending, n), 2) }

func (w *plainWriter) text(s string) {
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			w.space = true
			continue
		case unicode.IsControl(r) || r == '\u200b' || r == '\u200c' || r == '\ufeff' || r == '\u00ad' || r == '\u034f':
			continue // what newsletters fill their preview with
		}
		if w.b.Len() > 0 {
			switch {
			case w.pending == 2:
				w.b.WriteString("\n\n")
			case w.pending == 1:
				w.b.WriteByte('\n')
			case w.space:
				w.b.WriteByte(' ')
			}
		}
		w.pending, w.space = 0, false
		w.b.WriteRune(r)
	}
	// A blank that ends the text stands before what follows.
}

// snippet answers the first words of a text: quoted lines, the line that announces them, and the signature left out.
func snippet(text string) string {
	out := make([]byte, 0, 2*snippetRunes)
	runes, space := 0, false
	add := func(r rune) {
		if space && runes > 0 {
			out = append(out, ' ')
			runes++
		}
		if space = false; runes < snippetRunes {
			out = utf8.AppendRune(out, r)
			runes++
		}
	}
	for rest := text; rest != "" && runes < snippetRunes; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, ">") {
			continue
		}
		if strings.HasSuffix(trimmed, ":") && strings.HasPrefix(strings.TrimLeft(rest, "\n \t"), ">") {
			continue
		}
		if line == "-- " && runes > 0 {
			break
		}
		for _, r := range trimmed {
			switch {
			case ' ' < r && r <= '~': // most are
				add(r)
			case unicode.IsSpace(r):
				space = true
			case unicode.IsControl(r) || isBidi(r) || r == '\u200b' || r == '\ufeff':
			default:
				add(r)
			}
			if runes >= snippetRunes {
				break
			}
		}
		space = true
	}
	return strings.TrimSpace(string(out))
}
