package smtp

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-mail/postern/shared/printable"
)

// Extensions is what a server announces in its answer to EHLO. See RFC 5321 section 4.1.1.1.
type Extensions struct {
	Size                int64    // the largest message, in octets; 0 if it names no limit. RFC 1870
	EightBitMIME        bool     // RFC 6152
	SMTPUTF8            bool     // RFC 6531
	DSN                 bool     // RFC 3461
	Pipelining          bool     // RFC 2920
	Chunking            bool     // RFC 3030
	EnhancedStatusCodes bool     // RFC 2034
	StartTLS            bool     // RFC 3207
	Auth                []string // the SASL mechanisms, in capitals, in the server's order. RFC 4954
	Lines               []string // all lines, as they came, without the first

	sizes bool // it knows SIZE, with or without a limit
}

// Extensions answers what the server announces now: TLS changes it. Before the first command it waits for the greeting and
// says EHLO.
func (c *Client) Extensions(ctx context.Context) (Extensions, error) {
	var e Extensions
	err := c.session(ctx, "EHLO", func() error {
		e = c.extensions
		e.Auth, e.Lines = slices.Clone(e.Auth), slices.Clone(e.Lines)
		return nil
	})
	return e, err
}

// readExtensions reads the lines of the answer to EHLO.
func readExtensions(reply []string) (e Extensions) {
	for i, line := range reply {
		_, text, _, ok := parseReplyLine(line)
		if i == 0 || !ok {
			continue // the server's name
		}
		text = strings.TrimSpace(printable.Line(text))
		e.Lines = append(e.Lines, text)
		// QUIRK: RFC 2554's first drafts had "AUTH=LOGIN", and Exchange announces both to this day.
		text = strings.ToUpper(text)
		if rest, ok := strings.CutPrefix(text, "AUTH="); ok {
			text = "AUTH " + rest
		}
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		e.add(words[0], words[1:])
	}
	return e
}

func (e *Extensions) add(keyword string, params []string) {
	switch keyword {
	case "SIZE":
		e.sizes = true
		if len(params) > 0 {
			if n, err := strconv.ParseInt(params[0], 10, 64); err == nil && n > 0 { // what is no number is no limit
				e.Size = n
			}
		}
	case "8BITMIME":
		e.EightBitMIME = true
	case "SMTPUTF8":
		e.SMTPUTF8 = true
	case "DSN":
		e.DSN = true
	case "PIPELINING":
		e.Pipelining = true
	case "CHUNKING":
		e.Chunking = true
	case "ENHANCEDSTATUSCODES":
		e.EnhancedStatusCodes = true
	case "STARTTLS":
		e.StartTLS = true
	case "AUTH":
		for _, m := range params {
			if !slices.Contains(e.Auth, m) {
				e.Auth = append(e.Auth, m)
			}
		}
	}
}
