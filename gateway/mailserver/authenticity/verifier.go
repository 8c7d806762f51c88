package authenticity

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Options of a Verifier. Zero is the default.
type Options struct {
	// Hostname is the authserv-id (RFC 8601 §2.5): the server that says so.
	Hostname string
	Resolver Resolver
	// Exempt are networks whose mail is not evaluated: this machine's own.
	Exempt []netip.Prefix

	Signatures int           // DKIM signatures of a message that are checked, from the top; 5: each costs a pass over the message
	Lookups    int           // in the DNS for one message; 60, where SPF alone takes 10 and what its "mx" terms lead to
	RecordSize int           // octets of a TXT record, longer ones count as missing; 4,096: an RSA key of 8,192 bits has 1,400
	Authors    int           // domains in the From field; 5
	Timeout    time.Duration // from the end of the header until the DNS is not waited for; 20 seconds, the least that RFC 7208 §4.6.4 advises
}

func (o *Options) setDefaults() {
	set(&o.Signatures, 5)
	set(&o.Lookups, 60)
	set(&o.RecordSize, 4096)
	set(&o.Authors, 5)
	set(&o.Timeout, 20*time.Second)
}

func set[T int | time.Duration](v *T, fallback T) {
	if *v == 0 {
		*v = fallback
	}
}

// Verifier evaluates messages that come from the world. Its methods may be
// called at once by many.
type Verifier struct{ opts Options }

// New makes a verifier; it asks nothing yet.
func New(o Options) *Verifier {
	o.setDefaults()
	return &Verifier{o}
}

// Exempt says whether mail from there is not evaluated.
func (v *Verifier) Exempt(ip netip.Addr) bool {
	return slices.ContainsFunc(v.opts.Exempt, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}

// Result is a result of a method (RFC 8601 §2.7).
type Result string

const (
	None      Result = "none" // nothing to evaluate
	Pass      Result = "pass"
	Fail      Result = "fail"
	SoftFail  Result = "softfail"
	Neutral   Result = "neutral"
	Policy    Result = "policy" // not evaluated, by our own rules
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// Verdict is what is known of a message's authenticity.
type Verdict struct {
	SPF   SPF
	DKIM  []DKIM // in the order of the signatures
	DMARC DMARC
	// Field is the Authentication-Results field, with its CRLF.
	Field string
	// Junk says why the message is not to be believed; "" if it may be. It is
	// one line of printable ASCII.
	Junk string
	// Refuse says that the author's domain asks for it to be refused.
	Refuse bool
}

// Check is the evaluation of one message. What comes after the header is
// written to it as it passes by; then it ends in a verdict, or is given up.
type Check struct {
	verifier *Verifier
	cancel   context.CancelFunc
	running  sync.WaitGroup
	body     *io.PipeWriter // nil if there is no signature
	blank    bool           // the header's end was among the fields

	spf      SPF
	dkim     []DKIM
	author   author
	policies []policy // one for each domain of the author
}

// Begin starts the evaluation of a message with that header: the fields as they
// came, folded ones together, perhaps with the empty line after them. The
// context bounds all of it.
func (v *Verifier) Begin(ctx context.Context, s *Sender, header [][]byte) *Check {
	ctx, cancel := context.WithTimeout(ctx, v.opts.Timeout)
	dns := newFrugal(&v.opts)
	c := &Check{verifier: v, cancel: cancel, author: authorOf(header, v.opts.Authors)}
	c.running.Go(func() { c.spf = s.SPF(ctx) })
	c.running.Go(func() {
		for _, d := range c.author.domains {
			c.policies = append(c.policies, findPolicy(ctx, dns, d))
		}
	})
	signatures := signaturesOf(header)
	for _, f := range header {
		c.blank = c.blank || len(bytes.TrimRight(f, "\r\n")) == 0
	}
	if len(signatures) == 0 {
		return c
	}
	r, w := io.Pipe()
	c.body = w
	c.running.Go(func() {
		lookup := func(name string) ([]string, error) { return dns.LookupTXT(ctx, name) }
		c.dkim = verifySignatures(r, signatures, v.opts.Signatures, lookup)
		io.Copy(io.Discard, r) // whatever it left, so that Write never waits for nobody
	})
	for _, f := range header {
		w.Write(f)
	}
	if last := header[len(header)-1]; !c.blank && last[len(last)-1] != '\n' {
		io.WriteString(w, "\r\n") // the message ended in a field
	}
	return c
}

// Write takes more of the message. It cannot fail.
func (c *Check) Write(p []byte) (int, error) {
	if c.body != nil {
		c.body.Write(p)
	}
	return len(p), nil
}

// End is called when the whole message was written. It waits for the DNS, at
// most as long as Options.Timeout from Begin.
func (c *Check) End() Verdict {
	c.finish()
	v := Verdict{SPF: c.spf, DKIM: c.dkim}
	v.DMARC = evaluate(c.author, c.policies, c.spf, c.dkim)
	v.Field = field(c.verifier.opts.Hostname, v)
	v.Junk, v.Refuse = c.author.suspicion, false
	if asks := v.DMARC.Asks; v.DMARC.Result == Fail && asks != "none" {
		v.Junk = "DMARC: " + v.DMARC.From + " asks to " + asks + " what it neither sent nor signed"
		v.Refuse = asks == "reject"
	}
	return v
}

// Abandon ends a check whose message did not come whole. After End it does
// nothing.
func (c *Check) Abandon() {
	c.cancel()
	c.finish()
}

func (c *Check) finish() {
	if c.body != nil {
		if !c.blank { // a header and no body
			io.WriteString(c.body, "\r\n")
		}
		// QUIRK: the library forgets its goroutines when reading fails; so even a
		// message that was cut has an end.
		c.body.Close()
		c.body = nil
	}
	c.running.Wait()
	c.cancel()
}
