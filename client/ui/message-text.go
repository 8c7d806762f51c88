package ui

import (
	"strconv"
	"strings"

	"github.com/vugu/vugu"

	"github.com/postern-mail/postern/client/view"
)

// MessageText shows a plain text: links to press, quotations set off.
type MessageText struct {
	App    *view.App
	Blocks []view.Block
	Text   string
}

// click writes to a mailto address here, instead of in another program.
func (c *MessageText) click(href string, e vugu.DOMEvent) {
	if to, ok := strings.CutPrefix(href, "mailto:"); ok && plainClick(e) {
		e.PreventDefault()
		to, _, _ = strings.Cut(to, "?")
		c.App.ComposeTo(to)
	}
}

// spans are a block's pieces with its line ends among them; text between two links is one piece.
func spans(b view.Block) []view.Span {
	var out []view.Span
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			out = append(out, view.Span{Text: text.String()})
			text.Reset()
		}
	}
	for i, line := range b.Lines {
		if i > 0 {
			text.WriteByte('\n')
		}
		for _, s := range line {
			if s.Href == "" {
				text.WriteString(s.Text)
				continue
			}
			flush()
			out = append(out, s)
		}
	}
	flush()
	return out
}

func levelName(b view.Block) string { return strconv.Itoa((b.Level-1)%3 + 1) }
