package ui

// WireBlock is some lines of a transcript. A block keeps its element while it is drawn, so that a line that comes changes
// the last one alone.
type WireBlock struct{ Lines []wireLine }

// current is the aria-current of a line.
func (l wireLine) current() any {
	if l.fault {
		return "true"
	}
	return nil
}

// dataOf is the data connection that a line is about.
func (l wireLine) dataOf() any {
	if l.data == "" {
		return nil
	}
	return l.data
}

// who said a line, and on which connection.
func (l wireLine) who() string {
	if l.data != "" {
		return "Data " + l.data
	}
	return l.says
}

type wireBlock struct {
	key   uint64
	lines []wireLine
}

const blockLines = 32

// blocks are the lines to draw, cut where their numbers say.
func (c *Wire) blocks() []wireBlock {
	var out []wireBlock
	for i, l := range c.lines {
		if key := l.Seq / blockLines; len(out) == 0 || out[len(out)-1].key != key {
			out = append(out, wireBlock{key: key, lines: c.lines[i:i]})
		}
		b := &out[len(out)-1]
		b.lines = b.lines[:len(b.lines)+1]
	}
	return out
}
