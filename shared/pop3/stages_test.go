package pop3_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
)

// stage is one command with what a good server answers to it.
type stage struct {
	name    string
	in      pop3.State
	answers []string // one for each line that the client sends
	run     func(context.Context, *pop3.Client) error
}

// stages are all commands of the client.
func stages() []stage {
	const message = "+OK\r\nSubject: x\r\n\r\n..\r\nend\r\n.\r\n"
	two := []pop3.Listing{{Number: 1, Size: 10}, {Number: 2, Size: 10}}
	read := func(_ int, r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
	type ctx = context.Context
	type client = *pop3.Client
	before, after := pop3.Authorization, pop3.Transaction
	return []stage{
		{"CAPA", before, []string{"+OK\r\nUSER\r\nEXPIRE 3\r\n.\r\n"}, func(ctx ctx, c client) error { _, err := c.Capa(ctx); return err }},
		{"USER and PASS", before, []string{"+OK\r\n", "+OK\r\n"}, func(ctx ctx, c client) error { return c.Login(ctx, "bob", "secret") }},
		{"APOP", before, []string{"+OK\r\n"}, func(ctx ctx, c client) error { return c.APOP(ctx, "bob", "secret") }},
		{"AUTH PLAIN", before, []string{"+OK\r\n"}, authenticate(sasl.Plain, "bob")},
		{"AUTH PLAIN, long", before, []string{"+ \r\n", "+OK\r\n"}, authenticate(sasl.Plain, strings.Repeat("bob", 100))},
		{"AUTH LOGIN", before, []string{"+ VXNlcm5hbWU6\r\n", "+ UGFzc3dvcmQ6\r\n", "+OK\r\n"}, authenticate(sasl.Login, "bob")},
		{"AUTH CRAM-MD5", before, []string{"+ PDFAeD4=\r\n", "+OK\r\n"}, authenticate(sasl.CRAMMD5, "bob")},
		{"AUTH OAUTHBEARER", before, []string{"+OK\r\n"}, authenticate(sasl.OAuthBearer, "bob")},
		{"AUTH XOAUTH2", before, []string{"+OK\r\n"}, authenticate(sasl.XOAuth2, "bob")},
		{"UTF8", before, []string{"+OK\r\n"}, func(ctx ctx, c client) error { return c.UTF8(ctx) }},
		{"LANG", before, []string{"+OK en English\r\n"}, func(ctx ctx, c client) error { return c.Lang(ctx, "en") }},
		{"LANG, all", before, []string{"+OK\r\nen English\r\nfr fran\u00e7ais\r\n.\r\n"}, func(ctx ctx, c client) error { _, err := c.Langs(ctx); return err }},
		{"QUIT before login", before, []string{"+OK\r\n"}, func(ctx ctx, c client) error { return c.Quit(ctx) }},
		{"STAT", after, []string{"+OK 2 20\r\n"}, func(ctx ctx, c client) error { _, _, err := c.Stat(ctx); return err }},
		{"LIST", after, []string{"+OK\r\n1 10\r\n2 10\r\n.\r\n"}, func(ctx ctx, c client) error { _, err := c.List(ctx); return err }},
		{"UIDL", after, []string{"+OK\r\n1 a\r\n2 b\r\n.\r\n"}, func(ctx ctx, c client) error { _, err := c.UIDL(ctx); return err }},
		{"RETR", after, []string{message}, func(ctx ctx, c client) error { _, err := c.Retr(ctx, 1, io.Discard); return err }},
		{"TOP", after, []string{message}, func(ctx ctx, c client) error { _, err := c.Top(ctx, 1, 2, io.Discard); return err }},
		{"DELE", after, []string{"+OK\r\n"}, func(ctx ctx, c client) error { return c.Dele(ctx, 1) }},
		{"RSET", after, []string{"+OK\r\n"}, func(ctx ctx, c client) error { return c.Rset(ctx) }},
		{"NOOP", after, []string{"+OK\r\n"}, func(ctx ctx, c client) error { return c.Noop(ctx) }},
		{"RETR ahead", after, []string{message, message}, func(ctx ctx, c client) error { return c.RetrAll(ctx, two, read) }},
		{"TOP ahead", after, []string{message, message}, func(ctx ctx, c client) error { return c.TopAll(ctx, two, 1, read) }},
		{"DELE ahead", after, []string{"+OK\r\n", "+OK\r\n"}, func(ctx ctx, c client) error {
			return c.DeleAll(ctx, []int{1, 2}, func(int, error) {})
		}},
		{"XWAIT", after, []string{"+OK waiting\r\n+OK new\r\n"}, func(ctx ctx, c client) error { _, err := c.Wait(ctx, time.Second); return err }},
		{"QUIT", after, []string{"+OK\r\n"}, func(ctx ctx, c client) error { return c.Quit(ctx) }},
	}
}

func authenticate(mechanism, user string) func(context.Context, *pop3.Client) error {
	return func(ctx context.Context, c *pop3.Client) error {
		client, err := sasl.New(mechanism, sasl.Credentials{User: user, Password: "secret", Token: "token"})
		if err != nil {
			return err
		}
		return c.Authenticate(ctx, client)
	}
}

// preamble is what the server says until the stage is reached: the greeting, and an answer to each line.
func (s *stage) preamble() []string {
	p := []string{"+OK ready <1@x>\r\n", "+OK\r\nUSER\r\nTOP\r\nUIDL\r\nPIPELINING\r\nSTLS\r\nUTF8\r\nLANG\r\nX-POSTERN-WAIT\r\n.\r\n"}
	if s.in == pop3.Transaction {
		p = append(p, "+OK\r\n", "+OK\r\n")
	}
	return p
}

// reach brings the client to the stage.
func (s *stage) reach(t testing.TB, c *pop3.Client) {
	t.Helper()
	_, err := c.Capa(t.Context())
	if err == nil && s.in == pop3.Transaction {
		err = c.Login(t.Context(), "bob", "secret")
	}
	if err != nil {
		t.Fatalf("before the stage: %v", err)
	}
}

// talker says the greeting, then an answer to each line, whatever that is, and then nothing more.
func talker(answers ...string) mailtest.Server {
	return mailtest.ServerFunc(func(conn net.Conn) {
		r := bufio.NewReader(conn)
		io.WriteString(conn, answers[0])
		for _, a := range answers[1:] {
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
			io.WriteString(conn, a)
		}
		io.Copy(io.Discard, r)
	})
}
