package authenticity

import (
	"bytes"
	"slices"
	"strings"

	"github.com/postern-mail/postern/shared/idn"
	"github.com/postern-mail/postern/shared/mail"
)

// author is whom a message says it is from.
type author struct {
	domains []string // in ASCII and lower case, each once
	problem string   // why DMARC cannot say anything
	// suspicion is a problem that honest mail does not have: programs that read
	// such a From field differ about whose it is.
	suspicion string
}

// authorOf reads the From field (RFC 5322 §3.6.2). RFC 7489 §6.6.1 leaves open
// what to do with more than one address: here each domain has to pass.
func authorOf(header [][]byte, most int) author {
	fields := fieldsNamed(header, "from")
	switch {
	case len(fields) == 0:
		return author{problem: "no From field"}
	case len(fields) > 1:
		return author{problem: "more than one From field", suspicion: "the message has more than one From field"}
	}
	addresses, err := Addresses(fields[0])
	var a author
	for _, address := range addresses {
		_, domain, _ := cutLast(address)
		name, ok := dnsName(domain)
		name = strings.TrimSuffix(name, ".")
		if ok && !slices.Contains(a.domains, name) {
			a.domains = append(a.domains, name)
		}
	}
	switch {
	case len(a.domains) > most:
		return author{problem: "too many authors", suspicion: "the From field names too many domains"}
	case (err != nil || len(a.domains) == 0) && bytes.IndexByte(fields[0], '@') >= 0:
		a.problem, a.suspicion = "the From field cannot be read", "the From field cannot be read"
	case len(a.domains) == 0: // QUIRK: "MAILER-DAEMON" alone is met in bounces
		a.problem = "no address in the From field"
	}
	return a
}

// Addresses reads the value of an address field as the client's own reader
// does, so that who is checked is who will be shown. The error names one that
// nobody could write to.
func Addresses(value []byte) ([]string, error) {
	list, err := mail.ParseAddressList(strings.NewReplacer("\r", "", "\n", "").Replace(string(value)))
	addresses := make([]string, 0, len(list))
	for _, a := range list {
		if a.Valid() {
			addresses = append(addresses, a.Addr)
		}
	}
	return addresses, err
}

// fieldsNamed gives the values of a header's fields of a name in lower case.
func fieldsNamed(header [][]byte, name string) (values [][]byte) {
	for _, f := range header {
		n, value, ok := bytes.Cut(f, []byte(":"))
		if ok && strings.EqualFold(string(bytes.TrimRight(n, " \t")), name) {
			values = append(values, value)
		}
	}
	return values
}

func cutLast(address string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address, "", false
	}
	return address[:i], address[i+1:], true
}

// asciiDomain is a domain as the DNS has it, in lower case.
func asciiDomain(domain string) string {
	ascii, _ := idn.ToASCII(strings.TrimSuffix(domain, "."))
	return strings.ToLower(ascii)
}
