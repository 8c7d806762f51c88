package ftpserver

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/ftpserver/files"
)

// opened is a data connection by way of the gateway.
func (c *talk) opened(port int) net.Conn {
	c.t.Helper()
	conn, err := c.r.server.OpenData(c.t.Context(), c.raw.LocalAddr(), port)
	must(c.t, err)
	c.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// By way of the gateway there are transfers, in the clear and by TLS, whichever comes first: the connection or the command.
func TestInside(t *testing.T) {
	for _, secured := range []bool{false, true} {
		r := start(t, nil)
		c := r.enter()
		if secured {
			c.secure()
		}
		c.login(alice)
		for _, connectedFirst := range []bool{true, false} {
			transfer := func(command string) net.Conn {
				port := c.port()
				var conn net.Conn
				if connectedFirst {
					conn = c.opened(port)
				}
				c.say(command)
				if !connectedFirst {
					conn = c.opened(port)
				}
				c.want("150", c.hear())
				return c.over(conn)
			}
			up := transfer("STOR it")
			_, err := io.WriteString(up, "content")
			must(t, err)
			must(t, up.Close())
			c.want("226", c.hear())
			down := transfer("RETR it")
			got, err := io.ReadAll(down)
			if must(t, err); string(got) != "content" {
				t.Errorf("%q", got)
			}
			must(t, down.Close())
			c.want("226", c.hear())
		}
		if got := r.read("it"); got != "content" {
			t.Errorf("%q", got)
		}
	}
}

// Nothing listens for who comes by way of the gateway, and nobody else gets what is his: not from this machine, not by another's
// control connection, not by another port, and not twice.
func TestInsideIsOnesOwn(t *testing.T) {
	r := start(t, nil)
	r.write("it", "content")
	mine, other, direct := r.enter(), r.enter(), r.login()
	mine.login(alice)
	other.login("bob@home.example")
	refused := func(control net.Addr, port int) {
		t.Helper()
		conn, err := r.server.OpenData(t.Context(), control, port)
		if !errors.Is(err, ErrNoDoor) {
			t.Errorf("%v", err)
		}
		if err == nil {
			conn.Close()
		}
	}
	refused(mine.raw.LocalAddr(), 50123) // before it has asked for one
	port := mine.port()
	if conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
		conn.Close()
		t.Error("somebody listens")
	}
	refused(other.raw.LocalAddr(), port)
	refused(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, port)
	refused(&net.UnixAddr{Name: "x"}, port)
	for _, p := range []int{port + 1, 0, -1, port + 1<<16, 21} {
		refused(mine.raw.LocalAddr(), p)
	}
	conn := mine.opened(port)
	refused(mine.raw.LocalAddr(), port)
	mine.ask("150", "RETR it")
	if got, err := io.ReadAll(conn); err != nil || string(got) != "content" {
		t.Errorf("%q %v", got, err)
	}
	mine.want("226", mine.hear())
	refused(mine.raw.LocalAddr(), port) // it was for one transfer
	old := mine.port()
	if port = mine.port(); port != old {
		refused(mine.raw.LocalAddr(), old)
	}
	// Nor is the gateway a way to the data of who is on this machine itself.
	refused(direct.raw.LocalAddr(), direct.port())
	// What was opened and not used ends with its session.
	conn = mine.opened(port)
	mine.ask("221", "QUIT")
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	for deadline := time.Now().Add(patience); ; {
		if _, err := r.server.OpenData(t.Context(), mine.raw.LocalAddr(), port); errors.Is(err, ErrNoDoor) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("after the end of the session")
		}
	}
}

// A data connection that is opened when its time is over is closed, and leaves nothing behind.
func TestInsideTooLate(t *testing.T) {
	r := start(t, func(c *Config, _ *files.Options) { c.Limits.DataWait = 50 * time.Millisecond })
	r.write("it", "content")
	c := r.enter()
	c.login(alice)
	port := c.port()
	c.ask("425", "RETR it")
	if _, err := r.server.OpenData(t.Context(), c.raw.LocalAddr(), port); !errors.Is(err, ErrNoDoor) {
		t.Error(err)
	}
}

// Somebody else of this machine who is there first is not taken for the other end.
func TestOtherEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	stranger, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer stranger.Close()
	one, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer one.Close()
	other, err := otherEnd(l, one)
	must(t, err)
	io.WriteString(other, "for one")
	other.Close()
	if got, err := io.ReadAll(one); err != nil || string(got) != "for one" {
		t.Errorf("%q %v", got, err)
	}
	if got, _ := io.ReadAll(stranger); len(got) > 0 {
		t.Errorf("the stranger reads %q", got)
	}
}

// A listener that is closed is connected to no more.
func TestInsideClosed(t *testing.T) {
	l := NewInside()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody accepts: %v", err)
	}
	must(t, l.Close())
	must(t, l.Close())
	if _, err := l.Dial(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
