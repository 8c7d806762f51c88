package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/postern-mail/postern/shared/smtp"
)

// Deliverer delivers. Its methods may be called at the same time.
type Deliverer struct {
	Config
	routes *remembered[route]
	dead   *remembered[string] // addresses that do not answer, and what came of trying
	dials  *slots
	places *slots // of sessions, idle ones included

	mu           sync.Mutex
	destinations map[string]*destination
	closed       bool
	farewells    sync.WaitGroup
}

// destination is what is shared by the attempts at one domain. It is there as long as an attempt or an idle session is.
type destination struct {
	name  string
	turns *slots
	users int
	idle  []*session // the one used last is the last
}

// New makes a Deliverer; it does no I/O. Close it.
func New(c Config) *Deliverer {
	c = c.withDefaults()
	return &Deliverer{
		Config: c,
		routes: newRemembered[route](c.Limits.Remember, c.Limits.Remembered),
		dead:   newRemembered[string](c.Limits.Remember, c.Limits.Remembered),
		dials:  newSlots(c.Limits.Dials), places: newSlots(c.Limits.Connections),
		destinations: make(map[string]*destination),
	}
}

// Deliver tries once to hand a message to the servers of a domain, for all of its recipients. It answers what became of
// each, in their order, and what was said. It waits for its turn where there are too many attempts already; when ctx ends,
// what has no result yet is deferred, or of unknown outcome if the final dot had gone out.
func (d *Deliverer) Deliver(ctx context.Context, domain string, m Message) ([]Result, Transcript) {
	a := &attempt{
		Deliverer: d, message: m, domain: destinationOf(domain), results: make([]Result, len(m.Recipients)),
		rec: recorder{most: d.Limits.Transcript, length: d.Limits.LineLength},
	}
	if d.Smarthost != nil {
		a.domain = d.Smarthost.Host
	}
	a.run(ctx)
	return a.results, a.rec.lines
}

// attempt is one call of Deliver.
type attempt struct {
	*Deliverer
	message Message
	domain  string
	results []Result
	rec     recorder
	content smtp.Content
	found   *findings // of the message's parts; nil until somebody wants to know
}

// pending are the recipients that have no result yet.
func (a *attempt) pending() (list []int) {
	for i, r := range a.results {
		if r.Outcome == 0 {
			list = append(list, i)
		}
	}
	return list
}

// all gives every recipient that has no result this one.
func (a *attempt) all(r *Result) {
	for _, i := range a.pending() {
		a.results[i] = *r
	}
}

func (a *attempt) run(ctx context.Context) {
	if why := a.look(); why != nil {
		a.rec.note("%s", why.Text)
		a.all(why)
		return
	}
	to, err := a.turn(ctx)
	if err != nil {
		a.all(finding(451, "4.4.1", "its turn did not come: %v", err))
		return
	}
	defer a.leave(to)
	ctx, cancel := context.WithTimeout(ctx, a.Limits.Attempt)
	defer cancel()
	if s := a.take(to); s != nil {
		if a.over(ctx, to, s); len(a.pending()) == 0 {
			return
		}
	}
	a.connectAndSend(ctx, to)
}

// look reads the message once: for what it needs, and for how far it has come.
func (a *attempt) look() *Result {
	r, err := a.message.Open()
	if err != nil {
		return finding(451, "4.3.0", "the message cannot be read: %v", err)
	}
	defer r.Close()
	hops := &hopCounter{}
	if a.content, err = smtp.Survey(io.TeeReader(r, hops)); err != nil {
		return finding(451, "4.3.0", "the message cannot be read: %v", err)
	}
	if hops.received > a.MaxReceived {
		return finding(554, "5.4.6", "the message has passed %d servers: it goes in circles", hops.received)
	}
	return nil
}

// connectAndSend tries the hosts of the route, each address of each, until every recipient has a result.
func (a *attempt) connectAndSend(ctx context.Context, to *destination) {
	hosts, stop := a.hosts(ctx)
	if stop != nil {
		a.rec.note("%s", stop.Text)
		a.all(stop)
		return
	}
	dialling, cancel := context.WithTimeout(ctx, a.Limits.Connect)
	defer cancel()
	var last *Result // why the last server could not be spoken to
	for _, h := range hosts {
		for _, address := range h.addresses {
			s, why := a.connect(dialling, ctx, h, address)
			if why != nil {
				last = why
				continue
			}
			a.over(ctx, to, s)
			if len(a.pending()) == 0 {
				return
			}
		}
	}
	if last == nil {
		last = finding(451, "4.4.1", "no server of %s could be reached", a.domain)
	}
	a.all(last)
}

// over sends the message over a session, and keeps or ends it. Recipients that another server may still have are left without
// a result.
func (a *attempt) over(ctx context.Context, to *destination, s *session) {
	s.rec = &a.rec
	for pending := a.pending(); len(pending) > 0; {
		batch := pending[:min(len(pending), a.Limits.Recipients)]
		pending = pending[len(batch):]
		if !a.send(ctx, s, batch) {
			break
		}
	}
	s.sent++
	s.rec = nil
	if s.client.Open() && s.sent < a.Limits.Messages && ctx.Err() == nil {
		a.keep(to, s)
	} else {
		a.end(s)
	}
}

// send makes one transaction. It answers false if the recipients are for another server to try.
func (a *attempt) send(ctx context.Context, s *session, batch []int) bool {
	envelope := smtp.Envelope{From: a.message.From, Size: a.content.Size, UTF8: a.message.UTF8 && a.needsUTF8(batch)}
	content := a.content
	dsn := &smtp.DSN{Return: a.message.Return, EnvelopeID: a.message.EnvelopeID}
	for _, i := range batch {
		r := a.message.Recipients[i]
		envelope.To = append(envelope.To, r.Address)
		dsn.Recipients = append(dsn.Recipients, smtp.RecipientDSN{Notify: r.Notify, Original: r.Original})
	}
	envelope.DSN = dsn
	body, why := a.body(ctx, s, &content)
	if why != nil {
		a.some(batch, s, why)
		return true
	}
	defer body.Close()
	envelope.Content, envelope.Size = &content, content.Size
	receipt, err := s.client.Send(ctx, envelope, body)
	return a.record(s, batch, receipt, err)
}

// needsUTF8 says whether anything in the envelope or the header is beyond ASCII. A message that only says so can go to any
// server.
func (a *attempt) needsUTF8(batch []int) bool {
	if a.content.UTF8 || !isASCII([]byte(a.message.From)) {
		return true
	}
	return slices.ContainsFunc(batch, func(i int) bool { return !isASCII([]byte(a.message.Recipients[i].Address)) })
}

// body opens the content as this server can take it.
func (a *attempt) body(ctx context.Context, s *session, content *smtp.Content) (io.ReadCloser, *Result) {
	ext, err := s.client.Extensions(ctx)
	if err != nil {
		return nil, nil // the transaction will say so
	}
	c := conversion{eight: content.EightBit && !ext.EightBitMIME && !ext.SMTPUTF8, long: content.Longest > maxTextLine && !ext.Chunking}
	if !c.eight && !c.long {
		return a.open()
	}
	if a.found == nil {
		r, why := a.open()
		if why != nil {
			return nil, why
		}
		a.found, err = examine(r, a.Limits.Parts)
		r.Close()
		if err != nil {
			return nil, finding(451, "4.3.0", "the message cannot be read: %v", err)
		}
	}
	if c.eight {
		if err := a.found.sevenBit(); err != nil {
			return nil, finding(554, "5.6.3", "%s takes no 8-bit mail, and the message cannot be made 7-bit: %v", s.server, err)
		}
		a.rec.note("%s takes no 8-bit mail: the message is made 7-bit", s.server)
	}
	r, why := a.open()
	if why != nil {
		return nil, why
	}
	survey, err := smtp.Survey(a.found.converted(r, c))
	r.Close()
	if err != nil {
		return nil, finding(554, "5.6.3", "the message cannot be made 7-bit: %v", err)
	}
	*content = survey
	if r, why = a.open(); why != nil {
		return nil, why
	}
	return readCloser{a.found.converted(r, c), r}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

func (a *attempt) open() (io.ReadCloser, *Result) {
	r, err := a.message.Open()
	if err != nil {
		return nil, finding(451, "4.3.0", "the message cannot be read: %v", err)
	}
	return r, nil
}

// some gives recipients a result of this server's.
func (a *attempt) some(batch []int, s *session, r *Result) {
	for _, i := range batch {
		a.results[i] = *r
		a.results[i].Server, a.results[i].TLS = s.server, s.tls
	}
}

// record says what a transaction means for its recipients. It answers false if those without a result are for another
// server.
func (a *attempt) record(s *session, batch []int, receipt *smtp.Receipt, err error) bool {
	refused := map[int]*smtp.Error{}
	note := func(list []smtp.RecipientError) {
		for _, r := range list {
			refused[r.Index] = r.Err
		}
	}
	var sender *smtp.Error // MAIL was refused: what came of RCPT in the same group follows from that
	if errors.As(err, &sender) && sender.Command != "MAIL" {
		sender = nil
	}
	if receipt != nil && sender == nil {
		note(receipt.Refused)
	}
	var all *smtp.RecipientsError
	if errors.As(err, &all) {
		note(all.Refused)
		err = nil
	}
	rest := batch[:0:0]
	for k, i := range batch {
		if e := refused[k]; e != nil {
			a.results[i] = a.reply(s, e)
		} else {
			rest = append(rest, i)
		}
	}
	var unsupported *smtp.UnsupportedError
	var large *smtp.TooLargeError
	var reply *smtp.Error
	switch {
	case len(rest) == 0:
	case err == nil:
		r := Result{Outcome: Relayed, Code: receipt.Code, Enhanced: receipt.Enhanced, Text: receipt.Text}
		if receipt.DSN {
			r.Outcome = Delivered
		}
		a.some(rest, s, &r)
	case errors.Is(err, smtp.ErrUnknown):
		r := finding(451, "4.4.2", "the connection was cut after the message and before the answer: it may have been delivered")
		r.Outcome = Unknown
		a.some(rest, s, r)
	case errors.As(err, &reply):
		r := a.reply(s, reply)
		if !s.client.Open() || reply.Code == 421 || reply.Command == "MAIL" && reply.Temporary() {
			s.last = &r // another server may do better: RFC 5321 section 5.1
			return a.retry(s, &r)
		}
		a.some(rest, s, &r)
	case errors.As(err, &unsupported) && unsupported.Extension == "8BITMIME":
		a.some(rest, s, finding(554, "5.6.3", "%s takes no 8-bit mail, which this message is", s.server))
	case errors.As(err, &unsupported):
		a.some(rest, s, finding(553, "5.6.7", "%s takes no internationalised mail (SMTPUTF8), which %s needs", s.server, unsupported.For))
	case errors.As(err, &large):
		a.some(rest, s, finding(552, "5.3.4", "the message has %d octets, %s takes %d", large.Size, s.server, large.Limit))
	case errors.Is(err, smtp.ErrArgument):
		a.some(rest, s, finding(553, "5.1.3", "an address cannot be written in SMTP: %v", err))
	default:
		return a.retry(s, finding(451, "4.4.2", "the conversation with %s broke off: %v", s.server, err))
	}
	return true
}

// retry leaves the recipients to the next server, and this result to them if there is none.
func (a *attempt) retry(s *session, r *Result) bool {
	r.Server, r.TLS = cmp.Or(r.Server, s.server), cmp.Or(r.TLS, s.tls)
	a.rec.note("%s", r.Text)
	return false
}

func (a *attempt) reply(s *session, e *smtp.Error) Result {
	r := Result{Outcome: Failed, Code: e.Code, Enhanced: e.Enhanced, Text: e.Text, Server: s.server, TLS: s.tls}
	if e.Temporary() {
		r.Outcome = Deferred
	}
	if r.Enhanced == "" {
		r.Enhanced = fmt.Sprintf("%d.0.0", e.Code/100)
	}
	return r
}

// hopCounter counts the Received fields of a header that it is shown.
type hopCounter struct {
	received int
	line     []byte // the beginning of the line under way
	over     bool
}

func (h *hopCounter) Write(p []byte) (int, error) {
	for _, c := range p {
		if h.over {
			break
		}
		switch {
		case c == '\n':
			line := h.line
			h.line = h.line[:0]
			switch {
			case len(line) == 0 || len(line) == 1 && line[0] == '\r':
				h.over = true
			case len(line) >= 9 && equalFold(line[:9], "received:"):
				h.received++
			}
		case len(h.line) < 9:
			h.line = append(h.line, c)
		}
	}
	return len(p), nil
}

func equalFold(b []byte, lower string) bool {
	for i := range b {
		if c := b[i]; c != lower[i] && (c < 'A' || c > 'Z' || c+'a'-'A' != lower[i]) {
			return false
		}
	}
	return true
}
