package mailtest

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// path reads "FROM:<address> parameters".
func path(args, prefix string) (address, params string, ok bool) {
	if len(args) < len(prefix) || !strings.EqualFold(args[:len(prefix)], prefix) {
		return "", "", false
	}
	address, params, ok = strings.Cut(strings.TrimPrefix(args[len(prefix):], "<"), ">")
	return address, strings.TrimSpace(params), ok
}

// allow notes parameters of a command that were not announced.
func (c *smtpSession) allow(params string, keywords map[string]bool) {
	for _, p := range strings.Fields(params) {
		keyword, _, _ := strings.Cut(p, "=")
		if !keywords[keyword] {
			c.violation("parameter %.80q", p)
		}
	}
}

func (c *smtpSession) from(args string) {
	address, params, ok := path(args, "FROM:")
	c.allow(params, map[string]bool{"SIZE": true, "BODY": !c.No8Bit, "SMTPUTF8": c.wideOK(), "RET": c.DSN, "ENVID": c.DSN})
	switch {
	case !c.authed && !c.OpenMail:
		c.reply(530, "5.7.0 authentication required")
	case !ok:
		c.violation("MAIL %q", args)
		c.reply(501, "5.5.4 from whom?")
	case c.mail != nil:
		c.violation("a second MAIL")
		c.reply(503, "5.5.1 nested MAIL")
	case c.Size > 0 && declared(params) > c.Size:
		c.reply(552, "5.3.4 too large")
	default:
		c.mail, c.chunks = &Received{From: address, Params: params}, false
		c.wide(address)
		c.reply(250, "2.1.0 OK")
	}
}

// declared is the size that MAIL names; 0 for none.
func declared(params string) int64 {
	for _, p := range strings.Fields(params) {
		if v, ok := strings.CutPrefix(p, "SIZE="); ok {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// wide notes an address that is not ASCII without SMTPUTF8.
func (c *smtpSession) wide(address string) {
	if !ascii([]byte(address)) && !slices.Contains(strings.Fields(c.mail.Params), "SMTPUTF8") {
		c.violation("%q without SMTPUTF8", address)
	}
}

func ascii(p []byte) bool {
	return !slices.ContainsFunc(p, func(b byte) bool { return b >= 0x80 })
}

func (c *smtpSession) to(args string) {
	address, params, ok := path(args, "TO:")
	c.allow(params, map[string]bool{"NOTIFY": c.DSN, "ORCPT": c.DSN})
	switch {
	case !ok || c.mail == nil:
		c.reply(503, "5.5.1 MAIL first")
	case c.Refuse[address] != "":
		c.say(c.Refuse[address] + "\r\n")
	case !c.Anybody && !slices.Contains(c.Users, address):
		c.reply(550, "5.1.1 <"+address+">: no such user", "5.1.1 ask the postmaster")
	default:
		c.wide(address)
		c.mail.To, c.mail.Rcpt = append(c.mail.To, address), append(c.mail.Rcpt, params)
		c.reply(250, "2.1.5 OK")
	}
}

func (c *smtpSession) data() {
	if c.mail == nil || len(c.mail.To) == 0 || c.chunks {
		c.reply(503, "5.5.1 RCPT first")
		return
	}
	c.reply(354, "go ahead")
	c.flush()
	var content bytes.Buffer
	for {
		line, err := c.r.ReadBytes('\n')
		if err != nil {
			c.over = true
			return
		}
		if string(line) == ".\r\n" {
			break
		}
		if line[0] == '.' && line[1] != '.' {
			c.violation("a dot is not doubled: %.80q", line)
		}
		content.Write(bytes.TrimPrefix(line, []byte(".")))
	}
	c.stage = "."
	c.turn()
	c.mail.Content = content.Bytes()
	c.accept()
}

// bdat is RFC 3030.
func (c *smtpSession) bdat(args string) {
	words := strings.Fields(args)
	n, err := strconv.ParseUint(strings.Join(words[:min(1, len(words))], ""), 10, 31)
	last := len(words) == 2 && words[1] == "LAST"
	if err != nil || len(words) > 1 && !last || !c.Chunking {
		c.violation("BDAT %.80q", args)
		c.over = true
		return
	}
	content := make([]byte, n)
	if _, err := io.ReadFull(c.r, content); err != nil {
		c.over = true
		return
	}
	if last {
		c.stage = "BDAT LAST"
	}
	if !c.Pipelining || last {
		c.turn()
	}
	switch {
	case !last && c.faulty() != nil:
	case c.mail == nil || len(c.mail.To) == 0:
		c.reply(503, "5.5.1 RCPT first")
	default:
		c.chunks = true
		c.mail.Chunks++
		c.mail.Content = append(c.mail.Content, content...)
		if c.Size > 0 && int64(len(c.mail.Content)) > c.Size {
			c.mail = nil // and with it what follows
			c.reply(552, "5.3.4 too large")
			return
		}
		if last {
			c.accept()
			return
		}
		c.reply(250, "2.0.0 go on")
	}
}

// accept takes the message.
func (c *smtpSession) accept() {
	m := c.mail
	c.mail = nil
	c.inspect(m)
	if f := c.faulty(); f != nil {
		if f.Accept {
			c.keep(m)
		}
		return
	}
	if c.Size > 0 && int64(len(m.Content)) > c.Size {
		c.reply(552, "5.3.4 too large")
		return
	}
	c.reply(250, fmt.Sprintf("2.0.0 queued as %d", c.keep(m)))
}

func (c *smtpSession) keep(m *Received) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received = append(c.received, *m)
	return len(c.received)
}

// inspect notes what a message may not be.
func (c *smtpSession) inspect(m *Received) {
	rest := m.Content
	for len(rest) > 0 {
		i := bytes.IndexAny(rest, "\r\n")
		if i < 0 || !bytes.HasPrefix(rest[i:], []byte("\r\n")) {
			c.violation("a line ends in %.20q", rest[max(0, i):])
			break
		}
		rest = rest[i+2:]
	}
	params := strings.Fields(m.Params)
	if !ascii(m.Content) && !slices.Contains(params, "BODY=8BITMIME") {
		c.violation("octets above 127 without BODY=8BITMIME")
	}
	header, _, _ := bytes.Cut(append([]byte("\r\n"), m.Content...), []byte("\r\n\r\n"))
	if !ascii(header) && !slices.Contains(params, "SMTPUTF8") {
		c.violation("a header in UTF-8 without SMTPUTF8")
	}
	if size := declared(m.Params); size > 0 && size != int64(len(m.Content)) {
		c.violation("%d octets, and MAIL said %d", len(m.Content), size)
	}
}
