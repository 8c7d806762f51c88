package turnstile

import (
	"io"
	"net"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTurnstile(t *testing.T) {
	gate := New(10, 2)
	far := origin(&net.TCPAddr{IP: net.ParseIP("2001:db8::1")})
	near := origin(&net.TCPAddr{IP: net.ParseIP("127.0.0.1")})
	for i, want := range []bool{true, true, false} {
		if gate.enter(far) != want {
			t.Errorf("connection %d from one place: want %v", i+1, want)
		}
	}
	if origin(&net.TCPAddr{IP: net.ParseIP("2001:db8::2")}) != far || origin(&net.TCPAddr{IP: net.ParseIP("2001:db8:0:1::1")}) == far {
		t.Error("one IPv6 /64 is one place")
	}
	for range 10 {
		if !gate.enter(near) {
			t.Error("loopback is everybody behind the gateway: not one place, and with room of its own")
		}
	}
	if gate.enter(near) {
		t.Error("more than all from loopback")
	}
	for i := range 9 {
		if got := gate.enter(origin(&net.TCPAddr{IP: net.IPv4(192, 0, 2, byte(i))})); got != (i < 8) {
			t.Errorf("other place %d: %v; 8 of 10 are free", i+1, got)
		}
	}
	gate.leave(far)
	gate.leave(far)
	if len(gate.from) != 9 || !gate.enter(far) {
		t.Errorf("after leaving: %v", gate.from)
	}
}

// Who has a whole /48 does not have as much room as all others together.
func TestSites(t *testing.T) {
	gate := New(100, 2)
	in := 0
	for i := range 50 {
		ip := net.ParseIP("2001:db8:1::1")
		ip[7] = byte(i)
		if gate.enter(origin(&net.TCPAddr{IP: ip})) {
			in++
		}
	}
	if in != 8 {
		t.Errorf("%d connections from 50 networks of one site", in)
	}
	if !gate.enter(origin(&net.TCPAddr{IP: net.ParseIP("2001:db8:2::1")})) {
		t.Error("another site")
	}
}

// What is let in counts until it is closed, however often; who is not let in is told, and does not count.
func TestListener(t *testing.T) {
	under, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gate := New(1, 1)
	l := gate.Listener(under, "421 busy\r\n")
	defer l.Close()
	served := make(chan net.Conn, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", under.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := dial()
	defer first.Close()
	in := <-served
	second := dial()
	defer second.Close()
	if said, err := io.ReadAll(second); err != nil || string(said) != "421 busy\r\n" {
		t.Errorf("%q %v", said, err)
	}
	if near, far := gate.Count(); near != 1 || far != 0 {
		t.Errorf("%d %d", near, far)
	}
	in.Close()
	in.Close()
	third := dial()
	defer third.Close()
	(<-served).Close()
	l.Close()
	<-done
	if near, far := gate.Count(); near != 0 || far != 0 {
		t.Errorf("%d %d", near, far)
	}
}
