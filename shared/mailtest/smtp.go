package mailtest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// SMTP is a submission server in memory: RFC 5321 with STARTTLS, AUTH, SIZE, 8BITMIME and SMTPUTF8, and more if its fields say
// so. It is strict: what a client does that its RFCs do not allow is in [SMTP.Violations]. Its fields are not to change
// while it serves.
type SMTP struct {
	Password   map[string]string // by user
	Tokens     map[string]string // bearer tokens, by user, for OAUTHBEARER and XOAUTH2
	Users      []string          // the recipients that exist; others are refused with 550 5.1.1
	Anybody    bool              // every recipient exists
	Refuse     map[string]string // by recipient: the reply that refuses it
	TLS        *tls.Config       // offers STARTTLS
	Size       int64             // announced and kept to; 0 for no limit
	Mechanisms []string          // of SASL; nil for PLAIN and LOGIN
	NoPlain    bool              // AUTH LOGIN alone
	NoUTF8     bool              // SMTPUTF8 is not announced
	No8Bit     bool              // 8BITMIME is not announced, nor SMTPUTF8, which needs it (RFC 6531 section 3.1)
	OpenMail   bool              // MAIL without AUTH is accepted
	DSN        bool              // RFC 3461 is announced
	Pipelining bool              // RFC 2920
	Chunking   bool              // RFC 3030
	Forged     bool              // SCRAM: it does not know the password, and says that all is well

	// Fault, if set, is asked before each reply what to do in its place; nil for nothing. stage is the command's verb in
	// capitals; "" for the greeting, "334" for a response of AUTH, "." for the end of a message, "BDAT" and "BDAT LAST" for
	// the end of a chunk.
	Fault func(stage string) *SMTPFault

	mu         sync.Mutex
	received   []Received
	violations []string
}

// SMTPFault is what a server does wrong.
type SMTPFault struct {
	Reply  string // is said, as it is, line ends included; the command is not done
	Accept bool   // but the message is accepted
	Cut    bool   // the connection is closed after it
	Stall  bool   // nothing more is said
}

// Received is a message that an [SMTP] server accepted.
type Received struct {
	From    string
	To      []string
	Params  string   // what stood behind the sender in MAIL
	Rcpt    []string // what stood behind each recipient in RCPT
	Content []byte   // as it came, unstuffed, without its final dot
	Chunks  int      // by BDAT; 0 for DATA
}

// NewSMTP returns a server with one user, bob, password bob-pw, and bob@example.test and alice@example.test to write to.
func NewSMTP() *SMTP {
	return &SMTP{
		Password: map[string]string{"bob": "bob-pw"},
		Users:    []string{"bob@example.test", "alice@example.test", "büro@example.test"},
		Size:     10 << 20,
	}
}

// Received returns the messages accepted so far.
func (s *SMTP) Received() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Received(nil), s.received...)
}

// Violations returns what clients did that they must not.
func (s *SMTP) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

type smtpSession struct {
	*SMTP
	conn   net.Conn
	r      *bufio.Reader
	out    bytes.Buffer // replies that go out together
	stage  string
	authed bool
	over   bool
	mail   *Received
	chunks bool // BDAT was said
}

// ServeConn implements Server.
func (s *SMTP) ServeConn(conn net.Conn) {
	c := &smtpSession{SMTP: s}
	c.use(conn)
	if c.faulty() == nil {
		c.reply(220, "mail.example.test ESMTP")
	}
	for !c.over {
		line, err := c.line()
		if err != nil {
			return
		}
		verb, args, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		c.stage = verb
		switch verb { // RFC 2920 section 3.1: these may not have anything behind them in their group
		case "EHLO", "DATA", "QUIT", "STARTTLS", "NOOP", "AUTH":
			c.turn()
		case "MAIL", "RCPT", "RSET":
			if !c.Pipelining {
				c.turn()
			}
		}
		c.command(verb, args)
	}
	c.flush()
}

func (c *smtpSession) use(conn net.Conn) {
	c.conn, c.r = conn, bufio.NewReaderSize(conn, 64<<10)
	c.authed, c.mail, c.stage = false, nil, ""
}

func (c *smtpSession) violation(format string, a ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.violations = append(c.violations, fmt.Sprintf(format, a...))
}

// turn notes it if the client has said more, before this was answered.
func (c *smtpSession) turn() {
	if n := c.r.Buffered(); n > 0 {
		p, _ := c.r.Peek(min(n, 60))
		c.violation("%q before %s was answered", p, c.stage)
	}
}

// line reads a command.
func (c *smtpSession) line() (string, error) {
	if c.r.Buffered() == 0 {
		c.flush()
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsAny(text, "\r\n\x00") {
		c.violation("a command is %q", line)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (c *smtpSession) flush() {
	if c.out.Len() > 0 {
		c.conn.Write(c.out.Bytes())
		c.out.Reset()
	}
}

// faulty does what Fault says of the present stage, in place of the command; nil if it says nothing.
func (c *smtpSession) faulty() *SMTPFault {
	if c.Fault == nil {
		return nil
	}
	f := c.Fault(c.stage)
	if f == nil {
		return nil
	}
	c.out.WriteString(f.Reply)
	c.flush()
	if f.Stall {
		io.Copy(io.Discard, c.r)
	}
	c.over = c.over || f.Cut || f.Stall
	return f
}

// reply sends a reply of these lines.
func (c *smtpSession) reply(code int, lines ...string) {
	var text strings.Builder
	for i, l := range lines {
		separator := "-"
		if i == len(lines)-1 {
			separator = " "
		}
		fmt.Fprintf(&text, "%d%s%s\r\n", code, separator, l)
	}
	c.say(text.String())
}

// say sends replies when there is nothing more to read, together.
func (c *smtpSession) say(text string) {
	c.out.WriteString(text)
	if c.r.Buffered() == 0 {
		c.flush()
	}
}

func (c *smtpSession) command(verb, args string) {
	if verb != "BDAT" && c.faulty() != nil {
		return
	}
	switch verb {
	case "EHLO":
		c.mail = nil
		c.reply(250, append([]string{"mail.example.test"}, c.extensions()...)...)
	case "HELO", "NOOP":
		c.reply(250, "OK")
	case "RSET":
		c.mail = nil
		c.reply(250, "2.0.0 OK")
	case "QUIT":
		c.reply(221, "2.0.0 bye")
		c.over = true
	case "STARTTLS":
		if c.TLS == nil {
			c.reply(502, "5.5.1 no TLS here")
			break
		}
		c.reply(220, "2.0.0 go ahead")
		c.flush()
		c.use(tls.Server(c.conn, c.TLS))
	case "AUTH":
		c.auth(args)
	case "MAIL":
		c.from(args)
	case "RCPT":
		c.to(args)
	case "DATA":
		c.data()
	case "BDAT":
		c.bdat(args)
	default:
		c.violation("unknown command %.80q", verb)
		c.reply(500, "5.5.2 unknown command")
	}
}

func (c *smtpSession) mechanisms() []string {
	switch {
	case c.NoPlain:
		return []string{"LOGIN"}
	case c.Mechanisms != nil:
		return c.Mechanisms
	}
	return []string{"PLAIN", "LOGIN"}
}

// wideOK tells whether SMTPUTF8 is announced.
func (s *SMTP) wideOK() bool { return !s.NoUTF8 && !s.No8Bit }

func (c *smtpSession) extensions() []string {
	ext := []string{"ENHANCEDSTATUSCODES", "SIZE " + strconv.FormatInt(c.Size, 10)}
	_, under := c.conn.(*tls.Conn)
	for _, e := range []struct {
		name string
		has  bool
	}{
		{"8BITMIME", !c.No8Bit}, {"SMTPUTF8", c.wideOK()}, {"DSN", c.DSN}, {"PIPELINING", c.Pipelining}, {"CHUNKING", c.Chunking},
		{"STARTTLS", c.TLS != nil && !under},
	} {
		if e.has {
			ext = append(ext, e.name)
		}
	}
	return append(ext, "AUTH "+strings.Join(c.mechanisms(), " "))
}

// auth is RFC 4954.
func (c *smtpSession) auth(args string) {
	mechanism, initial, given := strings.Cut(args, " ")
	x := (&accounts{passwords: c.Password, tokens: c.Tokens, forged: c.Forged}).exchange(mechanism)
	switch {
	case c.authed || c.mail != nil:
		c.reply(503, "5.5.1 not now")
		return
	case x == nil || !slices.Contains(c.mechanisms(), mechanism):
		c.reply(504, "5.5.4 unknown mechanism")
		return
	case len("AUTH  \r\n")+len(args) > 512:
		c.violation("AUTH with an initial response of %d octets", len(initial))
	}
	var response []byte
	if given {
		response, _ = base64.StdEncoding.DecodeString(strings.TrimPrefix(initial, "="))
		if response == nil {
			response = []byte{}
		}
	}
	for {
		challenge, verdict := x.next(response)
		switch verdict {
		case accepted:
			c.authed = true
			c.reply(235, "2.7.0 welcome")
			return
		case rejected:
			c.reply(535, "5.7.8 wrong user or password")
			return
		}
		c.reply(334, base64.StdEncoding.EncodeToString(challenge))
		line, err := c.line()
		if err != nil {
			c.over = true
			return
		}
		if c.stage = "334"; c.faulty() != nil {
			return
		}
		if line == "*" {
			c.reply(501, "5.7.0 cancelled")
			return
		}
		if response, err = base64.StdEncoding.DecodeString(line); err != nil {
			c.violation("a response is %q", line)
		}
		if response == nil {
			response = []byte{}
		}
	}
}
