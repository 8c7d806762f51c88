package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"
	"github.com/postern-mail/postern/gateway/mailserver/authenticity"
)

const (
	// maxHeader bounds what is held in memory of a message. Postfix stops at
	// 100 KB (header_size_limit); some mailing lists need more.
	maxHeader = 256 << 10
	// maxHops is RFC 5321 §6.3's bound for a loop.
	maxHops = 100
)

// receive writes a message to the disk: the trace header, its own header,
// mended and signed if a user submits it, and its body; what an MX takes is
// evaluated as it passes by.
func (s *session) receive(r io.Reader, m *transaction) (id string, err error) {
	id = strings.ToLower(rand.Text()[:16])
	in, err := s.srv.cfg.Post.Create()
	if err != nil {
		return id, err
	}
	defer in.Discard()

	body := bufio.NewReaderSize(r, 32<<10)
	head, err := readHeader(body)
	if err != nil {
		return id, err
	}
	if head.hops > maxHops {
		return id, refusal(554, smtp.EnhancedCode{5, 4, 6}, "the message has passed %d servers: it goes in circles", head.hops)
	}
	var check *authenticity.Check
	var to io.Writer = in
	var sig *signed
	if s.srv.cfg.Submission {
		if err := s.checkAuthor(head); err != nil {
			return id, err
		}
		m.env.Trace += authenticity.Submitted(s.srv.cfg.Hostname, s.user)
		s.mend(head)
		if sig, err = s.sign(head); err != nil {
			return id, err
		}
	} else if m.sender != nil {
		// The header as it came: a signature may cover what is dropped.
		check = s.srv.cfg.Verifier.Begin(s.srv.ctx, m.sender, head.fields)
		defer check.Abandon()
	}
	s.dropForged(head)
	if _, err := io.WriteString(in, s.received(id, m.trace)); err != nil {
		return id, err
	}
	if sig != nil {
		defer sig.abandon()
		to = sig
	}
	out := newLines(func(p []byte) error { _, err := to.Write(p); return err })
	for _, f := range head.fields {
		if _, err := out.Write(f); err != nil {
			return id, err
		}
	}
	var rest io.Writer = out
	if check != nil {
		rest = io.MultiWriter(check, out)
	}
	if _, err := body.WriteTo(rest); err != nil {
		return id, err
	}
	if err := out.end(); err != nil {
		return id, err
	}
	if s.link.aborted.Load() {
		return id, smtp.ErrDataReset
	}
	found := out.found
	if _, isChunks := r.(*io.PipeReader); !isChunks {
		found = s.link.text.found // out saw it mended
		found.period = found.period || out.found.period
	}
	if err := s.judge(found); err != nil {
		return id, err
	}
	if check != nil {
		if err := s.heed(check.End(), m); err != nil {
			return id, err
		}
	}
	if sig != nil {
		if err := sig.finish(in); err != nil {
			return id, err
		}
	}
	return id, in.Deliver(context.Background(), m.env)
}

// judge refuses what could be read as two messages. A user's program that ends
// its lines in LF alone is helped: RFC 6409 §8 lets a submission server mend,
// and a period cannot begin or end anything here.
func (s *session) judge(found newlines) error {
	if found.cr || found.period || found.lf && !s.srv.cfg.Submission {
		return refusal(554, smtp.EnhancedCode{5, 6, 0}, "lines end in CRLF (RFC 5321 section 2.3.8); this message has a bare CR or LF, or a hidden end, and was not taken")
	}
	return nil
}

// trace is what the Received field says of a message. It is noted at MAIL: a
// message by BDAT is read while the client may already say something else.
type trace struct {
	helo, protocol string
	peer           string // the client's address literal
	only           string // the recipient, if there is one: or a blind copy would be told of
}

// received is the trace header (RFC 5321 §4.4).
func (s *session) received(id string, t trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Received: from %s (%s)\r\n\tby %s with %s", t.helo, t.peer, s.srv.cfg.Hostname, t.protocol)
	if t := s.link.tls; t != nil {
		fmt.Fprintf(&b, " tls %s", tls.CipherSuiteName(t.CipherSuite)) // RFC 8314 §4.3
	}
	fmt.Fprintf(&b, "\r\n\tid %s", id)
	if t.only != "" {
		fmt.Fprintf(&b, " for <%s>", t.only)
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", s.date())
	return b.String()
}

func (s *session) date() string {
	return s.srv.cfg.Now().Format("Mon, 2 Jan 2006 15:04:05 -0700")
}

// protocol is a name of the registry of RFC 3848 and RFC 6531 §4.3.
func (s *session) protocol(utf8 bool) string {
	name := "SMTP"
	switch {
	case utf8:
		name = "UTF8SMTP"
	case s.link.esmtp || s.link.tls != nil:
		name = "ESMTP"
	}
	if s.link.tls != nil {
		name += "S"
	}
	if s.user != "" {
		name += "A"
	}
	return name
}

// helo is what the client called itself, if it may stand in a header.
func helo(name string) string {
	if _, ok := isDomain(strings.ToLower(name)); !ok {
		return "unknown"
	}
	return name
}

// literal is RFC 5321 §4.1.3's.
func literal(ip netip.Addr) string {
	switch {
	case !ip.IsValid():
		return "unknown"
	case ip.Is4():
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.WithZone("").String() + "]"
}

// mend adds the fields that RFC 6409 §8.2 and §8.3 let a submission server add,
// and the author if there is none: nobody else can have written it. It removes
// those that were meant for the author's own eyes.
func (s *session) mend(h *header) {
	h.drop("bcc", "resent-bcc")
	add := func(name, value string) {
		if !h.has[strings.ToLower(name)] {
			h.fields = slices.Insert(h.fields, 0, []byte(name+": "+value+"\r\n"))
		}
	}
	_, domain, _ := strings.Cut(s.user, "@")
	add("From", s.user)
	add("Date", s.date())
	add("Message-ID", "<"+strings.ToLower(rand.Text())+"@"+domain+">")
}

// header is the first part of a message, in fields as they came: whole lines,
// folded ones together. The last is the empty line, or whatever is not a field.
type header struct {
	fields [][]byte
	has    map[string]bool // names in lower case
	hops   int
}

var errHeaderSize = refusal(552, smtp.EnhancedCode{5, 3, 4}, "the header has more than 256 KB")

// readHeader reads fields up to the first line that is none.
func readHeader(r *bufio.Reader) (*header, error) {
	h := &header{has: map[string]bool{}}
	size := 0
	for {
		line, err := readLine(r, maxHeader-size)
		size += len(line)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		name, isField := fieldName(line)
		folded := len(h.fields) > 0 && len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
		switch {
		case folded:
			last := len(h.fields) - 1
			h.fields[last] = append(h.fields[last], line...)
		case len(h.fields) == 0 && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))):
			continue // QUIRK: the line that an mbox file begins a message with; Postfix drops it too
		case len(line) > 0:
			if !isField && len(bytes.TrimRight(line, "\r\n")) > 0 {
				// The body began without an empty line before it. Without one it would
				// be read as part of the fields that are added here.
				h.fields = append(h.fields, []byte("\r\n"))
			}
			h.fields = append(h.fields, line)
		}
		if isField && !folded {
			h.has[name] = true
			if name == "received" {
				h.hops++
			}
		}
		if err != nil || !isField && !folded {
			return h, nil
		}
	}
}

// readLine reads a line with its end into memory of its own.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > most {
			return nil, errHeaderSize
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// fieldName is RFC 5322 §2.2's, in lower case; blanks before the colon are of
// §4.5.
func fieldName(line []byte) (string, bool) {
	name, _, found := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	if !found || len(name) == 0 || bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", false
	}
	return strings.ToLower(string(name)), true
}

// named gives the values of the fields of a name in lower case.
func (h *header) named(name string) (values [][]byte) {
	for _, f := range h.fields {
		if n, ok := fieldName(f); ok && n == name {
			_, value, _ := bytes.Cut(f, []byte(":"))
			values = append(values, value)
		}
	}
	return values
}

// drop removes fields by name.
func (h *header) drop(names ...string) {
	h.dropIf(func(f []byte) bool {
		name, ok := fieldName(f)
		return ok && slices.Contains(names, name)
	})
}

func (h *header) dropIf(condition func(field []byte) bool) {
	h.fields = slices.DeleteFunc(h.fields, condition)
}
