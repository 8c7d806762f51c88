package web

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"testing"
	"time"
)

// crowd is a listener whose connections come from the addresses given.
type crowd struct {
	net.Listener
	remotes []string
}

type visitor struct {
	net.Conn
	remote string
	closed *bool
}

func (v visitor) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(v.remote))
}
func (v visitor) Close() error { *v.closed = true; return nil }

func (c *crowd) Accept() (net.Conn, error) {
	if len(c.remotes) == 0 {
		return nil, io.EOF
	}
	v := visitor{remote: c.remotes[0], closed: new(bool)}
	c.remotes = c.remotes[1:]
	return v, nil
}

func TestLimit(t *testing.T) {
	const a, a2, b, proxy, near = "192.0.2.1:1", "[::ffff:192.0.2.1]:2", "[2001:db8::1]:1", "10.0.0.1:1", "127.0.0.1:1"
	const bNext, c = "[2001:db8::2]:1", "[2001:db8:0:1::1]:1"
	visitors := &crowd{remotes: []string{a, a, a, a2, b, bNext, b, c, proxy, proxy, proxy, near, near, near, "198.51.100.1:1"}}
	l := Limit(visitors, Limits{Connections: 11, ConnectionsPerClient: 2, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	var in []net.Conn
	var got []string
	for {
		conn, err := l.Accept()
		if err != nil {
			break
		}
		in, got = append(in, conn), append(got, conn.RemoteAddr().String())
	}
	if len(in) != 11 {
		t.Fatalf("let in: %v", got)
	}
	for i, want := range []string{a, a, b, bNext, c, proxy, proxy, proxy, near, near, near} {
		if got[i] != want {
			t.Errorf("%d: %s, want %s", i, got[i], want)
		}
	}
	in[0].Close()
	in[0].Close() // as net/http does
	visitors.remotes = []string{a, a, "198.51.100.2:1"}
	if conn, err := l.Accept(); err != nil || conn.RemoteAddr().String() != a {
		t.Errorf("a place that was given up is not free: %v", err)
	}
	if _, err := l.Accept(); err != io.EOF {
		t.Error("a connection closed twice makes two places free")
	}
	for _, conn := range in[1:] {
		conn.Close()
	}
	if n := len(l.(*limited).from); n != 1 {
		t.Errorf("%d clients are remembered, one is there", n)
	}
}

// A site that comes from one /64 after the other gets no further than four of them.
func TestLimitOfASite(t *testing.T) {
	visitors := &crowd{}
	for i := range 20 {
		visitors.remotes = append(visitors.remotes, fmt.Sprintf("[2001:db8:0:%x::1]:1", i))
	}
	visitors.remotes = append(visitors.remotes, "[2001:db8:1::1]:1")
	l := Limit(visitors, Limits{ConnectionsPerClient: 2})
	n := 0
	for {
		conn, err := l.Accept()
		if err != nil {
			break
		}
		defer conn.Close()
		n++
	}
	if n != 8+1 {
		t.Errorf("%d of a site and its neighbour were let in, want 8 and 1", n)
	}
}

// Who sends too much is told so before its connection ends: the answer is not lost by a reset.
func TestLimitedConnIsClosedInHalves(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Limit(inner, Limits{})
	defer l.Close()
	ended := make(chan error, 1)
	go func() {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err == nil {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, err = io.ReadAll(c)
			_, _ = io.WriteString(c, "still here")
		}
		ended <- err
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		t.Fatal("net/http cannot end its direction alone")
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if p, err := io.ReadAll(c); err != nil || string(p) != "still here" {
		t.Errorf("%q, %v", p, err)
	}
}

// No limit is none for a site either.
func TestLimitOfNone(t *testing.T) {
	visitors := &crowd{remotes: []string{"[2001:db8::1]:1", "[2001:db8::1]:2", "192.0.2.1:1", "192.0.2.1:2"}}
	l := Limit(visitors, Limits{Connections: math.MaxInt, ConnectionsPerClient: math.MaxInt})
	for range 4 {
		if _, err := l.Accept(); err != nil {
			t.Fatal("kept out")
		}
	}
}
