package authenticity

import (
	"strings"

	"github.com/emersion/go-msgauth/authres"
	"github.com/postern-mail/postern/shared/printable"
)

// field writes the Authentication-Results field (RFC 8601 §2.2). Every value in
// it is a name, a keyword of ours, or plain.
func field(host string, v Verdict) string {
	var results []authres.Result
	s := &authres.SPFResult{Value: authres.ResultValue(v.SPF.Result)}
	if v.SPF.Helo {
		s.Helo = v.SPF.Domain
	} else {
		s.From = v.SPF.Domain
	}
	results = append(results, s)
	if len(v.DKIM) == 0 {
		results = append(results, &authres.DKIMResult{Value: authres.ResultNone})
	}
	for _, d := range v.DKIM {
		results = append(results, &authres.GenericResult{Method: "dkim", Value: authres.ResultValue(d.Result),
			Params: map[string]string{"reason": d.Reason, "header.d": d.Domain, "header.s": d.Selector}})
	}
	d := map[string]string{"reason": v.DMARC.Reason, "header.from": v.DMARC.From, "policy.dmarc": v.DMARC.Asks}
	results = append(results, &authres.GenericResult{Method: "dmarc", Value: authres.ResultValue(v.DMARC.Result), Params: d})
	return write(host, results)
}

// Submitted is the field of a message from somebody who has logged in (RFC 8601
// §2.7.4).
func Submitted(host, user string) string {
	return write(host, []authres.Result{&authres.GenericResult{Method: "auth", Value: authres.ResultPass, Params: map[string]string{"smtp.auth": user}}})
}

// write puts each result on a line of its own.
func write(host string, results []authres.Result) string {
	var b strings.Builder
	b.WriteString("Authentication-Results: " + host)
	for _, r := range results {
		line := strings.TrimPrefix(authres.Format("", []authres.Result{r}), "; ")
		b.WriteString(";\r\n\t" + strings.TrimRight(line, " "))
	}
	b.WriteString("\r\n")
	return b.String()
}

// plain makes a peer's words fit for a quoted string in a header: short,
// printable ASCII, and without what would end or fold it.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x7f || strings.ContainsRune(`"\;()`, r) {
			return '?'
		}
		return r
	}, printable.Short(s, 120))
}
