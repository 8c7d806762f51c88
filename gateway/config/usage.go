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
  postern [serve] [flags]       serve the page, the tunnel and the embedded mail server
  postern serve --demo          the same, with two accounts to try it with
  postern account user@domain   add an account to the embedded server, or change its
                                password; the password is read from standard input
  postern dns                   print what the domains publish in the DNS, ready to
                                paste into a zone file: MX, SPF, DKIM, DMARC
  postern version               print the version
  postern help                  print this

Flags (a flag wins over its variable, which wins over the file):
`)
	c := defaults()
	for _, s := range settings(&c) {
		name, usage := s.describe()
		fmt.Fprintf(&b, "  --%s\n        %s", name, usage)
		if d := s.value.String(); d != "" && d != "false" && !strings.Contains(usage, "(default") {
			fmt.Fprintf(&b, " (default %s)", d)
		}
		fmt.Fprintf(&b, "\n        [%s]\n", Variable(s.name))
	}
	b.WriteString("  --config file\n        a file of lines such as `listen = 127.0.0.1:8080`; # begins a comment\n        [POSTERN_CONFIG]\n")
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
