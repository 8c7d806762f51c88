package delivery

import (
	"bufio"
	"bytes"
	"io"
)

// lines reads content by lines, whatever ends them: CR, LF or CRLF, which is what the content leaves with.
type lines struct {
	r       *bufio.Reader
	afterCR bool
	last    bool // the piece was the last of all, though its line has no end
}

// maxPiece bounds a piece of a line. A line that can mean anything to MIME is shorter.
const maxPiece = 4 << 10

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 32<<10)} }

// next answers the next piece of a line, without its end, and whether the line ended there. The piece is good until the next
// call. A line of up to maxPiece octets is one piece. At the end of the content the error is io.EOF.
func (l *lines) next() (piece []byte, end bool, err error) {
	if l.afterCR {
		l.afterCR = false
		if b, _ := l.r.Peek(1); len(b) == 1 && b[0] == '\n' {
			l.r.Discard(1)
		}
	}
	b, err := l.r.Peek(maxPiece + 1) // and the line's end
	if i := bytes.IndexAny(b, "\r\n"); i >= 0 {
		l.afterCR = b[i] == '\r'
		l.r.Discard(i + 1)
		return b[:i], true, nil
	}
	if len(b) == 0 {
		return nil, false, err
	}
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	l.last = len(b) <= maxPiece // Peek would have had more
	b = b[:min(len(b), maxPiece)]
	l.r.Discard(len(b))
	return b, false, nil
}
