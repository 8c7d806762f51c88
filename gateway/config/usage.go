package config

import (
	"fmt"
	"io"
	"strings"
)

// Usage writes what `postern help` shows.
func Usage(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`Postern: a mail client in the browser, and the small gateway it needs.

Usage:
`)
	for _, k := range commands {
		fmt.Fprintf(&b, "  %s\n        %s\n", k, k.usage)
	}
	b.WriteString(`
Without a command, serve is meant; serve --demo runs two mail servers
to try it with, and the world commands let things go wrong between them.
What concerns accounts, addresses and the queue is asked of the server that runs on
the data folder, and done to the folder when none does.

Flags (a flag wins over its variable, which wins over the file):
`)
	c := defaults()
	for _, part := range sections(&c) {
		fmt.Fprintf(&b, "\n %s\n", part.title)
		for _, s := range part.settings {
			name, usage := s.describe()
			fmt.Fprintf(&b, "  --%s\n        %s", name, usage)
			if d := s.value.String(); d != "" && d != "false" && !strings.Contains(usage, "(default") {
				fmt.Fprintf(&b, " (default %s)", d)
			}
			fmt.Fprintf(&b, "\n        [%s]\n", Variable(s.name))
			if s.secret() {
				fmt.Fprintf(&b, "  --%s file\n        the same, from a file\n        [%s]\n", s.name+fileSuffix, Variable(s.name+fileSuffix))
			}
		}
	}
	b.WriteString("  --config file\n        a file of settings, as `postern config example` prints one\n        [POSTERN_CONFIG]\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// describe splits the value's name, between backquotes in the usage text, off the text.
func (s setting) describe() (name, usage string) {
	before, rest, ok := strings.Cut(s.usage, "`")
	if !ok {
		return s.name, s.usage
	}
	value, after, _ := strings.Cut(rest, "`")
	return s.name + " " + value, before + value + after
}
