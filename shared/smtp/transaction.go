package smtp

import (
	"context"
	"fmt"
	"io"
	"time"
)

// transaction is the sending of one message: MAIL, RCPT, and DATA or BDAT. go-smtp would speak it in lock-step; here it is
// spoken on the same guarded connection, in as few turns as the server allows (RFC 2920).
type transaction struct {
	*Client
	ctx      context.Context
	envelope Envelope
	mail     string   // the commands
	rcpt     []string // one for each recipient
	sevenBit bool     // octets above 127 may not come
	chunks   bool     // BDAT
	dsn      bool

	sender   *Error           // the refusal of MAIL
	refused  []RecipientError // of RCPT
	accepted int              // recipients
	text     *Error           // the refusal of DATA
	goAhead  bool             // DATA was answered by 354
}

// maxGroup is how many commands go out before their replies are read. Replies to more than these, of 512 octets each (RFC
// 5321 section 4.5.3.1.5), could fill the buffers between server and client, and each would wait for the other: RFC 2920
// section 3.1 leaves it to the client not to.
const maxGroup = 100

// plan decides how a message is to be sent, and whether it can be. It sends nothing.
func (c *Client) plan(ctx context.Context, e Envelope) (*transaction, error) {
	t := &transaction{Client: c, ctx: ctx, envelope: e, sevenBit: true}
	size, ext := e.Size, c.extensions
	if e.Content != nil {
		size = e.Content.Size
	}
	if most := max(size, e.Size); ext.Size > 0 && most > ext.Size {
		return nil, &TooLargeError{Size: most, Limit: ext.Size}
	}
	from, utf8 := wirePath(e.From)
	needs := "the address " + e.From
	var to []string
	for _, address := range e.To {
		wire, u := wirePath(address)
		to = append(to, wire)
		if u && !utf8 {
			utf8, needs = true, "the address "+address
		}
	}
	if !utf8 && (e.UTF8 || e.Content != nil && e.Content.UTF8) {
		utf8, needs = true, "the message's header"
	}
	if utf8 && !ext.SMTPUTF8 {
		return nil, &UnsupportedError{Extension: "SMTPUTF8", For: needs}
	}
	t.mail = "MAIL FROM:<" + from + ">"
	if ext.EightBitMIME || utf8 { // RFC 6531 section 3.1: who has SMTPUTF8 has 8BITMIME
		t.sevenBit = false
		if e.Content == nil || e.Content.EightBit {
			t.mail += " BODY=8BITMIME"
		}
	} else if e.Content != nil && e.Content.EightBit {
		return nil, errEightBit()
	}
	if ext.sizes && size > 0 {
		t.mail += fmt.Sprintf(" SIZE=%d", size)
	}
	if utf8 {
		t.mail += " SMTPUTF8"
	}
	if t.dsn = e.DSN != nil && ext.DSN; t.dsn {
		t.mail += e.DSN.mail()
	}
	for i, wire := range to {
		line := "RCPT TO:<" + wire + ">"
		if t.dsn {
			line += e.DSN.rcpt(i, e.To[i], utf8)
		}
		t.rcpt = append(t.rcpt, line)
	}
	t.chunks = ext.Chunking && (size >= chunksFrom || e.Content != nil && e.Content.Longest > maxTextLine)
	return t, nil
}

func errEightBit() error {
	return &UnsupportedError{Extension: "8BITMIME", For: "a message with octets above 127"}
}

// run sends the message.
func (t *transaction) run(r io.Reader) (reply, error) {
	if err := t.address(); err != nil {
		return reply{}, err
	}
	if t.chunks {
		return t.sendChunks(r)
	}
	return t.sendText(r)
}

// step is a command of the envelope.
type step struct {
	verb, line string
	recipient  int
}

func (t *transaction) steps() []step {
	list := []step{{verb: "MAIL", line: t.mail}}
	for i, line := range t.rcpt {
		list = append(list, step{verb: "RCPT", line: line, recipient: i})
	}
	if !t.chunks {
		list = append(list, step{verb: "DATA", line: "DATA"})
	}
	return list
}

// address sends the envelope, and DATA if that is to come, in groups. It returns nil when the message may follow.
func (t *transaction) address() error {
	most := 1
	if t.extensions.Pipelining {
		most = maxGroup
	}
	for list := t.steps(); len(list) > 0 && t.sender == nil; {
		if list[0].verb == "DATA" && t.accepted == 0 {
			break
		}
		group := list[:min(len(list), most)]
		list = list[len(group):]
		if err := t.exchange(group); err != nil {
			return err
		}
	}
	return t.judge()
}

// exchange sends a group and reads the reply to each of its commands.
func (t *transaction) exchange(group []step) error {
	var commands []command
	for _, s := range group {
		commands = append(commands, command{line: s.line + "\r\n"})
	}
	if err := t.guard.SetDeadline(time.Now().Add(t.options.Timeout)); err != nil {
		return err
	}
	if err := t.guard.ask(commands); err != nil {
		return err
	}
	for _, s := range group {
		r, err := t.guard.reply(t.options.Timeout)
		if err != nil {
			return err
		}
		if err := t.answered(s, r); err != nil {
			return t.guard.fail(err)
		}
	}
	return nil
}

// answered takes the reply to a command. An error ends the session.
func (t *transaction) answered(s step, r reply) error {
	if r.is(4) || r.is(5) {
		refused := r.refusal(s.verb)
		switch {
		case r.code == 421: // the server is going away: RFC 5321 section 3.8
			return refused
		case s.verb == "MAIL":
			t.sender = refused
		case s.verb == "RCPT":
			t.refused = append(t.refused, RecipientError{Recipient: t.envelope.To[s.recipient], Index: s.recipient, Err: refused})
		default:
			t.text = refused
		}
		return nil
	}
	switch {
	case s.verb == "DATA" && r.code == 354:
		t.goAhead = true
	case s.verb == "DATA" || !r.is(2):
		return r.err(s.verb)
	case s.verb == "RCPT":
		t.accepted++
	}
	return nil
}

// judge says what the replies to the envelope come to. Commands that went out together were all answered, whatever became
// of the first: RFC 2920 section 3.1.
func (t *transaction) judge() error {
	switch {
	case t.sender != nil:
		t.refused = nil // for want of a sender: that says nothing of them
		if t.goAhead {  // to whom, from nobody? Only hanging up is sure to send nothing
			return t.guard.fail(t.sender)
		}
		if t.accepted > 0 {
			return t.takeBack(t.sender)
		}
		return t.sender
	case t.accepted == 0:
		err := &RecipientsError{Refused: t.refused}
		if t.goAhead { // a message to nobody, which the server has to refuse: RFC 2920 section 3.1
			return t.endEmpty(err)
		}
		return t.takeBack(err)
	case t.text != nil:
		return t.takeBack(t.text)
	}
	return nil
}

// takeBack ends a transaction that came to nothing, so that the next can begin, and returns err.
func (t *transaction) takeBack(err error) error {
	t.aside(command{line: "RSET\r\n"}, t.options.Timeout)
	return err
}

// endEmpty does the same after a 354.
func (t *transaction) endEmpty(err error) error {
	t.aside(command{line: ".\r\n"}, t.options.FinalTimeout)
	return err
}

// aside says something whose answer changes nothing for the caller, but for the session.
func (t *transaction) aside(c command, limit time.Duration) {
	if t.guard.SetDeadline(time.Now().Add(limit)) != nil || t.guard.ask([]command{c}) != nil {
		return // the guard remembers
	}
	if r, err := t.guard.reply(limit); err == nil && (r.code == 421 || r.is(3)) {
		t.guard.fail(r.err("RSET"))
	}
}
