package config

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
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
	}
}

// setting is one thing that can be set: --name, POSTERN_NAME, or name = value in the file.
type setting struct {
	name  string
	usage string
	value flag.Value
}

// settings binds every setting to its field of c, in the order in which help shows them.
func settings(c *Config) []setting {
	return []setting{
		{"listen", "`address` of the page and the tunnel", (*address)(&c.Listen)},
		{"data", "`folder` that keeps the mail", (*text)(&c.Data)},
		{"demo", "run two mail servers that write to each other and to nobody else, with three accounts whose passwords are printed", (*toggle)(&c.Demo)},
		{"origin", "`origin` besides the gateway's own whose page may open a tunnel, such as https://mail.example.org; may be repeated", (*origins)(&c.Origins)},
		{"allow", "`host:port` of a mail server that the tunnel may reach; may be repeated", (*targets)(&c.Allow)},
		{"allow-network", "`network` of private addresses that names given to --allow may lead to, such as 192.168.1.0/24; may be repeated", (*networks)(&c.AllowNetworks)},
		{"trusted-proxy", "`network` of a proxy in front, whose X-Forwarded-For header names the client; may be repeated", (*networks)(&c.TrustedProxies)},
		{"token", "`secret` that a browser must present to open a tunnel", (*text)(&c.Token)},
		{"mail", "run the embedded mail server", (*toggle)(&c.Mail)},
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
		{"log", "`level` of the log: debug, info, warn or error", (*level)(&c.LogLevel)},
		{"dev", "`folder` to serve the page from, reloading it on change", (*text)(&c.Dev)},
	}
}

// The kinds of value. Each Set replaces or appends, and its error completes the sentence "… is not …".

type text string

func (t *text) String() string { return string(*t) }
func (t *text) Set(s string) error {
	if strings.ContainsAny(s, "\x00\r\n") {
		return fmt.Errorf("must be one line")
	}
	*t = text(s)
	return nil
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
