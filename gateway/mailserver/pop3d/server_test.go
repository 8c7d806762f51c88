package pop3d

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/mailserver/internal/linetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hello = "Subject: hello\r\n\r\nline 1\r\n.dot\r\n..two\r\n.\r\nlast\r\n"

// TestCommands is the protocol, each command in each state: what is sent after
// login (or before it), and what every answer begins with. A "|" begins a
// multi-line body.
func TestCommands(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name   string
		login  bool
		send   string
		expect []string
	}{
		{"transaction commands before login", false,
			"STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 1 1\r\nDELE 1\r\nRSET\r\nNOOP\r\nXWAIT 5\r\n",
			[]string{"-ERR STAT is not valid in the AUTHORIZATION state", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"authorization commands after login", true,
			"USER x\r\nPASS x\r\nAUTH PLAIN\r\nSTLS\r\n",
			[]string{"-ERR USER is not valid in the TRANSACTION state", "-ERR", "-ERR", "-ERR"}},
		{"unknown", false, "APOP a b\r\nFOO\r\n\r\n \r\nGET / HTTP/1.1\r\n", []string{"-ERR unknown command", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"case and bare LF", true, "noop\r\nNoOp\nNOOP\r\n", []string{"+OK", "+OK", "+OK"}},
		{"arguments missing", true, "RETR\r\nRETR \r\nDELE\r\nTOP\r\nTOP 1\r\nTOP 1 \r\nXWAIT\r\n", []string{"-ERR RETR needs", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"arguments too many", true, "NOOP 1\r\nSTAT x\r\nRSET x\r\nRETR 1 2\r\nLIST 1 2\r\nQUIT now\r\nCAPA x\r\n", []string{"-ERR NOOP takes no argument", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"message numbers", true, "RETR 0\r\nRETR 3\r\nRETR -1\r\nRETR +1\r\nRETR 1x\r\nRETR 99999999999999999999\r\nLIST 3\r\nUIDL 3\r\nDELE 3\r\nTOP 3 0\r\nTOP 1 -1\r\nTOP 1 x\r\n",
			[]string{"-ERR no such message, there are 2", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"password without name", false, "PASS secret word\r\nUSER a\r\nPASS wrong\r\nPASS secret word\r\n", []string{"-ERR USER", "+OK", "-ERR [AUTH] name or password", "-ERR USER"}},
		{"temporary failures of login", false, "USER busy\r\nPASS x\r\nUSER broken\r\nPASS x\r\n", []string{"+OK", "-ERR [SYS/TEMP]", "+OK", "-ERR [SYS/TEMP]"}},
		{"stat list uidl", true, "STAT\r\nLIST\r\nLIST 2\r\nUIDL\r\nUIDL 1\r\n",
			[]string{"+OK 2 55", "+OK", "|1 48\r\n2 7\r\n", "+OK 2 7", "+OK", "|1 uid1\r\n2 uid2\r\n", "+OK 1 uid1"}},
		{"retr stuffs dots", true, "RETR 1\r\nRETR 2\r\n",
			[]string{"+OK 48 octets", "|Subject: hello\r\n\r\nline 1\r\n..dot\r\n...two\r\n..\r\nlast\r\n", "+OK", "|no end.\r\n"}},
		{"top", true, "TOP 1 0\r\nTOP 1 2\r\nTOP 1 99\r\nTOP 2 1\r\n",
			[]string{"+OK", "|Subject: hello\r\n\r\n", "+OK", "|Subject: hello\r\n\r\nline 1\r\n..dot\r\n", "+OK", "|Subject: hello\r\n\r\nline 1\r\n..dot\r\n...two\r\n..\r\nlast\r\n", "+OK", "|no end.\r\n"}},
		{"dele hides, rset shows", true, "DELE 1\r\nDELE 1\r\nRETR 1\r\nLIST 1\r\nTOP 1 0\r\nSTAT\r\nLIST\r\nUIDL\r\nRSET\r\nSTAT\r\n",
			[]string{"+OK", "-ERR message 1 is marked", "-ERR", "-ERR", "-ERR", "+OK 1 7", "+OK", "|2 7\r\n", "+OK", "|2 uid2\r\n", "+OK 2 messages (55 octets)", "+OK 2 55"}},
		{"long line", true, "NOOP " + long + "\r\nNOOP\r\n", []string{"-ERR a command line has at most 255", "+OK"}},
		{"the longest line", true, "NOOP " + long[:248] + "\r\nNOOP " + long[:249] + "\r\n", []string{"-ERR NOOP takes no", "-ERR a command line"}},
		{"wait out of range", true, "XWAIT 0\r\nXWAIT 1741\r\nXWAIT -1\r\nXWAIT x\r\nXWAIT 99999999999\r\n", []string{"-ERR XWAIT takes 1 to 1740", "-ERR", "-ERR", "-ERR", "-ERR"}},
		{"auth plain", false, "AUTH PLAIN AGFsaWNlQHBvc3Rlcm4udGVzdABzZWNyZXQgd29yZA==\r\nSTAT\r\n", []string{"+OK 2 messages", "+OK 2 55"}},
		{"auth plain in two steps", false, "auth plain\r\nAGFsaWNlQHBvc3Rlcm4udGVzdABzZWNyZXQgd29yZA==\r\nSTAT\r\n", []string{"+ ", "+OK 2 messages", "+OK 2 55"}},
		{"auth plain cancelled", false, "AUTH PLAIN\r\n*\r\nCAPA x\r\n", []string{"+ ", "-ERR cancelled", "-ERR"}},
		{"auth plain malformed", false, "AUTH PLAIN !!\r\nAUTH PLAIN =\r\nAUTH PLAIN YQ==\r\nAUTH CRAM-MD5\r\nAUTH\r\nAUTH PLAIN\r\n" + strings.Repeat("A", 13000) + "\r\n",
			[]string{"-ERR that is not base64", "-ERR that is not a PLAIN", "-ERR that is not a PLAIN", "-ERR the mechanisms", "-ERR AUTH needs", "+ ", "-ERR a SASL response"}},
		{"auth login", false, "AUTH LOGIN\r\nYWxpY2VAcG9zdGVybi50ZXN0\r\nc2VjcmV0IHdvcmQ=\r\nSTAT\r\n", []string{"+ VXNlcm5hbWU6", "+ UGFzc3dvcmQ6", "+OK 2 messages", "+OK 2 55"}},
		{"auth login with the name", false, "AUTH login YWxpY2VAcG9zdGVybi50ZXN0\r\nc2VjcmV0IHdvcmQ=\r\n", []string{"+ UGFzc3dvcmQ6", "+OK 2 messages"}},
		{"auth login cancelled", false, "AUTH LOGIN\r\n*\r\nAUTH LOGIN =\r\n*\r\nAUTH LOGIN\r\n!\r\nSTAT\r\n", []string{"+ ", "-ERR cancelled", "+ ", "-ERR cancelled", "+ ", "-ERR that is not base64", "-ERR STAT"}},
		{"auth login wrong", false, "AUTH LOGIN\r\nYQ==\r\nYg==\r\n", []string{"+ ", "+ ", "-ERR [AUTH]"}},
		{"auth plain for another", false, "AUTH PLAIN Ym9iAGFsaWNlAHNlY3JldCB3b3Jk\r\n", []string{"-ERR [AUTH] nobody acts"}},
		{"auth scram malformed", false, "AUTH SCRAM-SHA-256 !!\r\nAUTH SCRAM-SHA-256 =\r\nAUTH SCRAM-SHA-256 cD14LCxuPXUscj14\r\nAUTH scram-sha-256\r\n*\r\nAUTH SCRAM-SHA-256 biwsbj11LHI9eA==\r\nYz1iaXdzLHI9eCxwPUFBQUE=\r\nSTAT\r\n",
			[]string{"-ERR that is not base64", "-ERR that is not SCRAM", "-ERR that is not SCRAM", "+ ", "-ERR cancelled", "+ cj14", "-ERR that is not SCRAM", "-ERR STAT"}},
		{"auth scram, nobody", false, "AUTH SCRAM-SHA-256 biwsbj1ub2JvZHkscj14\r\n*\r\nAUTH SCRAM-SHA-256 biwsbj1icm9rZW4scj14\r\n", []string{"+ cj14", "-ERR cancelled", "-ERR [SYS/TEMP]"}},
		{"utf8", false, "UTF8\r\nUTF8 x\r\nSTLS\r\nUSER jörg\r\nPASS secret word\r\nUTF8\r\n", []string{"+OK UTF-8", "-ERR UTF8 takes no", "-ERR STLS comes before UTF8", "+OK", "+OK 2 messages", "-ERR UTF8 is not valid in the TRANSACTION"}},
		{"lang before", false, "LANG\r\nLANG en\r\nLANG EN-gb\r\nLANG *\r\nLANG xx\r\nLANG english\r\n", []string{"+OK", "|en English\r\n", "+OK en ", "+OK en ", "+OK en ", "-ERR", "-ERR"}},
		{"lang after", true, "LANG\r\nLANG *\r\n", []string{"+OK", "|en English\r\n", "+OK en "}},
		{"capa after utf8", false, "UTF8\r\nCAPA\r\n", []string{"+OK", "+OK", "|TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\nLANG\r\nUSER\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\nX-POSTERN-WAIT\r\nIMPLEMENTATION Postern\r\n"}},
		{"capa before", false, "CAPA\r\n", []string{"+OK", "|TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\nLANG\r\nUSER\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\nSTLS\r\nX-POSTERN-WAIT\r\nIMPLEMENTATION Postern\r\n"}},
		{"capa after", true, "CAPA\r\n", []string{"+OK", "|TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\nLANG\r\nUSER\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\nX-POSTERN-WAIT\r\nIMPLEMENTATION Postern\r\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := drops(hello, "no end.")
			addr, _ := start(t, d, nil)
			for _, pipelined := range []bool{true, false} {
				conn := dial(t, addr)
				if c.login {
					conn.login()
				}
				lines := []string{c.send}
				if !pipelined {
					lines = strings.SplitAfter(c.send, "\n")
				}
				want := c.expect
				for _, l := range lines {
					conn.Send(l)
					for n := 0; len(want) > 0 && (pipelined || n == 0 || strings.HasPrefix(want[0], "|")); n++ {
						if body, ok := strings.CutPrefix(want[0], "|"); ok {
							if got := conn.body(); got != body {
								t.Fatalf("body %q, want %q", got, body)
							}
						} else {
							conn.expect(want[0])
						}
						want = want[1:]
					}
				}
				conn.Send("QUIT\r\n")
				conn.expect("+OK bye")
				conn.End()
			}
			if d.isLocked() {
				t.Error("the maildrop is still locked")
			}
		})
	}
}

func TestDeletionOnlyInUpdate(t *testing.T) {
	for _, c := range []struct {
		name, send string
		left       int
	}{
		{"quit", "DELE 1\r\nQUIT\r\n", 1},
		{"connection drops", "DELE 1\r\n", 2},
		{"reset", "DELE 1\r\nRSET\r\nQUIT\r\n", 2},
		{"xwait", "DELE 1\r\nXWAIT 1\r\n", 2},
		{"half a quit", "DELE 1\r\nQUI", 2},
		{"quit without end of line", "DELE 1\r\nQUIT", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := drops("1\r\n", "2\r\n")
			addr, srv := start(t, d, nil)
			conn := dial(t, addr)
			conn.login()
			conn.Send(c.send)
			conn.expect("+OK message 1 will be")
			conn.Conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn.In) // until the server has closed, too
			srv.Shutdown(context.Background())
			if n := d.count(); n != c.left || d.isLocked() {
				t.Errorf("%d messages left, want %d; locked %v", n, c.left, d.isLocked())
			}
		})
	}
}

func TestUpdateThatFailsSaysSo(t *testing.T) {
	d := drops("1\r\n")
	d.stuck = errors.New("disk full")
	addr, _ := start(t, d, nil)
	c := dial(t, addr)
	c.login()
	c.Send("DELE 1\r\nQUIT\r\n")
	c.expect("+OK")
	c.expect("-ERR [SYS/TEMP]")
	c.End()
	if d.isLocked() {
		t.Error("the maildrop is still locked")
	}
}

func TestInUse(t *testing.T) {
	addr, _ := start(t, drops("1\r\n"), nil)
	first, second := dial(t, addr), dial(t, addr)
	first.login()
	second.Send("USER alice@postern.test\r\nPASS secret word\r\n")
	second.expect("+OK")
	second.expect("-ERR [IN-USE]")
	first.Send("QUIT\r\n")
	first.expect("+OK")
	second.login() // the same connection: the lock is free once the answer to QUIT is out
}

func TestTLS(t *testing.T) {
	config := &tls.Config{InsecureSkipVerify: true}
	t.Run("STLS", func(t *testing.T) {
		addr, _ := start(t, drops("1\r\n"), func(c *Config) { c.Plain = Never })
		c := dial(t, addr)
		// What comes with STLS in the clear must be forgotten (command injection).
		c.Send("STLS\r\nCAPA\r\nUSER mallory\r\n")
		c.expect("+OK begin TLS")
		c.Secure()
		c.Send("PASS secret word\r\nSTLS\r\nCAPA\r\n")
		c.expect("-ERR USER comes before PASS")
		c.expect("-ERR TLS is on already")
		c.expect("+OK")
		if caps := c.body(); strings.Contains(caps, "STLS") || !strings.Contains(caps, "USER") {
			t.Errorf("capabilities after STLS: %q", caps)
		}
		c.login()
		c.Send("RETR 1\r\nQUIT\r\n")
		c.expect("+OK")
		c.body()
		c.expect("+OK bye")
	})
	t.Run("implicit", func(t *testing.T) {
		d := drops("1\r\n")
		addr, _ := start(t, d, func(c *Config) { c.Implicit = true })
		conn, err := tls.Dial("tcp", addr, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := &client{linetest.New(t, conn)}
		c.expect("+OK mail")
		c.login()
		c.Send("XWAIT 60\r\n")
		c.expect("+OK waiting")
		d.deliver(fakeMessage{"new", "x"})
		c.expect("+OK new")
		c.End()
	})
	t.Run("plain text to the TLS port", func(t *testing.T) {
		addr, _ := start(t, drops(), func(c *Config) { c.Implicit = true })
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "USER a\r\nPASS b\r\n")
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		io.Copy(io.Discard, conn)
	})
	t.Run("none", func(t *testing.T) {
		addr, _ := start(t, drops(), func(c *Config) { c.TLS = nil })
		c := dial(t, addr)
		c.Send("STLS\r\nCAPA\r\n")
		c.expect("-ERR this server has no TLS")
		c.expect("+OK")
		if caps := c.body(); strings.Contains(caps, "STLS") {
			t.Errorf("STLS offered without a certificate: %q", caps)
		}
	})
}

func TestWait(t *testing.T) {
	d := drops("1\r\n")
	addr, srv := start(t, d, nil)
	wait := func(seconds int) *client {
		c := dial(t, addr)
		c.login()
		c.Send(fmt.Sprintf("XWAIT %d\r\n", seconds))
		c.expect("+OK waiting")
		return c
	}
	c := wait(60)
	if d.isLocked() {
		t.Error("a waiting session keeps the lock")
	}
	other := dial(t, addr)
	other.login()
	other.Send("QUIT\r\n")
	other.expect("+OK")
	d.deliver(fakeMessage{"uid2", "2\r\n"})
	c.expect("+OK new")
	c.End()

	c = dial(t, addr)
	c.login()
	d.deliver(fakeMessage{"uid3", "3\r\n"}) // after the login, before the wait
	c.Send("XWAIT 60\r\n")
	c.expect("+OK waiting")
	c.expect("+OK new")

	c = wait(1)
	c.expect("+OK none")
	c.End()

	c = wait(60)
	c.Send("NOOP\r\n")
	c.expect("+OK none")

	wait(60).Conn.Close()
	c = wait(60)
	if err := srv.Shutdown(t.Context()); err != nil { // returns: the session whose client has gone has ended
		t.Error(err)
	}
	c.expect("-ERR [SYS/TEMP]")
	c.End()
}

func TestShutdown(t *testing.T) {
	d := drops(strings.Repeat("x\r\n", 1<<20))
	addr, srv := start(t, d, nil)
	idle, busy := dial(t, addr), dial(t, addr)
	busy.login()
	busy.Send("DELE 1\r\nRSET\r\nRETR 1\r\nNOOP\r\n")
	busy.expect("+OK")
	busy.expect("+OK")
	busy.expect("+OK")
	down := make(chan error)
	go func() { down <- srv.Shutdown(context.Background()) }()
	idle.expect("-ERR [SYS/TEMP] the server is shutting down")
	idle.End()
	if got := busy.body(); len(got) != 3<<20 {
		t.Errorf("the download in progress was cut at %d octets", len(got))
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still listening")
	}
}

func TestShutdownInTime(t *testing.T) {
	d := drops(strings.Repeat("x\r\n", 16<<20))
	addr, srv := start(t, d, nil)
	c := dial(t, addr)
	c.login()
	c.Send("RETR 1\r\n")
	c.expect("+OK")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown with a reader that does not read: %v", err)
	}
	if d.isLocked() {
		t.Error("the maildrop is still locked")
	}
}

func TestStuffer(t *testing.T) {
	for in, want := range map[string]string{
		"":                     ".\r\n",
		".":                    "..\r\n.\r\n",
		"a":                    "a\r\n.\r\n",
		"a\r\n":                "a\r\n.\r\n",
		".a\r\n.\r\n..b\r\n":   "..a\r\n..\r\n...b\r\n.\r\n",
		"a.\r\n.":              "a.\r\n..\r\n.\r\n",
		"\r\n\r\n.\r\n":        "\r\n\r\n..\r\n.\r\n",
		"bare\n.lf\r\n\r.\r\n": "bare\n..lf\r\n\r.\r\n.\r\n",
	} {
		for size := 1; size <= len(in)+1; size++ { // however the message is cut into pieces
			var b bytes.Buffer
			w := stuffer{w: &b, bol: true}
			for rest := in; rest != ""; {
				n := min(size, len(rest))
				w.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			w.end()
			if b.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", in, size, b.String(), want)
			}
		}
	}
}
