package ftpserver

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-mail/postern/gateway/ftpserver/files"
)

// A name to be renamed is the last one that RNFR has named and found: one that failed leaves none behind.
func TestRenamingForgets(t *testing.T) {
	r := start(t, nil)
	r.write("it", "content")
	c := r.login()
	c.ask("350", "RNFR it")
	c.ask("550", "RNFR none")
	c.ask("503", "RNTO elsewhere")
	c.ask("503", "RNTO elsewhere")
	c.ask("350", "RNFR it")
	c.ask("550", "RNTO none/elsewhere")
	c.ask("503", "RNTO elsewhere")
	if got := r.read("it"); got != "content" {
		t.Errorf("%q", got)
	}
}

// REST is for the next transfer alone, whatever becomes of it: else it would lead one of another file into its middle.
func TestRestForgets(t *testing.T) {
	for _, between := range []string{"RETR it|425", "STOR other|425", "LIST|425", "SIZE it|213", "CWD /|250", "RETR none|550!", "NLST|226!", "REST x|501"} {
		r := start(t, nil)
		r.write("it", "0123456789")
		c := r.login()
		c.ask("350", "REST 5")
		say, want, _ := strings.Cut(between, "|")
		if want, with := strings.CutSuffix(want, "!"); with {
			if _, last := c.get(say); !strings.HasPrefix(last, want) {
				t.Errorf("%s: %s", say, last)
			}
		} else {
			c.ask(want, say)
		}
		c.want("226", c.put("STOR it", "anew"))
		if got := r.read("it"); got != "anew" {
			t.Errorf("after %s: %q", say, got)
		}
	}
	// What prepares the transfer comes in between.
	r := start(t, nil)
	r.write("it", "0123456789")
	c := r.login()
	for _, between := range []string{"TYPE I", "NOOP", "EPSV", "PASV"} {
		c.ask("350", "REST 5")
		c.ask("2", between)
		if got, last := c.get("RETR it"); got != "56789" || !strings.HasPrefix(last, "226") {
			t.Errorf("%s: %q %s", between, got, last)
		}
	}
}

// Options of a listing are no names, and a file is no folder to list.
func TestListings(t *testing.T) {
	r := start(t, nil)
	r.write("folder/it", "content")
	r.write("-l/odd", "x")
	c := r.login()
	for _, step := range []struct{ say, has, want string }{
		{"LIST -la", " folder\r\n", "226"}, {"LIST -a", " folder\r\n", "226"}, {"LIST -la folder", " it\r\n", "226"}, {"LIST -l", " odd\r\n", "226"}, {"NLST -a", "folder\r\n", "226"}, {"LIST folder/it", " it\r\n", "226"},
		{"LIST -aL none", "", "550"}, {"LIST *", "", "550"}, {"MLSD folder/it", "", "501"}, {"MLSD none", "", "550"}, {"LIST ../../..", " folder\r\n", "226"},
	} {
		if list, last := c.get(step.say); !strings.Contains(list, step.has) || !strings.HasPrefix(last, step.want) {
			t.Errorf("%s: %q %s", step.say, list, last)
		}
	}
}

// A port that is asked for and not used is others' again after a while, and a user has no more of them than of transfers: who has an
// account cannot take the whole range from everybody else.
func TestPortsAreNotHoarded(t *testing.T) {
	first := freePorts(t, 3)
	r := start(t, func(c *Config, _ *files.Options) {
		c.Passive, c.Limits.DataWait, c.Limits.TransfersOfUser = Ports{first, first + 2}, 300*time.Millisecond, 2
	})
	r.write("it", "content")
	sessions := []*talk{r.login(), r.login(), r.login()}
	sessions[0].epsv()
	sessions[1].epsv()
	sessions[2].ask("450", "EPSV")
	other := r.dial()
	other.login("bob@home.example")
	other.epsv()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		sessions[2].say("EPSV")
		if strings.HasPrefix(sessions[2].hear(), "229") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a port that nobody uses is not free")
		}
	}
	sessions[2].ask("226", "ABOR")
	sessions[0].ask("425", "RETR it") // it took too long
	if got, _ := sessions[0].get("RETR it"); got != "content" {
		t.Errorf("%q", got)
	}
}

// Who has signed in does not stay for ever: a session ends soon after its user may not go on, with its transfer, whatever it does
// meanwhile, and a new quota holds for it as well.
func TestExpelled(t *testing.T) {
	r := start(t, func(c *Config, _ *files.Options) { c.Limits.Recheck = 20 * time.Millisecond })
	var out atomic.Bool
	var quota, asked atomic.Int64
	r.people.still = func(context.Context) (files.Quota, bool) {
		asked.Add(1)
		return files.Quota{Octets: quota.Load()}, !out.Load()
	}
	quota.Store(100)
	idle, busy, talks := r.login(), r.login(), r.login()
	idle.want("226", idle.put("STOR it", "it"))
	quota.Store(10)
	for n := asked.Load() + 6; asked.Load() < n; {
		time.Sleep(time.Millisecond)
	}
	idle.want("552", idle.put("STOR it", "more than ten"))
	conn := busy.open(busy.epsv())
	busy.ask("150", "STOR part")
	io.WriteString(conn, "came")
	for deadline := time.Now().Add(patience); !strings.Contains(busy.ask("213", "STAT"), " 4 octets"); {
		if time.Now().After(deadline) {
			t.Fatal("the octets do not arrive")
		}
	}
	out.Store(true)
	idle.want("421", idle.hear())
	busy.want("426", busy.hear())
	busy.want("421", busy.hear())
	if got := r.read("part"); got != "came" {
		t.Errorf("%q", got)
	}
	for deadline := time.Now().Add(patience); ; {
		if _, err := io.WriteString(talks.conn, "NOOP\r\n"); err != nil {
			break
		}
		if answer, err := talks.heard(); err != nil || strings.HasPrefix(answer, "421") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("one that talks stays")
		}
	}
	for deadline := time.Now().Add(patience); r.server.Figures().Sessions > 0; {
		if time.Now().After(deadline) {
			t.Fatal("sessions are left")
		}
	}
}

// Listings that nobody reads are held up to a limit, for a user and for all: each is in memory until it is read.
func TestListingsAreBounded(t *testing.T) {
	r := start(t, func(c *Config, _ *files.Options) { c.Limits.Listed, c.Limits.ListedOfUser = 2100, 2000 })
	for i := range 1200 {
		r.write(fmt.Sprintf("many/%04d", i), "")
		r.write(fmt.Sprintf("../2-b/many/%04d", i), "") // bob's
	}
	held, second := r.dial(), r.login()
	held.secure()
	held.login(alice)
	conn := held.open(held.epsv())
	held.ask("150", "MLSD many") // and it waits for TLS, which does not come
	if _, last := second.get("LIST many"); !strings.HasPrefix(last, "450") {
		t.Error(last)
	}
	if list, last := second.get("LIST"); !strings.HasPrefix(last, "226") || !strings.Contains(list, "many") {
		t.Error(last)
	}
	other := r.dial()
	other.login("bob@home.example")
	if _, last := other.get("LIST many"); !strings.HasPrefix(last, "450") {
		t.Errorf("bob's: %s", last)
	}
	conn.Close()
	held.want("426", held.hear())
	if _, last := other.get("LIST many"); !strings.HasPrefix(last, "226") {
		t.Errorf("bob's: %s", last)
	}
	for range 3 {
		if list, last := second.get("LIST many"); !strings.HasPrefix(last, "226") || strings.Count(list, "\n") != 1200 {
			t.Error(last)
		}
	}
}

// A data connection is known by the address of its control connection in whichever form a system tells it, and by the whole of it.
func TestOwn(t *testing.T) {
	for _, c := range []struct {
		control, data string
		own           bool
	}{
		{"192.0.2.1:1", "192.0.2.1:50000", true}, {"192.0.2.1:1", "[::ffff:192.0.2.1]:50000", true}, {"[::ffff:192.0.2.1]:1", "192.0.2.1:50000", true},
		{"192.0.2.1:1", "192.0.2.2:50000", false}, {"192.0.2.1:1", "127.0.0.1:50000", false}, {"192.0.2.1:1", "[2001:db8::1]:50000", false},
		{"[2001:db8::1]:1", "[2001:db8::1]:2", true}, {"[2001:db8::1]:1", "[2001:db8::2]:2", false}, {"[fe80::1%eth0]:1", "[fe80::1%eth0]:2", true}, {"[fe80::1%eth0]:1", "[fe80::1%eth1]:2", false},
	} {
		s, err := newSession(New(Config{}), &addressed{local: "192.0.2.9:21", remote: named(c.control)})
		must(t, err)
		if got := s.own(named(c.data)); got != c.own {
			t.Errorf("%+v: %v", c, got)
		}
		s.cancel()
	}
	// What a dual-stack socket says of its own address is that of IPv4 as well: PASV is to tell it.
	s, err := newSession(New(Config{}), &addressed{local: "[::ffff:192.0.2.9]:21", remote: "[::ffff:192.0.2.1]:1"})
	must(t, err)
	if got := s.announced().String(); got != "192.0.2.9" {
		t.Error(got)
	}
	s.cancel()
	for _, bad := range []addressed{{local: "x", remote: "192.0.2.1:1"}, {local: "192.0.2.1:1", remote: "@"}} {
		if _, err := newSession(New(Config{}), &bad); err == nil {
			t.Errorf("%+v", bad)
		}
	}
}

type named string

func (named) Network() string  { return "tcp" }
func (n named) String() string { return string(n) }

type addressed struct {
	net.Conn
	local, remote named
}

func (a *addressed) LocalAddr() net.Addr  { return a.local }
func (a *addressed) RemoteAddr() net.Addr { return a.remote }

// ABOR is answered in every state, and the session goes on from there.
func TestAbortAnytime(t *testing.T) {
	for _, secured := range []bool{false, true} {
		r := start(t, nil)
		r.write("it", "content")
		r.write("big", strings.Repeat("x", 32<<20))
		c := r.dial()
		if secured {
			c.secure()
		}
		c.login(alice)
		for name, lead := range map[string]func(){
			"nothing":                     func() { c.ask("226", "ABOR") },
			"a port":                      func() { c.epsv(); c.ask("226", "ABOR") },
			"a port and a connection":     func() { c.open(c.epsv()); c.ask("226", "ABOR") },
			"REST":                        func() { c.ask("350", "REST 3"); c.ask("226", "ABOR") },
			"RNFR":                        func() { c.ask("350", "RNFR it"); c.ask("226", "ABOR"); c.ask("503", "RNTO that") },
			"a command and no connection": func() { c.epsv(); c.ask("426", "RETR big\r\nABOR"); c.want("226", c.hear()) },
			"an upload of nothing":        func() { c.open(c.epsv()); c.ask("150", "STOR new"); c.ask("426", "ABOR"); c.want("226", c.hear()) },
			"a download":                  func() { c.open(c.epsv()); c.ask("150", "RETR big"); c.ask("426", "ABOR"); c.want("226", c.hear()) },
			"twice": func() {
				c.open(c.epsv())
				c.ask("150", "RETR big")
				c.ask("426", "ABOR\r\nABOR")
				c.want("226", c.hear())
				c.want("226", c.hear())
			},
			"what was over": func() {
				c.want("226", c.put("STOR whole", "whole"))
				c.ask("226", "ABOR")
			},
		} {
			lead()
			if got, last := c.get("RETR it"); got != "content" || !strings.HasPrefix(last, "226") {
				t.Errorf("after %s: %q %s", name, got, last)
			}
			if t.Failed() {
				return
			}
		}
		if got := fmt.Sprint(r.entries()); got != "[big it whole]" {
			t.Error(got)
		}
		if f := r.server.Figures(); f.Transfers != 0 {
			t.Errorf("%+v", f)
		}
	}
}

// Who goes away, or says goodbye, in the middle of an upload leaves what has come; what he has said meanwhile waits for the end.
func TestGoingAway(t *testing.T) {
	r := start(t, nil)
	for i, bye := range []func(c *talk, data net.Conn){
		func(c *talk, _ net.Conn) { c.raw.Close() },
		func(c *talk, data net.Conn) { data.(*net.TCPConn).SetLinger(0); data.Close(); c.want("426", c.hear()) },
		func(c *talk, data net.Conn) {
			c.say("NOOP\r\nQUIT")
			data.Close()
			c.want("226", c.hear())
			c.want("200", c.hear())
			c.want("221", c.hear())
		},
	} {
		c := r.login()
		name := fmt.Sprint("it", i)
		conn := c.open(c.epsv())
		c.ask("150", "STOR "+name)
		io.WriteString(conn, "received")
		for deadline := time.Now().Add(patience); !strings.Contains(c.ask("213", "STAT"), " 8 octets"); {
			if time.Now().After(deadline) {
				t.Fatal("the octets do not arrive")
			}
		}
		bye(c, conn)
		c.raw.Close()
		for deadline := time.Now().Add(patience); r.server.Figures().Sessions > 0; {
			if time.Now().After(deadline) {
				t.Fatal("it stays")
			}
		}
		if got := r.read(name); got != "received" {
			t.Errorf("%d: %q", i, got)
		}
	}
	if f := r.server.Figures(); f.Transfers != 0 || f.Cut != 2 || f.Uploads != 1 {
		t.Errorf("%+v", f)
	}
}

// elsewhere is a listener whose clients come from another machine.
type elsewhere struct{ net.Listener }

func (l elsewhere) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return far{conn}, nil
}

type far struct{ net.Conn }

func (far) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1} }

// Neither name nor password is taken in the clear from elsewhere; over TLS they are.
func TestNothingSecretInTheClear(t *testing.T) {
	r := start(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(elsewhere{l}) }()
	t.Cleanup(func() { l.Close(); <-served })
	r.address = l.Addr().String()
	c := r.dial()
	c.ask("530", "USER "+alice)
	c.ask("530", "PASS "+password)
	c.ask("530", "LIST")
	c.secure()
	c.ask("503", "PASS "+password)
	c.login(alice)
	c.ask("504", "PORT 127,0,0,1,200,1")
}
