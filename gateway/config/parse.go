package config

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
)

// Error is a setting that cannot be used: which one, where it came from, and what it must be.
type Error struct {
	Setting string // its name, "listen"; "" if the fault lies with no single one
	Source  string // as a person would name it: "--listen", "POSTERN_LISTEN", "postern.toml:3"
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

// Parse reads the settings: args (without the program's name) over the environment over the file named by --config or
// POSTERN_CONFIG over the defaults. Lookup is os.LookupEnv in a program. The error joins an *Error for each thing that is
// wrong.
func Parse(args []string, lookup func(string) (string, bool)) (Config, error) {
	c := defaults()
	asked, args, err := findCommand(args)
	c.Command = asked.name
	if err != nil || c.Command == Help || c.Command == Version || c.Command == ConfigExample {
		return c, err
	}
	p := &parser{c: &c, table: settings(&c), lookup: lookup, given: make(map[string][]string), sources: make(map[string]string)}
	if c.Args, err = parse(p.flags(asked), args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			c.Command = Help
			return c, nil
		}
		return c, &Error{Reason: p.flagError(err) + "; `postern help` lists the flags"}
	}
	if err := asked.count(c.Args); err != nil {
		return c, err
	}
	p.readFile()
	for _, s := range p.table {
		p.set(s)
	}
	p.finish()
	return c, errors.Join(p.wrong...)
}

// parser gathers the settings, and what is wrong with them.
type parser struct {
	c       *Config
	table   []setting
	lookup  func(string) (string, bool)
	given   map[string][]string // name → what the command line says
	entries map[string]entry    // what the file says
	sources map[string]string   // setting → where it was made
	wrong   []error
}

// names are what can be set: the settings, and the files of those that are secret.
func (p *parser) names() []string {
	var names []string
	for _, s := range p.table {
		names = append(names, s.name)
		if s.secret() {
			names = append(names, s.name+fileSuffix)
		}
	}
	return names
}

// fileSuffix, behind a secret's name, names the file that holds it.
const fileSuffix = "-file"

func (s setting) secret() bool {
	_, ok := s.value.(*secret)
	return ok
}

func (p *parser) flags(asked command) *flag.FlagSet {
	flags := flag.NewFlagSet("postern", flag.ContinueOnError)
	flags.StringVar(&p.c.File, "config", "", "")
	toggles := make(map[string]bool)
	for _, s := range p.table {
		_, toggles[s.name] = s.value.(*toggle)
	}
	for _, name := range p.names() {
		record := func(v string) error {
			p.given[name] = append(p.given[name], v)
			return nil
		}
		if toggles[name] {
			flags.BoolFunc(name, "", record)
		} else {
			flags.Func(name, "", record)
		}
	}
	for _, s := range ownFlags(p.c) {
		_, isToggle := s.value.(*toggle)
		switch {
		case !slices.Contains(asked.flags, s.name):
		case isToggle:
			flags.BoolFunc(s.name, "", s.value.Set)
		default:
			flags.Func(s.name, "", s.value.Set)
		}
	}
	return flags
}

// flagError names the flag that may have been meant.
func (p *parser) flagError(err error) string {
	_, flag, ok := strings.Cut(err.Error(), "flag provided but not defined: -")
	if !ok {
		return err.Error()
	}
	if near := nearest(strings.TrimLeft(flag, "-"), append(p.names(), "config")); near != "" {
		return fmt.Sprintf("--%s is not a flag, --%s is one", strings.TrimLeft(flag, "-"), near)
	}
	return fmt.Sprintf("--%s is not a flag", strings.TrimLeft(flag, "-"))
}

func (p *parser) readFile() {
	if p.c.File == "" {
		p.c.File, _ = p.lookup("POSTERN_CONFIG")
	}
	if p.c.File != "" {
		p.entries, p.wrong = readFile(p.c.File, p.names())
	}
}

// set gives s what the command line says, or else the environment, or else the file.
func (p *parser) set(s setting) {
	for _, from := range []func(string) (string, []string, bool){p.fromFlags, p.fromEnvironment, p.fromFile} {
		source, values, ok := from(s.name)
		if s.secret() {
			where, paths, named := from(s.name + fileSuffix)
			switch {
			case ok && named:
				p.no(&Error{Setting: s.name, Source: source, Reason: "is set together with " + where + "; one of them is enough"})
				return
			case named:
				p.sources[s.name] = where
				p.setFromFile(s, where, paths)
				return
			}
		}
		if !ok {
			continue
		}
		p.sources[s.name] = source
		for _, v := range values {
			if err := s.set(source, v); err != nil {
				p.no(err)
			}
		}
		return
	}
}

func (p *parser) fromFlags(name string) (string, []string, bool) {
	values, ok := p.given[name]
	return "--" + name, values, ok
}

func (p *parser) fromEnvironment(name string) (string, []string, bool) {
	v, ok := p.lookup(Variable(name))
	return Variable(name), []string{v}, ok && v != ""
}

func (p *parser) fromFile(name string) (string, []string, bool) {
	e, ok := p.entries[name]
	return e.source, e.values, ok
}

// setFromFile takes a secret from its file, without the empty end of it.
func (p *parser) setFromFile(s setting, source string, paths []string) {
	for _, path := range paths {
		text, err := readBounded(path, maxFile)
		value := strings.TrimSpace(string(text))
		switch {
		case err != nil:
			p.no(&Error{Setting: s.name, Source: source, Value: path, Reason: err.Error()})
		case value == "":
			p.no(&Error{Setting: s.name, Source: source, Value: path, Reason: "holds nothing"})
		default:
			if err := s.set(source, value); err != nil {
				p.no(err)
			}
		}
	}
}

func (p *parser) no(err error) { p.wrong = append(p.wrong, err) }

// source is where a setting was made, or could have been.
func (p *parser) source(name string) string {
	if s, ok := p.sources[name]; ok {
		return s
	}
	return "--" + name
}

// finish fills in what follows from other settings, and says what does not go together.
func (p *parser) finish() {
	c := p.c
	no := func(name, reason string) {
		p.no(&Error{Setting: name, Source: p.source(name), Reason: reason})
	}
	if c.Data == "" {
		no("data", "must name a folder")
	}
	if len(c.Domains) == 0 {
		c.Domains = []string{c.Hostname}
	}
	if !c.Mail {
		if c.Demo {
			no("demo", "needs the embedded mail server; leave out --mail=false")
		}
		c.SMTP, c.Submission, c.Submissions, c.POP3, c.POP3S, c.Control = "", "", "", "", "", ""
		for name, address := range map[string]string{"ftp": c.FTP, "ftps": c.FTPS} {
			if address != "" {
				no(name, "needs the users of the embedded mail server; leave out --mail=false")
			}
		}
	}
	if _, set := p.sources["ftp"]; !set && c.Demo {
		c.FTP, c.FTPAnyPort = demoFTP, true
	}
	if _, set := p.sources["ftp-public"]; set && c.FTPPassive == (Ports{}) {
		no("ftp-public", "needs the ports that the router leads on: --ftp-passive FIRST-LAST")
	}
	switch {
	case c.UserHeader == "" && len(c.UserProxies) > 0:
		no("user-proxy", "means nothing without the header that it says who its user is in: --user-header NAME")
	case c.UserHeader != "" && len(c.UserProxies) == 0:
		if c.UserProxies = c.TrustedProxies; len(c.UserProxies) == 0 {
			no("user-header", "counts only from the proxy in front: --trusted-proxy NETWORK")
		}
	}
	switch {
	case c.Certificate != "" && c.Key == "":
		no("certificate", "needs its key: --key FILE")
	case c.Certificate == "" && c.Key != "":
		no("key", "needs its certificate: --certificate FILE")
	case c.Certificate != "" && len(c.ACME) > 0:
		no("acme", "does not go together with --certificate; one of them is enough")
	}
	for _, name := range []string{"acme-email", "acme-directory", "acme-root"} {
		if _, set := p.sources[name]; set && len(c.ACME) == 0 {
			no(name, "means nothing without a name to get a certificate for: --acme NAME")
		}
	}
	if c.HTTP != "" && !c.HasCertificate() {
		no("http", "leads to https, which needs a certificate: --certificate and --key, or --acme")
	}
	if c.PlainPage && !c.HasCertificate() {
		no("plain-page", "means nothing without a certificate")
	}
}

// demoFTP is where a demo's FTP server listens, if nobody says something else.
const demoFTP = "127.0.0.1:2121"

// Variable is the environment variable of a setting.
func Variable(name string) string {
	return "POSTERN_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func (s setting) set(source, value string) error {
	err := s.value.Set(value)
	if err == nil {
		return nil
	}
	if s.secret() {
		value = masked
	}
	return &Error{Setting: s.name, Source: source, Value: value, Reason: err.Error()}
}
