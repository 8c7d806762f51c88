package authenticity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// DKIM is what became of one signature.
type DKIM struct {
	Result   Result
	Domain   string // that signed (d=), in lower case; "" if it is no name
	Selector string // of its key (s=); "" if it is no name
	Reason   string // why it does not pass, printable
}

// signature has the tags of a DKIM-Signature field that the results name.
type signature struct{ domain, selector string }

// signaturesOf finds the DKIM-Signature fields, from the top.
func signaturesOf(header [][]byte) (list []signature) {
	for _, f := range header {
		name, value, _ := bytes.Cut(f, []byte(":"))
		if !strings.EqualFold(string(bytes.TrimSpace(name)), "DKIM-Signature") {
			continue
		}
		var s signature
		for tag := range strings.SplitSeq(string(value), ";") {
			key, v, _ := strings.Cut(tag, "=")
			v = strings.ToLower(strings.Join(strings.Fields(v), ""))
			if !isName(v) {
				continue
			}
			switch strings.TrimSpace(key) {
			case "d":
				s.domain = v
			case "s":
				s.selector = v
			}
		}
		list = append(list, s)
	}
	return list
}

// verifySignatures reads a message and checks its first signatures.
func verifySignatures(r io.Reader, signatures []signature, most int, lookup func(string) ([]string, error)) (results []DKIM) {
	checked, err := dkim.VerifyWithOptions(r, &dkim.VerifyOptions{LookupTXT: lookup, MaxVerifications: most})
	for i, v := range checked {
		d := DKIM{Result: Pass}
		// What the library verified is what passes, not what this package read.
		if name := strings.ToLower(v.Domain); isName(name) {
			d.Domain = name
		}
		if i < len(signatures) && signatures[i].domain == d.Domain {
			d.Selector = signatures[i].selector
		}
		switch {
		case v.Err == nil && d.Domain == "":
			d.Result, d.Reason = PermError, "the domain is no name"
		case v.Err == nil:
		case dkim.IsTempFail(v.Err):
			d.Result = TempError
		case dkim.IsPermFail(v.Err):
			d.Result = PermError
		default:
			d.Result = Fail
		}
		if v.Err != nil {
			d.Reason = plain(strings.TrimPrefix(v.Err.Error(), "dkim: "))
		}
		results = append(results, d)
	}
	switch {
	case errors.Is(err, dkim.ErrTooManySignatures):
		results = append(results, DKIM{Result: Policy, Reason: fmt.Sprintf("%d more signatures were not looked at", len(signatures)-len(checked))})
	case err != nil && len(checked) == 0:
		results = append(results, DKIM{Result: PermError, Reason: plain(err.Error())})
	}
	return results
}
