package mailserver

import (
	"net/netip"
	"path/filepath"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
	"github.com/postern-mail/postern/gateway/mailserver/maildrop"
	"github.com/postern-mail/postern/gateway/mailserver/smtpd"
)

// Receiving says what is asked of mail before it is believed, and of users
// before they are.
type Receiving struct {
	// Resolver is asked about mail from the world: SPF, DKIM, DMARC. *net.Resolver
	// is one. Nil: nothing is evaluated.
	Resolver authenticity.Resolver
	// Exempt are networks whose mail is not evaluated: this machine's own, as a
	// rule.
	Exempt []netip.Prefix
	// RefuseForged refuses at the door what DMARC's p=reject says of. Otherwise
	// it is taken as junk, with the reason: mailing lists and forwarders break
	// what DMARC looks at, and a household would rather find such a message than
	// never hear of it.
	RefuseForged bool
	// Greylist lets strangers wait some minutes.
	Greylist bool
	// AnyAuthor lets users put any address into the From field of what they send.
	AnyAuthor bool
	// Fault says what goes wrong on purpose with mail from the world: see
	// smtpd.Config.Fault. Nil: nothing does.
	Fault func(client netip.Addr, from, to string) smtpd.Fault
	// Unsigned leaves what users send without a DKIM signature.
	Unsigned bool
}

// judges are what the SMTP services share.
type judges struct {
	verifier *authenticity.Verifier
	greylist *smtpd.Greylist
	signer   *authenticity.Signer
	rates    *smtpd.Rates
}

func (s *Server) newJudges() (j judges, err error) {
	r := s.cfg.Receiving
	j.rates = smtpd.NewRates(s.cfg.Limits.Rates)
	if r.Resolver != nil {
		j.verifier = authenticity.New(authenticity.Options{Hostname: s.cfg.Hostname, Resolver: r.Resolver, Exempt: r.Exempt})
		if r.Greylist {
			j.greylist = smtpd.NewGreylist(smtpd.GreylistOptions{Now: s.cfg.now()})
		}
	}
	if !r.Unsigned && s.cfg.Submission+s.cfg.Submissions != "" {
		keys, err := authenticity.LoadKeys(keyFolder(s.cfg.Dir), time.Now())
		if err != nil {
			return j, err
		}
		j.signer = authenticity.NewSigner(keys, s.cfg.Domains)
	}
	return j, nil
}

// receiving adds the judges to a service's configuration.
func (s *Server) receiving(v *service, c smtpd.Config) smtpd.Config {
	c.Rates = s.judges.rates
	if v.name == SMTP {
		c.Client, c.Verifier, c.Greylist, c.RefuseForged = s.gate.Client, s.judges.verifier, s.judges.greylist, s.cfg.Receiving.RefuseForged
		c.Fault = s.cfg.Receiving.Fault
		return c
	}
	c.Signer, c.AnyAuthor, c.Spool = s.judges.signer, s.cfg.Receiving.AnyAuthor, filepath.Join(s.cfg.Dir, mailFolder, "tmp") // which a backup passes over
	return c
}

func keyFolder(dir string) string { return filepath.Join(dir, "dkim") }

// DNSRecords are what the domains of a server publish: MX, SPF, DKIM, DMARC. It
// makes the DKIM key if there is none, and can be called while the server that
// has the data folder is running.
func DNSRecords(dir, hostname string, domains []string) ([]authenticity.Record, error) {
	if err := maildrop.MakeFolder(dir); err != nil {
		return nil, err
	}
	keys, err := authenticity.LoadKeys(keyFolder(dir), time.Now())
	if err != nil {
		return nil, err
	}
	return authenticity.Records(hostname, domains, keys)
}
