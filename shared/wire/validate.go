package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-mail/postern/shared/printable"
)

// Bounds of the fields, in bytes and in members. Together they keep the largest frame below MaxFrame, even when every
// character must be escaped.
const (
	maxProduct      = 128 // a product's name and version
	maxToken        = 512
	maxSession      = 64
	maxCapabilities = 32
	maxLabel        = 64 // a capability, a notice's kind
	maxHost         = 253
	maxBeside       = 3  // mail servers of the gateway's own beside the first
	maxDomains      = 16 // of all of them together, as with the next two
	maxServices     = 24
	maxDemo         = 8
	maxServiceName  = 32
	maxDemoName     = 64
	maxEmail        = 254 // RFC 5321 section 4.5.3.1.3, less the angle brackets
	maxPassword     = 64
	maxDetail       = 512
)

// Validate says what is wrong with h, if anything.
func (h *Hello) Validate() error {
	return errors.Join(
		version(h.Version),
		text("client", h.Client, maxProduct),
		text("token", h.Token, maxToken),
		capabilities(h.Capabilities),
	)
}

// Validate says what is wrong with w, if anything.
func (w *Welcome) Validate() error {
	err := errors.Join(
		version(w.Version),
		text("server", w.Server, maxProduct),
		text("session", w.Session, maxSession),
		capabilities(w.Capabilities),
	)
	if w.Limits.Streams < 0 || w.Limits.IdleSeconds < 0 {
		err = errors.Join(err, errors.New("limits: below zero"))
	}
	if w.Embedded == nil && len(w.Beside) > 0 {
		return errors.Join(err, errors.New("beside: without a first"))
	}
	if e := count("beside", len(w.Beside), maxBeside); e != nil {
		return errors.Join(err, e)
	}
	// What they have is bounded over all of them: together they are no longer than one may be, but for their names.
	domains, services, demo := 0, 0, 0
	for _, s := range w.Servers() {
		domains, services, demo = domains+len(s.Domains), services+len(s.Services), demo+len(s.Demo)
		err = errors.Join(err, s.Validate())
	}
	return errors.Join(err, count("domains", domains, maxDomains), count("services", services, maxServices), count("demo", demo, maxDemo))
}

// Validate says what is wrong with e, if anything.
func (e *Embedded) Validate() error {
	err := CheckHost(e.Hostname)
	err = errors.Join(err, count("domains", len(e.Domains), maxDomains),
		count("services", len(e.Services), maxServices), count("demo", len(e.Demo), maxDemo))
	if err != nil {
		return err
	}
	for _, d := range e.Domains {
		err = errors.Join(err, CheckHost(d))
	}
	for _, s := range e.Services {
		err = errors.Join(err, s.Name.Validate(), port(s.Port))
	}
	for _, a := range e.Demo {
		err = errors.Join(err, text("name", a.Name, maxDemoName), text("email", a.Email, maxEmail),
			text("password", a.Password, maxPassword))
	}
	if !fingerprint(e.Fingerprint) {
		err = errors.Join(err, errors.New("fingerprint: not a SHA-256 in lower-case hex"))
	}
	return err
}

// Validate says what is wrong with o, if anything.
func (o *Open) Validate() error {
	switch {
	case o.Service == FTPData && (o.Server != "" || o.Host != ""):
		return errors.New("ftp-data: it goes where its control connection goes, and says no host")
	case o.Service == FTPData && o.Control == 0:
		return errors.New("control: ftp-data is beside a control connection")
	case o.Service == FTPData:
		return port(o.Port)
	case o.Control != 0:
		return errors.New("control: of ftp-data alone")
	case o.Server != "" && (o.Host != "" || o.Port != 0):
		return errors.New("server: an embedded one has no host and port")
	case o.Server != "":
		return errors.Join(o.Service.Validate(), CheckHost(o.Server))
	case o.Host == "" && o.Port == 0:
		return o.Service.Validate()
	}
	return errors.Join(o.Service.Validate(), CheckHost(o.Host), port(o.Port))
}

// Validate says what is wrong with n, if anything.
func (n *Notice) Validate() error {
	err := errors.Join(label("kind", n.Kind, maxLabel), text("detail", n.Detail, maxDetail))
	if n.Reason != "" {
		err = errors.Join(err, label("reason", string(n.Reason), maxLabel))
	}
	return err
}

// Validate says what is wrong with e, if anything.
func (e *RefusedError) Validate() error {
	return errors.Join(label("reason", string(e.Reason), maxLabel), text("detail", e.Detail, maxDetail))
}

// Validate says what is wrong with n, if anything: RFC 6335 section 5.1 in lower case, with twice its length.
func (n ServiceName) Validate() error { return label("service", string(n), maxServiceName) }

// CheckHost says what is wrong with a host, if anything. A host is a domain name in its ASCII form (RFC 1123 section
// 2.1, with the underscore that real networks use) without the final dot, or an IP address as net/netip writes it,
// without brackets and zone. A name that ends in a number is refused unless it is four plain decimal octets, since
// resolvers read 127.1, 0x7f000001 and 2130706433 as addresses.
func CheckHost(host string) error {
	if host == "" || len(host) > maxHost {
		return fmt.Errorf("host: %d characters", len(host))
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return errors.New("host: address with a zone")
		}
		return nil
	}
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return fmt.Errorf("host: %q is no label of a name", l)
		}
		for i := range len(l) {
			if c := l[i]; !letter(c) && !digit(c) && c != '-' && c != '_' {
				return fmt.Errorf("host: %q in a name", rune(c))
			}
		}
	}
	if last := strings.ToLower(labels[len(labels)-1]); digit(last[0]) && numeric(last) {
		return errors.New("host: a name that ends in a number")
	}
	return nil
}

// numeric is true of what inet_aton takes for a number: decimal, octal, hexadecimal.
func numeric(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }

func version(v int) error {
	if v < 1 || v > 1<<16 {
		return fmt.Errorf("version: %d", v)
	}
	return nil
}

func port(p int) error {
	if p < 1 || p > 65535 {
		return fmt.Errorf("port: %d", p)
	}
	return nil
}

func count(field string, n, limit int) error {
	if n > limit {
		return fmt.Errorf("%s: %d, at most %d", field, n, limit)
	}
	return nil
}

func capabilities(names []string) error {
	err := count("capabilities", len(names), maxCapabilities)
	if err != nil {
		return err
	}
	for _, name := range names {
		err = errors.Join(err, label("capabilities", name, maxLabel))
	}
	return err
}

// label is a word of the protocol: a lower-case letter, then letters, digits, hyphens and dots.
func label(field, s string, limit int) error {
	if s == "" || len(s) > limit {
		return fmt.Errorf("%s: %d characters", field, len(s))
	}
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || i > 0 && (digit(c) || c == '-' || c == '.') {
			continue
		}
		return fmt.Errorf("%s: %q", field, rune(c))
	}
	return nil
}

// text is for people, or opaque: one line of printable characters.
func text(field, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s: %d bytes, at most %d", field, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s: not UTF-8", field)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%s: %q cannot be printed", field, r)
		}
	}
	return nil
}

// fit makes text pass: what cannot be printed becomes a space, and the rest is cut at a character's edge.
func fit(s string, limit int) string {
	s = printable.Line(s)
	for len(s) > limit {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

func fingerprint(s string) bool {
	return s == "" || len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
