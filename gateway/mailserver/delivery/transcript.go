package delivery

import (
	"fmt"
	"time"

	"github.com/postern-mail/postern/shared/printable"
	"github.com/postern-mail/postern/shared/smtp"
)

// recorder writes the transcript of one attempt. It is used by one goroutine at a time.
type recorder struct {
	now     func() time.Time
	lines   Transcript
	most    int // lines
	length  int // characters of a line
	skipped int // lines that are no longer there, from the middle
}

func (r *recorder) add(who Who, text string) {
	line := Line{Time: r.now(), Who: who, Text: printable.Short(text, r.length)}
	if len(r.lines) >= max(r.most, 4) { // how it began and how it ended say most
		middle := len(r.lines) / 2
		if r.skipped == 0 {
			r.skipped++ // the line that the note takes the place of
		}
		r.lines = append(r.lines[:middle+1], r.lines[middle+2:]...)
		r.skipped++
		r.lines[middle] = Line{Time: r.lines[middle].Time, Who: Note, Text: fmt.Sprintf("%d lines left out", r.skipped)}
	}
	r.lines = append(r.lines, line)
}

func (r *recorder) note(format string, a ...any) { r.add(Note, fmt.Sprintf(format, a...)) }

// hear is an [smtp.Options.Trace].
func (r *recorder) hear(e smtp.Exchange) {
	who := Server
	if e.Sent {
		who = Client
	}
	r.add(who, e.Line)
}
