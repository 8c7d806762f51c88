package authenticity

import (
	"fmt"
	"strings"
)

// Record is a resource record to publish.
type Record struct {
	Name string // absolute, with its period
	Type string // "MX" or "TXT"
	Data string // of MX: preference and host; of TXT: the text
}

// Records are what the domains of a server publish so that others find it and
// believe its mail: MX, SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489).
//
// SPF says "~all": whoever forwards mail is not in the list, and with a DMARC
// record receivers look at the signature before they refuse. DMARC says
// "quarantine", which is what this server does with others' mail by default.
func Records(hostname string, domains []string, keys []Key) ([]Record, error) {
	host := asciiDomain(hostname) + "."
	var list []Record
	named := false
	for _, d := range domains {
		name := asciiDomain(d) + "."
		spf := "v=spf1 mx ~all"
		if name == host {
			named, spf = true, "v=spf1 a mx ~all"
		}
		list = append(list, Record{name, "MX", "10 " + host}, Record{name, "TXT", spf})
		for _, k := range keys {
			text, err := k.record()
			if err != nil {
				return nil, fmt.Errorf("DKIM key %s: %w", k.Selector, err)
			}
			list = append(list, Record{k.Selector + "._domainkey." + name, "TXT", text})
		}
		list = append(list, Record{"_dmarc." + name, "TXT", "v=DMARC1; p=quarantine"})
	}
	if !named {
		// For what has the null sender: receivers ask the name of EHLO then.
		list = append(list, Record{host, "TXT", "v=spf1 a -all"})
	}
	return list, nil
}

// maxString is how long one string of a TXT record can be (RFC 1035 §3.3).
const maxString = 255

// String is a line of a zone file (RFC 1035 §5.1).
func (r Record) String() string {
	data := r.Data
	if r.Type == "TXT" {
		var parts []string
		for len(data) > maxString {
			parts = append(parts, quote(data[:maxString]))
			data = data[maxString:]
		}
		data = strings.Join(append(parts, quote(data)), " ")
	}
	return fmt.Sprintf("%s\t3600\tIN\t%s\t%s", r.Name, r.Type, data)
}

func quote(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
