package ftpserver

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/ftpserver/files"
)

// The FTP bounce (RFC 2577): the server connects to the client alone, and to no port below 1024.
func TestBounce(t *testing.T) {
	r := start(t, nil)
	r.write("it", "content")
	c := r.login()
	for _, step := range []struct{ say, want string }{
		{"PORT 192,0,2,1,200,1", "504"}, {"PORT 127,0,0,2,200,1", "504"}, {"PORT 127,0,0,1,0,25", "504"}, {"PORT 127,0,0,1,3,255", "504"},
		{"EPRT |1|192.0.2.1|5000|", "504"}, {"EPRT |1|127.0.0.1|25|", "504"}, {"EPRT |1|127.0.0.1|6379|", "504"}, {"PORT 127,0,0,1,31,144", "504"}, {"EPRT |2|::1|5000|", "504"}, {"EPRT |2|::ffff:127.0.0.1|25|", "504"},
		{"EPRT |1|127.0.0.1|70000|", "501"}, {"EPRT |3|127.0.0.1|5000|", "522"}, {"EPRT |1|localhost|5000|", "501"}, {"EPRT |", "501"}, {"EPRT |2|fe80::1%lo|5000|", "501"},
		{"PORT 127,0,0,1,300,1", "501"}, {"PORT 127,0,0,1", "501"}, {"PORT a,b,c,d,e,f", "501"},
		{"RETR it", "425"}, // none of them has prepared anything
	} {
		c.ask(step.want, step.say)
	}
	// Who comes by way of the gateway would have the server connect to the gateway's machine.
	c = r.enter()
	c.login(alice)
	c.ask("504", "PORT 127,0,0,1,200,1")
	if f := r.server.Figures(); f.RefusedActiveTargets != 11 {
		t.Errorf("%+v", f)
	}
}

func TestActive(t *testing.T) {
	r := start(t, nil)
	r.write("it", "content")
	c := r.login()
	for _, format := range []string{"PORT 127,0,0,1,%d,%d", "EPRT |1|127.0.0.1|%d|"} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		if strings.HasPrefix(format, "PORT") {
			c.ask("200", fmt.Sprintf(format, port>>8, port&0xff))
		} else {
			c.ask("200", fmt.Sprintf(format, port))
		}
		c.say("RETR it")
		conn, err := l.Accept()
		must(t, err)
		got, err := io.ReadAll(conn)
		conn.Close()
		if must(t, err); string(got) != "content" {
			t.Errorf("%q", got)
		}
		c.want("150", c.hear())
		c.want("226", c.hear())
	}
}

// Who comes from elsewhere is told the router's address; this machine's own programs go straight.
func TestPublicAddress(t *testing.T) {
	public := netip.MustParseAddr("203.0.113.9")
	for _, c := range []struct{ public, remote, want string }{{"", "192.0.2.1:1", "10.0.0.5"}, {"203.0.113.9", "192.0.2.1:1", "203.0.113.9"}, {"203.0.113.9", "127.0.0.1:1", "10.0.0.5"}} {
		s := &session{srv: New(Config{}), remote: addrPort(t, c.remote), local: addrPort(t, "10.0.0.5:21")}
		if c.public != "" {
			s.srv.cfg.Public = public
		}
		if got := s.announced().String(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
		s.srv.cancel()
	}
}

func TestIPv6(t *testing.T) {
	r := start(t, nil)
	r.write("it", "content")
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6: ", err)
	}
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(l) }()
	t.Cleanup(func() { l.Close(); <-served })
	r.address = l.Addr().String()
	c := r.login()
	c.ask("522", "PASV")
	c.ask("522", "EPSV 1")
	c.ask("229", "EPSV 2")
	c.ask("504", "PORT 127,0,0,1,200,1")
	if got, last := c.get("RETR it"); got != "content" || !strings.HasPrefix(last, "226") {
		t.Errorf("%q %s", got, last)
	}
	back, err := net.Listen("tcp6", "[::1]:0")
	must(t, err)
	defer back.Close()
	c.ask("200", fmt.Sprintf("EPRT |2|::1|%d|", back.Addr().(*net.TCPAddr).Port))
	c.say("RETR it")
	conn, err := back.Accept()
	must(t, err)
	got, err := io.ReadAll(conn)
	conn.Close()
	if must(t, err); string(got) != "content" {
		t.Errorf("%q", got)
	}
}

func TestEPSVAll(t *testing.T) {
	r := start(t, nil)
	c := r.login()
	c.ask("522", "EPSV 2")
	c.ask("229", "EPSV 1")
	c.ask("200", "EPSV ALL")
	c.ask("501", "PASV")
	c.ask("501", "PORT 127,0,0,1,200,1")
	c.ask("501", "EPRT |1|127.0.0.1|5000|")
	c.ask("229", "EPSV")
}

// Somebody else who connects to a data port gets nothing, and does not keep the client from it.
func TestForeignDataConnection(t *testing.T) {
	r := start(t, nil)
	r.write("it", "content")
	c := r.login()
	address := c.epsv()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	foreign, err := from.Dial("tcp", address)
	if err != nil {
		t.Skip("this system has no 127.0.0.2: ", err)
	}
	defer foreign.Close()
	c.say("RETR it")
	if got, _ := io.ReadAll(foreign); len(got) > 0 {
		t.Errorf("somebody else got %q", got)
	}
	own := c.open(address)
	if got, err := io.ReadAll(own); err != nil || string(got) != "content" {
		t.Errorf("%q %v", got, err)
	}
	c.want("150", c.hear())
	c.want("226", c.hear())
	if f := r.server.Figures(); f.ForeignConnections != 1 {
		t.Errorf("%+v", f)
	}
}

func TestNoDataConnection(t *testing.T) {
	r := start(t, func(c *Config, _ *files.Options) { c.Limits.DataWait = 100 * time.Millisecond })
	r.write("it", "content")
	c := r.login()
	for _, command := range []string{"RETR it", "STOR it", "STOR new", "LIST", "APPE it"} {
		c.epsv()
		c.ask("425", command)
	}
	// A port that nobody listens at.
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	c.ask("200", fmt.Sprintf("EPRT |1|127.0.0.1|%d|", port))
	c.ask("425", "RETR it")
	if got := r.read("it"); got != "content" || len(r.entries()) != 1 {
		t.Errorf("what was not uploaded has changed things: %q %v", got, r.entries())
	}
}

func TestAbort(t *testing.T) {
	r := start(t, nil)
	r.write("big", strings.Repeat("x", 64<<20))
	c := r.login()

	c.epsv() // before the connection is there
	c.say("RETR big")
	c.say("ABOR")
	c.want("426", c.hear())
	c.want("226", c.hear())

	conn := c.open(c.epsv()) // while it sends, and nobody reads
	c.ask("150", "RETR big")
	c.ask("213", "STAT")
	c.say("ABOR")
	c.want("426", c.hear())
	c.want("226", c.hear())
	conn.Close()

	conn = c.open(c.epsv()) // while it receives
	c.ask("150", "STOR new")
	io.WriteString(conn, "received")
	for deadline := time.Now().Add(patience); !strings.Contains(c.ask("213", "STAT"), " 8 octets"); {
		if time.Now().After(deadline) {
			t.Fatal("the octets do not arrive")
		}
	}
	c.say("ABOR")
	if got := c.hear(); !strings.HasPrefix(got, "426") || !strings.Contains(got, "REST 8 ") {
		t.Error(got)
	}
	c.want("226", c.hear())
	if got := r.read("new"); got != "received" {
		t.Errorf("%q", got)
	}
	c.ask("200", "NOOP")
}

// A client that does not read, or does not write, does not hold its transfer for ever.
func TestStall(t *testing.T) {
	r := start(t, func(c *Config, _ *files.Options) { c.Limits.Stall = 200 * time.Millisecond })
	r.write("big", strings.Repeat("x", 64<<20))
	c := r.login()
	for _, command := range []string{"RETR big", "STOR new"} {
		c.open(c.epsv())
		c.ask("150", command)
		c.want("426", c.hear())
	}
	// And one that leaves its control connection unread is let go.
	deaf := r.login()
	deaf.raw.(*net.TCPConn).SetReadBuffer(4 << 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := io.WriteString(deaf.raw, strings.Repeat("FEAT\r\n", 1000)); err != nil {
				return
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(4 * patience): // some megabytes fit between the two
		t.Error("it goes on for ever")
		deaf.raw.Close()
		<-done
	}
}

func TestLines(t *testing.T) {
	r := start(t, nil)
	c := r.login()
	c.ask("500", "MKD "+strings.Repeat("x", 3000))
	c.ask("501", "MKD a\rb")
	c.ask("501", "MKD a\x00b")
	c.ask("501", "MKD a\x1bb")
	c.ask("501", "MKD a\u0085b")
	c.ask("501", "MKD \xff\xfe")
	c.ask("550", "MKD "+strings.Repeat("x", 256))
	c.ask("550", "MKD "+strings.Repeat("x/", 600))
	c.ask("550", "MKD .postern-upload-x")
	c.want("553", c.put("STOR .postern-upload-x", "x"))
	c.ask("550", "CWD "+strings.Repeat("x/", 40))
	c.say("") // nothing at all
	c.want("502", c.hear())
	for range maxErrors - 1 {
		c.want("502", c.ask("", "XYZZY"))
	}
	c.want("421", c.hear())
	c.gone()
	if got := r.entries(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestLimitsOfAUser(t *testing.T) {
	r := start(t, func(c *Config, _ *files.Options) { c.Limits.SessionsPerUser, c.Limits.TransfersOfUser = 3, 2 })
	sessions := []*talk{r.login(), r.login(), r.login()}
	c := r.dial()
	c.ask("331", "USER "+alice)
	c.ask("530 too many", "PASS "+password)
	for i, c := range sessions[:2] {
		c.open(c.epsv())
		c.ask("150", fmt.Sprint("STOR ", i))
	}
	sessions[2].ask("450", "EPSV")
	sessions[2].ask("450", "PORT 127,0,0,1,200,1")
	sessions[0].ask("426", "ABOR")
	sessions[0].want("226", sessions[0].hear())
	if _, last := sessions[2].get("LIST"); !strings.HasPrefix(last, "226") {
		t.Error(last)
	}
	sessions[2].ask("221", "QUIT")
	sessions[2].heard()
	for deadline := time.Now().Add(patience); ; {
		c := r.dial()
		c.ask("331", "USER "+alice)
		c.say("PASS " + password)
		if strings.HasPrefix(c.hear(), "230") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a place that was given up is not free")
		}
	}
}

// All users together have so many transfers and no more.
func TestLimitOfAll(t *testing.T) {
	r := start(t, func(c *Config, _ *files.Options) { c.Limits.Transfers = 2 })
	a, b := r.login(), r.dial()
	b.login("bob@home.example")
	second := r.login()
	a.epsv()
	b.epsv()
	second.ask("450", "EPSV")
	b.epsv() // its own, anew
	a.ask("226", "ABOR")
	second.epsv()
}

// freePorts is the first of as many ports side by side that nobody has.
func freePorts(t *testing.T, n int) uint16 {
	for first := uint16(20_000 + rand.IntN(10_000)); ; first++ { // below those that the system gives away
		free := 0
		for ; free < n; free++ {
			l, err := net.Listen("tcp4", fmt.Sprint("127.0.0.1:", int(first)+free))
			if err != nil {
				break
			}
			defer l.Close()
		}
		if free == n {
			return first
		}
	}
}

func TestPassivePorts(t *testing.T) {
	first := freePorts(t, 2)
	r := start(t, func(c *Config, _ *files.Options) { c.Passive = Ports{first, first + 1} })
	a, b, c := r.login(), r.login(), r.login()
	ports := map[string]bool{a.pasv(): true, b.epsv(): true}
	for p := range ports {
		if at := addrPort(t, p); at.Port() < first || at.Port() > first+1 || at.Addr().String() != "127.0.0.1" {
			t.Errorf("%s is not in the range from %d", p, first)
		}
	}
	c.ask("425 all ports", "EPSV")
	a.pasv() // its own again
	a.ask("221", "QUIT")
	a.heard()
	for deadline := time.Now().Add(patience); ; {
		c.say("EPSV")
		if strings.HasPrefix(c.hear(), "229") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a port that was given up is not free")
		}
	}
}

// Which port comes next nobody can tell, and be there first.
func TestPortsAreNotTold(t *testing.T) {
	first := uint16(20_000 + rand.IntN(10_000))
	r := start(t, func(c *Config, _ *files.Options) { c.Passive = Ports{first, first + 999} })
	direct, inside := r.login(), r.enter()
	inside.login(alice)
	for name, c := range map[string]*talk{"direct": direct, "inside": inside} {
		steps := map[int]bool{}
		last := c.port()
		for range 8 {
			port := c.port()
			if port < int(first) || port > int(first)+999 {
				t.Errorf("%s: port %d is not in the range from %d", name, port, first)
			}
			steps[port-last], last = true, port
		}
		if len(steps) < 4 {
			t.Errorf("%s: they come in steps of %v", name, steps)
		}
	}
}

func TestShutdown(t *testing.T) {
	r := start(t, nil)
	r.write("big", strings.Repeat("x", 8<<20))
	idle, busy, stuck := r.login(), r.login(), r.login()
	down := busy.open(busy.epsv())
	busy.ask("150", "RETR big")
	up := stuck.open(stuck.epsv())
	stuck.ask("150", "STOR part")
	io.WriteString(up, "what came before")
	for deadline := time.Now().Add(patience); !strings.Contains(stuck.ask("213", "STAT"), " 16 octets"); {
		if time.Now().After(deadline) {
			t.Fatal("the octets do not arrive")
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Shutdown(ctx) }()
	idle.want("421", idle.hear())
	if got, err := io.ReadAll(down); err != nil || len(got) != 8<<20 {
		t.Errorf("a transfer was cut at %d: %v", len(got), err)
	}
	busy.want("226", busy.hear())
	busy.want("421", busy.hear())
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Error(err)
	}
	if got := r.read("part"); got != "what came before" {
		t.Errorf("of what came before the end, %q is left", got)
	}
}
