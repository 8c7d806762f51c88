package world

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
)

func TestZone(t *testing.T) {
	z := &Zone{}
	must(t, z.Publish([]authenticity.Record{
		{Name: "Elsewhere.test.", Type: "MX", Data: "10 mail.elsewhere.test."}, {Name: "elsewhere.test.", Type: "TXT", Data: "v=spf1 mx ~all"},
		{Name: "_dmarc.elsewhere.test.", Type: "TXT", Data: "v=DMARC1; p=quarantine"},
	}))
	z.Place("mail.elsewhere.test", netip.MustParseAddr("198.51.100.25"))
	ctx := t.Context()
	for question, ask := range map[string]func(string) (any, error){
		"MX": func(name string) (any, error) {
			list, err := z.LookupMX(ctx, name)
			if len(list) == 1 {
				return *list[0], err
			}
			return nil, err
		},
		"TXT": func(name string) (any, error) { return z.LookupTXT(ctx, name) },
		"A":   func(name string) (any, error) { return z.LookupIPAddr(ctx, name) },
		"PTR": func(name string) (any, error) { return z.LookupAddr(ctx, name) },
	} {
		for name, want := range map[string]string{
			"MX elsewhere.test": "{mail.elsewhere.test. 10}", "MX ELSEWHERE.TEST.": "{mail.elsewhere.test. 10}", "TXT elsewhere.test.": "[v=spf1 mx ~all]",
			"TXT _dmarc.elsewhere.test": "[v=DMARC1; p=quarantine]", "A mail.elsewhere.test.": "[{198.51.100.25 }]", "PTR 198.51.100.25": "[mail.elsewhere.test.]",
			"MX mail.elsewhere.test": "", "A elsewhere.test": "", "TXT example.org": "", "MX example.org": "", "A localhost": "", "PTR 127.0.0.1": "", "PTR x": "", "TXT _mta-sts.elsewhere.test": "",
		} {
			kind, asked, _ := strings.Cut(name, " ")
			if kind != question {
				continue
			}
			got, err := ask(asked)
			var dns *net.DNSError
			if want == "" && (!errors.As(err, &dns) || !dns.IsNotFound) || want != "" && (err != nil || fmt.Sprint(got) != want) {
				t.Errorf("%s: %v, %v; want %q", name, got, err, want)
			}
		}
	}
	for _, r := range []authenticity.Record{{Name: "a.test.", Type: "MX", Data: "mail"}, {Name: "a.test.", Type: "SRV", Data: "x"}} {
		if err := z.Publish([]authenticity.Record{r}); err == nil {
			t.Errorf("%v passes", r)
		}
	}
}
