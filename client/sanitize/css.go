package sanitize

import (
	"strings"
	"unicode"
)

// properties are those that a mail may set. Left out are all that take an element out of its place (position, inset,
// z-index, transform, clip-path, opacity aside, which only hides), that load, that move, and that speak to scripts.
var properties = func() map[string]bool {
	m := map[string]bool{}
	for _, p := range strings.Fields(`
		color background background-color background-position background-repeat background-size background-clip opacity
		font font-family font-size font-style font-variant font-weight font-stretch line-height letter-spacing word-spacing
		text-align text-align-last text-decoration text-decoration-color text-decoration-line text-decoration-style text-indent text-overflow
		text-transform text-shadow vertical-align white-space word-break word-wrap overflow-wrap hyphens direction unicode-bidi tab-size
		width height min-width min-height max-width max-height box-sizing aspect-ratio
		margin margin-top margin-right margin-bottom margin-left padding padding-top padding-right padding-bottom padding-left
		border border-top border-right border-bottom border-left border-color border-style border-width border-radius
		border-top-color border-top-style border-top-width border-right-color border-right-style border-right-width
		border-bottom-color border-bottom-style border-bottom-width border-left-color border-left-style border-left-width
		border-top-left-radius border-top-right-radius border-bottom-left-radius border-bottom-right-radius
		border-collapse border-spacing empty-cells caption-side table-layout box-shadow outline outline-color outline-style outline-width
		list-style list-style-type list-style-position display float clear overflow overflow-x overflow-y visibility
		flex flex-basis flex-direction flex-flow flex-grow flex-shrink flex-wrap align-content align-items align-self justify-content order gap
		column-gap row-gap columns column-count object-fit orphans widows page-break-after page-break-before page-break-inside`) {
		m[p] = true
	}
	return m
}()

// functions are those that a value may call.
var functions = map[string]bool{"rgb": true, "rgba": true, "hsl": true, "hsla": true}

// declarations answers the safe ones of a declaration list, one way of writing them, and how many remote resources the
// list would have loaded.
func declarations(css string) (safe string, remote int) {
	css = stripComments(css)
	var out strings.Builder
	for n := 0; css != "" && n < 500; n++ {
		var d string
		d, css = cutAt(css, ';')
		name, value, ok := strings.Cut(d, ":")
		if !ok {
			continue
		}
		value, r := stripURLs(value)
		remote += r
		name = strings.ToLower(strings.TrimSpace(name))
		if !properties[name] {
			continue
		}
		if value, ok = safeValue(name, value); !ok {
			continue
		}
		if out.Len() > 0 {
			out.WriteString("; ")
		}
		out.WriteString(name + ": " + value)
	}
	return out.String(), remote
}

// safeValue answers a value in one way of writing it; ok is false if there is anything in it that is not known to be
// harmless.
func safeValue(name, value string) (string, bool) {
	value = strings.Trim(strings.Join(strings.Fields(value), " "), ", ")
	if value == "" || len(value) > 1000 {
		return "", false
	}
	depth, quote := 0, rune(0)
	for i, r := range value {
		switch {
		case r == '"' || r == '\'':
			switch quote {
			case 0:
				quote = r
			case r:
				quote = 0
			}
		case quote != 0 && strings.ContainsRune("()", r):
			return "", false
		case r == '(':
			if !functions[wordBefore(value[:i])] {
				return "", false
			}
			depth++
		case r == ')':
			if depth--; depth < 0 {
				return "", false
			}
		case r < 128 && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" #%.,-+/!_", r):
			return "", false
		case r >= 128 && !unicode.IsLetter(r) && !unicode.IsDigit(r):
			return "", false
		}
	}
	if depth != 0 || quote != 0 {
		return "", false
	}
	lower := strings.ToLower(value)
	// Margins below zero put one thing over another. Heights of the window have no meaning in a frame that is made as
	// high as what is in it: it would grow without end.
	for i := 1; i < len(lower); i++ {
		digit := lower[i-1] >= '0' && lower[i-1] <= '9' || lower[i-1] == '.'
		if digit && (strings.HasPrefix(lower[i:], "vh") || strings.HasPrefix(lower[i:], "vm") || strings.HasPrefix(lower[i:], "dv") ||
			strings.HasPrefix(lower[i:], "sv") || strings.HasPrefix(lower[i:], "lv") || strings.HasPrefix(lower[i:], "vb")) {
			return "", false
		}
		if lower[i-1] == '-' && (lower[i] >= '0' && lower[i] <= '9' || lower[i] == '.') && (strings.HasPrefix(name, "margin") || name == "text-indent") {
			return "", false
		}
	}
	return value, true
}

// wordBefore answers the name that ends s, in lower case.
func wordBefore(s string) string {
	i := len(s)
	for i > 0 && (s[i-1] == '-' || s[i-1] == '_' || s[i-1] >= '0' && s[i-1] <= '9' || s[i-1]|0x20 >= 'a' && s[i-1]|0x20 <= 'z') {
		i--
	}
	return strings.ToLower(s[i:])
}

// stripComments takes comments out; one that does not end takes the rest with it.
func stripComments(css string) string {
	if !strings.Contains(css, "/*") {
		return css
	}
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(css, "/*")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		if _, css, ok = strings.Cut(after, "*/"); !ok {
			return out.String()
		}
		out.WriteByte(' ')
	}
}

// stripURLs takes url(...) out of a value and counts the remote ones.
func stripURLs(v string) (rest string, remote int) {
	var out strings.Builder
	for {
		i := indexFold(v, "url(")
		if i < 0 {
			out.WriteString(v)
			return out.String(), remote
		}
		out.WriteString(v[:i] + " ")
		var arg string
		arg, v = cutAt(v[i+4:], ')')
		if isRemote(strings.Trim(arg, "\"' \t\n")) {
			remote++
		}
	}
}

func indexFold(s, lower string) int {
	for i := 0; i+len(lower) <= len(s); i++ {
		if s[i]|0x20 == lower[0] && strings.EqualFold(s[i:i+len(lower)], lower) {
			return i
		}
	}
	return -1
}

// cutAt cuts s at the first c that is outside of quotes and, unless c is one, parentheses. Without c the rest is empty.
func cutAt(s string, c byte) (before, after string) {
	quote, depth := byte(0), 0
	for i := 0; i < len(s); i++ {
		switch x := s[i]; {
		case x == '\\':
			i++
		case quote != 0:
			if x == quote || x == '\n' { // a string ends with its line
				quote = 0
			}
		case x == '"' || x == '\'':
			quote = x
		case x == c && depth <= 0:
			return s[:i], s[i+1:]
		case x == '(':
			depth++
		case x == ')':
			depth--
		}
	}
	return s, ""
}

// sheet is the safe text of a mail's style elements.
type sheet struct{ b strings.Builder }

func (s *sheet) String() string { return strings.TrimSpace(s.b.String()) }

// add adds a style element's text and answers how many remote resources it would have loaded.
func (s *sheet) add(css string) (remote int) {
	css = stripComments(css)
	css = strings.NewReplacer("<!--", " ", "-->", " ").Replace(css)
	rules, remote := filterRules(css, true)
	if s.b.Len()+len(rules) <= maxStyle {
		s.b.WriteString(rules)
	}
	return remote
}

// filterRules answers the safe rules of a sheet, one a line. At the top @media blocks are looked into; other at-rules go.
func filterRules(css string, top bool) (safe string, remote int) {
	var out strings.Builder
	for {
		css = strings.TrimLeft(css, " \t\r\n\f;}")
		if css == "" {
			return out.String(), remote
		}
		if css[0] == '@' {
			i := strings.IndexAny(css, "{;")
			if i < 0 {
				return out.String(), remote + importedBy(css)
			}
			prelude := strings.Join(strings.Fields(css[:i]), " ")
			if css[i] == ';' {
				remote += importedBy(prelude)
				css = css[i+1:]
				continue
			}
			block, rest := cutBlock(css[i+1:])
			css = rest
			media, ok := strings.CutPrefix(strings.ToLower(prelude), "@media")
			if strings.HasPrefix(media, "(") {
				media = " " + media
			}
			if ok && top && safeMedia(media) {
				rules, r := filterRules(block, false)
				remote += r
				if rules != "" {
					out.WriteString("@media" + media + " {\n" + rules + "}\n")
				}
			} else {
				_, r := stripURLs(block)
				remote += r
			}
			continue
		}
		i := strings.IndexByte(css, '{')
		if i < 0 {
			return out.String(), remote
		}
		selector := strings.Join(strings.Fields(css[:i]), " ")
		block, rest := cutBlock(css[i+1:])
		css = rest
		decls, r := declarations(block)
		remote += r
		if decls != "" && safeSelector(selector) {
			out.WriteString(selector + " { " + decls + " }\n")
		}
	}
}

// importedBy counts what an @import would have loaded.
func importedBy(rule string) int {
	rest, ok := strings.CutPrefix(strings.ToLower(rule), "@import")
	if !ok {
		return 0
	}
	if _, n := stripURLs(rest); n > 0 {
		return n
	}
	if isRemote(strings.Trim(rest, "\"' ")) {
		return 1
	}
	return 0
}

// cutBlock answers what is before the brace that ends a block, and what is behind it.
func cutBlock(s string) (block, rest string) {
	quote, depth := byte(0), 1
	for i := 0; i < len(s); i++ {
		switch x := s[i]; {
		case x == '\\':
			i++
		case quote != 0:
			if x == quote || x == '\n' {
				quote = 0
			}
		case x == '"' || x == '\'':
			quote = x
		case x == '{':
			depth++
		case x == '}':
			if depth--; depth == 0 {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}

func safeMedia(s string) bool {
	return strings.HasPrefix(s, " ") && len(s) < 200 && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune(" ():,.-", r))
	}) < 0
}

// safeSelector takes types, classes, ids, the universal one, combinators and simple pseudo-classes.
func safeSelector(s string) bool {
	return s != "" && len(s) < 2000 && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" .#,*+~:>_-()", r))
	}) < 0
}
