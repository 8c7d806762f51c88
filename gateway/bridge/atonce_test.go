//go:build unix

package bridge

import (
	"io"
	"net"
	"testing"
	"time"
)

// tcpPair is a connection on loopback, both ends.
func tcpPair(t *testing.T) (mine, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = other.Close() })
	return c.(*net.TCPConn), other.(*net.TCPConn)
}

// returns fails the test if f does not return.
func returns(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal(what + " does not return")
	}
}

// A socket takes what there is room for and no more, and whatever has become of it, nothing waits.
func TestAtOnceWrites(t *testing.T) {
	mine, theirs := tcpPair(t)
	a := writesAtOnce(mine)
	returns(t, "writing to who reads nothing", func() {
		p, sent := make([]byte, 1<<20), 0
		for n := a.move(p); n > 0; n = a.move(p) {
			sent += n
		}
		if sent < 1<<10 {
			t.Errorf("%d octets were taken", sent)
		}
		_ = theirs.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadFull(theirs, make([]byte, sent)); err != nil {
			t.Error(err)
		}
	})
	_ = theirs.SetLinger(0)
	_ = theirs.Close()
	returns(t, "writing to who has gone", func() {
		for range 100 { // the reset comes after the first, and then it is a broken pipe
			a.move([]byte("?"))
		}
	})
	_ = mine.Close()
	returns(t, "writing to what is closed", func() {
		if n := a.move([]byte("?")); n != 0 {
			t.Errorf("%d octets were taken", n)
		}
	})
}

// A socket gives what there is and no more, and whatever becomes of it, a wait is for as long as there is nothing to read, and takes
// nothing of it.
func TestAtOnceReads(t *testing.T) {
	mine, theirs := tcpPair(t)
	a := readsAtOnce(mine)
	for _, word := range []string{"a", "bc"} {
		returns(t, "reading what has not come", func() {
			if n := a.move(make([]byte, 10)); n != 0 {
				t.Errorf("%d octets were read", n)
			}
		})
		waited := make(chan struct{})
		go func() { defer close(waited); a.wait() }()
		select {
		case <-waited:
			t.Fatal("it did not wait")
		case <-time.After(20 * time.Millisecond): // it is to stay so
		}
		_, _ = io.WriteString(theirs, word)
		returns(t, "waiting for what has come", func() { <-waited; a.wait() })
		got := make([]byte, 10)
		if n := a.move(got); string(got[:n]) != word {
			t.Errorf("read %q", got[:n])
		}
	}
	_ = theirs.CloseWrite()
	returns(t, "waiting for an end", func() { a.wait(); a.move(make([]byte, 1)) })
	_ = theirs.Close()

	mine, _ = tcpPair(t)
	a = readsAtOnce(mine)
	time.AfterFunc(20*time.Millisecond, func() { _ = mine.Close() })
	returns(t, "waiting for what is closed", a.wait)
}

// What has a socket in it is not written to past its own Write.
func TestAtOnceIsForSockets(t *testing.T) {
	mine, _ := tcpPair(t)
	if writesAtOnce(mine) == nil || readsAtOnce(mine) == nil {
		t.Error("a socket is none")
	}
	for name, c := range map[string]net.Conn{"one that does more": struct{ *net.TCPConn }{mine}, "a wrapped one": &line{Conn: mine}} {
		if writesAtOnce(c) != nil || readsAtOnce(c) != nil {
			t.Errorf("%s is a socket", name)
		}
	}
}
