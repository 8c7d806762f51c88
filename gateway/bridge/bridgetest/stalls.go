//go:build !js

package bridgetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-mail/postern/shared/tunnel"
)

const (
	much     = 64 << 20 // what a server has to say
	block    = 32 << 10 // at a time
	mostHeld = 2 << 20  // what the gateway may hold of it
)

// talker is a server that says much when it is asked to.
type talker struct {
	address string
	sent    atomic.Int64
	conn    atomic.Pointer[net.TCPConn]
}

func newTalker(t testing.TB) *talker {
	s := new(talker)
	s.address = server(t, func(c *net.TCPConn) {
		s.conn.Store(c)
		s.sent.Store(int64(len(greeting)))
		_, _ = io.ReadFull(c, make([]byte, 1))
		for range much / block {
			n, err := c.Write(make([]byte, block))
			s.sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	return s
}

// held is what is neither still on its way from the server, nor on its way to the client, nor taken by it: the kernel says
// what is on its way.
func (s *talker) held(t testing.TB, c *client) int64 {
	return s.sent.Load() + block - onItsWay(t, s.conn.Load()) - onItsWay(t, c.tcp) - c.took.Load()
}

// onItsWay is how many bytes the kernel has of a connection over loopback, of both its ends.
func onItsWay(t testing.TB, c net.Conn) (n int64) {
	t.Helper()
	for _, end := range kernel(t, c) {
		n += end.out + end.in
	}
	return n
}

// established reports whether the other end of a connection over loopback is open, whatever there is still to be sent.
func established(t testing.TB, c net.Conn) bool {
	t.Helper()
	there := c.RemoteAddr().(*net.TCPAddr).Port
	for _, end := range kernel(t, c) {
		if end.port == there {
			return end.state == 1
		}
	}
	return false
}

// tcpEnd is what the kernel says of one end of a connection.
type tcpEnd struct {
	port, state int
	out, in     int64 // bytes that wait
}

// kernel is what it says of the ends of a connection over loopback.
func kernel(t testing.TB, c net.Conn) (ends []tcpEnd) {
	t.Helper()
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		t.Skip("only Linux says what becomes of a connection: ", err)
	}
	defer f.Close()
	here, there := c.LocalAddr().(*net.TCPAddr).Port, c.RemoteAddr().(*net.TCPAddr).Port
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var slot, state, local, remote int
		var from, to string
		var out, in int64
		if _, err := fmt.Sscanf(lines.Text(), "%d: %8s:%4X %8s:%4X %2X %8X:%8X", &slot, &from, &local, &to, &remote, &state, &out, &in); err != nil {
			continue // the heading
		}
		if local == here && remote == there || local == there && remote == here {
			ends = append(ends, tcpEnd{local, state, out, in})
		}
	}
	return ends
}

// settled waits until the server gets no further.
func (s *talker) settled() {
	last, since := int64(-1), time.Now()
	for time.Since(since) < 500*time.Millisecond {
		if now := s.sent.Load(); now != last {
			last, since = now, time.Now()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func stalledStream(t *testing.T, p Place) {
	s := newTalker(t)
	c := session(t, p.Start(t, Setup{Allow: []string{s.address}}))
	stalled(t, s, c, func() {})
}

// stalledSocket is a client that says that it takes no end of bytes, and takes none.
func stalledSocket(t *testing.T, p Place) {
	s := newTalker(t)
	c, err := dial(t, p.Start(t, Setup{Allow: []string{s.address}}), Token, &tunnel.Options{Window: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	stalled(t, s, c, func() { c.hold.on.Store(true) })
}

func stalled(t *testing.T, s *talker, c *client, stop func()) {
	stream := open(t, c.Session, s.address)
	stop()
	_, _ = stream.Write([]byte("!"))
	s.settled()
	held := s.held(t, c)
	t.Logf("the gateway holds %d KiB; the server could send %d KiB of %d, the client took %d", held>>10, s.sent.Load()>>10, much>>10, c.took.Load()>>10)
	if held > mostHeld {
		t.Errorf("the gateway holds %d bytes for a client that reads none, at most %d it should", held, mostHeld)
	}
	if s.sent.Load() > much/2 {
		t.Errorf("the server could send %d bytes of %d", s.sent.Load(), much)
	}
	c.hold.release()
	if n, err := io.Copy(io.Discard, stream); n != much || err != nil {
		t.Errorf("then %d bytes came, %v", n, err)
	}
}
