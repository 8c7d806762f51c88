package bridge

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

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/wire"
)

// TestJudges: what passes for a greeting, and what does not. It is given octet by octet, and decided no later than enough says.
func TestJudges(t *testing.T) {
	hello := func(version, kind byte) string {
		return "\x16\x03" + string(version) + "\x02\x00" + string(kind) + "\x00\x01\xfc"
	}
	for _, test := range []struct {
		name      string
		say       judge
		yes, no   []string
		tooLittle []string
	}{
		{"POP3", greetings[wire.POP3],
			[]string{"+OK\r\n", "+OK POP3 ready <1@x>\r\n", "-ERR too busy\r\n", "-ERR\r\n", "+OK\n"},
			[]string{"+OKAY\r\n", "+ok\r\n", "-ERROR\r\n", "* OK\r\n", "220 x\r\n", "HTTP/1.1 400\r\n", "SSH-2.0-x", "\x16\x03\x01", "\x00", " +OK\r\n", "+OK-\r\n", "\r\n+OK\r\n"},
			[]string{"", "+", "+OK", "-ER", "-ERR"}},
		{"SMTP", greetings[wire.SMTP],
			[]string{"220 mx\r\n", "220-first\r\n", "220\r\n", "421 later\r\n", "554 no\r\n", "521-no\r\n", "450 wait\r\n", "550 no\r\n"},
			[]string{"221 bye\r\n", "200 news\r\n", "120 soon\r\n", "2200 x\r\n", "220x", "+OK\r\n", "HTTP/1.1 400 x", "461x\r\n", "4a1 x\r\n", "481 x\r\n", "RFB 003.008\n", "220_\r\n"},
			[]string{"2", "220", "4", "55", "421"}},
		{"submission", greetings[wire.Submission], []string{"220 mx ESMTP\r\n"}, []string{"+OK\r\n"}, nil},
		{"IMAP", greetings[wire.IMAP],
			[]string{"* OK [CAPABILITY IMAP4rev2] ready\r\n", "* ok\r\n", "* BYE no\r\n", "* PREAUTH hi\r\n"},
			[]string{"* OKAY\r\n", "* NO\r\n", "+OK\r\n", "*OK\r\n", "a OK\r\n", "* OK-\r\n"},
			[]string{"*", "* ", "* PREAUT", "* OK"}},
		{"FTP", greetings[wire.FTP],
			[]string{"220 ftp\r\n", "220-Welcome\r\n", "120 in 5 minutes\r\n", "421 full\r\n", "530 no\r\n"},
			[]string{"230 in\r\n", "110 x\r\n", "221 x", "+OK\r\n"},
			[]string{"12", "220"}},
		{"TLS of a client", clientTLS,
			[]string{hello(1, 1), hello(3, 1), "\x16\x03\x01\x40\x00\x01"},
			[]string{hello(3, 2), "\x15\x03\x01\x00\x02\x02\x28", "GET / HTTP/1.1\r\n", "\x16\x02\x00", "\x16\x03\x05", "\x16\x03\x01\x00\x00", "\x16\x03\x01\xff\xff", "\x80\x2e\x01", "+OK\r\n", "\x17\x03\x03\x00\x10x"},
			[]string{"\x16", "\x16\x03\x01\x02\x00"}},
		{"TLS of a server", serverTLS,
			[]string{hello(3, 2), "\x15\x03\x01\x00\x02\x02\x28", "\x15\x03\x03\x00\x02\x01\x00"},
			[]string{hello(3, 1), hello(3, 11), "\x15\x03\x03\x00\x03\x02\x28", "\x15\x03\x03\x00\x02\x03\x28", "\x17\x03\x03\x00\x10x", "220 mx\r\n", "HTTP/1.1 400 Bad Request\r\n", "\x00"},
			[]string{"\x15\x03", "\x16\x03\x03\x00\x7a"}},
	} {
		verdictOf := func(s string) verdict {
			for n := range len(s) {
				if v := test.say([]byte(s[:n+1])); v != undecided {
					if n+1 > enough {
						t.Errorf("%s: %q takes %d octets", test.name, s, n+1)
					}
					if whole := test.say([]byte(s)); whole != v {
						t.Errorf("%s: %q is %d at once, and %d octet by octet", test.name, s, whole, v)
					}
					return v
				}
			}
			return undecided
		}
		for want, list := range map[verdict][]string{right: test.yes, wrong: test.no, undecided: test.tooLittle} {
			for _, s := range list {
				if got := verdictOf(s); got != want {
					t.Errorf("%s: %q is %d, want %d", test.name, s, got, want)
				}
			}
		}
	}
}

// FuzzJudges: a verdict does not change with what comes after it, and comes in time.
func FuzzJudges(f *testing.F) {
	for _, s := range []string{"+OK x\r\n", "220-x\r\n", "* PREAUTH x\r\n", "\x16\x03\x01\x02\x00\x01", "\x15\x03\x03\x00\x02\x02\x28", "HTTP/1.1 400 x"} {
		f.Add([]byte(s))
	}
	judges := []judge{clientTLS, serverTLS}
	for _, j := range greetings {
		judges = append(judges, j)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		for i, say := range judges {
			first := undecided
			for n := 1; n <= len(p); n++ {
				v := say(p[:n])
				if first != undecided && v != first {
					t.Fatalf("judge %d: %q is %d, and %d with more of it", i, p[:n], v, first)
				}
				first = max(first, v)
				if n >= enough && v == undecided {
					t.Fatalf("judge %d: %q is not decided", i, p[:n])
				}
			}
		}
	})
}

// elsewhere makes a gateway that reaches a server of f's on loopback under the name mail.example, port 1, and nothing else.
func elsewhere(t testing.TB, c Config, f func(*net.TCPConn)) gateway {
	t.Helper()
	address := serveTCP(t, f)
	c.Policy = Policy{Allow: rules(t, "mail.example:1")}
	c.Resolver = names{"mail.example": {"93.184.216.34"}}
	c.Dialer = &detour{want: "93.184.216.34:1", to: address}
	return start(t, c)
}

// TestGuard: what a client gets of servers that are not what it asked for, and of those that are.
func TestGuard(t *testing.T) {
	say := func(parts ...string) func(*net.TCPConn) {
		return func(c *net.TCPConn) {
			for _, p := range parts {
				_, _ = io.WriteString(c, p)
				time.Sleep(time.Millisecond) // parts of their own, mostly
			}
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		}
	}
	silent := func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }
	for _, test := range []struct {
		name    string
		service wire.ServiceName
		server  func(*net.TCPConn)
		refused wire.Reason
		read    string
	}{
		{"a POP3 server", wire.POP3, say("+OK hello\r\n"), "", "+OK hello\r\n"},
		{"in octets", wire.POP3, say("+", "O", "K", " ", "h", "i", "\r", "\n"), "", "+OK hi\r\n"},
		{"one that refuses", wire.SMTP, say("554 no\r\n"), "", "554 no\r\n"},
		{"a greeting that is longer than what is read of it", wire.IMAP, say("* OK " + strings.Repeat("x", 5000) + "\r\n"), "", "* OK " + strings.Repeat("x", 5000) + "\r\n"},
		{"another service", wire.POP3, say("220 mx\r\n"), wire.NotMail, ""},
		{"SSH", wire.SMTP, say("SSH-2.0-OpenSSH_9.9\r\n"), wire.NotMail, ""},
		{"TLS where it does not come first", wire.IMAP, say("\x15\x03\x01\x00\x02\x02\x28"), wire.NotMail, ""},
		{"silence, as of HTTP or Redis", wire.POP3, silent, wire.Timeout, ""},
		{"half a greeting", wire.POP3, say("+O"), wire.Unreachable, ""},
		{"an end", wire.POP3, say(), wire.Unreachable, ""},
		{"a reset", wire.POP3, func(c *net.TCPConn) { _ = c.SetLinger(0) }, wire.Unreachable, ""},
		{"a megabyte without a line", wire.FTP, say("220", strings.Repeat("0", 1<<20)), wire.NotMail, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := elsewhere(t, Config{Limits: Limits{GreetingTimeout: 200 * time.Millisecond}}, test.server)
			s := g.session(t)
			c, err := s.Open(t.Context(), wire.Open{Service: test.service, Host: "mail.example", Port: 1})
			if reason(err) != test.refused || err != nil && test.refused == "" {
				t.Fatalf("%v, want %q", err, test.refused)
			}
			if err == nil {
				defer c.Close()
				if got, err := io.ReadAll(c); string(got) != test.read || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			}
			if test.refused != "" && g.Stats().Refused[test.refused] != 1 {
				t.Errorf("it is not counted: %+v", g.Stats().Refused)
			}
			if test.refused != "" {
				eventually(t, "what was held stays held", func() bool { return g.Stats().Targets == 0 })
			}
		})
	}
}

// Nothing of a client's reaches a server that has not greeted, and nothing of such a server's the client.
func TestGuardLetsNothingThrough(t *testing.T) {
	got := make(chan string, 1)
	server := func(c *net.TCPConn) {
		p, _ := io.ReadAll(c)
		got <- string(p)
	}
	g := elsewhere(t, Config{Limits: Limits{GreetingTimeout: 100 * time.Millisecond}}, server)
	s := g.session(t)
	if _, err := s.Open(t.Context(), wire.Open{Service: wire.SMTP, Host: "mail.example", Port: 1}); reason(err) != wire.Timeout {
		t.Errorf("%v", err)
	}
	if p := <-got; p != "" {
		t.Errorf("the server got %q", p)
	}
	for first, want := range map[string]wire.Reason{
		"GET / HTTP/1.0\r\n\r\n": wire.NotMail, "\x16\x03\x01\x00\x05\x02rest": wire.NotMail, "\x16\x03": wire.Timeout, "": wire.Timeout,
	} {
		c, err := s.Open(t.Context(), wire.Open{Service: wire.IMAPS, Host: "mail.example", Port: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, first)
		if _, err := io.ReadAll(c); reason(err) != want {
			t.Errorf("%q: %v", first, err)
		}
		_ = c.Close()
		if p := <-got; p != "" {
			t.Errorf("after %q the server got %q", first, p)
		}
	}
}

// Where TLS comes first, what answers otherwise is refused by a notice, for the stream is open by then; and real TLS goes through, in
// whatever pieces.
func TestGuardOfTLS(t *testing.T) {
	silent := func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }
	for name, server := range map[string]func(*net.TCPConn){
		"HTTP": func(c *net.TCPConn) {
			_, _ = io.ReadFull(c, make([]byte, 6))
			_, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\nsecrets of the inside")
			_, _ = io.Copy(io.Discard, c)
		},
		"a mail server without": func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "+OK secrets of the inside\r\n")
			_, _ = io.Copy(io.Discard, c)
		},
		"silence": silent,
	} {
		t.Run(name, func(t *testing.T) {
			g := elsewhere(t, Config{Limits: Limits{GreetingTimeout: 200 * time.Millisecond}}, server)
			c, err := g.session(t).Open(t.Context(), wire.Open{Service: wire.POP3S, Host: "mail.example", Port: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			err = tls.Client(c, &tls.Config{ServerName: "mail.example"}).HandshakeContext(t.Context())
			want := wire.NotMail
			if name == "silence" {
				want = wire.Timeout
			}
			if reason(err) != want || strings.Contains(err.Error(), "secrets") {
				t.Errorf("%v", err)
			}
			_ = c.Close() // as a client does
			eventually(t, "the stream stays", func() bool { return g.Stats().Streams == 0 && g.Stats().Targets == 0 })
		})
	}

	authority := mailtest.NewAuthority(t)
	g := elsewhere(t, Config{}, func(c *net.TCPConn) {
		s := tls.Server(&dribble{Conn: c}, &tls.Config{Certificates: []tls.Certificate{authority.Server("mail.example")}})
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
	c, err := g.session(t).Open(t.Context(), wire.Open{Service: wire.POP3S, Host: "mail.example", Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	sealed := tls.Client(&dribble{Conn: c}, &tls.Config{ServerName: "mail.example", RootCAs: authority.Pool()})
	defer sealed.Close()
	want := bytes.Repeat([]byte("sealed "), 1000)
	go func() { _, _ = sealed.Write(want); _ = sealed.CloseWrite() }()
	if got, err := io.ReadAll(sealed); !bytes.Equal(got, want) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A server that ends before it has said anything in TLS has ended, and that is no fault of its.
func TestGuardKeepsEnds(t *testing.T) {
	g := elsewhere(t, Config{}, func(c *net.TCPConn) {})
	c, err := g.session(t).Open(t.Context(), wire.Open{Service: wire.POP3S, Host: "mail.example", Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if p, err := io.ReadAll(c); len(p) > 0 || err != nil {
		t.Errorf("%q, %v", p, err)
	}
}

// A client that goes away while its server has not greeted yet costs no longer than that.
func TestSessionEndsBeforeTheGreeting(t *testing.T) {
	connected := make(chan struct{})
	g := elsewhere(t, Config{Limits: Limits{GreetingTimeout: time.Hour}}, func(c *net.TCPConn) {
		close(connected)
		_, _ = io.Copy(io.Discard, c)
	})
	s := g.session(t)
	opened := make(chan error, 1)
	go func() {
		_, err := s.Open(t.Context(), wire.Open{Service: wire.SMTP, Host: "mail.example", Port: 1})
		opened <- err
	}()
	<-connected
	_ = s.Close()
	if err := <-opened; err == nil {
		t.Error("it opened")
	}
	eventually(t, "the session stays", func() bool { return g.Stats().Sessions == 0 && g.Stats().Targets == 0 })
}

// dribble writes a few octets at a time.
type dribble struct{ net.Conn }

func (d *dribble) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		var k int
		k, err = d.Conn.Write(p[:min(3, len(p))])
		n, p = n+k, p[k:]
	}
	return n, err
}

// detour is a Dialer for one address, which is somewhere else.
type detour struct{ want, to string }

func (d *detour) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if address != d.want {
		return nil, errors.New("nobody may dial " + address)
	}
	return new(net.Dialer).DialContext(ctx, network, d.to)
}

// anywhere is a Dialer whose every address is one.
type anywhere string

func (a anywhere) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, string(a))
}
