package config

import (
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

// secret is lines of text that are never printed; each Set adds one, or some. It can be in a file of its own, which is named by its
// setting's name with -file behind it.
type secret string

func (t *secret) String() string {
	if *t == "" {
		return ""
	}
	return masked
}

func (t *secret) Set(s string) error {
	if strings.Contains(s, "\x00") {
		return fmt.Errorf("must be text")
	}
	if strings.TrimSpace(s) == "" { // of a variable that nobody has set, say: then nothing would be asked for
		return fmt.Errorf("must not be empty; leave it out to ask for none")
	}
	if *t != "" {
		s = string(*t) + "\n" + s
	}
	*t = secret(s)
	return nil
}

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

// policy is "" where it follows from what is allowed.
type policy string

func (p *policy) String() string { return string(*p) }
func (p *policy) Set(s string) error {
	switch s = strings.ToLower(s); s {
	case "embedded", "list", "mail":
		*p = policy(s)
		return nil
	}
	return fmt.Errorf("must be embedded, list or mail")
}

// count is a whole number, 0 or more.
type count int

func (n *count) String() string { return strconv.Itoa(int(*n)) }
func (n *count) Set(s string) error {
	v, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return fmt.Errorf("must be a number, 0 or more")
	}
	*n = count(v)
	return nil
}

// size is a number of octets.
type size int64

func (n *size) String() string { return exactSize(int64(*n)) }
func (n *size) Set(s string) error {
	if s == "0" {
		s = "none"
	}
	v, err := Size(s)
	if err != nil {
		return fmt.Errorf("must be a size, such as 500MB, or none")
	}
	*n = size(v)
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

// ports is a range of them, or any.
type ports Ports

const anyPort = "any"

func (p *ports) String() string {
	if *p == (ports{}) {
		return anyPort
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

func (p *ports) Set(s string) error {
	if strings.EqualFold(s, anyPort) {
		*p = ports{}
		return nil
	}
	first, last, _ := strings.Cut(s, "-")
	a, err := strconv.ParseUint(first, 10, 16)
	b, e := strconv.ParseUint(last, 10, 16)
	if err != nil || e != nil || a < 1024 || b < a {
		return fmt.Errorf("must be ports from 1024 on, such as 50000-50100, or any")
	}
	*p = ports{uint16(a), uint16(b)}
	return nil
}

// ipv4 is an address of IPv4.
type ipv4 string

func (a *ipv4) String() string { return string(*a) }
func (a *ipv4) Set(s string) error {
	ip, err := netip.ParseAddr(s)
	if err != nil || !ip.Is4() || ip.IsUnspecified() {
		return fmt.Errorf("must be an address of IPv4, such as 192.0.2.1")
	}
	*a = ipv4(ip.String())
	return nil
}

// span is a time that something lasts.
type span time.Duration

func (s *span) String() string { return time.Duration(*s).String() }
func (s *span) Set(text string) error {
	d, err := Duration(text)
	*s = span(d)
	return err
}

// bound is a span that is more than nothing.
type bound time.Duration

func (b *bound) String() string { return (*span)(b).String() }
func (b *bound) Set(text string) error {
	err := (*span)(b).Set(text)
	if err == nil && *b == 0 {
		err = fmt.Errorf("must be more than nothing")
	}
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

// targets are host:port. What a host may be besides a name the bridge knows, which reads them again.
type targets []string

func (t *targets) String() string { return strings.Join(*t, ",") }
func (t *targets) Set(s string) error {
	return each(s, func(s string) error {
		host, port, err := net.SplitHostPort(s)
		if err != nil || host == "" || port != "*" && (port == "0" || !isPort(port)) {
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
