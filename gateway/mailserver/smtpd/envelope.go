package smtpd

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// Envelope says where a message comes from and goes to.
type Envelope struct {
	From       string      // reverse-path, "" for the null sender
	Local      []Recipient // who have mailboxes here
	Remote     []Recipient // of other servers, each address once
	UTF8       bool        // SMTPUTF8 (RFC 6531)
	Return     string      // what a report is to have of the message (RET, RFC 3461 §4.3): "", "FULL" or "HDRS"
	EnvelopeID string      // the sender's name for it (ENVID, §4.4), decoded
	Trace      string      // header lines for final delivery alone, the Return-Path first
}

// Recipient is whom a message is for, and what its sender wants to be told of
// him.
type Recipient struct {
	Address   string   // as the client gave it, the domain in lower case
	Mailboxes []string // here, as Lookup gave them, each once in an envelope; none in Envelope.Remote
	Notify    []string // NOTIFY (RFC 3461 §4.1): "NEVER", or of "SUCCESS", "FAILURE", "DELAY"; none: nothing was said
	Original  string   // ORCPT (§4.2): type;address, the address decoded; "": nothing was said
}

// Mailboxes are those of all local recipients.
func (e *Envelope) Mailboxes() (list []string) {
	for _, r := range e.Local {
		list = append(list, r.Mailboxes...)
	}
	return list
}

// Mail takes the reverse-path.
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv.draining.Load() {
		return s.shuttingDown()
	}
	if s.srv.cfg.Submission && s.user == "" {
		return refusal(530, smtp.EnhancedCode{5, 7, 0}, "log in first (AUTH)")
	}
	if s.begun {
		// QUIRK: go-smtp lets MAIL come twice, and keeps the recipients of the first.
		return refusal(503, smtp.EnhancedCode{5, 5, 1}, "MAIL was said already; RSET begins anew")
	}
	if from != "" { // a user may send as nobody: RFC 8098 §3 wants it of receipts
		wire, wide, err := mailbox(from)
		if err != nil {
			return refusal(553, smtp.EnhancedCode{5, 1, 7}, "that is not a sender's address")
		}
		if wide && !opts.UTF8 {
			return refusal(550, smtp.EnhancedCode{5, 6, 7}, "an address with such letters needs SMTPUTF8") // RFC 6531 §3.5
		}
		if s.user != "" {
			if err := s.owns(wire, refusal(553, smtp.EnhancedCode{5, 7, 1}, "you are logged in as %s and may send as nobody else", s.user)); err != nil {
				return err
			}
		}
		from = wire
	}
	if err := s.srv.cfg.Post.Room(opts.Size); errors.Is(err, ErrFull) { // RFC 1870 §6.1
		s.srv.log.Error("smtp: the disk is full", "remote", s.link.RemoteAddr(), "error", err)
		return refusal(452, smtp.EnhancedCode{4, 3, 1}, "there is no room on the server now")
	}
	client := s.whose()
	if !s.srv.cfg.Rates.take(messages, client, s.user) {
		return s.tooMuch("messages")
	}
	s.transaction = transaction{
		begun: true, size: opts.Size, client: client, seen: map[string]bool{},
		env: Envelope{From: from, UTF8: opts.UTF8, Return: string(opts.Return), EnvelopeID: opts.EnvelopeID,
			Trace: "Return-Path: <" + from + ">\r\n"},
		trace: trace{helo: helo(s.conn.Hostname()), peer: literal(client), protocol: s.protocol(opts.UTF8)},
	}
	if v := s.srv.cfg.Verifier; v != nil && !s.srv.cfg.Submission && !v.Exempt(client) {
		s.sender = v.Sender(client, s.conn.Hostname(), from)
	}
	return nil
}

// whose says which client a message is counted for and judged by. Of a user it
// is only known that he comes by this connection.
func (s *session) whose() netip.Addr {
	if c := s.srv.cfg.Client; c != nil && !s.srv.cfg.Submission {
		return c(s.link.RemoteAddr())
	}
	at, _ := netip.ParseAddrPort(s.link.RemoteAddr().String())
	return at.Addr().Unmap()
}

// owns lets a user write as himself and his aliases.
func (s *session) owns(address string, otherwise error) error {
	switch owns, err := s.srv.cfg.Post.Owns(s.srv.ctx, s.user, address); {
	case err != nil:
		return s.unanswered("senders", err)
	case !owns:
		return otherwise
	}
	return nil
}

// unanswered refuses what the post office could not tell. At shutdown nothing more
// is heard: a client that has sent everything at once would have its message
// taken for the recipients before this one alone.
func (s *session) unanswered(what string, err error) error {
	if s.srv.ctx.Err() != nil {
		return s.shuttingDown()
	}
	s.srv.log.Error("smtp: cannot look up "+what, "error", err)
	return refusal(451, smtp.EnhancedCode{4, 3, 0}, "the server cannot look up %s now", what)
}

func (s *session) tooMuch(what string) error {
	s.srv.log.Warn("smtp: too many "+what, "remote", s.link.RemoteAddr(), "user", s.user)
	if s.user != "" {
		return refusal(451, smtp.EnhancedCode{4, 7, 1}, "you have sent too many %s in the last hour; try again later", what)
	}
	return refusal(451, smtp.EnhancedCode{4, 7, 1}, "too many %s came from your address in the last hour; try again later", what)
}

// maxUnknown is how many wrong recipients a connection may try: more is
// somebody with a dictionary.
const maxUnknown = 20

// Rcpt takes a forward-path.
func (s *session) Rcpt(to string, opts *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	wire, wide, err := mailbox(to)
	if err != nil {
		return refusal(553, smtp.EnhancedCode{5, 1, 3}, "that is not a recipient's address")
	}
	if wide && !s.env.UTF8 {
		return refusal(553, smtp.EnhancedCode{5, 6, 7}, "an address with such letters needs SMTPUTF8")
	}
	if s.user == "" && s.srv.cfg.Rates.spent(unknown, s.client, "") {
		s.link.hangup = true // and not a word more about which exist
		return refusal(421, smtp.EnhancedCode{4, 7, 0}, "too many recipients that do not exist; come back in an hour")
	}
	boxes, local, err := s.srv.cfg.Post.Lookup(s.srv.ctx, wire)
	switch {
	case errors.Is(err, ErrNoMailbox):
		if s.user == "" {
			s.srv.cfg.Rates.take(unknown, s.client, "")
		}
		if s.link.junk > maxUnknown {
			s.link.hangup = true
		}
		return refusal(550, smtp.EnhancedCode{5, 1, 1}, "there is no <%s> here", wire)
	case err != nil:
		return s.unanswered("recipients", err)
	case !local && !s.srv.cfg.Submission:
		return refusal(550, smtp.EnhancedCode{5, 7, 1}, "<%s> is not ours, and this is no relay", wire)
	}
	r := Recipient{Address: wire, Original: original(opts)}
	for _, n := range opts.Notify {
		r.Notify = append(r.Notify, string(n))
	}
	fresh := slices.DeleteFunc(slices.Clone(boxes), func(box string) bool { return s.seen[box] })
	if !local {
		fresh = nil
		if !s.seen[wire] {
			fresh = []string{wire}
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := s.welcome(wire, fresh, local); err != nil {
		return err
	}
	if err := s.fault(s.client, wire); err != nil {
		return err
	}
	s.trace.only = ""
	if len(s.seen) == 0 {
		s.trace.only = wire
	}
	for _, box := range fresh {
		s.seen[box] = true
	}
	if local {
		r.Mailboxes = fresh
		s.env.Local = append(s.env.Local, r)
	} else {
		s.env.Remote = append(s.env.Remote, r)
	}
	return nil
}

// welcome asks whether a recipient can have the message now.
func (s *session) welcome(wire string, boxes []string, local bool) error {
	for _, box := range boxes {
		if !local {
			break
		}
		switch full, err := s.srv.cfg.Post.Full(s.srv.ctx, box, s.size); {
		case err != nil:
			return s.unanswered("recipients", err)
		case full: // for the time being: RFC 3463 §3.3
			return refusal(452, smtp.EnhancedCode{4, 2, 2}, "the mailbox of <%s> is full", wire)
		}
	}
	if !s.srv.cfg.Rates.take(recipients, s.client, s.user) {
		return s.tooMuch("recipients")
	}
	if g := s.srv.cfg.Greylist; g != nil && s.sender != nil {
		if wait := g.wait(s.client, s.sender.SPF(s.srv.ctx), s.env.From, wire); wait > 0 {
			return refusal(451, smtp.EnhancedCode{4, 7, 1}, "we have not met before; your server is welcome in %d minutes, and from then on", int((wait+time.Minute-1)/time.Minute))
		}
	}
	return nil
}

// original is ORCPT as RFC 3464 §2.3.1 writes it.
func original(opts *smtp.RcptOptions) string {
	if opts.OriginalRecipient == "" {
		return ""
	}
	return strings.ToLower(string(opts.OriginalRecipientType)) + ";" + opts.OriginalRecipient
}
