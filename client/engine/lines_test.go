package engine

import (
	"bufio"
	"fmt"
	"net"
	"strings"
)

// lines is a line-based server's connection.
type lines struct {
	r   *bufio.Reader
	w   net.Conn
	err error
}

func newLines(c net.Conn) *lines { return &lines{r: bufio.NewReader(c), w: c} }

func (l *lines) say(text ...string) {
	for _, line := range text {
		if l.err == nil {
			_, l.err = fmt.Fprintf(l.w, "%s\r\n", line)
		}
	}
}

// command reads a command; its verb is empty at the end.
func (l *lines) command() (verb, arg string) {
	line, err := l.r.ReadString('\n')
	if err != nil || l.err != nil {
		return "", ""
	}
	verb, arg, _ = strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	return strings.ToUpper(verb), arg
}
