package mailtest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// SMTP is a submission server in memory: RFC 5321 with STARTTLS, AUTH, SIZE, 8BITMIME and SMTPUTF8. Its fields are
// not to change while it serves.
type SMTP struct {
	Password map[string]string // by user
	Users    []string          // the recipients that exist; others are refused with 550 5.1.1
	TLS      *tls.Config       // offers STARTTLS
	Size     int64             // announced and kept to; 0 for no limit
	NoPlain  bool              // AUTH LOGIN alone
	NoUTF8   bool              // SMTPUTF8 is not announced
	OpenMail bool              // MAIL without AUTH is accepted

	mu       sync.Mutex
	received []Received
}

// Received is a message that an [SMTP] server accepted.
type Received struct {
	From    string
	To      []string
	Params  string // what stood behind the sender in MAIL
	Content []byte // as it came, unstuffed, without its final dot
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

type smtpSession struct {
	*SMTP
	conn   net.Conn
	r      *bufio.Reader
	authed bool
	mail   *Received
}

// ServeConn implements Server.
func (s *SMTP) ServeConn(conn net.Conn) {
	c := &smtpSession{SMTP: s}
	c.use(conn)
	c.reply(220, "mail.example.test ESMTP")
	for {
		line, err := c.line()
		if err != nil {
			return
		}
		verb, args, _ := strings.Cut(line, " ")
		if !c.command(strings.ToUpper(verb), args) {
			return
		}
	}
}

func (c *smtpSession) use(conn net.Conn) {
	c.conn, c.r = conn, bufio.NewReader(conn)
	c.authed, c.mail = false, nil
}

func (c *smtpSession) line() (string, error) {
	line, err := c.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// reply sends a reply of these lines.
func (c *smtpSession) reply(code int, lines ...string) {
	var b bytes.Buffer
	for i, l := range lines {
		separator := "-"
		if i == len(lines)-1 {
			separator = " "
		}
		fmt.Fprintf(&b, "%d%s%s\r\n", code, separator, l)
	}
	c.conn.Write(b.Bytes())
}

func (c *smtpSession) command(verb, args string) bool {
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
		return false
	case "STARTTLS":
		if c.TLS == nil {
			c.reply(502, "5.5.1 no TLS here")
			break
		}
		c.reply(220, "2.0.0 go ahead")
		c.use(tls.Server(c.conn, c.TLS))
	case "AUTH":
		c.auth(args)
	case "MAIL":
		c.from(args)
	case "RCPT":
		c.to(args)
	case "DATA":
		return c.data()
	default:
		c.reply(500, "5.5.2 unknown command")
	}
	return true
}

func (c *smtpSession) extensions() []string {
	ext := []string{"8BITMIME", "ENHANCEDSTATUSCODES", "SIZE " + strconv.FormatInt(c.Size, 10)}
	if !c.NoUTF8 {
		ext = append(ext, "SMTPUTF8")
	}
	if _, under := c.conn.(*tls.Conn); c.TLS != nil && !under {
		ext = append(ext, "STARTTLS")
	}
	if c.NoPlain {
		return append(ext, "AUTH LOGIN")
	}
	return append(ext, "AUTH PLAIN LOGIN")
}

func (c *smtpSession) auth(args string) {
	mechanism, initial, _ := strings.Cut(args, " ")
	ask := func(challenge string) string {
		c.reply(334, base64.StdEncoding.EncodeToString([]byte(challenge)))
		line, _ := c.line()
		return line
	}
	decode := func(s string) string {
		p, _ := base64.StdEncoding.DecodeString(s)
		return string(p)
	}
	var user, password string
	switch {
	case mechanism == "PLAIN" && !c.NoPlain:
		if parts := strings.Split(decode(initial), "\x00"); len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	case mechanism == "LOGIN":
		if initial == "" {
			initial = ask("Username:")
		}
		user = decode(initial)
		password = decode(ask("Password:"))
	default:
		c.reply(504, "5.5.4 unknown mechanism")
		return
	}
	if want, ok := c.Password[user]; !ok || want != password {
		c.reply(535, "5.7.8 wrong user or password")
		return
	}
	c.authed = true
	c.reply(235, "2.7.0 welcome")
}

// path reads "FROM:<address> parameters".
func path(args, prefix string) (address, params string, ok bool) {
	if len(args) < len(prefix) || !strings.EqualFold(args[:len(prefix)], prefix) {
		return "", "", false
	}
	address, params, ok = strings.Cut(strings.TrimPrefix(args[len(prefix):], "<"), ">")
	return address, strings.TrimSpace(params), ok
}

func (c *smtpSession) from(args string) {
	address, params, ok := path(args, "FROM:")
	size := int64(0)
	for _, p := range strings.Fields(params) {
		if v, ok := strings.CutPrefix(p, "SIZE="); ok {
			size, _ = strconv.ParseInt(v, 10, 64)
		}
	}
	switch {
	case !c.authed && !c.OpenMail:
		c.reply(530, "5.7.0 authentication required")
	case !ok:
		c.reply(501, "5.5.4 from whom?")
	case c.mail != nil:
		c.reply(503, "5.5.1 nested MAIL")
	case c.Size > 0 && size > c.Size:
		c.reply(552, "5.3.4 too large")
	default:
		c.mail = &Received{From: address, Params: params}
		c.reply(250, "2.1.0 OK")
	}
}

func (c *smtpSession) to(args string) {
	address, _, ok := path(args, "TO:")
	switch {
	case !ok || c.mail == nil:
		c.reply(503, "5.5.1 MAIL first")
	case !slices.Contains(c.Users, address):
		c.reply(550, "5.1.1 <"+address+">: no such user", "5.1.1 ask the postmaster")
	default:
		c.mail.To = append(c.mail.To, address)
		c.reply(250, "2.1.5 OK")
	}
}

func (c *smtpSession) data() bool {
	if c.mail == nil || len(c.mail.To) == 0 {
		c.reply(503, "5.5.1 RCPT first")
		return true
	}
	c.reply(354, "go ahead")
	var content bytes.Buffer
	for {
		line, err := c.r.ReadBytes('\n')
		if err != nil {
			return false
		}
		if string(line) == ".\r\n" {
			break
		}
		content.Write(bytes.TrimPrefix(line, []byte(".")))
	}
	if c.Size > 0 && int64(content.Len()) > c.Size {
		c.reply(552, "5.3.4 too large")
	} else {
		c.mail.Content = content.Bytes()
		c.mu.Lock()
		c.received = append(c.received, *c.mail)
		n := len(c.received)
		c.mu.Unlock()
		c.reply(250, fmt.Sprintf("2.0.0 queued as %d", n))
	}
	c.mail = nil
	return true
}
