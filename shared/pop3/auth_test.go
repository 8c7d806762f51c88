package pop3_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/pop3"
	"github.com/postern-mail/postern/shared/sasl"
)

var bob = sasl.Credentials{User: "bob", Password: "bob-pw"}

// Which way is taken, by what the server offers and what is allowed; a refusal to show the password shows none of it.
func TestAuthChooses(t *testing.T) {
	const stamp = "<1896.697170952@dbc.mtview.ca.us>"
	token := sasl.Credentials{User: "bob", Token: "token"}
	for _, x := range []struct {
		name  string
		offer mailtest.POP3
		cr    sasl.Credentials
		allow bool
		only  string
		want  string
		err   error
	}{
		{"SCRAM first", mailtest.POP3{Mechanisms: []string{"PLAIN", "CRAM-MD5", "SCRAM-SHA-256"}, APOP: stamp}, bob, true, "", "SCRAM-SHA-256", nil},
		{"CRAM-MD5 before APOP", mailtest.POP3{Mechanisms: []string{"PLAIN", "CRAM-MD5"}, APOP: stamp}, bob, false, "", "CRAM-MD5", nil},
		{"APOP before showing the password", mailtest.POP3{APOP: stamp}, bob, true, "", "APOP", nil},
		{"nothing that hides it", mailtest.POP3{}, bob, false, "", "", pop3.ErrPlaintext},
		{"USER alone", mailtest.POP3{Mechanisms: []string{}}, bob, false, "", "", pop3.ErrPlaintext},
		{"USER alone, allowed", mailtest.POP3{Mechanisms: []string{}}, bob, true, "", "USER", nil},
		{"PLAIN, allowed", mailtest.POP3{}, bob, true, "", "PLAIN", nil},
		{"no CAPA", mailtest.POP3{NoCapa: true}, bob, true, "", "USER", nil},
		{"no CAPA, APOP", mailtest.POP3{NoCapa: true, APOP: stamp}, bob, false, "", "APOP", nil},
		{"no CAPA, nothing that hides it", mailtest.POP3{NoCapa: true}, bob, false, "", "", pop3.ErrPlaintext},
		{"none that we know", mailtest.POP3{Mechanisms: []string{"GSSAPI"}, NoUser: true}, bob, true, "", "", pop3.ErrNoMechanism},
		{"a token, hidden by nothing", mailtest.POP3{Mechanisms: []string{"XOAUTH2"}}, token, false, "", "", pop3.ErrPlaintext},
		{"a token", mailtest.POP3{Mechanisms: []string{"PLAIN", "XOAUTH2"}, Tokens: map[string]string{"bob": "token"}}, token, true, "", "XOAUTH2", nil},
		{"a token and no mechanism for it", mailtest.POP3{APOP: stamp}, token, true, "", "", pop3.ErrNoMechanism},
		{"APOP that there is not", mailtest.POP3{}, bob, true, "apop", "", pop3.ErrNoMechanism},
		{"LOGIN asked for", mailtest.POP3{Mechanisms: []string{"PLAIN", "LOGIN", "CRAM-MD5"}}, bob, true, "login", "LOGIN", nil},
		{"LOGIN asked for, not allowed", mailtest.POP3{}, bob, false, "LOGIN", "", pop3.ErrPlaintext},
		{"USER asked for", mailtest.POP3{}, bob, true, "user", "USER", nil},
		{"USER asked for, not allowed", mailtest.POP3{}, bob, false, "USER", "", pop3.ErrPlaintext},
		{"USER asked for and not there", mailtest.POP3{NoUser: true}, bob, true, "USER", "", pop3.ErrNoMechanism},
		{"SCRAM asked for and not there", mailtest.POP3{}, bob, true, "SCRAM-SHA-256", "", pop3.ErrNoMechanism},
		{"a way that there is not", mailtest.POP3{}, bob, true, "KERBEROS", "", sasl.ErrUnsupported},
	} {
		t.Run(x.name, func(t *testing.T) {
			server := mailtest.NewPOP3()
			x.offer.Password, x.offer.Maildrop = server.Password, server.Maildrop
			var said []string
			c := pop3.New(mailtest.Connect(t, &x.offer, nil), &pop3.Options{AllowPlaintextAuth: x.allow, Trace: func(e pop3.Exchange) {
				if e.Sent {
					said = append(said, e.Line)
				}
			}})
			defer c.Close()
			way, err := c.Auth(t.Context(), x.cr, x.only)
			if way != x.want || !errors.Is(err, x.err) {
				t.Fatalf("%q, %v; want %q, %v", way, err, x.want, x.err)
			}
			if err != nil && (len(said) != 1 || said[0] != "CAPA" || c.State() != pop3.Authorization) {
				t.Errorf("%q was said, state %v", said, c.State())
			}
			if offered := x.offer.Mechanisms; errors.Is(err, pop3.ErrNoMechanism) && len(offered) > 0 && !strings.Contains(err.Error(), offered[0]) {
				t.Errorf("%v does not say what was offered", err)
			}
			if err == nil && c.State() != pop3.Transaction {
				t.Errorf("state %v", c.State())
			}
		})
	}
}

// The trace of no way in has the password, the token, anything made of them, or what SCRAM would let one guess them by.
func TestTraceMasks(t *testing.T) {
	for way, want := range map[string]string{
		"PLAIN":         "AUTH PLAIN ****|+OK 0 messages",
		"LOGIN":         "AUTH LOGIN|+ VXNlcm5hbWU6|****|+ UGFzc3dvcmQ6|****|+OK 0 messages",
		"CRAM-MD5":      "AUTH CRAM-MD5|+ PDE4OTYuNjk3MTcwOTUyQG1haWwuZXhhbXBsZS50ZXN0Pg==|****|+OK 0 messages",
		"SCRAM-SHA-256": "AUTH SCRAM-SHA-256 ****|+ ****|****|+ ****||+OK 0 messages",
		"XOAUTH2":       "AUTH XOAUTH2 ****|+OK 0 messages",
		"OAUTHBEARER":   "AUTH OAUTHBEARER ****|+OK 0 messages",
		"APOP":          "APOP bob ****|+OK 0 messages",
		"USER":          "USER bob|+OK|PASS ****|+OK 0 messages",
	} {
		server := mailtest.NewPOP3()
		server.Mechanisms = []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"}
		server.Tokens, server.APOP = map[string]string{"bob": "a-token"}, "<1@x>"
		var lines []string
		c := pop3.New(mailtest.Connect(t, server, nil), &pop3.Options{AllowPlaintextAuth: true, Trace: func(e pop3.Exchange) { lines = append(lines, e.Line) }})
		cr := bob
		if strings.Contains(way, "AUTH") {
			cr.Token = "a-token"
		}
		if _, err := c.Auth(t.Context(), cr, way); err != nil {
			t.Errorf("%s: %v", way, err)
		}
		if got := strings.Join(lines[4:], "|"); got != want {
			t.Errorf("%s: %q, want %q", way, got, want)
		}
		c.Close()
	}
}

// Each mechanism against the server in memory, cut, split and stalled at every octet (every seventh of SCRAM, which hashes each time).
func TestMechanismsAtEveryOctet(t *testing.T) {
	for _, way := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "APOP", "USER"} {
		t.Run(way, func(t *testing.T) {
			attempt := func(t *testing.T, f *mailtest.Faults) error {
				server := mailtest.NewPOP3()
				server.Mechanisms = []string{way}
				server.Tokens, server.APOP = map[string]string{"bob": "t"}, "<1@x>"
				cr := bob
				if strings.Contains(way, "AUTH") {
					cr.Token = "t"
				}
				c := pop3.New(mailtest.Connect(t, server, f), &pop3.Options{AllowPlaintextAuth: true})
				defer c.Close()
				_, err := c.Auth(t.Context(), cr, way)
				if (err == nil) != (c.State() == pop3.Transaction) {
					t.Errorf("%+v: %v, state %v", f, err, c.State())
				}
				return err
			}
			step := int64(1)
			if way == "SCRAM-SHA-256" {
				step = 7 // each attempt hashes
			}
			for at := int64(1); ; at += step {
				err := attempt(t, &mailtest.Faults{CutAfter: at})
				if err == nil {
					break
				}
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("cut after %d octets: %v", at, err)
				}
				if err := attempt(t, &mailtest.Faults{SplitAt: []int64{at}}); err != nil {
					t.Errorf("split after %d octets: %v", at, err)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				for at := int64(-1); ; at += 7 * step {
					err := attempt(t, &mailtest.Faults{StallAfter: at})
					if err == nil {
						break
					}
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatalf("stalled after %d octets: %v", at, err)
					}
				}
			})
		})
	}
}

// A server that takes any proof and cannot give one, in each of the ways of not giving it, ends the session.
func TestServerCannotProveItself(t *testing.T) {
	server := mailtest.NewPOP3()
	server.Mechanisms, server.Forged = []string{"SCRAM-SHA-256"}, true
	c := pop3.New(mailtest.Connect(t, server, nil), nil)
	if _, err := c.Auth(t.Context(), bob, ""); !errors.Is(err, sasl.ErrServerProof) || c.State() != pop3.Closed {
		t.Errorf("a false proof: %v, state %v", err, c.State())
	}
	c = pop3.New(mailtest.Connect(t, talker("+OK\r\n", "+OK\r\nSASL SCRAM-SHA-256\r\n.\r\n", "+OK come in\r\n"), nil), nil)
	if _, err := c.Auth(t.Context(), bob, ""); !errors.Is(err, sasl.ErrServerProof) || c.State() != pop3.Closed {
		t.Errorf("consent without any: %v, state %v", err, c.State())
	}
}

// An exchange that the client cannot go on with is cancelled, and the session goes on; see RFC 5034 section 4.
func TestAuthCancelled(t *testing.T) {
	for name, x := range map[string]struct {
		challenge string
		want      error
	}{
		"no base64":           {"+ !!!", pop3.ErrProtocol},
		"a third challenge":   {"+ QUJD", sasl.ErrChallenge},
		"a challenge of CRAM": {"+ PDFAeD4=", sasl.ErrChallenge},
	} {
		for _, end := range []string{"-ERR cancelled", "+OK as you like"} {
			t.Run(name+end[:4], func(t *testing.T) {
				c := pop3.New(mailtest.Connect(t, mailtest.Script(t, mailtest.Say("+OK\r\n"), mailtest.Hear("AUTH PLAIN AGJvYgBzZWNyZXQ="),
					mailtest.Say(x.challenge+"\r\n"), mailtest.Hear("*"), mailtest.Say(end+"\r\n")), nil), nil)
				defer c.Close()
				err := authenticate(sasl.Plain, "bob")(t.Context(), c)
				if end[0] == '-' && (!errors.Is(err, x.want) || c.State() != pop3.Authorization) {
					t.Errorf("%v, state %v", err, c.State())
				}
				if end[0] == '+' && (!errors.Is(err, pop3.ErrProtocol) || c.State() != pop3.Closed) {
					t.Errorf("agreed: %v, state %v", err, c.State())
				}
			})
		}
	}
}

// patient is a mechanism that never has enough.
type patient struct{}

func (patient) Start() (string, []byte, error)        { return "PATIENCE", []byte{}, nil }
func (patient) Next(challenge []byte) ([]byte, error) { return challenge, nil }

// An empty initial response is "="; a server that asks for ever is left.
func TestAuthForEver(t *testing.T) {
	var said []string
	answers := []string{"+OK\r\n"}
	for range 100 {
		answers = append(answers, "+ QUJD\r\n")
	}
	c := pop3.New(mailtest.Connect(t, talker(answers...), nil), &pop3.Options{Trace: func(e pop3.Exchange) { said = append(said, e.Line) }})
	if err := c.Authenticate(t.Context(), patient{}); !errors.Is(err, pop3.ErrTooLong) || c.State() != pop3.Closed {
		t.Errorf("%v, state %v", err, c.State())
	}
	if len(said) < 2 || said[1] != "AUTH PATIENCE ****" {
		t.Errorf("%q", said)
	}
	c = pop3.New(mailtest.Connect(t, mailtest.Script(t, mailtest.Say("+OK\r\n"), mailtest.Converse("AUTH PATIENCE =", "+OK")), nil), nil)
	if err := c.Authenticate(t.Context(), patient{}); err != nil {
		t.Error(err)
	}
}

// The initial response goes with the command up to 255 octets, line end and all, and not beyond.
func TestInitialResponseFits(t *testing.T) {
	for octets := 100; octets < 240; octets++ {
		var said []string
		c := pop3.New(mailtest.Connect(t, mailtest.ServerFunc(talker("+OK\r\n", "-ERR no\r\n").ServeConn), nil),
			&pop3.Options{Trace: func(e pop3.Exchange) {
				if e.Sent {
					said = append(said, e.Line)
				}
			}})
		err := authenticate(sasl.Plain, strings.Repeat("b", octets))(t.Context(), c)
		c.Close()
		var refused *pop3.Error
		encoded := (1 + octets + 1 + len("secret") + 2) / 3 * 4
		want := "AUTH PLAIN ****"
		if len("AUTH PLAIN ")+encoded+2 > 255 {
			want = "AUTH PLAIN"
		}
		if !errors.As(err, &refused) || len(said) != 1 || said[0] != want {
			t.Fatalf("%d octets: %q, %v; want %q", octets, said, err, want)
		}
	}
}

// The example of RFC 1939 section 7, and timestamps that APOP is not done with.
func TestAPOP(t *testing.T) {
	c := pop3.New(mailtest.Connect(t, mailtest.Script(t, mailtest.Say("+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n"),
		mailtest.Converse("APOP mrose c4c9334bac560ecc979e58001b3e22fb", "+OK maildrop has 1 message (369 octets)")), nil), nil)
	if err := c.APOP(t.Context(), "mrose", "tanstaaf"); err != nil || c.State() != pop3.Transaction {
		t.Errorf("%v, state %v", err, c.State())
	}
	for greeting, good := range map[string]bool{
		"<1@x>":                         true,
		"<a.b=+/c@d-e.f>":               true,
		"<1@[127.0.0.1]>":               true,
		"<1@[IPv6:::1]>":                true,
		"<hello> <1.2@x> more":          true,
		"<<1@x>":                        true, // the inner one
		"":                              false,
		"<1>":                           false,
		"<@x>":                          false,
		"<1@>":                          false,
		"<1@x":                          false,
		"<.1@x>":                        false,
		"<1..2@x>":                      false,
		"<1@x.>":                        false,
		"<1@x@y>":                       false,
		"<1 2@x>":                       false,
		"<1\x80@x>":                     false, // what collisions are made of
		"<\xd1\x31@x>":                  false,
		"<1\x00@x>":                     false,
		"<1\x7f@x>":                     false,
		"<\"1\"@x>":                     false,
		"<(1)1@x>":                      false,
		"<1@[127.0.0.1>":                false,
		"<1\\2@x>":                      false,
		"<ü@x>":                         false,
		strings.Repeat("<", 500) + "1@": false,
	} {
		c := pop3.New(mailtest.Connect(t, talker("+OK hi "+greeting+"\r\n", "-ERR no\r\n"), nil), nil)
		err := c.APOP(t.Context(), "bob", "secret")
		c.Close()
		if good == errors.Is(err, pop3.ErrUnsupported) || err == nil {
			t.Errorf("%q: %v, want good: %v", greeting, err, good)
		}
	}
	for _, x := range [][2]string{{"", "x"}, {"a b", "x"}, {"a\r\nDELE 1", "x"}, {"a", "x\x00"}} {
		c := pop3.New(mailtest.Connect(t, talker("+OK <1@x>\r\n"), nil), nil)
		if err := c.APOP(t.Context(), x[0], x[1]); !errors.Is(err, pop3.ErrArgument) {
			t.Errorf("%q: %v", x, err)
		}
		c.Close()
	}
}

// A login that comes too soon, a mailbox in use, a server in trouble: refusals that may pass, told apart from a wrong password.
func TestRefusals(t *testing.T) {
	server := mailtest.NewPOP3()
	server.LoginDelay = time.Hour
	open := func() (*pop3.Client, error) {
		c := pop3.New(mailtest.Connect(t, server, nil), &pop3.Options{AllowPlaintextAuth: true})
		_, err := c.Auth(t.Context(), bob, "")
		return c, err
	}
	first, err := open()
	if err != nil {
		t.Fatal(err)
	}
	code := func(err error) string {
		var refused *pop3.Error
		if !errors.As(err, &refused) || !refused.Temporary() || refused.Explain() == "" {
			return fmt.Sprint(err)
		}
		return refused.Code
	}
	if _, err := open(); code(err) != "IN-USE" {
		t.Errorf("a second session: %v", err)
	}
	if err := first.Quit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); code(err) != "LOGIN-DELAY" {
		t.Errorf("too soon: %v", err)
	}
}
