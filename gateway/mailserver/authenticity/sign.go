package authenticity

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// signed are the fields that a signature covers, each once more than it is
// there: so nobody can add a second From or Subject that would be shown instead
// (RFC 6376 §8.15). Those that mailing lists and forwarders add of right
// (Sender, List-*, Resent-*, trace) are left to them.
var signed = []string{
	"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition",
}

// maxRepeats bounds how often the list names a field.
const maxRepeats = 20

// Signer signs what the users of some domains send.
type Signer struct {
	keys    []Key
	domains []string
}

// NewSigner makes a signer of every key for messages from those domains.
func NewSigner(keys []Key, domains []string) *Signer {
	s := &Signer{keys: keys}
	for _, d := range domains {
		s.domains = append(s.domains, asciiDomain(d))
	}
	return s
}

// Signing is one message being signed. The header and what follows it are
// written to it; End gives the fields to put before them.
type Signing struct {
	signers []*dkim.Signer
	out     io.Writer
	ended   bool // the empty line was among the fields
	closed  bool
}

// Begin starts to sign a message with that header; nil means that it is not to
// be signed, for its author's domain is none of ours. The header is only looked
// at.
func (s *Signer) Begin(header [][]byte) (*Signing, error) {
	a := authorOf(header, 1)
	if a.problem != "" || len(a.domains) != 1 || !slices.Contains(s.domains, a.domains[0]) || len(s.keys) == 0 {
		return nil, nil
	}
	var names []string
	for _, name := range signed {
		n := min(len(fieldsNamed(header, strings.ToLower(name))), maxRepeats) + 1
		names = append(names, slices.Repeat([]string{name}, n)...)
	}
	g := &Signing{}
	for _, f := range header {
		g.ended = g.ended || len(bytes.TrimRight(f, "\r\n")) == 0
	}
	var all []io.Writer
	for _, k := range s.keys {
		one, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: a.domains[0], Selector: k.Selector, Signer: k.Signer, HeaderKeys: names,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		})
		if err != nil {
			g.Abandon()
			return nil, fmt.Errorf("DKIM key %s: %w", k.Selector, err)
		}
		g.signers = append(g.signers, one)
		all = append(all, one)
	}
	g.out = io.MultiWriter(all...)
	return g, nil
}

// Write takes more of the message, as it will go out.
func (g *Signing) Write(p []byte) (int, error) { return g.out.Write(p) }

// End gives the DKIM-Signature fields of the message.
func (g *Signing) End() (fields string, err error) {
	if !g.ended { // a header and no body
		if _, err := io.WriteString(g, "\r\n"); err != nil {
			g.Abandon()
			return "", err
		}
	}
	g.closed = true
	for _, one := range g.signers {
		// Each is closed, or what it runs would wait for ever.
		if closing := one.Close(); closing != nil {
			err = closing
		} else {
			fields += one.Signature()
		}
	}
	return fields, err
}

// Abandon gives a message up. After End it does nothing.
func (g *Signing) Abandon() {
	if !g.closed {
		g.closed = true
		for _, one := range g.signers {
			one.Close()
		}
	}
}
