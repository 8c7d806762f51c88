package pop3_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/mailtest"
	"github.com/postern-mail/postern/shared/pop3"
)

// New does no I/O, and a command that its state does not allow sends nothing.
func TestStatesWithoutWire(t *testing.T) {
	conn, peer := net.Pipe() // unbuffered: anything sent would hang
	defer conn.Close()
	defer peer.Close()
	c := pop3.New(conn, nil)
	ctx := t.Context()
	_, _, stat := c.Stat(ctx)
	_, list := c.List(ctx)
	_, uidl := c.UIDL(ctx)
	_, retr := c.Retr(ctx, 1, io.Discard)
	_, top := c.Top(ctx, 1, 0, io.Discard)
	_, wait := c.Wait(ctx, time.Second)
	all := c.RetrAll(ctx, []pop3.Listing{{Number: 1}}, nil)
	for name, err := range map[string]error{"STAT": stat, "LIST": list, "UIDL": uidl, "RETR": retr, "TOP": top, "XWAIT": wait,
		"RetrAll": all, "DELE": c.Dele(ctx, 1), "RSET": c.Rset(ctx), "NOOP": c.Noop(ctx)} {
		if !errors.Is(err, pop3.ErrState) {
			t.Errorf("%s in AUTHORIZATION: %v", name, err)
		}
	}
}

// Arguments that cannot be sent are refused before anything is, and the session goes on.
func TestArguments(t *testing.T) {
	conn := mailtest.Connect(t, mailtest.Script(t, loggedIn(), mailtest.Converse("NOOP", "+OK")), nil)
	c := pop3.New(conn, nil)
	ctx := t.Context()
	for _, login := range [][2]string{{"", "x"}, {"a\r\nDELE 1", "x"}, {"a", "x\nDELE 1"}, {"a\x00", "x"}} {
		if err := c.Login(ctx, login[0], login[1]); !errors.Is(err, pop3.ErrArgument) && err != nil {
			t.Errorf("%q: %v", login, err)
		}
	}
	enter(t, c)
	_, retr := c.Retr(ctx, 0, io.Discard)
	_, top := c.Top(ctx, 1, -1, io.Discard)
	_, short := c.Wait(ctx, 0)
	_, long := c.Wait(ctx, pop3.MaxWait+1)
	all := c.RetrAll(ctx, []pop3.Listing{{Number: 1}, {Number: -1}}, nil)
	for i, err := range []error{retr, top, short, long, all, c.Dele(ctx, -1)} {
		if !errors.Is(err, pop3.ErrArgument) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := c.Noop(ctx); err != nil {
		t.Error(err)
	}
}

// QUIRK: bare LF ends lines, everywhere; what follows a number and size in a listing is passed over; repeated unique-ids
// and long ones are kept.
func TestTolerance(t *testing.T) {
	long := strings.Repeat("u", 200)
	conn := mailtest.Connect(t, mailtest.Script(t,
		mailtest.Say("+OK\n"),
		mailtest.Converse("USER bob", "+OK", "PASS secret", "+OK"),
		mailtest.Hear("LIST"), mailtest.Say("+OK\n1 10 more\n3 0\n.\n"),
		mailtest.Hear("UIDL"), mailtest.Say("+OK\n1 same\n2 same\n 3  "+long+" \n.\n"),
		mailtest.Hear("RETR 1"), mailtest.Say("+OK\none\n..two\n.\rthree\n\n.\n"),
	), nil)
	c := pop3.New(conn, nil)
	ctx := t.Context()
	if err := c.Login(ctx, "bob", "secret"); err != nil {
		t.Fatal(err)
	}
	list, err := c.List(ctx)
	if want := []pop3.Listing{{Number: 1, Size: 10}, {Number: 3}}; err != nil || !reflect.DeepEqual(list, want) {
		t.Errorf("%v, %v", list, err)
	}
	uids, err := c.UIDL(ctx)
	if want := []pop3.UniqueID{{Number: 1, UID: "same"}, {Number: 2, UID: "same"}, {Number: 3, UID: long}}; err != nil || !reflect.DeepEqual(uids, want) {
		t.Errorf("%v, %v", uids, err)
	}
	var got strings.Builder
	if _, err := c.Retr(ctx, 1, &got); err != nil || got.String() != "one\n.two\n\rthree\n\n" {
		t.Errorf("%q, %v", got.String(), err)
	}
}

// Nothing of what was said in plain text survives STLS.
func TestSTLSInjection(t *testing.T) {
	conn := mailtest.Connect(t, mailtest.Script(t, mailtest.Say("+OK\r\n"),
		mailtest.Hear("STLS"), mailtest.Say("+OK\r\n+OK injected\r\n"), mailtest.HearClose()), nil)
	c := pop3.New(conn, nil)
	if err := c.STLS(t.Context(), &tls.Config{ServerName: "localhost"}); !errors.Is(err, pop3.ErrProtocol) {
		t.Errorf("%v", err)
	}
}

// Capabilities heard in plain text are forgotten; a server that turns out to have no STLS is told apart from one that fails.
func TestSTLSRefused(t *testing.T) {
	conn := mailtest.Connect(t, mailtest.Script(t, mailtest.Say("+OK\r\n"),
		mailtest.Converse("STLS", "-ERR no", "CAPA", "+OK\r\nUSER\r\n.")), nil)
	c := pop3.New(conn, nil)
	var refused *pop3.Error
	if err := c.STLS(t.Context(), &tls.Config{ServerName: "localhost"}); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	if _, err := c.Capa(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.STLS(t.Context(), &tls.Config{ServerName: "localhost"}); !errors.Is(err, pop3.ErrUnsupported) {
		t.Errorf("after CAPA: %v", err)
	}
}

func TestUIDLMissing(t *testing.T) {
	c := pop3.New(mailtest.Connect(t, mailtest.Script(t, mailtest.Say("+OK\r\n"),
		mailtest.Converse("USER bob", "+OK", "PASS secret", "+OK", "UIDL", "-ERR what?", "NOOP", "+OK")), nil), nil)
	if err := c.Login(t.Context(), "bob", "secret"); err != nil {
		t.Fatal(err)
	}
	var refused *pop3.Error
	if _, err := c.UIDL(t.Context()); !errors.Is(err, pop3.ErrUnsupported) || !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	if err := c.Noop(t.Context()); err != nil {
		t.Error(err)
	}
}

// The trace has every line and no secret.
func TestTrace(t *testing.T) {
	var lines []string
	server := mailtest.NewPOP3([]byte("Subject: secret subject\r\n\r\n"))
	c := pop3.New(mailtest.Connect(t, server, nil), &pop3.Options{Trace: func(e pop3.Exchange) {
		who := "S"
		if e.Sent {
			who = "C"
		}
		lines = append(lines, fmt.Sprintf("%v %s: %s", e.State, who, e.Line))
	}})
	ctx := t.Context()
	if err := c.Login(ctx, "bob", "bob-pw"); err != nil {
		t.Fatal(err)
	}
	if err := c.RetrAll(ctx, []pop3.Listing{{Number: 1}}, func(int, io.Reader) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(ctx); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(lines, "\n")
	want := `AUTHORIZATION S: +OK ready
AUTHORIZATION C: USER bob
AUTHORIZATION S: +OK
AUTHORIZATION C: PASS ****
AUTHORIZATION S: +OK 1 messages
TRANSACTION C: CAPA
TRANSACTION S: +OK
TRANSACTION S: ... 101 octets
TRANSACTION C: RETR 1
TRANSACTION S: +OK 27 octets
TRANSACTION S: ... 27 octets
TRANSACTION C: QUIT
UPDATE S: +OK`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Limits of what is in flight hold, in commands and in octets, and are used: the server answers nothing until the client
// has asked for as much as it may.
func TestInFlight(t *testing.T) {
	const count, size = 40, 1000
	for _, c := range []struct {
		name   string
		o      pop3.Options
		flight int // most commands in flight
	}{
		{"commands", pop3.Options{InFlightCommands: 8}, 8},
		{"one", pop3.Options{InFlightCommands: 1}, 1},
		{"octets", pop3.Options{InFlightBytes: 5 * size}, 5},
		{"octets fewer than one message has", pop3.Options{InFlightBytes: 1}, 1},
		{"all", pop3.Options{}, count},
	} {
		t.Run(c.name, func(t *testing.T) {
			most := 0
			server := mailtest.ServerFunc(func(conn net.Conn) {
				r := bufio.NewReader(conn)
				io.WriteString(conn, "+OK\r\n")
				for asked, answered := 0, 0; answered < count; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					switch {
					case strings.HasPrefix(line, "CAPA"):
						io.WriteString(conn, "+OK\r\nPIPELINING\r\n.\r\n")
						continue
					case !strings.HasPrefix(line, "RETR"):
						io.WriteString(conn, "+OK\r\n")
						continue
					}
					asked++
					most = max(most, asked-answered)
					// The client refills before half is used up: answer that much once it has asked for all it may.
					if now := asked - answered; now == c.flight && asked < count {
						for range max(1, now-now/2) {
							io.WriteString(conn, "+OK\r\nx\r\n.\r\n")
							answered++
						}
					}
					for ; asked == count && answered < count; answered++ {
						io.WriteString(conn, "+OK\r\nx\r\n.\r\n")
					}
				}
				io.Copy(io.Discard, conn)
			})
			client := pop3.New(mailtest.Connect(t, server, nil), &c.o)
			enter(t, client)
			var list []pop3.Listing
			for i := range count {
				list = append(list, pop3.Listing{Number: i + 1, Size: size})
			}
			got := 0
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := client.RetrAll(ctx, list, func(int, io.Reader) error { got++; return nil }); err != nil || got != count {
				t.Errorf("%d messages, %v", got, err)
			}
			client.Close()
			if most != c.flight {
				t.Errorf("%d in flight, want %d", most, c.flight)
			}
		})
	}
}

// A server that does not read while it writes, on a connection that buffers nothing, does not stop the pipeline.
func TestPipelineWithoutBuffers(t *testing.T) {
	conn, peer := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer peer.Close()
		var messages [][]byte
		for i := range 300 {
			messages = append(messages, mailtest.Generator{}.Message(i))
		}
		mailtest.NewPOP3(messages...).ServeConn(peer)
	}()
	c := pop3.New(conn, &pop3.Options{Timeout: 10 * time.Second})
	if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
		t.Fatal(err)
	}
	list, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	if err := c.RetrAll(t.Context(), list, func(n int, r io.Reader) error {
		content, err := io.ReadAll(r)
		if bytes.Equal(content, mailtest.Generator{}.Message(n-1)) {
			got++
		}
		return err
	}); err != nil || got != 300 {
		t.Errorf("%d messages, %v", got, err)
	}
	c.Close()
	<-done
}

// A server that neither reads nor writes any more, on a connection that buffers nothing, costs the timeout: the commands
// that cannot be written hold nothing up.
func TestPipelineStall(t *testing.T) {
	conn, peer := net.Pipe()
	defer peer.Close()
	var r *bufio.Reader
	done := make(chan struct{})
	go func() {
		defer close(done)
		r = bufio.NewReader(peer)
		io.WriteString(peer, "+OK\r\n")
		for range 2 {
			r.ReadString('\n')
			io.WriteString(peer, "+OK\r\n")
		}
		r.ReadString('\n')
		io.WriteString(peer, "+OK\r\nPIPELINING\r\n.\r\n")
	}()
	c := pop3.New(conn, &pop3.Options{Timeout: 500 * time.Millisecond})
	if err := c.Login(t.Context(), "bob", "secret"); err != nil {
		t.Fatal(err)
	}
	list := make([]pop3.Listing, 1000)
	for i := range list {
		list[i].Number = i + 1
	}
	if err := c.RetrAll(t.Context(), list, func(int, io.Reader) error { return nil }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	<-done
}

// A callback that never returns, by a panic or the end of its goroutine, closes the session and leaves nothing running.
func TestCallbackDoesNotReturn(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("in the callback") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			server := mailtest.NewPOP3([]byte("Subject: 1\r\n\r\n"), []byte("Subject: 2\r\n\r\n"))
			c := pop3.New(mailtest.Connect(t, server, nil), nil)
			if err := c.Login(t.Context(), "bob", "bob-pw"); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer func() { recover() }()
				c.RetrAll(t.Context(), []pop3.Listing{{Number: 1}, {Number: 2}}, func(int, io.Reader) error { leave(); return nil })
			}()
			<-ended
			if c.State() != pop3.Closed {
				t.Errorf("state %v", c.State())
			}
		})
	}
}

// A body is its callback's alone; a writer that fails costs its message, not the session.
func TestBodyAndWriter(t *testing.T) {
	c := pop3.New(mailtest.Connect(t, mailtest.NewPOP3(mailtest.Generator{}.Message(0), []byte("Subject: 2\r\n\r\n")), nil), nil)
	ctx := t.Context()
	if err := c.Login(ctx, "bob", "bob-pw"); err != nil {
		t.Fatal(err)
	}
	var kept []io.Reader
	if err := c.RetrAll(ctx, []pop3.Listing{{Number: 1}, {Number: 2}}, func(_ int, r io.Reader) error {
		for _, old := range kept {
			if n, err := old.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
				t.Errorf("an old body gave %d octets, %v", n, err)
			}
		}
		kept = append(kept, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	if _, err := c.Retr(ctx, 1, failing{full}); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if err := c.Noop(ctx); err != nil {
		t.Errorf("after it: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write(p []byte) (int, error) { return len(p) / 2, f.err }

// QUIT tells what became of UPDATE.
func TestQuitRefused(t *testing.T) {
	c := pop3.New(mailtest.Connect(t, mailtest.Script(t, loggedIn(), mailtest.Converse("QUIT", "-ERR some deleted messages not removed")), nil), nil)
	enter(t, c)
	var refused *pop3.Error
	if err := c.Quit(t.Context()); !errors.As(err, &refused) || refused.Command != "QUIT" {
		t.Errorf("%v", err)
	}
	if c.State() != pop3.Closed {
		t.Errorf("state %v", c.State())
	}
	c = pop3.New(mailtest.Connect(t, mailtest.Script(t, loggedIn(), mailtest.Hear("QUIT")), nil), nil)
	enter(t, c)
	if err := c.Quit(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
}
