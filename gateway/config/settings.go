package config

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// defaults is a gateway that serves one machine: everything on the loopback interface, on ports that need no privilege.
// The mail ports are the well-known ones plus 2000 or 2500, so that a person recognises them.
func defaults() Config {
	return Config{
		Command:     Serve,
		Listen:      "127.0.0.1:8080",
		Data:        "postern-data",
		Mail:        true,
		Deliver:     true,
		Hostname:    "postern.test",
		SMTP:        "127.0.0.1:2525",
		Submission:  "127.0.0.1:2587",
		Submissions: "127.0.0.1:2465",
		POP3:        "127.0.0.1:2110",
		POP3S:       "127.0.0.1:2995",
		Control:     "127.0.0.1:0",
		LogLevel:    slog.LevelInfo,
		LogFormat:   "text",
		Drain:       4 * time.Second, // most programs that stop others wait ten seconds before they kill

		BasePath:      "/",
		ACMEDirectory: "https://acme-v02.api.letsencrypt.org/directory",
	}
}

// setting is one thing that can be set: --name, POSTERN_NAME, or a key of the file.
type setting struct {
	name  string
	usage string
	value flag.Value
}

// section is settings that belong together, under a heading.
type section struct {
	title    string
	settings []setting
}

// sections binds every setting to its field of c, in the order in which help and the example show them.
func sections(c *Config) []section {
	return []section{
		{"The page", []setting{
			{"listen", "`address` of the page and the tunnel", (*address)(&c.Listen)},
			{"base-path", "`path` below which the page is, such as /mail/, where it shares its name with other things", (*basePath)(&c.BasePath)},
			{"origin", "`origin` besides the gateway's own whose page may open a tunnel, such as https://mail.example.org; may be repeated", (*origins)(&c.Origins)},
			{"trusted-proxy", "`network` of a proxy in front, whose X-Forwarded-For header names the client; may be repeated", (*networks)(&c.TrustedProxies)},
			{"token", "`secret` that a browser must present to open a tunnel", (*secret)(&c.Token)},
		}},
		{"TLS, for the page and the mail server", []setting{
			{"certificate", "`file` with the certificate and what leads from it to its authority, PEM; read again when it changes", (*text)(&c.Certificate)},
			{"key", "`file` with the certificate's key, PEM", (*text)(&c.Key)},
			{"acme", "`name` for which to get a certificate from an authority and to keep it new, which says yes to the authority's terms; may be repeated", (*domains)(&c.ACME)},
			{"acme-email", "`address` that the authority writes to if something is wrong", (*text)(&c.ACMEEmail)},
			{"acme-directory", "`url` of the authority, by RFC 8555", (*directory)(&c.ACMEDirectory)},
			{"acme-root", "`file` with the certificate that the authority's own server is believed by, PEM, if that is none that everybody believes", (*text)(&c.ACMERoot)},
			{"http", "`address` that leads browsers from http to https, and answers the authority, or off", (*listener)(&c.HTTP)},
			{"plain-page", "no TLS at the page's address, in spite of a certificate: a proxy in front has it", (*toggle)(&c.PlainPage)},
		}},
		{"Mail servers elsewhere", []setting{
			{"allow", "`host:port` of a mail server that the tunnel may reach; may be repeated", (*targets)(&c.Allow)},
			{"allow-network", "`network` of private addresses that names given to --allow may lead to, such as 192.168.1.0/24; may be repeated", (*networks)(&c.AllowNetworks)},
		}},
		{"The embedded mail server", []setting{
			{"mail", "run the embedded mail server", (*toggle)(&c.Mail)},
			{"data", "`folder` that keeps the mail", (*text)(&c.Data)},
			{"demo", "run two mail servers that write to each other and to nobody else, with three accounts whose passwords are printed", (*toggle)(&c.Demo)},
			{"hostname", "`name` of the embedded mail server", (*text)(&c.Hostname)},
			{"domain", "`domain` whose mail the embedded server keeps; may be repeated (default: the hostname)", (*domains)(&c.Domains)},
			{"smtp", "`address` that takes mail from other servers, or off", (*listener)(&c.SMTP)},
			{"submission", "`address` that takes mail from clients, STARTTLS, or off", (*listener)(&c.Submission)},
			{"submissions", "`address` that takes mail from clients, TLS, or off", (*listener)(&c.Submissions)},
			{"pop3", "`address` that gives mail to clients, STLS, or off", (*listener)(&c.POP3)},
			{"pop3s", "`address` that gives mail to clients, TLS, or off", (*listener)(&c.POP3S)},
			{"control", "`address` of the administrators' page, TLS, or off: browsers reach it through the tunnel", (*listener)(&c.Control)},
			{"deliver", "deliver mail for other domains to their servers; off leaves it in the queue", (*toggle)(&c.Deliver)},
			{"refuse-forged", "refuse mail that its author's domain wants refused (DMARC p=reject), instead of taking it as junk", (*toggle)(&c.RefuseForged)},
			{"greylist", "let servers that nobody here has had mail from try again some minutes later", (*toggle)(&c.Greylist)},
		}},
		{"Running it", []setting{
			{"log", "`level` of the log: debug, info, warn or error", (*level)(&c.LogLevel)},
			{"log-format", "`format` of the log: text or json", (*logFormat)(&c.LogFormat)},
			{"metrics", "`address` that answers Prometheus on /metrics, or off; it asks for no password", (*listener)(&c.Metrics)},
			{"drain", "`time` that what is open gets to end when the gateway is told to stop", (*span)(&c.Drain)},
			{"dev", "`folder` to serve the page from, reloading it on change", (*text)(&c.Dev)},
		}},
	}
}

// settings are those of all sections.
func settings(c *Config) []setting {
	var all []setting
	for _, s := range sections(c) {
		all = append(all, s.settings...)
	}
	return all
}

// The kinds of value. Each Set replaces or appends, and its error is a reason as in Error.

type text string

func (t *text) String() string { return string(*t) }
func (t *text) Set(s string) error {
	if strings.ContainsAny(s, "\x00\r\n") {
		return fmt.Errorf("must be one line")
	}
	*t = text(s)
	return nil
}

// secret is text that is never printed. It can be in a file of its own, which is named by its setting's name with -file
// behind it.
type secret string

func (t *secret) String() string {
	if *t == "" {
		return ""
	}
	return masked
}
func (t *secret) Set(s string) error { return (*text)(t).Set(s) }

const masked = "***"

// basePath begins and ends with a slash.
type basePath string

func (b *basePath) String() string { return string(*b) }
func (b *basePath) Set(s string) error {
	p := "/" + strings.Trim(s, "/") + "/"
	if p == "//" {
		p = "/"
	}
	// Path.Clean would take dots and double slashes out; a path that a browser and a proxy might write in two ways is none.
	if path.Clean(p) != strings.TrimSuffix(p, "/") && p != "/" || strings.ContainsFunc(p, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/-_.~", r)
	}) {
		return fmt.Errorf("must be a path of letters, digits, - and _, such as /mail/")
	}
	*b = basePath(p)
	return nil
}

// directory is the URL of an ACME server, which must be https (RFC 8555 section 6.1).
type directory string

func (d *directory) String() string { return string(*d) }
func (d *directory) Set(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("must be a URL, such as https://acme.example.org/directory")
	}
	*d = directory(s)
	return nil
}

type logFormat string

func (f *logFormat) String() string { return string(*f) }
func (f *logFormat) Set(s string) error {
	switch s = strings.ToLower(s); s {
	case "text", "json":
		*f = logFormat(s)
		return nil
	}
	return fmt.Errorf("must be text or json")
}

type toggle bool

func (t *toggle) String() string   { return strconv.FormatBool(bool(*t)) }
func (t *toggle) IsBoolFlag() bool { return true }
func (t *toggle) Set(s string) error {
	switch strings.ToLower(s) {
	case "1", "true", "yes", "on":
		*t = true
	case "0", "false", "no", "off":
		*t = false
	default:
		return fmt.Errorf("must be true or false")
	}
	return nil
}

// address is host:port to listen on. A port alone is taken as one on the loopback interface: opening a mail server to
// the network has to be said in full.
type address string

func (a *address) String() string { return string(*a) }
func (a *address) Set(s string) error {
	if !strings.Contains(s, ":") && isPort(s) {
		s = "127.0.0.1:" + s
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil || !isPort(port) {
		return fmt.Errorf("must be host:port or a port, such as 127.0.0.1:8080")
	}
	*a = address(s)
	return nil
}

// listener is an address, or off.
type listener string

func (l *listener) String() string {
	if *l == "" {
		return Off
	}
	return string(*l)
}

func (l *listener) Set(s string) error {
	if strings.EqualFold(s, Off) {
		*l = ""
		return nil
	}
	return (*address)(l).Set(s)
}

// span is a time that something lasts.
type span time.Duration

func (s *span) String() string { return time.Duration(*s).String() }
func (s *span) Set(text string) error {
	d, err := Duration(text)
	*s = span(d)
	return err
}

// Duration reads a time such as 90s, 10m, 1h30m or 5d; days come first.
func Duration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	wrong := fmt.Errorf("must be a time, such as 90s, 10m, 1h30m or 5d")
	var d time.Duration
	if number, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, wrong
		}
		d, text = time.Duration(n)*day, rest
		if text == "" {
			return d, nil
		}
	}
	rest, err := time.ParseDuration(text)
	if err != nil || rest < 0 {
		return 0, wrong
	}
	return d + rest, nil
}

type origins []string

func (o *origins) String() string { return strings.Join(*o, ",") }
func (o *origins) Set(s string) error {
	return each(s, func(s string) error {
		scheme, host, ok := strings.Cut(s, "://")
		if !ok || scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(host, "/?#@ *") {
			return fmt.Errorf("must be an origin, such as https://mail.example.org, without a path")
		}
		*o = append(*o, strings.ToLower(s))
		return nil
	})
}

type targets []string

func (t *targets) String() string { return strings.Join(*t, ",") }
func (t *targets) Set(s string) error {
	return each(s, func(s string) error {
		host, port, err := net.SplitHostPort(s)
		if err != nil || host == "" || port == "0" || !isPort(port) {
			return fmt.Errorf("must be host:port, such as pop.example.org:995")
		}
		*t = append(*t, strings.ToLower(s))
		return nil
	})
}

type networks []netip.Prefix

func (n *networks) String() string {
	items := make([]string, 0, len(*n))
	for _, p := range *n {
		items = append(items, p.String())
	}
	return strings.Join(items, ",")
}

func (n *networks) Set(s string) error {
	return each(s, func(s string) error {
		p, err := netip.ParsePrefix(s)
		if a, e := netip.ParseAddr(s); err != nil && e == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return fmt.Errorf("must be a network, such as 192.168.1.0/24, or an address")
		}
		*n = append(*n, p.Masked())
		return nil
	})
}

type domains []string

func (d *domains) String() string { return strings.Join(*d, ",") }
func (d *domains) Set(s string) error {
	return each(s, func(s string) error {
		if strings.ContainsAny(s, "@/: ") || strings.HasPrefix(s, ".") {
			return fmt.Errorf("must be a domain, such as example.org")
		}
		*d = append(*d, strings.ToLower(strings.TrimSuffix(s, ".")))
		return nil
	})
}

type level slog.Level

func (l *level) String() string { return strings.ToLower(slog.Level(*l).String()) }
func (l *level) Set(s string) error {
	switch strings.ToLower(s) {
	case "debug", "info", "warn", "error":
		return (*slog.Level)(l).UnmarshalText([]byte(s))
	}
	return fmt.Errorf("must be debug, info, warn or error")
}

// each gives fn every item of a list separated by commas.
func each(s string, fn func(string) error) error {
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		if err := fn(item); err != nil {
			return err
		}
	}
	return nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == s
}
