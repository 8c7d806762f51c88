package pop3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/pop3"
)

// loggedIn is a conversation up to TRANSACTION, announcing these capabilities, for a client that has run enter.
func loggedIn(capabilities ...string) mailtest.Step {
	return func(s *mailtest.Scripted) error {
		for _, step := range []mailtest.Step{
			mailtest.Say("+OK ready\r\n"),
			mailtest.Converse("CAPA", strings.Join(append(append([]string{"+OK"}, capabilities...), "."), "\r\n")),
			mailtest.Converse("USER bob", "+OK", "PASS secret", "+OK"),
		} {
			if err := step(s); err != nil {
				return err
			}
		}
		return nil
	}
}

func enter(t testing.TB, c *pop3.Client) {
	t.Helper()
	if _, err := c.Capa(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Login(t.Context(), "bob", "secret"); err != nil {
		t.Fatal(err)
	}
}

// What a hostile or broken server says, and the error it gets. The session is over after each.
func TestNonsense(t *testing.T) {
	list := func(c *pop3.Client, ctx context.Context) error { _, err := c.List(ctx); return err }
	uidl := func(c *pop3.Client, ctx context.Context) error { _, err := c.UIDL(ctx); return err }
	stat := func(c *pop3.Client, ctx context.Context) error { _, _, err := c.Stat(ctx); return err }
	retr := func(c *pop3.Client, ctx context.Context) error { _, err := c.Retr(ctx, 1, io.Discard); return err }
	wait := func(c *pop3.Client, ctx context.Context) error { _, err := c.Wait(ctx, time.Second); return err }
	all := func(c *pop3.Client, ctx context.Context) error {
		return c.RetrAll(ctx, []pop3.Listing{{Number: 1, Size: 10}, {Number: 2, Size: 10}}, func(_ int, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
	}
	say := mailtest.Say
	for _, c := range []struct {
		name   string
		run    func(*pop3.Client, context.Context) error
		answer mailtest.Step
		want   error
	}{
		{"another protocol", stat, say("HTTP/1.1 400 Bad Request\r\n"), pop3.ErrProtocol},
		{"status without a space", stat, say("+OKAY 1 1\r\n"), pop3.ErrProtocol},
		{"empty line", stat, say("\r\n"), pop3.ErrProtocol},
		{"NUL", stat, say("\x00\x00\r\n"), pop3.ErrProtocol},
		{"endless line", stat, mailtest.Repeat("+OK 1 1 "), pop3.ErrTooLong},
		{"closed at once", stat, say(""), io.ErrUnexpectedEOF},
		{"closed in the status", stat, say("+O"), io.ErrUnexpectedEOF},
		{"STAT negative", stat, say("+OK -1 5\r\n"), pop3.ErrProtocol},
		{"STAT huge", stat, say("+OK 99999999999999999999999 5\r\n"), pop3.ErrProtocol},
		{"STAT octets huge", stat, say("+OK 1 9223372036854775808\r\n"), pop3.ErrProtocol},
		{"STAT without octets", stat, say("+OK 1\r\n"), pop3.ErrProtocol},
		{"STAT in words", stat, say("+OK many\r\n"), pop3.ErrProtocol},
		{"LIST number 0", list, say("+OK\r\n0 5\r\n.\r\n"), pop3.ErrProtocol},
		{"LIST negative number", list, say("+OK\r\n-1 5\r\n.\r\n"), pop3.ErrProtocol},
		{"LIST negative size", list, say("+OK\r\n1 -5\r\n.\r\n"), pop3.ErrProtocol},
		{"LIST huge number", list, say("+OK\r\n4294967297 5\r\n.\r\n"), pop3.ErrProtocol},
		{"LIST without size", list, say("+OK\r\n1\r\n.\r\n"), pop3.ErrProtocol},
		{"LIST empty line", list, say("+OK\r\n\r\n.\r\n"), pop3.ErrProtocol},
		{"LIST hexadecimal", list, say("+OK\r\n0x1 5\r\n.\r\n"), pop3.ErrProtocol},
		{"LIST endless", list, func(s *mailtest.Scripted) error {
			say("+OK\r\n")(s)
			return mailtest.Repeat("1 1\r\n")(s)
		}, pop3.ErrTooLong},
		{"LIST of an endless line", list, func(s *mailtest.Scripted) error {
			say("+OK\r\n")(s)
			return mailtest.Repeat("1")(s)
		}, pop3.ErrTooLong},
		{"LIST of long lines", list, func(s *mailtest.Scripted) error {
			say("+OK\r\n")(s)
			return mailtest.Repeat("1 1" + strings.Repeat(" ", 1500) + "\r\n")(s)
		}, pop3.ErrTooLong},
		{"LIST closed", list, say("+OK\r\n1 5\r\n"), io.ErrUnexpectedEOF},
		{"UIDL closed", uidl, say("+OK\r\n1 u\r\n"), io.ErrUnexpectedEOF},
		{"RETR closed in the message", retr, say("+OK\r\nSubject: half\r\n"), io.ErrUnexpectedEOF},
		{"RETR closed in the last line", retr, say("+OK\r\nSubject: half\r\n."), io.ErrUnexpectedEOF},
		{"RETR endless", retr, func(s *mailtest.Scripted) error {
			say("+OK\r\n")(s)
			return mailtest.Repeat("no end ")(s)
		}, pop3.ErrTooLong},
		{"RETR endless dots", retr, func(s *mailtest.Scripted) error {
			say("+OK\r\n")(s)
			return mailtest.Repeat("..\r\n")(s)
		}, pop3.ErrTooLong},
		{"answers that nobody asked for", func(c *pop3.Client, ctx context.Context) error {
			c.Noop(ctx)
			return c.Noop(ctx)
		}, say("+OK\r\n+OK\r\n+OK\r\n"), pop3.ErrProtocol},
		{"pipeline: nonsense for the second", all, say("+OK\r\nx\r\n.\r\nnonsense\r\n"), pop3.ErrProtocol},
		{"pipeline: closed between", all, say("+OK\r\nx\r\n.\r\n"), io.ErrUnexpectedEOF},
		{"pipeline: closed in the second", all, say("+OK\r\nx\r\n.\r\n+OK\r\ny"), io.ErrUnexpectedEOF},
		{"XWAIT: closed while waiting", wait, say("+OK waiting\r\n"), io.ErrUnexpectedEOF},
		{"XWAIT: nonsense", wait, say("+OK waiting\r\nnew\r\n"), pop3.ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := mailtest.Connect(t, mailtest.Script(t, loggedIn("PIPELINING", "UIDL", "X-POSTERN-WAIT"), mailtest.HearLine(), c.answer), nil)
			client := pop3.New(conn, &pop3.Options{Timeout: 10 * time.Second, MaxListing: 1000, MaxMessage: 1 << 20})
			enter(t, client)
			err := c.run(client, t.Context())
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if client.State() != pop3.Closed {
				t.Errorf("state %v after it", client.State())
			}
			if err := client.Noop(t.Context()); !errors.Is(err, pop3.ErrState) {
				t.Errorf("NOOP after it: %v", err)
			}
		})
	}
}

// The greeting may refuse: it is a refusal, and the session is over.
func TestGreetingRefuses(t *testing.T) {
	conn := mailtest.Connect(t, mailtest.Script(t, mailtest.Say("-ERR [SYS/TEMP] come\x1b[31m back\tlater \xff\r\n")), nil)
	c := pop3.New(conn, nil)
	err := c.Login(t.Context(), "bob", "secret")
	var refused *pop3.Error
	if !errors.As(err, &refused) || *refused != (pop3.Error{Code: "SYS/TEMP", Text: "come [31m back later \uFFFD"}) || !refused.Temporary() {
		t.Errorf("%#v", err)
	}
	if c.State() != pop3.Closed {
		t.Errorf("state %v", c.State())
	}
}

// A server that stalls at any point of a session costs the timeout, once.
func TestStall(t *testing.T) {
	session := func(c *pop3.Client) error {
		ctx := context.Background()
		if err := c.Login(ctx, "bob", "bob-pw"); err != nil {
			return err
		}
		list, err := c.List(ctx)
		if err != nil {
			return err
		}
		return c.RetrAll(ctx, list, func(_ int, r io.Reader) error { io.Copy(io.Discard, r); return nil })
	}
	for _, at := range []int64{-1, 1, 12, 25, 40, 60, 120, 200, 260, 300} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			server := mailtest.NewPOP3([]byte("Subject: 1\r\n\r\n"+strings.Repeat("x", 200)+"\r\n"), []byte("Subject: 2\r\n\r\n"))
			c := pop3.New(mailtest.Connect(t, server, &mailtest.Faults{StallAfter: at}), &pop3.Options{Timeout: 50 * time.Millisecond})
			if err := session(c); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	}
}

// dripping is a connection that brings one octet each time, after a while.
type dripping struct {
	net.Conn
	every time.Duration
}

func (d dripping) Read(p []byte) (int, error) {
	timer := time.NewTimer(d.every)
	defer timer.Stop()
	<-timer.C
	return d.Conn.Read(p[:min(len(p), 1)])
}

// A server that sends an octet now and then does not renew its time by it.
func TestDrip(t *testing.T) {
	conn := mailtest.Connect(t, mailtest.Script(t, mailtest.Repeat("+OK ")), nil)
	c := pop3.New(dripping{conn, 10 * time.Millisecond}, &pop3.Options{Timeout: 200 * time.Millisecond})
	if _, err := c.Capa(t.Context()); !errors.Is(err, os.ErrDeadlineExceeded) { // and not that the line is too long
		t.Errorf("%v", err)
	}
}

// A connection cut at any octet of a session gives an error, and no message that is not whole.
func TestCutAnywhere(t *testing.T) {
	messages := [][]byte{[]byte("Subject: 1\r\n\r\n.dot\r\n"), []byte("Subject: 2\r\n\r\nend\r\n")}
	run := func(f *mailtest.Faults) (whole int, err error) {
		ctx := t.Context()
		c := pop3.New(mailtest.Connect(t, mailtest.NewPOP3(messages...), f), nil)
		defer c.Close()
		if err := c.Login(ctx, "bob", "bob-pw"); err != nil {
			return 0, err
		}
		if _, err := c.UIDL(ctx); err != nil {
			return 0, err
		}
		list, err := c.List(ctx)
		if err != nil {
			return 0, err
		}
		err = c.RetrAll(ctx, list, func(n int, r io.Reader) error {
			got, err := io.ReadAll(r)
			if err == nil && string(got) != string(messages[n-1]) {
				t.Errorf("%+v: message %d is %q", f, n, got)
			}
			if err == nil {
				whole++
			}
			return nil // what goes wrong on the wire must not be lost in here
		})
		if err != nil {
			return whole, err
		}
		return whole, c.Quit(ctx)
	}
	for at := int64(1); ; at++ {
		whole, err := run(&mailtest.Faults{CutAfter: at})
		if err == nil {
			if whole != len(messages) || at < 100 {
				t.Errorf("cut after %d octets and no error, %d messages", at, whole)
			}
			break
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d octets: %v", at, err)
		}
	}
	for at := int64(1); at < 400; at++ {
		if whole, err := run(&mailtest.Faults{SplitAt: []int64{at}}); err != nil || whole != len(messages) {
			t.Errorf("split at %d: %d messages, %v", at, whole, err)
		}
	}
}

// A message of one line of 100 MB needs no more memory than any, and its limit is kept to the octet.
func TestEndlessLineMemory(t *testing.T) {
	const size = 100 << 20
	conn := &segments{packet: 64 << 10, now: []byte("+OK\r\n"), endless: []byte(strings.Repeat("0123456789abcdef", 4<<10)),
		pieces: [][]byte{[]byte("+OK\r\n"), []byte("+OK\r\n"), []byte("+OK\r\n")}}
	c := pop3.New(conn, &pop3.Options{MaxMessage: size})
	if err := c.Login(t.Context(), "bob", "secret"); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var got counter
	n, err := c.Retr(t.Context(), 1, &got)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, pop3.ErrTooLong) {
		t.Errorf("%v", err)
	}
	if n > size || int64(got) != n || n < size-(256<<10) {
		t.Errorf("%d octets came through, %d counted", got, n)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d octets were allocated", grown)
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// A context that ends stops a command at once, and the session with it; one that has ended before sends nothing.
func TestContext(t *testing.T) {
	conn := mailtest.Connect(t, mailtest.Script(t, loggedIn(), mailtest.Hear("STAT"), mailtest.HearClose()), nil)
	c := pop3.New(conn, nil)
	enter(t, c)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Noop(ended); !errors.Is(err, context.Canceled) || c.State() != pop3.Transaction {
		t.Errorf("%v, %v", err, c.State())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, _, err := c.Stat(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if c.State() != pop3.Closed {
		t.Errorf("state %v", c.State())
	}
}

// Close stops a command under way.
func TestCloseDuringCommand(t *testing.T) {
	asked := make(chan struct{})
	conn := mailtest.Connect(t, mailtest.Script(t, loggedIn(), mailtest.Hear("NOOP"), mailtest.Call(func() { close(asked) }), mailtest.HearClose()), nil)
	c := pop3.New(conn, nil)
	enter(t, c)
	go func() {
		<-asked
		c.Close()
	}()
	if err := c.Noop(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}
