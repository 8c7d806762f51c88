package authenticity

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"
)

// DMARC is whether the author's domain stands behind a message.
type DMARC struct {
	Result Result
	From   string // the domain of the author that was decisive; "" if there is none
	Asks   string // what it wants done with a message that fails: "none", "quarantine", "reject"; "" if it has no policy
	Reason string // why nothing can be said, printable
}

// policy is what a domain publishes, for itself or for those beneath it.
type policy struct {
	from       string // the author's domain
	result     Result // None: it has no policy; TempError, or Pass: it has
	asks       string
	strictSPF  bool
	strictDKIM bool
}

// findPolicy asks the author's domain and then its organizational domain (RFC
// 7489 §6.6.3).
func findPolicy(ctx context.Context, dns Resolver, from string) policy {
	p := policy{from: from, result: None}
	domains := []string{from}
	if o := organizational(from); o != from {
		domains = append(domains, o)
	}
	for i, d := range domains {
		texts, err := dns.LookupTXT(ctx, "_dmarc."+d)
		var known *net.DNSError
		if errors.As(err, &known) && known.IsNotFound {
			continue
		}
		if err != nil {
			p.result = TempError
			return p
		}
		record, testing, ok := readPolicy(texts)
		if !ok {
			continue
		}
		p.result, p.asks = Pass, string(record.Policy)
		if i > 0 && record.SubdomainPolicy != "" {
			p.asks = string(record.SubdomainPolicy)
		}
		if testing {
			p.asks = oneDown(p.asks)
		}
		p.strictSPF = record.SPFAlignment == dmarc.AlignmentStrict
		p.strictDKIM = record.DKIMAlignment == dmarc.AlignmentStrict
		return p
	}
	return p
}

// readPolicy finds the one DMARC record of an answer; several are as none.
// What it cannot read of a record it passes over, and where it cannot read the
// policy itself, a record that wants reports means "none" (RFC 7489 §6.6.3).
func readPolicy(texts []string) (record *dmarc.Record, testing, ok bool) {
	var found []string
	for _, t := range texts {
		version, _, _ := strings.Cut(t, ";")
		if key, v, _ := strings.Cut(version, "="); strings.TrimSpace(key) == "v" && strings.TrimSpace(v) == "DMARC1" {
			found = append(found, t)
		}
	}
	if len(found) != 1 {
		return nil, false, false
	}
	tags := map[string]string{}
	for tag := range strings.SplitSeq(found[0], ";") {
		key, v, _ := strings.Cut(tag, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if _, twice := tags[key]; !twice {
			tags[key] = strings.ToLower(strings.TrimSpace(v))
		}
	}
	testing = tags["pct"] == "0" || tags["t"] == "y"
	// QUIRK: the library wants each tag well written, and in lower case.
	text := "v=DMARC1; p=" + tags["p"]
	if sp, given := tags["sp"]; given {
		text += "; sp=" + sp
	}
	for _, key := range []string{"adkim", "aspf"} {
		if tags[key] == "s" {
			text += "; " + key + "=s"
		}
	}
	record, err := dmarc.Parse(text)
	if err != nil && strings.Contains(tags["rua"], "mailto:") {
		record, err = dmarc.Parse("v=DMARC1; p=none")
	}
	return record, testing, err == nil
}

func oneDown(policy string) string {
	if policy == "reject" {
		return "quarantine"
	}
	return "none"
}

// evaluate looks for an identifier that passes and is aligned with the author's
// domain (RFC 7489 §3.1, §6.6.2). Of several authors, the worst off counts.
func evaluate(a author, policies []policy, s SPF, signatures []DKIM) DMARC {
	if a.problem != "" {
		return DMARC{Result: PermError, Reason: a.problem}
	}
	verdict := DMARC{Result: Pass}
	for i, p := range policies {
		if d := p.apply(s, signatures); i == 0 || d.worse(verdict) {
			verdict = d
		}
	}
	return verdict
}

func (p policy) apply(s SPF, signatures []DKIM) DMARC {
	d := DMARC{Result: p.result, From: p.from, Asks: p.asks}
	if p.result != Pass {
		return d
	}
	d.Result = Fail
	note := func(r Result) {
		if r == Pass || r == TempError && d.Result == Fail {
			d.Result = r
		}
	}
	if aligned(s.Domain, p.from, p.strictSPF) {
		note(s.Result)
	}
	for _, signature := range signatures {
		if aligned(signature.Domain, p.from, p.strictDKIM) {
			note(signature.Result)
		}
	}
	return d
}

// worse says whether d is to be told rather than other: failing by the
// strictest policy, then what is unknown, then what has no policy.
func (d DMARC) worse(other DMARC) bool {
	rank := func(d DMARC) int {
		switch d.Result {
		case Fail:
			return 10 + map[string]int{"quarantine": 1, "reject": 2}[d.Asks]
		case TempError:
			return 2
		case None:
			return 1
		}
		return 0
	}
	return rank(d) > rank(other)
}

func aligned(identifier, from string, strict bool) bool {
	if identifier == from || identifier == "" || strict {
		return identifier == from
	}
	return organizational(identifier) == organizational(from)
}

// organizational is the name beneath a public suffix (RFC 7489 §3.2), or the
// name itself where there is none beneath.
func organizational(name string) string {
	if o, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return o
	}
	return name
}
