package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/postern-mail/postern/gateway/config"
	"github.com/postern-mail/postern/gateway/mailserver"
)

// records prints what the domains publish, as lines of a zone file. It makes the DKIM key if there is none yet, and can be
// run beside a gateway that uses the folder.
func records(c config.Config, out io.Writer) error {
	list, err := mailserver.DNSRecords(c.Data, c.Hostname, c.Domains)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "; What to publish for %s. %s must have the address of this machine (A, AAAA) too,\n", strings.Join(c.Domains, ", "), c.Hostname)
	fmt.Fprintf(&b, "; and that address should lead back to the name (PTR), or many servers take no mail from it.\n")
	fmt.Fprintf(&b, "; Whoever else sends for the domains belongs into their SPF records, before ~all.\n")
	for _, r := range list {
		fmt.Fprintln(&b, r)
	}
	_, err = io.WriteString(out, b.String())
	return err
}
