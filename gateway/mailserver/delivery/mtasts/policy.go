package mtasts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Policy is what a domain wants; the zero value is no policy. See RFC 8461 section 3.2.
type Policy struct {
	Mode   Mode
	MX     []string      // patterns of the hosts that may get the domain's mail: "mx.example.org", "*.example.org"; lower case
	MaxAge time.Duration // for which it is kept
}

// Mode is how strict a policy is.
type Mode string

// The modes. [None] is said by a domain that had a policy and wants it forgotten.
const (
	NoPolicy Mode = ""
	Enforce  Mode = "enforce" // mail goes nowhere else, and not without verified TLS
	Testing  Mode = "testing" // it goes, and what is wrong is noted
	None     Mode = "none"
)

// Bounds of a policy.
const (
	maxPolicy  = 64 << 10 // octets
	maxMX      = 1000     // patterns
	maxMaxAge  = 31557600 // seconds: a year, RFC 8461 section 3.2
	maxPattern = 255      // octets of a pattern
	wellKnown  = "/.well-known/mta-sts.txt"
)

// Parse reads a policy's file: lines of "key: value", RFC 8461 section 3.2. Keys that are not known are passed over, of a key that is there
// twice the first counts, "mx" being a list.
func Parse(b []byte) (Policy, error) {
	var p Policy
	if len(b) > maxPolicy {
		return p, fmt.Errorf("mtasts: a policy of more than %d octets", maxPolicy)
	}
	first := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		line = strings.Trim(line, " \t\r\n")
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if key, value = strings.TrimRight(key, " \t"), strings.TrimLeft(value, " \t"); !ok || !isKey(key) {
			return Policy{}, fmt.Errorf("mtasts: %.80q is no line of a policy", line)
		}
		if key == "mx" {
			pattern := strings.ToLower(strings.TrimSuffix(value, "."))
			if !isPattern(pattern) {
				return Policy{}, fmt.Errorf("mtasts: %.80q names no host", value)
			}
			if len(p.MX) == maxMX {
				return Policy{}, fmt.Errorf("mtasts: more than %d hosts", maxMX)
			}
			p.MX = append(p.MX, pattern)
		} else if _, again := first[key]; !again {
			first[key] = value
		}
	}
	if first["version"] != "STSv1" {
		return Policy{}, fmt.Errorf("mtasts: version %.80q", first["version"])
	}
	switch p.Mode = Mode(first["mode"]); p.Mode {
	case Enforce, Testing:
		if len(p.MX) == 0 {
			return Policy{}, errors.New("mtasts: a policy without a host")
		}
	case None:
	default:
		return Policy{}, fmt.Errorf("mtasts: mode %.80q", first["mode"])
	}
	seconds, err := strconv.ParseUint(first["max_age"], 10, 64)
	if err != nil {
		return Policy{}, fmt.Errorf("mtasts: max_age %.80q", first["max_age"])
	}
	p.MaxAge = time.Duration(min(seconds, maxMaxAge)) * time.Second
	return p, nil
}

// Matches reports whether a host, in A-labels, may get the domain's mail: RFC 8461 section 4.1. The asterisk is for one label.
func (p Policy) Matches(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, pattern := range p.MX {
		if parent, wild := strings.CutPrefix(pattern, "*."); wild {
			if label, rest, ok := strings.Cut(host, "."); ok && label != "" && rest == parent {
				return true
			}
		} else if host == pattern {
			return true
		}
	}
	return false
}

func isKey(s string) bool {
	return s != "" && len(s) <= 32 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	})
}

// isPattern checks a name of letters, digits and hyphens, with an asterisk for its first label or not.
func isPattern(s string) bool {
	s = strings.TrimPrefix(s, "*.")
	if s == "" || len(s) > maxPattern {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}

// readRecord answers the id of the policy that a domain's TXT records announce; ok is false if they announce none. RFC 8461
// section 3.1: one record alone may begin with the version.
func readRecord(records []string) (id string, ok bool) {
	var record string
	found := 0
	for _, r := range records {
		if fields := strings.Split(r, ";"); strings.TrimRight(fields[0], " \t") == "v=STSv1" {
			record = r
			found++
		}
	}
	if found != 1 {
		return "", false
	}
	for field := range strings.SplitSeq(record, ";") {
		key, value, _ := strings.Cut(strings.Trim(field, " \t"), "=")
		if strings.TrimRight(key, " \t") != "id" {
			continue
		}
		id = strings.TrimLeft(value, " \t")
		ok = id != "" && len(id) <= 32 && !strings.ContainsFunc(id, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
		})
		return id, ok
	}
	return "", false
}
