// Package pop3suite holds the tests that every POP3 server must pass together with our client: the one in memory,
// Dovecot, and Postern's own.
package pop3suite

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/pop3"
)

// Target is a server under test with one maildrop that is the suite's alone.
type Target struct {
	// Dial returns a new connection in plain text to the server.
	Dial func(testing.TB) net.Conn
	// TLS is the client's configuration for STLS; nil if the server has no STLS.
	TLS *tls.Config
	// DialTLS returns a new connection that is TLS from the first octet; nil if there is no such port.
	DialTLS func(testing.TB) net.Conn
	// User and Password open the maildrop. Token does too, for the mechanisms that take one.
	User, Password, Token string
	// Ways are the ways to log in that the server must offer, by the names that pop3.Client.Auth gives them; it must offer none that
	// is not here. Where there is STLS, they are those under TLS.
	Ways []string
	// Deliver puts a message with CRLF line ends into the maildrop, after those that are there.
	Deliver func(testing.TB, []byte)
	// Locks tells that a second session is refused with [IN-USE].
	Locks bool
	// Options are for every client.
	Options *pop3.Options
}

// Run runs the suite.
func Run(t *testing.T, target Target) {
	s := &suite{target}
	s.session(t).empty(t)
	for _, c := range []struct {
		name string
		test func(*suite, *testing.T)
	}{
		{"capabilities", (*suite).capabilities},
		{"ways that are announced", (*suite).announced},
		{"ways to log in", (*suite).ways},
		{"safest way", (*suite).safest},
		{"implicit TLS", (*suite).implicit},
		{"UTF8 and LANG", (*suite).international},
		{"wrong password", (*suite).wrongPassword},
		{"states", (*suite).states},
		{"STLS", (*suite).stls},
		{"empty maildrop", (*suite).emptyMaildrop},
		{"content", (*suite).content},
		{"TOP", (*suite).top},
		{"deletion", (*suite).deletion},
		{"unique-ids", (*suite).uniqueIDs},
		{"pipeline", (*suite).pipeline},
		{"heads ahead", (*suite).heads},
		{"deletion ahead", (*suite).marks},
		{"QUIT before login", (*suite).quitBefore},
		{"lock", (*suite).lock},
		{"XWAIT", (*suite).wait},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(s, t) })
	}
}

type suite struct{ Target }

// session is a client with its test's context.
type session struct {
	*pop3.Client
	ctx context.Context
}

func (s *suite) connect(t *testing.T) *session {
	t.Helper()
	return s.connectWith(t, s.Options)
}

func (s *suite) connectWith(t *testing.T, o *pop3.Options) *session {
	t.Helper()
	return s.wrap(t, pop3.New(s.Dial(t), o))
}

func (s *suite) wrap(t *testing.T, c *pop3.Client) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(func() {
		c.Close()
		cancel()
	})
	return &session{c, ctx}
}

// session logs in, under TLS where there is any.
func (s *suite) session(t *testing.T) *session {
	t.Helper()
	c := s.connect(t)
	if s.TLS != nil {
		must(t, c.STLS(c.ctx, s.TLS))
	}
	must(t, c.Login(c.ctx, s.User, s.Password))
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// empty deletes every message and quits.
func (c *session) empty(t *testing.T) {
	t.Helper()
	list, err := c.List(c.ctx)
	must(t, err)
	for _, m := range list {
		must(t, c.Dele(c.ctx, m.Number))
	}
	must(t, c.Quit(c.ctx))
}

func (s *suite) fill(t *testing.T, messages ...[]byte) {
	t.Helper()
	s.session(t).empty(t)
	for _, m := range messages {
		s.Deliver(t, m)
	}
}

func (s *suite) capabilities(t *testing.T) {
	c := s.connect(t)
	caps, err := c.Capa(c.ctx)
	must(t, err)
	if !caps.UIDL || !caps.Top || !caps.User {
		t.Errorf("announced: %q, want USER, UIDL and TOP at least", caps.Lines)
	}
	if caps.STLS != (s.TLS != nil) {
		t.Errorf("STLS announced: %v", caps.STLS)
	}
}

func (s *suite) wrongPassword(t *testing.T) {
	c := s.connect(t)
	if s.TLS != nil {
		must(t, c.STLS(c.ctx, s.TLS))
	}
	var refused *pop3.Error
	if err := c.Login(c.ctx, s.User, s.Password+"!"); !errors.As(err, &refused) || refused.Command != "PASS" {
		t.Fatalf("wrong password: %v", err)
	}
	if refused.Code == "IN-USE" {
		t.Errorf("a wrong password is told as %v", refused)
	}
	if c.State() != pop3.Authorization {
		t.Errorf("state after it: %v", c.State())
	}
	must(t, c.Login(c.ctx, s.User, s.Password))
}

func (s *suite) states(t *testing.T) {
	c := s.connect(t)
	if _, err := c.List(c.ctx); !errors.Is(err, pop3.ErrState) {
		t.Errorf("LIST in AUTHORIZATION: %v", err)
	}
	must(t, c.Login(c.ctx, s.User, s.Password))
	if c.State() != pop3.Transaction {
		t.Errorf("state after login: %v", c.State())
	}
	must(t, c.Noop(c.ctx))
	if err := c.Login(c.ctx, s.User, s.Password); !errors.Is(err, pop3.ErrState) {
		t.Errorf("a second login: %v", err)
	}
	must(t, c.Quit(c.ctx))
	if c.State() != pop3.Closed {
		t.Errorf("state after QUIT: %v", c.State())
	}
	if err := c.Noop(c.ctx); !errors.Is(err, pop3.ErrState) {
		t.Errorf("NOOP after QUIT: %v", err)
	}
}

func (s *suite) stls(t *testing.T) {
	c := s.connect(t)
	if s.TLS == nil {
		if err := c.STLS(c.ctx, &tls.Config{ServerName: "localhost"}); err == nil {
			t.Error("STLS is not refused by a server without it")
		}
		return
	}
	must(t, c.STLS(c.ctx, s.TLS))
	if state, ok := c.TLS(); !ok || !state.HandshakeComplete {
		t.Error("no TLS after STLS")
	}
	if err := c.STLS(c.ctx, s.TLS); !errors.Is(err, pop3.ErrState) {
		t.Errorf("STLS under TLS: %v", err)
	}
	must(t, c.Login(c.ctx, s.User, s.Password))
	must(t, c.Quit(c.ctx))
}

func (s *suite) emptyMaildrop(t *testing.T) {
	s.fill(t)
	c := s.session(t)
	count, octets, err := c.Stat(c.ctx)
	must(t, err)
	list, err := c.List(c.ctx)
	must(t, err)
	uids, err := c.UIDL(c.ctx)
	must(t, err)
	if count != 0 || octets != 0 || len(list) != 0 || len(uids) != 0 {
		t.Errorf("STAT %d %d, LIST %v, UIDL %v", count, octets, list, uids)
	}
	var refused *pop3.Error
	if _, err := c.Retr(c.ctx, 1, io.Discard); !errors.As(err, &refused) {
		t.Errorf("RETR of nothing: %v", err)
	}
	must(t, c.Quit(c.ctx))
}

// Odd are messages that tell a right client and server from a nearly right one.
func Odd() map[string][]byte {
	const header = "From: a@example.org\r\nTo: bob@example.test\r\nSubject: odd\r\n\r\n"
	return map[string][]byte{
		"plain":            []byte(header + "Hello.\r\n"),
		"empty body":       []byte(header),
		"dots":             []byte(header + ".\r\n..\r\n...\r\n.hidden\r\n. \r\n\r\n.\r\n"),
		"ends in a dot":    []byte(header + "the end.\r\n.\r\n"),
		"no last line end": []byte(header + "no end"),
		"8-bit":            []byte(header + "Grüße, 会議 \xff\xfe latin \xe9\r\n"),
		"long line":        []byte(header + strings.Repeat("0123456789", 50_000) + "\r\n.after\r\n"),
		"long line of dot": []byte(header + strings.Repeat(".", 70_000) + "\r\nafter\r\n"),
		"many short lines": []byte(header + strings.Repeat("\r\n", 3000) + strings.Repeat(".\r\n", 3000)),
		"large":            []byte(header + strings.Repeat("a line of ordinary length, as in most messages\r\n", 60_000)),
	}
}

func (s *suite) content(t *testing.T) {
	for name, message := range Odd() {
		t.Run(name, func(t *testing.T) {
			s.fill(t, message)
			c := s.session(t)
			list, err := c.List(c.ctx)
			must(t, err)
			count, octets, err := c.Stat(c.ctx)
			must(t, err)
			if len(list) != 1 || count != 1 || list[0].Size != octets {
				t.Fatalf("LIST %v, STAT %d %d", list, count, octets)
			}
			var got bytes.Buffer
			n, err := c.Retr(c.ctx, list[0].Number, &got)
			must(t, err)
			sameContent(t, got.Bytes(), message)
			if n != int64(got.Len()) {
				t.Errorf("counted %d octets of %d", n, got.Len())
			}
			must(t, c.Quit(c.ctx))
		})
	}
}

// sameContent compares; a POP3 answer always ends its last line.
func sameContent(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.HasSuffix(want, []byte("\r\n")) {
		want = append(bytes.Clone(want), "\r\n"...)
	}
	if !bytes.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("got %d octets, want %d; they differ at %d: %.40q, want %.40q", len(got), len(want), i, got[i:], want[i:])
	}
}

func (s *suite) top(t *testing.T) {
	s.fill(t, []byte("Subject: top\r\n\r\none\r\n.two\r\nthree\r\n"))
	c := s.session(t)
	for lines, want := range []string{"Subject: top\r\n\r\n", "Subject: top\r\n\r\none\r\n", "Subject: top\r\n\r\none\r\n.two\r\n"} {
		var got strings.Builder
		_, err := c.Top(c.ctx, 1, lines, &got)
		must(t, err)
		if got.String() != want {
			t.Errorf("TOP %d: %q, want %q", lines, got.String(), want)
		}
	}
	must(t, c.Quit(c.ctx))
}

func (s *suite) deletion(t *testing.T) {
	s.fill(t, []byte("Subject: 1\r\n\r\n"), []byte("Subject: 2\r\n\r\n"), []byte("Subject: 3\r\n\r\n"))
	numbers := func(c *session) (n []int) {
		t.Helper()
		list, err := c.List(c.ctx)
		must(t, err)
		for _, m := range list {
			n = append(n, m.Number)
		}
		return n
	}
	c := s.session(t)
	must(t, c.Dele(c.ctx, 2))
	if n := numbers(c); len(n) != 2 || n[0] != 1 || n[1] != 3 {
		t.Errorf("after DELE 2: %v", n)
	}
	var refused *pop3.Error
	if err := c.Dele(c.ctx, 2); !errors.As(err, &refused) {
		t.Errorf("DELE of a deleted message: %v", err)
	}
	must(t, c.Rset(c.ctx))
	if n := numbers(c); len(n) != 3 {
		t.Errorf("after RSET: %v", n)
	}
	must(t, c.Dele(c.ctx, 1))
	c.Close() // no QUIT, so no UPDATE

	c = s.reopen(t)
	if n := numbers(c); len(n) != 3 {
		t.Errorf("after a session without QUIT: %v", n)
	}
	must(t, c.Dele(c.ctx, 1))
	must(t, c.Dele(c.ctx, 2))
	must(t, c.Quit(c.ctx))

	c = s.reopen(t)
	var got strings.Builder
	_, err := c.Retr(c.ctx, 1, &got)
	must(t, err)
	if n := numbers(c); len(n) != 1 || !strings.HasPrefix(got.String(), "Subject: 3\r\n") {
		t.Errorf("after QUIT: %v, %q", n, got.String())
	}
	must(t, c.Quit(c.ctx))
}

// reopen logs in after a session that the server may not have noticed the end of.
func (s *suite) reopen(t *testing.T) *session {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		c := s.connect(t)
		err := c.Login(c.ctx, s.User, s.Password)
		var refused *pop3.Error
		if err == nil || !errors.As(err, &refused) || refused.Code != "IN-USE" || time.Now().After(deadline) {
			must(t, err)
			return c
		}
		c.Close()
	}
}
