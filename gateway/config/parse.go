package config

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Error is a setting that cannot be used: which one, where it came from, and what it must be.
type Error struct {
	Setting string // its name, "listen"; "" if the fault lies with no single one
	Source  string // as a person would name it: "--listen", "POSTERN_LISTEN", "postern.conf:3"
	Value   string // what was given; masked for a secret
	Reason  string // completes "… must be …"
}

func (e *Error) Error() string {
	s := e.Source
	if e.Value != "" {
		s += fmt.Sprintf(" %q", e.Value)
	}
	if s == "" {
		return e.Reason
	}
	return s + ": " + e.Reason
}

// maxFile bounds the file of settings: a hundred times what every setting takes, so that a wrong path (a log, a device)
// is an error and not a wait.
const maxFile = 64 << 10

// Parse reads the settings: args (without the program's name) over the environment over the file named by --config or
// POSTERN_CONFIG over the defaults. Lookup is os.LookupEnv in a program. Errors are *Error.
func Parse(args []string, lookup func(string) (string, bool)) (Config, error) {
	c := defaults()
	asked, args, err := findCommand(args)
	c.Command = asked.name
	if err != nil || c.Command == Help || c.Command == Version {
		return c, err
	}

	table := settings(&c)
	given := make(map[string][]string) // setting → what the command line says
	file := ""
	flags := flag.NewFlagSet("postern", flag.ContinueOnError)
	flags.StringVar(&file, "config", "", "")
	for _, s := range table {
		record := func(v string) error {
			given[s.name] = append(given[s.name], v)
			return nil
		}
		if _, ok := s.value.(*toggle); ok {
			flags.BoolFunc(s.name, "", record)
		} else {
			flags.Func(s.name, "", record)
		}
	}
	for _, s := range ownFlags(&c) {
		_, isToggle := s.value.(*toggle)
		switch {
		case !slices.Contains(asked.flags, s.name):
		case isToggle:
			flags.BoolFunc(s.name, "", s.value.Set)
		default:
			flags.Func(s.name, "", s.value.Set)
		}
	}
	if c.Args, err = parse(flags, args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			c.Command = Help
			return c, nil
		}
		return c, &Error{Reason: err.Error() + "; `postern help` lists the flags"}
	}
	if err := asked.count(c.Args); err != nil {
		return c, err
	}

	if file == "" {
		file, _ = lookup("POSTERN_CONFIG")
	}
	var lines map[string]line
	if file != "" {
		if lines, err = readFile(file, table); err != nil {
			return c, err
		}
	}
	for _, s := range table {
		variable := Variable(s.name)
		if values, ok := given[s.name]; ok {
			for _, v := range values {
				if err := s.set("--"+s.name, v); err != nil {
					return c, err
				}
			}
		} else if v, ok := lookup(variable); ok && v != "" {
			if err := s.set(variable, v); err != nil {
				return c, err
			}
		} else if l, ok := lines[s.name]; ok {
			if err := s.set(l.source, l.value); err != nil {
				return c, err
			}
		}
	}
	return c, c.finish()
}

// finish fills in what follows from other settings.
func (c *Config) finish() error {
	if c.Data == "" {
		return &Error{Setting: "data", Source: "--data", Reason: "must name a folder"}
	}
	if len(c.Domains) == 0 {
		c.Domains = []string{c.Hostname}
	}
	if !c.Mail {
		if c.Demo {
			return &Error{Setting: "demo", Source: "--demo", Reason: "needs the embedded mail server; leave out --mail=false"}
		}
		c.SMTP, c.Submission, c.Submissions, c.POP3, c.POP3S, c.Control = "", "", "", "", "", ""
	}
	return nil
}

// Variable is the environment variable of a setting.
func Variable(name string) string {
	return "POSTERN_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func (s setting) set(source, value string) error {
	err := s.value.Set(value)
	if err == nil {
		return nil
	}
	if s.name == "token" {
		value = "***"
	}
	return &Error{Setting: s.name, Source: source, Value: value, Reason: err.Error()}
}

// line is one setting of the file.
type line struct{ source, value string }

// readFile reads lines of `name = value`; # begins a comment line. A list is separated by commas.
func readFile(path string, table []setting) (map[string]line, error) {
	f, err := os.Open(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, &Error{Setting: "config", Source: "--config " + path, Reason: err.Error()}
	}
	defer f.Close()
	known := make(map[string]bool, len(table))
	for _, s := range table {
		known[s.name] = true
	}
	lines := make(map[string]line)
	limited := &io.LimitedReader{R: f, N: maxFile + 1}
	scanner := bufio.NewScanner(limited)
	for n := 1; scanner.Scan(); n++ {
		source := fmt.Sprintf("%s:%d", path, n)
		t := strings.TrimSpace(scanner.Text())
		if t == "" || strings.HasPrefix(t, "#") {
			continue
		}
		name, value, ok := strings.Cut(t, "=")
		name = strings.TrimSpace(name)
		if !ok {
			return nil, &Error{Setting: "config", Source: source, Reason: "must be name = value, or begin with #"}
		}
		if !known[name] {
			return nil, &Error{Setting: "config", Source: source, Value: name, Reason: "is not a setting; `postern help` lists them"}
		}
		if _, twice := lines[name]; twice {
			return nil, &Error{Setting: name, Source: source, Reason: "is set twice; separate the items of a list by commas"}
		}
		lines[name] = line{source, strings.TrimSpace(value)}
	}
	if err := scanner.Err(); err != nil || limited.N <= 0 {
		return nil, &Error{Setting: "config", Source: "--config " + path, Reason: "does not look like a file of settings: too long"}
	}
	return lines, nil
}
