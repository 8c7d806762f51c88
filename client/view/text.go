package view

import "strings"

// Block is a run of lines of a plain text at one level of quotation. Folded says that a long quotation starts closed.
type Block struct {
	Level  int // 0: the writer's own words
	Lines  [][]Span
	Folded bool
}

// Span is a piece of a line: text, or a link.
type Span struct {
	Text string
	Href string // http, https or mailto; "" for text
}

const (
	longQuote  = 12      // lines of quotation at the end that start folded
	longText   = 2 << 20 // octets drawn at most
	mostWork   = 100_000 // what is told apart at most, in lines: a page with more elements would stall
	pieceWork  = 10      // what a block or a link costs of it
	longLine   = 4000    // octets of a line in which links are looked for
	deepQuotes = 6       // levels told apart
)

// Blocks cuts a plain text into blocks, its links found. Nothing of the text becomes markup.
func Blocks(text string) []Block {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	cut := false
	if len(text) > longText {
		text, cut = strings.ToValidUTF8(text[:longText], ""), true
	}
	var out []Block
	work := 0
	for text = strings.TrimRight(text, "\n "); ; {
		if work >= mostWork { // the rest as it is: nobody wrote this by hand
			out = append(out, Block{Lines: [][]Span{{{Text: text}}}})
			break
		}
		line, more, ok := strings.Cut(text, "\n")
		text = more
		level, rest := quoteLevel(line)
		if n := len(out); n == 0 || out[n-1].Level != level {
			out = append(out, Block{Level: level})
			work += pieceWork
		}
		b := &out[len(out)-1]
		spans := links(rest)
		b.Lines = append(b.Lines, spans)
		work++
		for _, s := range spans {
			if s.Href != "" {
				work += pieceWork
			}
		}
		if !ok {
			break
		}
	}
	out = trimBlocks(out)
	if n := len(out); n > 1 && out[n-1].Level > 0 && len(out[n-1].Lines) >= longQuote {
		out[n-1].Folded = true
	}
	if cut {
		out = append(out, Block{Lines: [][]Span{{{Text: "… The rest is in the source of the message."}}}})
	}
	return out
}

// trimBlocks takes the empty lines off both ends of each block: the space between blocks is the style sheet's. A block of
// empty lines alone goes.
func trimBlocks(in []Block) []Block {
	var out []Block
	for _, b := range in {
		for len(b.Lines) > 0 && isBlank(b.Lines[0]) {
			b.Lines = b.Lines[1:]
		}
		for len(b.Lines) > 0 && isBlank(b.Lines[len(b.Lines)-1]) {
			b.Lines = b.Lines[:len(b.Lines)-1]
		}
		if len(b.Lines) > 0 {
			out = append(out, b)
		}
	}
	return out
}

func isBlank(line []Span) bool {
	return len(line) == 1 && line[0].Href == "" && strings.TrimSpace(line[0].Text) == ""
}

// quoteLevel counts the > marks before a line, with at most one space after each, and answers the line without them.
func quoteLevel(line string) (int, string) {
	level, rest := 0, line
	for strings.HasPrefix(rest, ">") {
		level++
		rest = strings.TrimPrefix(rest[1:], " ")
	}
	return min(level, deepQuotes), rest
}

// links finds http, https and mailto addresses and plain e-mail addresses in a line.
func links(line string) []Span {
	if len(line) > longLine || !strings.ContainsAny(line, ":@") && !strings.Contains(line, "www.") {
		return []Span{{Text: line}}
	}
	var out []Span
	start := 0
	emit := func(i, j int, href string) {
		if i > start {
			out = append(out, Span{Text: line[start:i]})
		}
		out = append(out, Span{Text: line[i:j], Href: href})
		start = j
	}
	for i := 0; i < len(line); {
		j := i
		for j < len(line) && !breaksWord(line[j]) {
			j++
		}
		if j > i {
			if a, b, href := linkIn(line[i:j]); href != "" {
				emit(i+a, i+b, href)
			}
		}
		i = j + 1
	}
	if start < len(line) || len(out) == 0 {
		out = append(out, Span{Text: line[start:]})
	}
	return out
}

func breaksWord(c byte) bool {
	return c <= ' ' || c == '<' || c == '>' || c == '"' || c == 0x7f
}

// linkIn finds the link in a word: from a to b, leading where href says.
func linkIn(word string) (a, b int, href string) {
	low := lowerASCII(word)
	for _, scheme := range []string{"https://", "http://", "mailto:", "www."} {
		i := strings.Index(low, scheme)
		if i < 0 || i > 0 && isLetter(low[i-1]) {
			continue
		}
		end := i + linkEnd(word[i:])
		if end-i <= len(scheme)+1 {
			continue
		}
		target := word[i:end]
		if scheme == "www." {
			target = "https://" + target
		}
		return i, end, lowerScheme(target)
	}
	if at := strings.IndexByte(word, '@'); at > 0 {
		i := 0
		for i < at && strings.IndexByte("([{'*_,;:", word[i]) >= 0 {
			i++
		}
		end := i + linkEnd(word[i:])
		if addr := word[i:end]; ValidAddress(addr) && strings.Contains(addr[strings.LastIndexByte(addr, '@'):], ".") && isASCII(addr) {
			return i, end, "mailto:" + addr
		}
	}
	return 0, 0, ""
}

// lowerASCII keeps the length, which strings.ToLower does not: a link is cut from the word by its places in it.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// lowerScheme writes the scheme in small letters: the browser and the tests compare it so.
func lowerScheme(s string) string {
	i := strings.IndexByte(s, ':')
	return strings.ToLower(s[:i]) + s[i:]
}

// linkEnd is where a link that starts s ends: before punctuation that belongs to the sentence, and before a closing
// bracket that the link did not open.
func linkEnd(s string) int {
	for i, r := range s {
		if r >= 0x3000 && r <= 0x303F || r >= 0xFF00 && r <= 0xFF65 { // full-width punctuation ends a link: Japanese sets no blank after it
			s = s[:i]
			break
		}
	}
	for len(s) > 0 {
		c := s[len(s)-1]
		switch {
		case strings.IndexByte(".,;:!?'*_", c) >= 0:
		case c == ')' && strings.Count(s, "(") < strings.Count(s, ")"):
		case c == ']' && strings.Count(s, "[") < strings.Count(s, "]"):
		case c == '}' && strings.Count(s, "{") < strings.Count(s, "}"):
		default:
			return len(s)
		}
		s = s[:len(s)-1]
	}
	return 0
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
