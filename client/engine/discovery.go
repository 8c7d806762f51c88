package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/postern-mail/postern/client/api"
	"github.com/postern-mail/postern/shared/idn"
	"github.com/postern-mail/postern/shared/wire"
)

// How long a person waits for settings to be found.
const (
	discoveryTime = 15 * time.Second // in all
	lookUpTime    = 8 * time.Second  // for the gateway's look-ups, of which each has 6 s there
	probeTime     = 5 * time.Second  // for one guess to answer
	probesAtOnce  = 6                // each is a stream and a handshake; the gateway has limits too
	betterWait    = time.Second      // for a better guess, when there is a good one
)

// Discover finds the servers of an address. The gateway is told its domain; to the servers that are guessed, nothing is
// said of it.
func (e *Engine) Discover(ctx context.Context, email string) (api.Discovery, error) {
	email, err := normalAddress(email)
	if err != nil {
		return api.Discovery{}, err
	}
	domain, _ := idn.ToASCII(strings.Trim(domainOf(email), "[]"))
	d := api.Discovery{Suggestion: suggestion(domain)}
	within, cancel := context.WithTimeout(ctx, discoveryTime)
	defer cancel()
	welcome, err := e.awaitGateway(within)
	if err == nil {
		if own := home(welcome, email); own != nil {
			d.Candidates = []api.Candidate{{Origin: api.OriginGateway, Provider: own.Hostname}}
			return d, nil
		}
	}
	var groups []group
	if err == nil && wire.CheckHost(domain) == nil {
		groups, err = e.lookUp(within, welcome, domain, email)
	}
	d.Problem = problemOf(err)
	if p := providerOf(domain); p != nil {
		groups = append(groups, p.group())
	}
	d.Candidates = pairUp(groups)
	denied := d.Problem != nil && d.Problem.Code == api.CodeTargetRefused // as each guess would be
	if len(d.Candidates) == 0 && !denied && welcome != nil && wire.CheckHost(domain) == nil {
		guessed, err := e.guess(within, domain, groups)
		d.Candidates = pairUp(append(groups, guessed))
		if d.Problem == nil {
			d.Problem = problemOf(err)
		}
	}
	if ctx.Err() != nil {
		return api.Discovery{}, problemOf(ctx.Err())
	}
	if len(d.Candidates) > 0 {
		d.Suggestion = d.Candidates[0].Servers
	}
	return d, nil
}

// suggestion is what a form begins with: the usual names.
func suggestion(domain string) api.Servers {
	return api.Servers{POP3: serverAt("pop." + domain + ":995"), SMTP: serverAt("smtp." + domain + ":465")}
}

// lookUp has the gateway look up what a browser cannot.
func (e *Engine) lookUp(ctx context.Context, w *wire.Welcome, domain, email string) ([]group, error) {
	if !slices.Contains(w.Capabilities, wire.CapDiscover) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	conn, err := e.Gateway.Open(ctx, wire.Open{Service: wire.Discovery})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := wire.WriteDiscover(conn, wire.Discover{Domain: domain}); err != nil {
		return nil, firstOf(ctx.Err(), err)
	}
	found, err := wire.ReadDiscovered(conn)
	if err != nil {
		return nil, firstOf(ctx.Err(), err)
	}
	return groupsOf(found, email), nil
}

// firstOf is the error that says more.
func firstOf(cause, err error) error {
	if cause != nil {
		return cause
	}
	return err
}

// group is what one source says.
type group struct {
	origin     api.Origin
	provider   string
	pop3, smtp []api.Server // the best first
}

// groupsOf sorts what was found by its source, the most trustworthy first. TLS from the first octet comes before TLS that
// has to be asked for (RFC 8314 section 3).
func groupsOf(found wire.Discovered, email string) []group {
	var groups []group
	for _, source := range []struct {
		name   string
		origin api.Origin
	}{{wire.SourceSRV, api.OriginSRV}, {wire.SourceAutoconfig, api.OriginAutoconfig}} {
		g := group{origin: source.origin, provider: found.Provider}
		for _, security := range []api.Security{api.TLS, api.STARTTLS} {
			for _, f := range found.Services {
				if f.Source != source.name {
					continue
				}
				s := api.Server{Host: strings.ToLower(f.Host), Port: f.Port, Security: security, User: loginName(f.User, email)}
				switch {
				case security == api.TLS && f.Service == wire.POP3S, security == api.STARTTLS && f.Service == wire.POP3:
					g.pop3 = append(g.pop3, s)
				case security == api.TLS && f.Service == wire.Submissions, security == api.STARTTLS && f.Service == wire.Submission:
					g.smtp = append(g.smtp, s)
				}
			}
		}
		if len(g.pop3)+len(g.smtp) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}

// loginName fills in how a login name is made. Empty means the address, and so does what cannot be filled in.
func loginName(template, email string) string {
	at := strings.LastIndexByte(email, '@')
	name := strings.NewReplacer("%EMAILADDRESS%", email, "%EMAILLOCALPART%", email[:at], "%EMAILDOMAIN%", email[at+1:]).Replace(template)
	if name == email || !printableLine(name) || strings.Count(template, "%") != 2*strings.Count(template, "%EMAIL") {
		return ""
	}
	return name
}

// lessTrusted is the origin of servers that two sources named, of which first is asked first. What the network has named stays
// named by the network, whoever vouches for the other half: the page asks before a password goes there.
func lessTrusted(first, second api.Origin) api.Origin {
	if first == api.OriginSRV && second != api.OriginAutoconfig || first == api.OriginAutoconfig {
		return first
	}
	return second
}

// pairUp makes candidates of groups, each with a server to fetch from and one to send by. Within a group, the best goes
// with the best, the next with the next; where a group has one side alone, the other is that of the best group that has
// it. Every server of a group with both sides is in some candidate, and no candidate is there twice.
func pairUp(groups []group) []api.Candidate {
	var all []api.Candidate
	for i, g := range groups {
		origin := g.origin
		if len(g.pop3) == 0 || len(g.smtp) == 0 {
			j := slices.IndexFunc(groups, func(o group) bool {
				return len(g.pop3) == 0 && len(o.pop3) > 0 || len(g.smtp) == 0 && len(o.smtp) > 0
			})
			if j < 0 {
				continue
			}
			if len(g.pop3) == 0 {
				g.pop3 = groups[j].pop3
			} else {
				g.smtp = groups[j].smtp
			}
			origin = lessTrusted(groups[min(i, j)].origin, groups[max(i, j)].origin)
		}
		if len(g.pop3) == 0 || len(g.smtp) == 0 {
			continue
		}
		for k := range max(len(g.pop3), len(g.smtp)) {
			c := api.Candidate{Origin: origin, Provider: g.provider, Servers: api.Servers{
				POP3: g.pop3[min(k, len(g.pop3)-1)], SMTP: g.smtp[min(k, len(g.smtp)-1)],
			}}
			if slices.ContainsFunc(all, func(o api.Candidate) bool { return o.Servers == c.Servers }) {
				continue
			}
			if p := providerAt(c.Servers.POP3); p != nil {
				c.Help = p.help
				if c.Provider == "" {
					c.Provider = p.name
				}
			}
			all = append(all, c)
		}
	}
	return all
}
