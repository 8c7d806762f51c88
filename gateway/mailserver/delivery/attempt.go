package delivery

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/delivery/mtasts"
	"github.com/postern-mail/postern/shared/smtp"
)

// attempt is one attempt to deliver one message. It ends when every recipient has a result.
type attempt struct {
	*Deliverer
	*recorder
	domain  string
	message Message
	content *content
	results []Result
	policy  mtasts.Policy

	best    *Result         // what those get in the end who have none by then
	crowded bool            // the server wants no more connections than this server has
	said    map[string]bool // the hosts that have refused the message for now
}

// rounds is how often an attempt waits for its turn again because a server wants no more connections.
const rounds = 3

func (a *attempt) run(ctx context.Context) {
	defer func() { a.settle(a.open(), finding(451, "4.4.0", "nothing was tried")) }() // never: every way has its result
	var err error
	a.content, err = inspect(a.message.Open, a.config.Limits.Parts)
	switch {
	case err != nil:
		a.settle(a.open(), unreadable(err))
		return
	case a.content.received > a.config.MaxReceived:
		a.settle(a.open(), finding(554, "5.4.6", "the message has been through %d servers: a loop", a.content.received))
		return
	}
	a.checkAddresses()
	name := a.domain
	if a.config.Smarthost != nil {
		name = smarthost
	}
	to := a.pool.enter(name)
	if to == nil {
		a.settle(a.open(), finding(451, "4.3.2", "this server is shutting down"))
		return
	}
	defer a.pool.leave(to)
	for round := 1; len(a.open()) > 0; round++ {
		if err := to.turns.take(ctx, nil); err != nil {
			a.settle(a.open(), finding(451, "4.4.5", "given up before its turn came: %v", err))
			return
		}
		a.crowded = false
		a.once(ctx, to)
		to.turns.leave()
		if !a.crowded || round == rounds {
			a.settle(a.open(), a.best)
			return
		}
	}
}

func unreadable(err error) *Result {
	return finding(451, "4.3.0", "the message could not be read: %v", err)
}

// checkAddresses fails what no server could be told.
func (a *attempt) checkAddresses() {
	if from := a.message.From; from != "" && !smtp.IsMailbox(from) {
		a.settle(a.open(), finding(553, "5.1.7", "the sender %q is no address", from))
	}
	for _, i := range a.open() {
		if address := a.message.Recipients[i].Address; !smtp.IsMailbox(address) {
			a.settle([]int{i}, finding(553, "5.1.3", "%q is no address", address))
		}
	}
}

// open answers the recipients who have no result.
func (a *attempt) open() (list []int) {
	for i := range a.results {
		if a.results[i].Outcome == 0 {
			list = append(list, i)
		}
	}
	return list
}

// settle gives recipients their result.
func (a *attempt) settle(list []int, r *Result) {
	if r == nil {
		return
	}
	for _, i := range list {
		a.results[i] = *r
	}
	if len(list) > 0 && r.Local {
		a.note("%s: %s", r.Outcome, r.Text)
	}
}

// pending remembers the result for those who will have no other.
func (a *attempt) pending(r *Result) {
	if hopeful(r) > hopeful(a.best) {
		a.best = r
	}
}

// once has the attempt's turn: it tries the idle connections first, and then each address of each host.
func (a *attempt) once(ctx context.Context, to *destination) {
	ctx, cancel := context.WithTimeout(ctx, a.config.Limits.Attempt)
	defer cancel()
	if a.config.Policies != nil && a.config.Smarthost == nil && !strings.HasPrefix(a.domain, "[") {
		a.policy = a.policyOf(ctx)
	}
	for len(a.open()) > 0 && len(a.said) == 0 {
		s := a.pool.take(to)
		if s == nil {
			break
		}
		if !s.fits(a.policy) {
			a.pool.end(s, to)
			continue
		}
		s.recorder = a.recorder
		a.note("going on over the connection to %s, %s", &s.peer, s.tls())
		if a.send(ctx, s, to); len(a.said) == 0 {
			a.best = nil // that an old connection was over says nothing
		}
	}
	if len(a.open()) == 0 {
		return
	}
	r := a.routeOf(ctx, a.domain)
	if r.stop != nil {
		a.settle(a.open(), r.stop)
		return
	}
	connecting, cancel := context.WithTimeout(ctx, a.config.Limits.Connect)
	defer cancel()
	for _, h := range r.hosts {
		if a.said[h.name] || !a.allowed(h) {
			continue
		}
		for _, address := range h.addresses {
			p := peer{host: h.name, address: netip.AddrPortFrom(address, a.port()), policy: a.policy}
			if smart := a.config.Smarthost; smart != nil {
				p.tls, p.credentials = smart.TLS, smart.Credentials
			}
			again := a.try(ctx, connecting, p, to)
			if len(a.open()) == 0 || a.crowded {
				return
			}
			if ctx.Err() != nil || connecting.Err() != nil {
				a.pending(overtime()) // 4.4.1 would say that the destination is down
				return
			}
			if !again { // this host said no: the next one may not
				break
			}
		}
	}
}

// overtime is the finding that the time for an attempt was over before a server could show that it works, or does not.
func overtime() *Result { return finding(451, "4.4.7", "the time for this attempt is over") }

// policyOf answers the domain's MTA-STS policy.
func (a *attempt) policyOf(ctx context.Context) mtasts.Policy {
	within, cancel := context.WithTimeout(ctx, a.config.Limits.Lookup+a.config.Limits.Policy)
	defer cancel()
	p := a.config.Policies.Policy(within, a.domain)
	if p.Mode != mtasts.NoPolicy {
		a.note("the MTA-STS policy of %s: %s, %s", a.domain, p.Mode, strings.Join(p.MX, " "))
	}
	return p
}

// allowed reports whether the domain's policy lets a host have its mail: RFC 8461 section 5.
func (a *attempt) allowed(h host) bool {
	if len(h.addresses) == 0 {
		a.note("%s has no address that can be tried %s%s", h.name, h.passing, h.refused)
		return false
	}
	if a.policy.Mode != mtasts.Enforce && a.policy.Mode != mtasts.Testing || a.policy.Matches(h.name) {
		return true
	}
	a.note("%s is no host of the MTA-STS policy", h.name)
	if a.policy.Mode == mtasts.Testing {
		return true
	}
	a.pending(finding(451, "4.7.1", "%s is no host of the MTA-STS policy of %s", h.name, a.domain))
	return false
}

// try connects to one address and sends. It answers whether the host's next address may be of use.
func (a *attempt) try(ctx, connecting context.Context, p peer, to *destination) (again bool) {
	key := p.address.String()
	if before, ok := a.dead.get(key); ok {
		a.note("not trying %s again yet: %s", &p, before.Text)
		a.pending(&before)
		return true
	}
	began := time.Now()
	a.pool.begin(to)
	s, why := a.connect(ctx, connecting, p)
	if why != nil {
		crowded := a.pool.fail(to, !why.Local && why.Outcome == Deferred)
		switch {
		case crowded:
			a.note("%s wants no more connections: waiting for one of those there are", &p)
			a.crowded = true
		case ctx.Err() != nil, connecting.Err() != nil && time.Since(began) < a.config.Limits.Dial: // it had no time
			if why.Enhanced == "4.4.1" {
				why = overtime()
			}
		case why.Local && strings.HasPrefix(why.Enhanced, "4.7."): // other domains may not be as strict
		default:
			a.dead.put(key, *why)
		}
		a.pending(why)
		return true
	}
	if err := a.pool.admit(ctx, to); err != nil {
		s.client.Close()
		a.pending(finding(451, "4.4.5", "given up before there was room for one more connection: %v", err))
		return false
	}
	return a.send(ctx, s, to)
}

// connect makes a session, in plain text if TLS breaks and nobody wants it strictly.
func (a *attempt) connect(ctx, connecting context.Context, p peer) (*session, *Result) {
	if err := a.pool.dials.take(ctx, nil); err != nil {
		return nil, finding(451, "4.4.5", "given up before there was room to connect: %v", err)
	}
	defer a.pool.dials.leave()
	s, why := a.config.connect(connecting, p, false, a.recorder)
	if why != nil && why.plain {
		a.note("%s: once more, without", why.result.Text)
		s, why = a.config.connect(connecting, p, true, a.recorder)
	}
	if why != nil {
		return nil, why.result
	}
	if a.policy.Mode == mtasts.Testing && !s.verified {
		a.note("the MTA-STS policy, were it enforced, would not let mail go to %s (%s)", &p, s.tls())
	}
	return s, nil
}

// send sends the message over a session, in as many transactions as it takes, and gives the session back. It answers whether
// the host's next address may be of use to those who are left.
func (a *attempt) send(ctx context.Context, s *session, to *destination) (again bool) {
	defer a.pool.keep(s, to)
	for left := a.open(); len(left) > 0; left = a.open() {
		batch := left[:min(len(left), a.config.Limits.Recipients)]
		goOn := false
		if goOn, again = a.transact(ctx, s, batch); !goOn {
			return again
		}
	}
	return false
}

// transact sends the message to some. It answers whether the session can go on with those who are left, and if not, whether the
// host's next address may be of use to them.
func (a *attempt) transact(ctx context.Context, s *session, batch []int) (goOn, again bool) {
	f, cannot, err := a.content.formFor(s.extensions, a.message.UTF8)
	if err != nil {
		cannot = unreadable(err)
	}
	if cannot != nil {
		a.settle(a.open(), a.at(s, cannot))
		return false, false
	}
	if batch = a.downgrade(s, batch); len(batch) == 0 {
		return true, false
	}
	r, err := a.content.reader(f)
	if err != nil {
		a.settle(a.open(), unreadable(err))
		return false, false
	}
	defer r.Close()
	if f.conversion != (conversion{}) {
		a.note("the message is %s", f.conversion)
	}
	s.messages++
	body := &watched{Reader: r}
	receipt, err := s.client.Send(ctx, a.envelope(batch, f), body)
	if errors.Is(err, smtp.ErrArgument) { // what the sender asked for as reports is no reason not to deliver
		a.note("sending without the request for reports: %v", err)
		e := a.envelope(batch, f)
		e.DSN = nil
		receipt, err = s.client.Send(ctx, e, body)
	}
	if body.err != nil {
		a.settle(a.open(), unreadable(body.err))
		return false, false
	}
	return a.read(ctx, s, batch, receipt, err)
}

// read gives the recipients of a transaction their results.
func (a *attempt) read(ctx context.Context, s *session, batch []int, receipt *smtp.Receipt, err error) (goOn, again bool) {
	var refused []smtp.RecipientError
	var all *smtp.RecipientsError
	switch {
	case errors.As(err, &all):
		refused = all.Refused
	case receipt != nil:
		refused = receipt.Refused
	}
	theirs := make(map[int]bool) // who has a reply of his own
	for _, e := range refused {
		theirs[e.Index] = true
		if err == nil && tooMany(e.Err) && len(refused) < len(batch) {
			continue // the next transaction is for him: RFC 5321 section 4.5.3.1.10
		}
		a.settle(batch[e.Index:e.Index+1], a.at(s, refusal(e.Err)))
	}
	var others []int
	for i, recipient := range batch {
		if !theirs[i] {
			others = append(others, recipient)
		}
	}
	switch {
	case err == nil:
		result := &Result{Outcome: Relayed, Code: receipt.Code, Enhanced: receipt.Enhanced, Text: receipt.Text}
		if receipt.DSN {
			result.Outcome = Delivered
		}
		a.settle(others, a.at(s, result))
		if goOn = s.client.Open(); !goOn {
			a.pending(a.at(s, finding(451, "4.4.2", "the connection ended between two transactions")))
		}
		return goOn, true
	case all != nil:
		return s.client.Open(), true
	}
	v := judge(ctx, err)
	a.at(s, v.result)
	if v.over {
		a.settle(others, v.result)
		return s.client.Open() && ctx.Err() == nil, true
	}
	a.note("%s: %s", &s.peer, v.result.Text)
	a.pending(v.result)
	if s.client.Open() {
		a.said[s.peer.host] = true
	}
	return false, v.result.Local // a server that says no says it at its other addresses, too
}

// tooMany reports whether a recipient was refused because of the others.
func tooMany(e *smtp.Error) bool {
	_, detail, _ := strings.Cut(e.Enhanced, ".")
	return (e.Code == 452 || e.Code == 552) && (detail == "5.3" || e.Enhanced == "" || detail == "0.0")
}

// at says of a result from which session it comes.
func (a *attempt) at(s *session, r *Result) *Result {
	r.Server, r.TLS = s.peer.String(), s.tls()
	return r
}
